package rules

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"go.yaml.in/yaml/v4"

	"leadstream/state/lead"
)

// consentRules say what a lead may consent to, and what follows from it.
type consentRules struct {
	purposes []purpose
	// gate is the purpose without whose consent events are no signals, -1 for none.
	gate int
}

// purpose is one thing that a lead may consent to. retract says that a withdrawal takes back all points.
type purpose struct {
	name    string
	retract bool
}

const (
	// maxPurposes bounds the purposes of a rule set.
	maxPurposes = 32
	// maxSource bounds the bytes that are kept of where a consent came from.
	maxSource = 200
)

// Where a consent came from that no signal gave.
const (
	consentContext = "context"
	consentCommand = "command"
)

// updateConsent notes what the event says about consent: what its context has by purpose, then its signals. It
// comes before the event's signals count, so that the event which grants a gate's consent counts itself.
func (e *Evaluator) updateConsent(ev *lead.Event, t int64) {
	if len(ev.Context) > 0 {
		// Segment's form: context.consent.categoryPreferences.{purpose}: true or false.
		if said := ev.Context.Get("consent").Object().Get("categoryPreferences").Object(); len(said) > 0 {
			for i := range e.set.consent.purposes {
				if granted, ok := said.Get(e.set.consent.purposes[i].name).Bool(); ok {
					e.setConsent(i, granted, t, consentContext)
				}
			}
		}
	}
	for _, slot := range e.set.dispatch.candidates(ev) {
		g := &e.set.signals[slot]
		if !g.saysConsent() || g.match.rest != nil && !e.holds(g.match.rest) {
			continue
		}
		for _, i := range g.grants {
			e.setConsent(i, true, t, g.name)
		}
		for _, i := range g.withdraws {
			e.setConsent(i, false, t, g.name)
		}
	}
}

// setConsent notes a consent or its withdrawal as of t, unless something later is known. At the same time the
// withdrawal counts.
func (e *Evaluator) setConsent(slot int, granted bool, t int64, source string) {
	l, name := e.l, e.set.consent.purposes[slot].name
	i, found := slices.BinarySearchFunc(l.Rare().Consents, name, compareConsent)
	if !found {
		l.OwnRare().Consents = slices.Insert(l.Rare().Consents, i, lead.Consent{Purpose: name, Time: lead.NoTime})
	}
	c := &l.Rare().Consents[i]
	if t < c.Time || t == c.Time && granted {
		return
	}
	changed := !found && granted || found && granted != c.Granted
	c.Granted, c.Time, c.Source = granted, t, source[:min(len(source), maxSource)]
	if changed {
		e.touch(&e.set.readers.consent)
		e.changed()
		if !granted && e.set.consent.purposes[slot].retract {
			e.retractAll()
		}
	}
}

// retractAll takes back what is known of all messages, as retract does for one, and what those still add that are no longer
// known one by one.
func (e *Evaluator) retractAll() {
	l := e.l
	var messages []uint64
	note := func(h uint64) {
		if h != 0 && !slices.Contains(messages, h) {
			messages = append(messages, h)
		}
	}
	for _, c := range l.Ledger.All() {
		if c.Line != lead.NoSlot { // an operator's adjustment stays
			note(c.Message)
		}
	}
	for i := range l.Signals {
		for _, x := range l.Signals[i].Entries {
			note(x.Message)
		}
		if !e.set.keepers[l.Signals[i].Slot].distinct {
			l.Signals[i].Buckets = nil
		}
	}
	for i := range l.Rare().Held {
		note(l.Rare().Held[i].Message)
	}
	for _, h := range messages {
		e.retract(h)
	}
	for i := range e.set.scores {
		sc, v := &e.set.scores[i], &l.Scores[i]
		if rest := 0.0; sc.stores() {
			if rest = sc.remainder(v, e.at); rest != 0 {
				left := sc.stored(v, e.at) - rest
				v.Steps += sc.stepsIn(v, e.at)
				v.Value, v.At = clip(left, sc.min, sc.max), e.at
				v.Remainder, v.RemainderAt = finite(v.Value-left), e.at
			}
		}
	}
	e.touchEverything()
	e.changed()
}

func compareConsent(c lead.Consent, name string) int { return cmp.Compare(c.Purpose, name) }

// consents says whether the lead has consented to a purpose.
func (x *scope) consents(slot int) bool {
	i, found := slices.BinarySearchFunc(x.l.Rare().Consents, x.set.consent.purposes[slot].name, compareConsent)
	return found && x.l.Rare().Consents[i].Granted
}

// gated says that the event's signals do not count, because the consent that they need is not there. It is asked
// when an event is applied, and never again for what was applied before.
func (e *Evaluator) gated() bool { return e.set.consent.gate >= 0 && !e.consents(e.set.consent.gate) }

// saysConsent says that the signal grants or withdraws one: then it counts in spite of the gate.
func (g *signal) saysConsent() bool { return len(g.grants)+len(g.withdraws) > 0 }

// mergeConsents keeps of each purpose the stricter: one withdrawal of two counts, whenever it was.
func mergeConsents(l, from *lead.Lead) {
	for _, c := range from.Rare().Consents {
		i, found := slices.BinarySearchFunc(l.Rare().Consents, c.Purpose, compareConsent)
		switch {
		case !found:
			l.OwnRare().Consents = slices.Insert(l.Rare().Consents, i, c)
		case l.Rare().Consents[i].Granted && !c.Granted, l.Rare().Consents[i].Granted == c.Granted && c.Time > l.Rare().Consents[i].Time:
			l.Rare().Consents[i] = c
		}
	}
}

// NamedConsent is what a lead said about one purpose.
type NamedConsent struct {
	Purpose string
	Granted bool
	// Time is when it was said, in ms; Source the signal that said it, "context" or "command".
	Time   int64
	Source string
}

func namedConsents(l *lead.Lead) []NamedConsent {
	if len(l.Rare().Consents) == 0 {
		return nil
	}
	list := make([]NamedConsent, len(l.Rare().Consents))
	for i, c := range l.Rare().Consents {
		list[i] = NamedConsent(c)
	}
	return list
}

// consentNode is consent["p"].
type consentNode struct{ slot int }

func (n *consentNode) eval(x *scope) (tri, int64) { return truth(x.consents(n.slot)), never }

// consentName returns p of consent["p"].
func consentName(e ast.Expr) (string, bool) {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operators.Index {
		return "", false
	}
	args := e.AsCall().Args()
	if len(args) != 2 || args[0].Kind() != ast.IdentKind || args[0].AsIdent() != "consent" {
		return "", false
	}
	return stringLiteral(args[1])
}

// consentOf builds consent["p"]; names have been checked.
func (b *builder) consentOf(name string) node {
	b.deps.consent = true
	return &consentNode{b.ld.set.purposeSlot(name)}
}

func (s *Set) purposeSlot(name string) int {
	return slices.IndexFunc(s.consent.purposes, func(p purpose) bool { return p.name == name })
}

func (ld *loader) purposeNames() []string {
	names := make([]string, len(ld.set.consent.purposes))
	for i := range names {
		names[i] = ld.set.consent.purposes[i].name
	}
	return names
}

// checkConsent checks the purpose that an expression names.
func (c *nameCheck) checkConsent(e, key ast.Expr) {
	known := c.ld.purposeNames()
	name, ok := stringLiteral(key)
	switch {
	case !ok:
		c.errorf(e, `consent may only be read by a constant purpose: consent["email"]`)
	case len(known) == 0:
		c.errorf(e, "no purposes are declared; declare them under consent first")
	case !slices.Contains(known, name):
		c.errorf(e, "unknown purpose %q%s: expected %s", shorten(name), suggest(name, known), oneOf(known))
	default:
		c.allow(e, "consent")
	}
}

// readConsent reads the consent section.
func (ld *loader) readConsent(n ynode) {
	var gate ynode
	ld.object(n, "consent",
		field{key: "purposes", read: func(v ynode) {
			if v.Kind != yaml.MappingNode {
				ld.errorf(v, "consent.purposes must be a mapping, found %s", v.kindName())
				return
			}
			ld.each(v, ld.readPurpose)
		}},
		field{key: "gate", read: func(v ynode) { gate = v }},
	)
	if gate.Node == nil {
		return
	}
	name, ok := ld.name(gate, "consent.gate")
	if !ok {
		return
	}
	known := ld.purposeNames()
	if ld.set.consent.gate = ld.set.purposeSlot(name); ld.set.consent.gate < 0 {
		ld.errorf(gate, "consent.gate: unknown purpose %q%s: expected %s", shorten(name), suggest(name, known), oneOf(known))
	}
}

func (ld *loader) readPurpose(key, n ynode) {
	set := ld.set
	name, ok := ld.name(key, "a purpose")
	slot := len(set.consent.purposes)
	switch {
	case !ok:
		return
	case slot >= maxPurposes:
		ld.errorf(key, "more than %d purposes", maxPurposes)
		return
	}
	set.consent.purposes = append(set.consent.purposes, purpose{name: name})
	if n.Node == nil || n.isNull() {
		return
	}
	what := "consent.purposes." + name
	signals := func(key string, add func(g *signal)) field {
		return field{key: key, read: func(v ynode) {
			ld.list(v, what+"."+key, true, func(v ynode) {
				if s, ok := ld.name(v, what+"."+key); ok {
					ld.later = append(ld.later, func() {
						if i, ok := ld.lookUpSignal(v, what+"."+key, s); ok {
							add(&set.signals[i])
						}
					})
				}
			})
		}}
	}
	ld.object(n, what,
		signals("grant", func(g *signal) { g.grants = append(g.grants, slot) }),
		signals("withdraw", func(g *signal) { g.withdraws = append(g.withdraws, slot) }),
		field{key: "retract", read: func(v ynode) { set.consent.purposes[slot].retract, _ = ld.boolean(v, what+".retract") }},
	)
}

// consentCost says what the purposes cost a lead.
func (z *sizer) consent() {
	s := z.set
	if len(s.consent.purposes) == 0 {
		return
	}
	z.add("lead", "consent", "what was said about "+strconv.Itoa(len(s.consent.purposes))+" purposes, when and where", func(l *lead.Lead, most bool) {
		for _, p := range s.consent.purposes {
			l.OwnRare().Consents = append(l.Rare().Consents, lead.Consent{Purpose: p.name, Granted: true, Time: sampleTime(most), Source: strings.Repeat("x", amount(most, len(consentContext), maxSource))})
		}
	})
}
