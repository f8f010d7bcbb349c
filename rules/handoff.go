package rules

import "leadstream/state/lead"

// runHandoffs brings the edge bits up to date and fires what rose. It reports whether a bit changed.
func (e *Evaluator) runHandoffs(m mode) bool {
	l := e.l
	changed := false
	e.handoffsHold = never
	for i := range e.set.handoffs {
		h, edge := &e.set.handoffs[i], &l.Edges[i]
		if !e.isMarked(len(e.set.transitions) + i) {
			e.skipped = true
			continue
		}
		on := e.look(h.when, &e.handoffsHold)
		if on == edge.On {
			continue
		}
		changed, edge.On = true, on
		switch {
		case !on || m == bySwitch || h.fact != 0:
		case edge.Until != 0 && e.at < edge.Until:
			e.counts.Dropped[i]++
		default:
			e.handOff(h, edge)
		}
	}
	return changed
}

func (e *Evaluator) handOff(h *handoff, edge *lead.Edge) {
	if h.cooldown > 0 {
		edge.Until = addSpan(e.at, h.cooldown)
		if edge.Until == 0 {
			edge.Until = 1 // 0 says that it never fired; a ms in 1970 is no loss
		}
	}
	o := e.output(lead.HandOff)
	o.To = e.set.stages[e.l.Stage].name
	o.Name, o.Team, o.AcceptWithin = h.name, h.team, h.acceptWithin
	o.Top = e.top(maxLedger)
	e.out = append(e.out, o)
}
