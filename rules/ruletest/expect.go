package ruletest

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"leadstream/rules"
	"leadstream/state/lead"
)

// expectation is one entry of expect: an output, or with kind 0 a look at the lead.
type expectation struct {
	kind lead.Kind
	lead string
	// at is when, in ms since 1970; timed is false when any time will do. unit is 1 for the exact ms, else the span from at
	// on within which it must be.
	at    int64
	unit  int64
	timed bool
	// from and to are the stages of a change; to the one that a hand-off or a look is in, "" for any.
	from, to string
	// name is a hand-off's. Those that follow are "" where any will do.
	name, team, reason, event string
	scores                    []wantedScore
	grades                    []wantedGrade
}

type wantedScore struct {
	name string
	v    float64
	// within is how far off the score may be: half of the last decimal that is written, and half a hundredth at most.
	within float64
}

type wantedGrade struct{ name, grade string }

// rawExpectation is an expectation as the file has it.
type rawExpectation struct {
	at, stage, handoff, in *yaml.Node
}

// expectation reads one entry.
func (r *fileReader) expectation(n *yaml.Node, t *test) (expectation, bool) {
	var e expectation
	var raw rawExpectation
	before := len(r.problems)
	text := func(name string, to *string) key {
		return key{name, func(n *yaml.Node) { *to = r.text(n, name) }}
	}
	r.mapping(n, "an expectation",
		key{"at", func(n *yaml.Node) { raw.at = n }},
		key{"stage", func(n *yaml.Node) { raw.stage = n }},
		key{"handoff", func(n *yaml.Node) { raw.handoff = n }},
		text("reason", &e.reason), text("team", &e.team), text("event", &e.event), text("lead", &e.lead),
		key{"scores", func(n *yaml.Node) { r.scores(n, &e) }},
		key{"grades", func(n *yaml.Node) { r.grades(n, &e) }},
	)
	if len(r.problems) > before {
		return e, false
	}
	r.kind(n, &raw, &e)
	if raw.at != nil {
		r.when(raw.at, t, &e)
	} else if e.kind == 0 {
		r.errorf(n, "an expectation without a stage change or a hand-off is a look at the lead, which needs at")
	}
	switch {
	case len(t.leads) == 0:
		r.errorf(n, "nothing can be expected of a test without events")
	case e.lead == "" && len(t.leads) == 1:
		e.lead = t.leads[0]
	case e.lead == "":
		r.errorf(n, "the test has several leads, so an expectation needs lead")
	case !slices.Contains(t.leads, e.lead):
		r.errorf(n, "no event is of lead %q%s", e.lead, rules.Suggest(e.lead, t.leads))
	}
	return e, len(r.problems) == before
}

// kind finds out what is expected.
func (r *fileReader) kind(n *yaml.Node, raw *rawExpectation, e *expectation) {
	if raw.stage != nil {
		from, to, isChange := strings.Cut(r.text(raw.stage, "stage"), ">")
		if isChange {
			e.kind = lead.StageChanged
			e.from, e.to = r.stage(raw.stage, from), r.stage(raw.stage, to)
		} else {
			e.to = r.stage(raw.stage, from)
		}
	}
	if raw.handoff != nil {
		if e.kind == lead.StageChanged {
			r.errorf(n, "an expectation is a stage change or a hand-off, not both")
			return
		}
		e.kind = lead.HandOff
		e.name = r.name(raw.handoff, "hand-off", r.text(raw.handoff, "handoff"), r.known.handoffs)
	}
	switch {
	case e.reason != "" && e.kind != lead.StageChanged:
		r.errorf(n, "only a stage change, like stage: lead > mql, has a reason")
	case e.team != "" && e.kind != lead.HandOff:
		r.errorf(n, "only a hand-off has a team")
	case e.event != "" && e.kind == 0:
		r.errorf(n, "a look at the lead has no event")
	case e.kind == 0 && e.to == "" && len(e.scores)+len(e.grades) == 0:
		r.errorf(n, "an expectation needs stage, handoff, scores or grades")
	}
}

func (r *fileReader) stage(n *yaml.Node, name string) string {
	return r.name(n, "stage", strings.TrimSpace(name), r.known.stages)
}

// name checks a name that the rule set must have.
func (r *reader) name(n *yaml.Node, what, name string, known []string) string {
	if !slices.Contains(known, name) {
		r.errorf(n, "the rules have no %s %q%s", what, name, rules.Suggest(name, known))
	}
	return name
}

// when reads an expectation's time, which must come before the end of the test.
func (r *fileReader) when(n *yaml.Node, t *test, e *expectation) {
	written := *n
	e.unit = 1
	if rest, about := strings.CutPrefix(n.Value, "~"); about && n.Kind == yaml.ScalarNode {
		written.Value = rest
		e.unit = smallestUnit(rest)
	}
	if strings.HasPrefix(written.Value, "+") {
		r.errorf(n, "at of an expectation counts from the test's start; leave out the +")
		return
	}
	var ok bool
	if e.at, ok = r.moment(&written, "at", t.start, t.start); !ok {
		return
	}
	e.timed = true
	switch {
	case e.at > t.end:
		r.errorf(n, "the test ends at %s, before %s; let time pass with wait", formatOffset(t.end-t.start), n.Value)
	case e.kind == 0 && e.unit > 1:
		r.errorf(n, "a look at the lead needs an exact time, without ~")
	}
}

// smallestUnit returns the ms of the last unit of a duration that is written out.
func smallestUnit(s string) int64 {
	for _, u := range []string{"ms", "s", "m", "h", "d"} {
		if strings.HasSuffix(s, u) {
			ms, err := rules.ParseDuration("1" + u)
			if err != nil {
				panic("bug: no duration: 1" + u)
			}
			return ms
		}
	}
	return 1
}

func (r *fileReader) scores(n *yaml.Node, e *expectation) {
	r.pairs(n, "scores", func(name, v *yaml.Node) {
		r.name(name, "score", name.Value, r.known.scores)
		f, err := strconv.ParseFloat(v.Value, 64)
		if v.Kind != yaml.ScalarNode || err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			r.errorf(v, "score %s must be a number, found %s", name.Value, found(v))
			return
		}
		decimals := 2
		if _, after, ok := strings.Cut(v.Value, "."); ok {
			decimals = max(decimals, len(after))
		}
		e.scores = append(e.scores, wantedScore{name.Value, f, 0.5*math.Pow10(-decimals) + 1e-12})
	})
}

func (r *fileReader) grades(n *yaml.Node, e *expectation) {
	r.pairs(n, "grades", func(name, v *yaml.Node) {
		if !slices.Contains(r.known.graded, name.Value) && slices.Contains(r.known.scores, name.Value) {
			r.errorf(name, "score %q has no grades", name.Value)
			return
		}
		r.name(name, "score", name.Value, r.known.scores)
		e.grades = append(e.grades, wantedGrade{name.Value, r.text(v, "the grade of "+name.Value)})
	})
}

// meets says whether an output is what was expected.
func (e *expectation) meets(o *lead.Output) bool {
	if o.Kind != e.kind || !e.atTime(o.At) || !e.shows(o.Scores) {
		return false
	}
	if e.event != "" && e.event != o.Event || e.reason != "" && e.reason != o.Reason || e.to != "" && e.to != o.To {
		return false
	}
	switch e.kind {
	case lead.StageChanged:
		return e.from == o.From
	case lead.HandOff:
		return e.name == o.Name && (e.team == "" || e.team == o.Team)
	}
	return false
}

func (e *expectation) atTime(at int64) bool {
	return !e.timed || at >= e.at && at < e.at+e.unit
}

// shows says whether scores are what was expected.
func (e *expectation) shows(list []lead.NamedScore) bool {
	for _, w := range e.scores {
		if s, ok := scoreNamed(list, w.name); !ok || math.Abs(s.Value-w.v) > w.within {
			return false
		}
	}
	for _, w := range e.grades {
		if s, ok := scoreNamed(list, w.name); !ok || s.Grade != w.grade {
			return false
		}
	}
	return true
}

func scoreNamed(list []lead.NamedScore, name string) (lead.NamedScore, bool) {
	for _, s := range list {
		if s.Name == name {
			return s, true
		}
	}
	return lead.NamedScore{}, false
}
