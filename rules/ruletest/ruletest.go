package ruletest

import (
	"time"

	"go.yaml.in/yaml/v4"

	"leadstream/rules"
)

// defaultStart is when a test begins that does not say when: a Monday at midnight, UTC.
const defaultStart = int64(1767571200000) // 2026-01-05

// File is a checked test file. It is immutable.
type File struct {
	set   *rules.Set
	name  string
	tests []test
}

// test is one golden test.
type test struct {
	name  string
	line  int
	start int64 // ms since 1970
	end   int64 // how far time passes
	steps []step
	// leads in the order in which they come up.
	leads  []string
	expect []expectation
}

// Result is what became of one test.
type Result struct {
	// Test is the test's name, Line where it begins in the file, counted from 1.
	Test string
	Line int
	// Failed says that something else happened than was expected; Diff says what, line by line. It is "" for a test
	// that passed.
	Failed bool
	Diff   string
	// Happened lists all outputs as an `expect:` list would have them.
	Happened string
	// Notes say what else is worth knowing: expressions that ended in an error, events too late to fire anything.
	Notes []string
}

// Parse reads a test file for a rule set. The error is a *rules.Problems with every mistake that was found, names
// that the rule set does not have included.
func Parse(set *rules.Set, name string, src []byte) (*File, error) {
	r := &fileReader{reader: reader{file: name}, hasAccounts: set.Accounts()}
	r.known, r.accounts = namesOf(set)
	f := &File{set: set, name: name}
	if top := r.top(src); top != nil {
		start := defaultStart
		var tests *yaml.Node
		r.mapping(top, "a test file",
			key{"start", func(n *yaml.Node) { start = r.instant(n, "start") }},
			key{"tests", func(n *yaml.Node) { tests = n }},
		)
		switch {
		case tests != nil:
			r.list(tests, "tests", func(n *yaml.Node) { f.tests = append(f.tests, r.test(n, start)) })
			if tests.Kind == yaml.SequenceNode && len(tests.Content) == 0 {
				r.errorf(tests, "tests is empty")
			}
		case top.Kind == yaml.MappingNode:
			r.errorf(top, "a test file needs tests, a list")
		}
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return f, nil
}

// Name returns the name given to Parse.
func (f *File) Name() string { return f.name }

// Run runs all tests, in order. It is deterministic.
func (f *File) Run() []Result {
	results := make([]Result, len(f.tests))
	for i := range f.tests {
		results[i] = f.tests[i].run(f.set)
	}
	return results
}

// names are those that a rule set knows of leads, or of accounts.
type names struct {
	of                                         string // what they are of, as mistakes say it
	stages, handoffs, scores, graded, matrices []string
}

// namesOf returns the names of leads and of accounts.
func namesOf(set *rules.Set) (of, ofAccounts names) {
	k, a := names{stages: set.Stages()}, names{of: " of accounts"}
	a.stages, a.scores, a.handoffs = set.AccountNames()
	all := set.Handoffs() // those of accounts are the last
	k.handoffs = all[:len(all)-len(a.handoffs)]
	v := set.NewEvaluator().View(set.NewLead("nobody", 1), 0)
	for _, s := range v.Scores {
		k.scores = append(k.scores, s.Name)
		if s.Grade != "" {
			k.graded = append(k.graded, s.Name)
		}
	}
	for _, m := range v.Matrices {
		k.matrices = append(k.matrices, m.Name)
	}
	return k, a
}

// fileReader reads tests.
type fileReader struct {
	reader
	known, accounts names
	hasAccounts     bool
}

// test reads one test.
func (r *fileReader) test(n *yaml.Node, start int64) test {
	t := test{line: n.Line, start: start}
	var given, expect *yaml.Node
	before := len(r.problems)
	isMapping := r.mapping(n, "a test",
		key{"name", func(n *yaml.Node) { t.name = r.text(n, "name") }},
		key{"start", func(n *yaml.Node) { t.start = r.instant(n, "start") }},
		key{"given", func(n *yaml.Node) { given = n }},
		key{"expect", func(n *yaml.Node) { expect = n }},
	)
	if !isMapping {
		return t
	}
	if t.name == "" && len(r.problems) == before {
		r.errorf(n, "a test needs a name")
	}
	if given == nil {
		r.errorf(n, "test %q needs given, the list of what happens", t.name)
		return t
	}
	r.given(given, &t)
	if expect == nil {
		r.errorf(n, "test %q needs expect, the list of what must come of it; [] for nothing", t.name)
		return t
	}
	r.list(expect, "expect", func(n *yaml.Node) {
		if e, ok := r.expectation(n, &t); ok {
			t.expect = append(t.expect, e)
		}
	})
	return t
}

// instant reads a date and time.
func (r *reader) instant(n *yaml.Node, what string) int64 {
	if n.Kind == yaml.ScalarNode {
		if ms, ok := parseInstant(n.Value); ok {
			return ms
		}
	}
	r.errorf(n, "%s must be a time like 2026-01-05T09:00:00Z, found %s", what, found(n))
	return defaultStart
}

func parseInstant(s string) (ms int64, ok bool) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), true
		}
	}
	return 0, false
}
