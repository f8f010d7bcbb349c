package rules

import (
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"
)

func (ld *loader) readStages(n ynode) {
	ld.list(n, "stages", false, func(v ynode) {
		if name, ok := ld.name(v, "a stage"); ok {
			if name == anyStage {
				ld.errorf(v, "a stage can't be called %q, which stands for all of them", anyStage)
				return
			}
			ld.addStage(v, name)
		}
	})
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		ld.errorf(n, "stages is empty; the first stage is where leads start")
	}
}

// anyStage is `from: any`.
const anyStage = "any"

func (ld *loader) addStage(v ynode, name string) {
	if ld.declare(v, "stage", name, ld.stageAt, len(ld.set.stages), maxStages) {
		ld.set.stages = append(ld.set.stages, stage{name: name})
		ld.stageNames = append(ld.stageNames, name)
		ld.stageNodes = append(ld.stageNodes, v)
	}
}

func (ld *loader) readTerminal(n ynode) {
	ld.list(n, "terminal", true, func(v ynode) {
		if name, ok := ld.name(v, "a terminal stage"); ok {
			ld.stageRefs = append(ld.stageRefs, func() {
				if i, ok := ld.stage(v, "terminal", name); ok {
					ld.set.stages[i].terminal = true
				}
			})
		}
	})
}

// readMergeRank reads the order in which the stage of merged leads is chosen: each stage once.
func (ld *loader) readMergeRank(n ynode) {
	ld.stageRefs = append(ld.stageRefs, func() {
		rank := make([]int, 0, len(ld.set.stages))
		before := len(ld.errors)
		ld.list(n, "merge_rank", false, func(v ynode) {
			name, ok := ld.name(v, "merge_rank")
			if !ok {
				return
			}
			i, ok := ld.stage(v, "merge_rank", name)
			switch {
			case !ok:
			case slices.Contains(rank, i):
				ld.errorf(v, "merge_rank: stage %q is there twice", name)
			default:
				rank = append(rank, i)
			}
		})
		if len(ld.errors) > before {
			return
		}
		for i, name := range ld.stageNames {
			if !slices.Contains(rank, i) {
				ld.errorf(n, "merge_rank must name every stage; %q is missing", name)
			}
		}
		ld.set.mergeRank = rank
	})
}

// stage looks a stage up.
func (ld *loader) stage(v ynode, what, name string) (int, bool) {
	i, ok := ld.stageAt[name]
	if !ok {
		ld.errorf(v, "%s: unknown stage %q%s: expected %s", what, shorten(name), suggest(name, ld.stageNames), oneOf(ld.stageNames))
	}
	return i, ok
}

func (ld *loader) readTransitions(n ynode) {
	ld.list(n, "transitions", false, func(v ynode) {
		if len(ld.set.transitions) >= maxTransitions {
			if len(ld.set.transitions) == maxTransitions {
				ld.errorf(v, "more than %d transitions", maxTransitions)
			}
			return
		}
		slot := len(ld.set.transitions)
		ld.set.transitions = append(ld.set.transitions, transition{})
		ld.readTransition(v, slot, "transitions["+strconv.Itoa(slot)+"]")
	})
}

func (ld *loader) readTransition(n ynode, slot int, what string) {
	var from, to, when ynode
	var target string
	tr := &ld.set.transitions[slot]
	before := len(ld.errors)
	isObject := ld.object(n, what,
		field{key: "from", read: func(v ynode) { from = v }},
		field{key: "to", read: func(v ynode) { to = v; target, _ = ld.name(v, what+".to") }},
		field{key: "when", read: func(v ynode) { when = v }},
		field{key: "reason", read: func(v ynode) { tr.reason, _ = ld.name(v, what+".reason") }},
		field{key: "min_stay", read: func(v ynode) { ld.setDuration(v, what+".min_stay", 1, &tr.minStay) }},
	)
	if !isObject {
		return
	}
	if len(ld.errors) == before {
		for _, f := range []struct {
			v    ynode
			name string
		}{{from, "from"}, {to, "to"}, {when, "when"}} {
			if f.v.Node == nil {
				ld.errorf(n, "%s needs %s", what, f.name)
			}
		}
	}
	if when.Node != nil {
		if t, ok := ld.expression(when, what+".when", inCondition); ok {
			ld.later = append(ld.later, func() {
				ld.set.transitions[slot].when = ld.condition(t, ld.rule("transition", strconv.Itoa(slot), target))
			})
		}
	}
	if to.Node == nil || from.Node == nil || target == "" {
		return
	}
	ld.stageRefs = append(ld.stageRefs, func() {
		if i, ok := ld.stage(to, what+".to", target); ok {
			ld.set.transitions[slot].to = i
			ld.readFrom(from, slot, what+".from")
		}
	})
}

// readFrom reads a stage, a list of stages, or any. No line leads to the stage it starts from, so any
// leaves that one out. Terminal stages it leaves out too, when they are all known.
func (ld *loader) readFrom(n ynode, slot int, what string) {
	tr := &ld.set.transitions[slot]
	tr.from = make([]bool, len(ld.set.stages))
	if n.Kind == yaml.ScalarNode && n.Value == anyStage {
		for i := range tr.from {
			tr.from[i] = i != tr.to
		}
		return
	}
	ld.list(n, what, true, func(v ynode) {
		name, ok := ld.name(v, what)
		if !ok {
			return
		}
		i, ok := ld.stage(v, what, name)
		switch {
		case !ok:
		case i == tr.to:
			ld.errorf(v, "%s: no transition leads to the stage it starts from, %q", what, name)
		case ld.set.stages[i].terminal:
			ld.errorf(v, "%s: %q is a terminal stage, which only a command leaves", what, name)
		default:
			tr.from[i] = true
		}
	})
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		ld.errorf(n, "%s is empty; write any for all stages", what)
	}
}

func (ld *loader) readHandoffs(n ynode) {
	names := make(map[string]int)
	for i := range ld.set.handoffs {
		names[ld.set.handoffs[i].name] = i
	}
	ld.list(n, "handoffs", false, func(v ynode) {
		slot := len(ld.set.handoffs)
		if slot >= maxHandoffs {
			if slot == maxHandoffs {
				ld.errorf(v, "more than %d hand-offs", maxHandoffs)
			}
			return
		}
		ld.set.handoffs = append(ld.set.handoffs, handoff{})
		ld.readHandoff(v, slot, "handoffs["+strconv.Itoa(slot)+"]", names)
	})
}

func (ld *loader) readHandoff(n ynode, slot int, what string, names map[string]int) {
	h := &ld.set.handoffs[slot]
	var when ynode
	isObject := ld.object(n, what,
		field{key: "name", read: func(v ynode) {
			name, ok := ld.name(v, what+".name")
			if ok && ld.declare(v, "hand-off", name, names, slot, maxHandoffs) {
				h.name = name
			}
		}},
		field{key: "when", read: func(v ynode) { when = v }},
		field{key: "cooldown", read: func(v ynode) { ld.setDuration(v, what+".cooldown", 1, &h.cooldown) }},
		field{key: "accept_within", read: func(v ynode) { ld.setDuration(v, what+".accept_within", 1, &h.acceptWithin) }},
		field{key: "assign", read: func(v ynode) { h.team = ld.readAssign(v, what+".assign") }},
		ld.unsupported("on_timeout", "on_timeout"), ld.unsupported("calendar", "calendar"),
	)
	if !isObject {
		return
	}
	if h.name == "" {
		ld.errorf(n, "%s needs a name of its own", what)
	}
	if when.Node == nil {
		ld.errorf(n, "%s needs when", what)
		return
	}
	if t, ok := ld.expression(when, what+".when", inCondition); ok {
		name := h.name
		ld.later = append(ld.later, func() { ld.set.handoffs[slot].when = ld.condition(t, ld.rule("handoff", name)) })
	}
}

// readAssign reads a team's name, or {team: name}.
func (ld *loader) readAssign(n ynode, what string) (team string) {
	switch n.Kind {
	case yaml.MappingNode:
		ld.object(n, what,
			field{key: "team", read: func(v ynode) { team, _ = ld.name(v, what+".team") }},
			ld.unsupported("when", "routes by condition"), ld.unsupported("weight", "weights"),
		)
	case yaml.SequenceNode:
		ld.errorf(n, "not supported by this version: routes by condition; %s takes one team", what)
	default:
		team, _ = ld.name(n, what)
	}
	return team
}

// warnUnused warns of what is declared and read by nothing.
func (ld *loader) warnUnused() {
	for i := range ld.set.signals {
		if s := &ld.set.signals[i]; !s.used {
			ld.warnf(ld.signalNodes[i], "nothing uses signal %q", s.name)
		}
	}
	ld.warnUnreachable()
	ld.lint()
}

// warnUnreachable warns of stages that no transition leads to.
func (ld *loader) warnUnreachable() {
	n := len(ld.set.stages)
	reached := make([]bool, n)
	reached[0] = true
	for range n {
		for i := range ld.set.transitions {
			tr := &ld.set.transitions[i]
			for st, ok := range tr.from {
				if ok && reached[st] && !ld.set.stages[st].terminal {
					reached[tr.to] = true
				}
			}
		}
	}
	for i := range reached {
		if !reached[i] && len(ld.set.transitions) > 0 {
			ld.warnf(ld.stageNodes[i], "no transition leads to stage %q; only a command can", ld.set.stages[i].name)
		}
	}
}
