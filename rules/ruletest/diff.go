package ruletest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"leadstream/rules"
	"leadstream/state/lead"
)

// result compares what happened with what was expected.
func (t *test) result(b *bench) Result {
	d := differ{t: t, causes: make(map[string]string)}
	for i := range t.steps {
		if s := &t.steps[i]; s.text != "" {
			d.causes[s.id()] = s.text
		}
	}
	for i := range t.expect {
		d.scores = d.scores || t.expect[i].kind != 0 && t.expect[i].looks()
	}
	accounts := t.accounts(b)
	d.headed = len(t.leads) > 1 || len(accounts) > 0
	for _, id := range append(slices.Clip(t.leads), accounts...) {
		d.compare(id, b)
	}
	r := Result{Test: t.name, Line: t.line, Failed: d.failed, Happened: t.happened(b.out), Notes: b.notes()}
	if d.failed {
		r.Diff = d.text()
	}
	return r
}

// differ writes what a test expected and what happened, a line for each.
type differ struct {
	t      *test
	lines  []diffLine
	causes map[string]string // texts of steps by message id
	scores bool              // outputs are shown with their scores
	headed bool              // each lead and account has a heading
	failed bool
}

// diffLine is one line of a diff; those without a mark are headings.
type diffLine struct {
	mark     byte
	at, text string
}

func (d *differ) line(mark byte, at, text string) {
	d.lines = append(d.lines, diffLine{mark, at, text})
}

// text returns the lines with their times in a column.
func (d *differ) text() string {
	width := 0
	for _, l := range d.lines {
		width = max(width, len(l.at))
	}
	var b strings.Builder
	for _, l := range d.lines {
		if l.mark == 0 {
			fmt.Fprintf(&b, "  %s\n", l.text)
			continue
		}
		fmt.Fprintf(&b, "  %c %-*s  %s\n", l.mark, width, l.at, l.text)
	}
	return b.String()
}

// compare writes one lead's lines.
func (d *differ) compare(id string, b *bench) {
	if d.headed {
		d.line(0, "", entity(id))
	}
	var want []*expectation
	for i := range d.t.expect {
		if e := &d.t.expect[i]; e.kind != 0 && e.lead == id {
			want = append(want, e)
		}
	}
	var got []*lead.Output
	for i := range b.out {
		if o := &b.out[i]; entityOf(o) == id {
			got = append(got, o)
		}
	}
	for _, p := range align(want, got) {
		switch {
		case p.want == nil:
			d.failed = true
			d.line('+', d.offset(p.got.At), d.happened(p.got))
		case p.got == nil:
			d.failed = true
			d.line('-', d.wantedAt(p.want), describe(p.want))
		default:
			d.line(' ', d.offset(p.got.At), d.happened(p.got))
		}
	}
	for i := range b.looks {
		if b.looks[i].lead == id {
			d.look(&b.looks[i])
		}
	}
}

// pair is an expectation with the output that meets it; one of them is nil when there is none.
type pair struct {
	want *expectation
	got  *lead.Output
}

// align finds the longest list of expectations and outputs that meet each other in order.
func align(want []*expectation, got []*lead.Output) []pair {
	n, m := len(want), len(got)
	longest := make([][]int, n+1) // of want[i:] and got[j:]
	for i := range longest {
		longest[i] = make([]int, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			longest[i][j] = max(longest[i+1][j], longest[i][j+1])
			if want[i].meets(got[j]) {
				longest[i][j] = max(longest[i][j], 1+longest[i+1][j+1])
			}
		}
	}
	var pairs []pair
	i, j := 0, 0
	for i < n || j < m {
		switch {
		case i < n && j < m && want[i].meets(got[j]) && longest[i][j] == 1+longest[i+1][j+1]:
			pairs = append(pairs, pair{want[i], got[j]})
			i++
			j++
		case i < n && (j == m || longest[i+1][j] == longest[i][j]):
			pairs = append(pairs, pair{want: want[i]})
			i++
		default:
			pairs = append(pairs, pair{got: got[j]})
			j++
		}
	}
	return pairs
}

// look compares a lead at a moment.
func (d *differ) look(k *look) {
	at := d.offset(k.at)
	if !k.seen {
		d.failed = true
		d.line('-', at, "a look at the "+word(k.lead)+", which no event had come of by then")
		return
	}
	check := func(ok bool, want, got string) {
		if ok {
			d.line(' ', at, got)
			return
		}
		d.failed = true
		d.line('-', at, want)
		d.line('+', at, got)
	}
	if k.to != "" {
		check(k.to == k.view.Stage, "in stage "+k.to, "in stage "+k.view.Stage)
	}
	if w := k.expectation.members; w != nil {
		got := membersOf(k, w.roles != nil)
		check(w.text() == got.text(), w.text(), got.text())
	}
	for _, w := range k.expectation.scores {
		s, _ := scoreNamed(k.view.Scores, w.name)
		check(w.is(s.Value), "score "+w.name+" "+formatNumber(w.v), "score "+w.name+" "+formatNumber(s.Value))
	}
	for _, w := range k.expectation.grades {
		s, _ := scoreNamed(k.view.Scores, w.name)
		check(s.Grade == w.text, "grade "+w.name+" "+w.text, "grade "+w.name+" "+s.Grade)
	}
	for _, w := range k.cells {
		cell := cellNamed(k.view.Matrices, w.name)
		check(cell == w.text, "matrix "+w.name+" "+w.text, "matrix "+w.name+" "+cell)
	}
	for _, w := range k.expectation.tags {
		v := tagNamed(k.view.Tags, w.name)
		check(w.is(v), "tag "+w.name+" "+formatNumber(w.v), "tag "+w.name+" "+formatNumber(v))
	}
}

// describe writes an expectation with what it asks for.
func describe(e *expectation) string {
	var b strings.Builder
	switch e.kind {
	case lead.HandOff:
		b.WriteString("hand-off " + e.name)
		if e.team != "" {
			b.WriteString(" to " + e.team)
		}
		if e.to != "" {
			b.WriteString(" in stage " + e.to)
		}
	case lead.LeadMerged:
		b.WriteString("merged " + e.name)
		if e.reason != "" {
			b.WriteString(" (" + e.reason + ")")
		}
	default:
		b.WriteString(e.from + " > " + e.to)
		if e.reason != "" {
			b.WriteString(" (" + e.reason + ")")
		}
	}
	for _, s := range e.scores {
		b.WriteString(", " + s.name + " " + formatNumber(s.v))
	}
	for _, g := range e.grades {
		b.WriteString(", " + g.name + " " + g.text)
	}
	for _, c := range e.cells {
		b.WriteString(", " + c.name + " " + c.text)
	}
	if e.members != nil {
		b.WriteString(", " + e.members.text())
	}
	if e.event != "" {
		b.WriteString(", by " + e.event)
	}
	return b.String()
}

// happened writes an output with what did it.
func (d *differ) happened(o *lead.Output) string {
	var b strings.Builder
	switch o.Kind {
	case lead.StageChanged:
		b.WriteString(o.From + " > " + o.To)
		if o.Reason != "" {
			b.WriteString(" (" + o.Reason + ")")
		}
	case lead.HandOff:
		b.WriteString("hand-off " + o.Name)
		if o.Team != "" {
			b.WriteString(" to " + o.Team)
		}
		b.WriteString(" in stage " + o.To)
	case lead.LeadMerged:
		b.WriteString("merged " + o.From + " (" + o.Reason + ")")
	default:
		b.WriteString(o.Kind.String() + " " + o.Name)
	}
	if d.scores {
		for _, s := range o.Scores {
			b.WriteString(", " + s.Name + " " + formatNumber(s.Value))
			if s.Grade != "" {
				b.WriteString(" " + s.Grade)
			}
		}
		for _, c := range o.Matrices {
			b.WriteString(", " + c.Name + " " + c.Cell)
		}
	}
	if d.scores && o.Account != "" {
		b.WriteString(", " + (&wantedMembers{count: o.MemberCount}).text())
	}
	cause := o.Event
	if text, ok := d.causes[cause]; ok {
		cause = text
	}
	return b.String() + ", by " + cause
}

// happened lists outputs in the form of an expect list.
func (t *test) happened(out []lead.Output) string {
	var b strings.Builder
	for i := range out {
		o := &out[i]
		b.WriteString("- {")
		switch {
		case o.Account != "":
			b.WriteString("account: " + scalar(o.Account) + ", ")
		case len(t.leads) > 1:
			b.WriteString("lead: " + scalar(o.Lead) + ", ")
		}
		switch o.Kind {
		case lead.StageChanged:
			b.WriteString("stage: " + scalar(o.From+" > "+o.To))
		case lead.HandOff:
			b.WriteString("handoff: " + scalar(o.Name))
		case lead.LeadMerged:
			b.WriteString("merged: " + scalar(o.From))
		default:
			b.WriteString("# " + o.Kind.String())
		}
		b.WriteString(", at: " + formatOffset(o.At-t.start))
		if o.Reason != "" {
			b.WriteString(", reason: " + scalar(o.Reason))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// scalar writes text as a flow mapping may have it, in quotes where it needs them.
func scalar(s string) string {
	plain := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' || r == ' ' || r == '>' || r == '-')
	}) < 0
	if plain && s != "" && s[0] != ' ' && s[0] != '-' && s[0] != '>' && s[len(s)-1] != ' ' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

func (d *differ) offset(at int64) string { return formatOffset(at - d.t.start) }

func (d *differ) wantedAt(e *expectation) string {
	switch {
	case !e.timed:
		return "any time"
	case e.unit > 1:
		return "~" + d.offset(e.at)
	}
	return d.offset(e.at)
}

func formatOffset(ms int64) string {
	if ms < 0 {
		return "-" + rules.FormatDuration(-ms)
	}
	return rules.FormatDuration(ms)
}

// formatNumber writes a number with at most four decimals.
func formatNumber(v float64) string {
	s := strconv.FormatFloat(v, 'f', 4, 64)
	s = strings.TrimRight(s, "0")
	return strings.TrimSuffix(s, ".")
}
