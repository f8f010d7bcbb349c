package rules

import (
	"strconv"
	"strings"
)

// readMachines reads what gives machines away.
func (ld *loader) readMachines(n ynode) {
	m := &ld.set.machines
	ld.object(n, "machines",
		field{key: "bursts", read: func(v ynode) {
			before := len(ld.errors)
			if ld.object(v, "machines.bursts",
				field{key: "distinct_links", read: func(v ynode) { setInt(ld, v, "machines.bursts.distinct_links", 2, 100, &m.links) }},
				field{key: "within", read: func(v ynode) { ld.setDuration(v, "machines.bursts.within", 1, &m.within) }},
			) && len(ld.errors) == before && (m.links == 0 || m.within == 0) {
				ld.errorf(v, "machines.bursts needs distinct_links and within, like {distinct_links: 3, within: 2s}")
			}
		}},
		field{key: "delivered", read: func(v ynode) {
			if name, ok := ld.name(v, "machines.delivered"); ok {
				ld.later = append(ld.later, func() {
					if i, ok := ld.lookUpSignal(v, "machines.delivered", name); ok {
						m.delivered = i
					}
				})
			}
		}},
		field{key: "traps", read: func(v ynode) { m.traps = ld.patterns(v, "machines.traps") }},
		field{key: "user_agents", read: func(v ynode) {
			for _, p := range ld.patterns(v, "machines.user_agents") {
				m.agents = append(m.agents, []byte(strings.ToLower(string(p))))
			}
		}},
		field{key: "email", read: func(v ynode) { ld.eventField(v, "machines.email", &m.mail) }},
		field{key: "link", read: func(v ynode) { ld.eventField(v, "machines.link", &m.link) }},
	)
}

func (ld *loader) patterns(n ynode, what string) (list [][]byte) {
	ld.list(n, what, true, func(v ynode) {
		if s, ok := ld.text(v, what); ok && s != "" && len(list) < maxPatterns {
			list = append(list, []byte(s))
		} else if ok {
			ld.errorf(v, "%s: empty, or more than %d", what, maxPatterns)
		}
	})
	return list
}

// eventField reads the name of a field of the event.
func (ld *loader) eventField(v ynode, what string, to **eventField) {
	s, ok := ld.text(v, what)
	if !ok {
		return
	}
	f, ok := namedField(s)
	if !ok {
		ld.errorf(v, "%s must be a field of the event, like event.properties.email_id, found %q", what, shorten(s))
		return
	}
	*to = f
}

func mustField(name string) *eventField {
	f, ok := namedField(name)
	if !ok {
		panic("bug: " + name + " is no field of the event")
	}
	return f
}

// finishHolds finds out whether anything is held back, and for how long at most.
func (ld *loader) finishHolds() {
	s := ld.set
	for i := range s.signals {
		s.longestHold = max(s.longestHold, s.signals[i].hold)
	}
	for i := range s.lines {
		if h := s.lines[i].hold; h > 0 && s.lines[i].signal >= 0 {
			s.longestHold = max(s.longestHold, h+s.signals[s.lines[i].signal].hold)
		}
	}
	s.holds = s.longestHold > 0
}

// retractRule is a signal whose events take back what another message contributed.
type retractRule struct {
	signal  int
	message *eventField
}

func (ld *loader) readRetracts(n ynode) {
	ld.list(n, "retract", false, func(v ynode) {
		slot := len(ld.set.retracts)
		what := "retract[" + strconv.Itoa(slot) + "]"
		if slot >= maxRetracts {
			if slot == maxRetracts {
				ld.errorf(v, "more than %d rules that retract", maxRetracts)
			}
			return
		}
		ld.set.retracts = append(ld.set.retracts, retractRule{})
		var signal, message ynode
		before := len(ld.errors)
		ld.object(v, what,
			field{key: "signal", read: func(v ynode) { signal = v }},
			field{key: "message", read: func(v ynode) { message = v }},
		)
		if len(ld.errors) > before {
			return
		}
		if signal.Node == nil || message.Node == nil {
			ld.errorf(v, "%s needs signal and message, the field with the id of the message to take back", what)
			return
		}
		ld.eventField(message, what+".message", &ld.set.retracts[slot].message)
		if name, ok := ld.name(signal, what+".signal"); ok {
			ld.later = append(ld.later, func() { ld.set.retracts[slot].signal, _ = ld.lookUpSignal(signal, what, name) })
		}
	})
}

// runRetracts takes back the messages that the present event names.
func (e *Evaluator) runRetracts() {
	for i := range e.set.retracts {
		r := &e.set.retracts[i]
		if e.matched[r.signal] != e.stamp {
			continue
		}
		if key := r.message.key(&e.scope); key != 0 && !e.retract(key) {
			e.counts.Missed++
		}
	}
}
