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
	// lead is the id of a lead, or that of an account's entity.
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
	scores, tags              []wantedNumber
	grades, cells             []wantedText
	members                   *wantedMembers // of an account
}

// shown is what an output or a look shows of a lead.
type shown struct {
	scores []lead.NamedScore
	cells  []lead.NamedCell
	tags   []rules.NamedTag
}

type wantedNumber struct {
	name string
	v    float64
	// within is how far off it may be: half of the last decimal that is written, and half a hundredth at most.
	within float64
}

type wantedText struct{ name, text string }

// rawExpectation is an expectation as the file has it.
type rawExpectation struct {
	at, stage, handoff, merged, account, members *yaml.Node
	scores, grades, matrix, tags                 *yaml.Node
}

// expectation reads one entry.
func (r *fileReader) expectation(n *yaml.Node, t *test) (expectation, bool) {
	var e expectation
	var raw rawExpectation
	before := len(r.problems)
	text := func(name string, to *string) key {
		return key{name, func(n *yaml.Node) { *to = r.text(n, name) }}
	}
	node := func(name string, to **yaml.Node) key {
		return key{name, func(n *yaml.Node) { *to = n }}
	}
	r.mapping(n, "an expectation",
		node("at", &raw.at), node("stage", &raw.stage), node("handoff", &raw.handoff), node("merged", &raw.merged),
		text("reason", &e.reason), text("team", &e.team), text("event", &e.event), text("lead", &e.lead), node("account", &raw.account),
		node("scores", &raw.scores), node("grades", &raw.grades), node("matrix", &raw.matrix), node("tags", &raw.tags), node("members", &raw.members),
	)
	r.shown(n, &raw, &e)
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
	case raw.account != nil:
	case e.lead == "" && len(t.leads) == 1:
		e.lead = t.leads[0]
	case e.lead == "":
		r.errorf(n, "the test has several leads, so an expectation needs lead")
	case !slices.Contains(t.leads, e.lead):
		r.errorf(n, "no event is of lead %q%s", e.lead, rules.Suggest(e.lead, t.leads))
	}
	return e, len(r.problems) == before
}

// shown reads what an output or a look shows.
func (r *fileReader) shown(n *yaml.Node, raw *rawExpectation, e *expectation) {
	known := &r.known
	if raw.account != nil {
		known = &r.accounts
		if e.lead != "" {
			r.errorf(n, "an expectation is of a lead or of an account, not both")
		}
		e.lead = r.account(raw.account)
	}
	switch {
	case raw.account != nil && (raw.grades != nil || raw.matrix != nil || raw.tags != nil):
		r.errorf(n, "an account has no grades, matrix and tags")
		return
	case raw.account == nil && raw.members != nil:
		r.errorf(raw.members, "only an account has members")
	case raw.members != nil:
		e.members = r.members(raw.members)
	}
	if raw.scores != nil {
		e.scores = r.numbers(raw.scores, "score", known)
	}
	if raw.grades != nil {
		r.grades(raw.grades, e)
	}
	if raw.matrix != nil {
		e.cells = r.texts(raw.matrix, "matrix", r.known.matrices)
	}
	if raw.tags != nil {
		e.tags = r.numbers(raw.tags, "tag", nil)
	}
}

// kind finds out what is expected.
func (r *fileReader) kind(n *yaml.Node, raw *rawExpectation, e *expectation) {
	known := &r.known
	if raw.account != nil {
		known = &r.accounts
	}
	if raw.stage != nil {
		from, to, isChange := strings.Cut(r.text(raw.stage, "stage"), ">")
		if isChange {
			e.kind = lead.StageChanged
			e.from, e.to = r.stage(raw.stage, from, known), r.stage(raw.stage, to, known)
		} else {
			e.to = r.stage(raw.stage, from, known)
		}
	}
	if raw.handoff != nil {
		if e.kind == lead.StageChanged {
			r.errorf(n, "an expectation is a stage change or a hand-off, not both")
			return
		}
		e.kind = lead.HandOff
		e.name = r.name(raw.handoff, "hand-off"+known.of, r.text(raw.handoff, "handoff"), known.handoffs)
	}
	if raw.merged != nil {
		if e.kind != 0 {
			r.errorf(n, "an expectation is a stage change, a hand-off or a merge, not two of them")
			return
		}
		e.kind = lead.LeadMerged
		e.name = r.text(raw.merged, "merged")
	}
	switch {
	case e.kind == lead.LeadMerged && raw.account != nil:
		r.errorf(n, "ids are merged into a lead, not into an account")
	case e.kind != 0 && e.members != nil && e.members.roles != nil:
		r.errorf(n, "only a look at the account shows who its members are; outputs say how many there are")
	case e.reason != "" && e.kind != lead.StageChanged && e.kind != lead.LeadMerged:
		r.errorf(n, "only a stage change, like stage: lead > mql, and a merge have a reason")
	case e.team != "" && e.kind != lead.HandOff:
		r.errorf(n, "only a hand-off has a team")
	case e.event != "" && e.kind == 0:
		r.errorf(n, "a look at the lead has no event")
	case e.kind != 0 && e.tags != nil:
		r.errorf(n, "only a look at the lead shows tags; outputs do not have them")
	case e.kind == 0 && e.to == "" && !e.looks() && raw.account != nil:
		r.errorf(n, "an expectation of an account needs stage, handoff, scores or members")
	case e.kind == 0 && e.to == "" && !e.looks():
		r.errorf(n, "an expectation needs stage, handoff, scores, grades, matrix or tags")
	}
}

func (r *fileReader) stage(n *yaml.Node, name string, known *names) string {
	return r.name(n, "stage"+known.of, strings.TrimSpace(name), known.stages)
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

// maxDecimals is how many decimals of a number are compared and shown.
const maxDecimals = 6

// looks says that it asks for more than a stage.
func (e *expectation) looks() bool {
	return len(e.scores)+len(e.grades)+len(e.cells)+len(e.tags) > 0 || e.members != nil
}

// numbers reads names with the numbers that they must have. A nil known stands for any name.
func (r *fileReader) numbers(n *yaml.Node, what string, known *names) (list []wantedNumber) {
	r.pairs(n, what+"s", func(name, v *yaml.Node) {
		if known != nil {
			r.name(name, what+known.of, name.Value, known.scores)
		}
		f, err := strconv.ParseFloat(v.Value, 64)
		if v.Kind != yaml.ScalarNode || err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			r.errorf(v, "%s %s must be a number, found %s", what, name.Value, found(v))
			return
		}
		decimals := 2
		if _, after, ok := strings.Cut(v.Value, "."); ok {
			decimals = min(max(decimals, len(after)), maxDecimals)
		}
		list = append(list, wantedNumber{name.Value, f, 0.5*math.Pow10(-decimals) + 1e-12})
	})
	return list
}

func (r *fileReader) grades(n *yaml.Node, e *expectation) {
	for _, g := range r.texts(n, "score", r.known.scores) {
		if !slices.Contains(r.known.graded, g.name) && slices.Contains(r.known.scores, g.name) {
			r.errorf(n, "score %q has no grades", g.name)
		}
		e.grades = append(e.grades, g)
	}
}

// texts reads names with the texts that they must have.
func (r *fileReader) texts(n *yaml.Node, what string, known []string) (list []wantedText) {
	r.pairs(n, map[string]string{"score": "grades", "matrix": "matrix"}[what], func(name, v *yaml.Node) {
		r.name(name, what, name.Value, known)
		list = append(list, wantedText{name.Value, r.text(v, "what "+name.Value+" must be")})
	})
	return list
}

// meets says whether an output is what was expected.
func (e *expectation) meets(o *lead.Output) bool {
	if o.Kind != e.kind || !e.atTime(o.At) || !e.shows(shown{scores: o.Scores, cells: o.Matrices}) {
		return false
	}
	if e.members != nil && e.members.count != o.MemberCount {
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
	case lead.LeadMerged:
		return e.name == o.From
	}
	return false
}

func (e *expectation) atTime(at int64) bool {
	return !e.timed || at >= e.at && at < e.at+e.unit
}

// shows says whether scores, grades, cells and tags are what was expected.
func (e *expectation) shows(s shown) bool {
	for _, w := range e.scores {
		if v, _ := scoreNamed(s.scores, w.name); !w.is(v.Value) {
			return false
		}
	}
	for _, w := range e.grades {
		if v, _ := scoreNamed(s.scores, w.name); v.Grade != w.text {
			return false
		}
	}
	for _, w := range e.cells {
		if cellNamed(s.cells, w.name) != w.text {
			return false
		}
	}
	for _, w := range e.tags {
		if !w.is(tagNamed(s.tags, w.name)) {
			return false
		}
	}
	return true
}

func (w *wantedNumber) is(v float64) bool { return math.Abs(v-w.v) <= w.within }

func cellNamed(list []lead.NamedCell, name string) string {
	for _, c := range list {
		if c.Name == name {
			return c.Cell
		}
	}
	return ""
}

// tagNamed returns a tag's weight, 0 for one that the lead does not have.
func tagNamed(list []rules.NamedTag, name string) float64 {
	for _, t := range list {
		if t.Name == name {
			return t.Weight
		}
	}
	return 0
}

func scoreNamed(list []lead.NamedScore, name string) (lead.NamedScore, bool) {
	for _, s := range list {
		if s.Name == name {
			return s, true
		}
	}
	return lead.NamedScore{}, false
}
