package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// timeTerms are the terms that time alone can change; "score" is told apart by what time does to it. Each must be drawn, alone and
// under each operator, and must have made something fire.
var timeTerms = []string{
	"score half_life", "score expire_after", "score linear_over", "score step", "score state", "score derived", "score sum", "tags", "grade", "matrix",
	"count", "sum", "distinct", "since", "then", "without", "in_stage", "until", "local.hour", "local.weekday",
}

// otherTerms change by events only, or not by time alone.
var otherTerms = []string{"signal", "event", "first", "last", "score none"}

// TestModelDrawsEverything says that TestAgainstModel is about the whole table of terms.
func TestModelDrawsEverything(t *testing.T) {
	terms := make(map[string]int)
	for seed := range uint64(2500) {
		g := newDrawer(seed)
		g.wide, g.terms, g.zones = true, terms, new(zones)
		g.rules()
	}
	for _, term := range append(slices.Clone(timeTerms), otherTerms...) {
		for _, under := range []string{"alone", "not", "and", "or"} {
			if n := terms[under+" "+term]; n < 15 {
				t.Errorf("%s is drawn %d times %s", term, n, under)
			}
		}
	}
}

// checkTimed says that each term, alone or negated, has made something fire by time alone in n histories.
func checkTimed(t *testing.T, n int, runs []modelRun) {
	if n < 5000 || t.Failed() {
		return
	}
	for _, term := range timeTerms {
		all := 0
		for _, run := range runs {
			all += run.timed[term]
		}
		t.Logf("%s: %d times", term, all)
		if all < max(1, n/10_000) { // some turn by time alone in one of a few thousand
			t.Errorf("in %d histories time made %s fire %d times", n, term, all)
		}
	}
}

// note counts terms that stand under an operator.
func (g *drawer) note(under string, terms ...string) {
	for _, term := range terms {
		if term != "" && g.terms != nil {
			g.terms[under+" "+term]++
		}
	}
}

// whole draws a whole condition.
func (g *drawer) whole(depth int, events bool) (string, formula) {
	var text string
	var f formula
	if g.wide && g.r.IntN(5) == 0 { // the most is to be said of scores
		op := operators3[g.r.IntN(len(operators3))]
		text, f = g.scoreAtom(events, op.text, op.holds)
	} else {
		text, f = g.formula(depth, events)
	}
	if !strings.HasPrefix(text, "!") {
		g.note("alone", g.term)
	}
	return text, f
}

func (g *drawer) kindOf(name string) string {
	s := g.m.scores[name]
	switch {
	case s.decay == decayNone && s.halfLife > 0:
		return "half_life"
	case s.decay == decayNone:
		return "none"
	}
	return map[decay]string{decayAll: "expire_after", decayLine: "linear_over", decayStepped: "step", stateScore: "state", derived: "derived"}[s.decay]
}

// localTime draws where and when a history begins: at the beginning of time, or before an hour ends, a day, or summer.
func (g *drawer) localTime(b *strings.Builder) {
	zone := g.pick("UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe")
	loc, err := g.zones.load(zone)
	if err != nil {
		panic("bug: " + err.Error())
	}
	g.m.zone = loc
	fmt.Fprintf(b, "timezone: %s\n", zone)
	switch g.r.IntN(4) {
	case 0:
		g.base = time.Date(2026, 3, 7+g.r.IntN(7), 1+g.r.IntN(22), 0, 0, 0, loc).UnixMilli()
	case 1, 2:
		g.base = time.Date(2026, 3, 7+g.r.IntN(7), 0, 0, 0, 0, loc).UnixMilli()
	case 3:
		_, end := time.Date(2026, 3, 7, 0, 0, 0, 0, loc).ZoneBounds()
		g.base = end.UnixMilli() // zero for a zone without summer, which is a time as well
	}
	g.base = max(0, g.base-200-g.r.Int64N(500))
}

// wideAtom draws terms that the recorded rule sets do not have.
func (g *drawer) wideAtom(events bool) (string, formula) {
	op := operators3[g.r.IntN(len(operators3))]
	now := time.UnixMilli(g.base).In(g.m.zone)
	switch n := g.r.IntN(3); {
	case n == 0 && events:
		g.term = "matrix"
		cell := g.pick("AH", "AL", "BH", "BL", "CH", "CL")
		text := "matrix.seg == \"%s\""
		if g.r.IntN(2) == 0 { // through CEL
			text = "matrix.seg + \"\" == \"%s\""
		}
		return fmt.Sprintf(text, cell), func(m *model, t int64, _ *modelEvent) tri { return truth(m.cell(t) == cell) }
	case n == 1:
		g.term = "local.weekday"
		day := ((int(now.Weekday())+6)%7+g.r.IntN(2))%7 + 1
		return fmt.Sprintf("local.weekday %s %d", op.text, day), func(m *model, t int64, _ *modelEvent) tri {
			return truth(op.holds(float64((int(time.UnixMilli(t).In(m.zone).Weekday())+6)%7+1), float64(day)))
		}
	}
	g.term = "local.hour"
	h := (now.Hour() + g.r.IntN(3)) % 24
	text := "local.hour %s %d"
	if g.r.IntN(2) == 0 { // through CEL
		text = "local.hour + 0 %s %d"
	}
	return fmt.Sprintf(text, op.text, h), func(m *model, t int64, _ *modelEvent) tri {
		return truth(op.holds(float64(time.UnixMilli(t).In(m.zone).Hour()), float64(h)))
	}
}
