package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Problem is one mistake in a rule file, or one warning.
type Problem struct {
	// File is the name given to Parse. Line and Column count from 1; 0 is the whole file.
	File         string
	Line, Column int
	// Message says what is wrong and what was expected.
	Message string
	// Text and Caret show an expression's line and, counted from 0 in characters, where it is wrong.
	// Text is "" for mistakes outside expressions.
	Text  string
	Caret int
}

// String returns file:line:column: message, and for expressions the line with a caret under it.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	b.WriteString(p.Message)
	if p.Text != "" {
		b.WriteString("\n    ")
		b.WriteString(strings.ReplaceAll(p.Text, "\t", " "))
		b.WriteString("\n    ")
		b.WriteString(strings.Repeat(" ", p.Caret))
		b.WriteByte('^')
	}
	return b.String()
}

// Problems is the error of a rule set that can't be loaded: all mistakes that were found, by place.
type Problems struct {
	List []Problem
	// More counts those left out after the first hundred.
	More int
}

// Error returns one line, or three with a caret, for each problem.
func (ps *Problems) Error() string {
	var b strings.Builder
	for i, p := range ps.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
	}
	if ps.More > 0 {
		fmt.Fprintf(&b, "\n... and %d more", ps.More)
	}
	return b.String()
}

// collector gathers problems while a rule set is read.
type collector struct {
	order    map[string]int // file name -> position, for sorting
	errors   []Problem
	warnings []Problem
}

func (c *collector) add(p Problem) { c.errors = append(c.errors, p) }

func (c *collector) err() error {
	if len(c.errors) == 0 {
		return nil
	}
	list := c.sorted(c.errors)
	ps := &Problems{List: list}
	if len(list) > maxProblems {
		ps.List, ps.More = list[:maxProblems], len(list)-maxProblems
	}
	return ps
}

func (c *collector) sorted(list []Problem) []Problem {
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(c.order[a.File], c.order[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(list)
}

// suggest returns ` (did you mean "x"?)` for the known name nearest to a wrong one, or "" when none is near.
func suggest(name string, known []string) string {
	best, at := "", 0
	for _, k := range known {
		d := distance(strings.ToLower(name), strings.ToLower(k))
		if best == "" || d < at {
			best, at = k, d
		}
	}
	if best == "" || at > max(1, utf8.RuneCountInString(name)/3) {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", best)
}

// distance is the number of edits between two words: letters put in, left out, replaced, or two swapped.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > maxNameBytes || len(y) > maxNameBytes {
		return maxNameBytes
	}
	prev2, prev, cur := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		cur[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(y)]
}

// oneOf lists names for an error text: `one of a, b, c`, shortened when there are many.
func oneOf(names []string) string {
	const shown = 12
	if len(names) > shown {
		return "one of " + strings.Join(names[:shown], ", ") + ", ..."
	}
	return "one of " + strings.Join(names, ", ")
}
