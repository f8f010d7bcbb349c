package rules

import (
	"slices"

	"leadstream/state/lead"
)

// answer tells the members of the present account what leads' conditions read of it: all of them when it is not what
// they were told, else only the one that joined, "" for none.
func (e *Evaluator) answer(joined string) {
	l, side := e.l, e.set.side
	if !side.readsStage && len(side.traits) == 0 && len(e.set.handoffs) == side.normal {
		return
	}
	var now lead.Membership
	if side.readsStage {
		now.Stage = e.set.stages[l.Stage].name
	}
	for i := side.normal; i < len(e.set.handoffs); i++ {
		f := lead.Part{Key: e.set.handoffs[i].fact}
		if l.Edges[i].On {
			f.Value = 1
		}
		now.Facts = append(now.Facts, f)
	}
	for _, name := range side.traits {
		if i, found := findTrait(l, name); found {
			now.Traits = append(now.Traits, l.Traits[i])
		}
	}
	m := membership(l)
	same := m.Stage == now.Stage && slices.Equal(m.Facts, now.Facts) && slices.EqualFunc(m.Traits, now.Traits, sameTrait)
	if same && joined == "" {
		return
	}
	if !same {
		m.Stage, m.Facts, m.Traits = now.Stage, now.Facts, now.Traits
	}
	n := &Note{Stage: now.Stage, Facts: notedParts(now.Facts)}
	for i := range now.Traits {
		n.Traits = append(n.Traits, notedTrait(&now.Traits[i]))
	}
	for i := range rows(l).Members {
		if id := rows(l).Members[i].ID; !same && id != joined {
			e.answerOne(id, n)
		}
	}
	if joined != "" {
		e.answerOne(joined, n)
	}
}

func sameTrait(a, b lead.Trait) bool {
	return a.Name == b.Name && a.Value.Kind == b.Value.Kind && string(a.Value.Text) == string(b.Value.Text)
}

// answerOne sends a note, which others may be sent as well: nobody changes it.
func (e *Evaluator) answerOne(id string, n *Note) {
	e.letters = append(e.letters, Letter{Kind: AccountLetter, To: id, From: AccountOf(e.l.ID), Time: e.l.Clock, Event: e.cause(), Note: n})
	e.counts.Answered++
}

// accountNews applies what an account says to a lead. It moves the clock and is evaluated, as a command. A lead that
// its account and its own stages lead round in a circle comes to rest as one that timers do: until its next event.
func (e *Evaluator) accountNews(n *lead.Lead, m *Letter, out []lead.Output) []lead.Output {
	if m.Note == nil || n.Forward != "" || n.Identifier || !begun(n) || len(n.Account) == 0 || n.Account[0].Account != m.From || n.Spins >= maxSpins {
		return out
	}
	t := clampTime(m.Time)
	out = e.Fire(n, min(t, never-1), out)
	if !begun(n) || len(n.Account) == 0 {
		return out
	}
	x := &n.Account[0]
	x.Stage, x.Facts, x.Traits = m.Note.Stage, partsOf(m.Note.Facts), nil
	for _, t := range m.Note.Traits {
		if t.Kind <= uint8(lead.Map) {
			x.Traits = append(x.Traits, t.trait())
		}
	}
	e.begin(n, out)
	n.Clock = max(n.Clock, t)
	e.enter(n, n.Clock, nil)
	e.because(m.Event, nil)
	e.touchEverything()
	said := len(e.out)
	e.evaluate(byEvent)
	e.arm()
	e.spin(len(e.out) - said)
	e.say()
	return e.Fire(n, n.Clock, e.out)
}

// rehear makes what the present lead reads of its account that of the account which it belongs to now: what it heard
// of that itself, else what from, who is merged into it, did. It comes before the lead is evaluated, so nobody is moved by an account
// that is theirs no longer, nor because a merge forgot theirs.
func (e *Evaluator) rehear(from *lead.Membership) {
	l := e.l
	if e.set.accounts == nil || len(l.Account) == 0 && (from == nil || from.Account == "") {
		return
	}
	m := membership(l)
	if from == nil && m.Stage == "" && len(m.Facts) == 0 && len(m.Traits) == 0 {
		return
	}
	switch account := e.set.accountOf(l); {
	case account != "" && account == m.Account:
	case from != nil && account != "" && account == from.Account:
		m.Stage, m.Facts, m.Traits = from.Stage, from.Facts, from.Traits
	default:
		m.Stage, m.Facts, m.Traits = "", nil, nil
	}
}
