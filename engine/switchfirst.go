package engine

import (
	"errors"

	"leadstream/rules"
	"leadstream/state/lead"
)

// A lead that comes from a shard which follows newer rules already has contributions that the rules here do not
// know. So the shard that it comes to switches first: the epoch ends before the letter, and the next one begins
// with the switch. A lead from older rules is brought under the present ones instead.

// switchesFirst says that a record of the inbox brings a lead under newer rules than those in force.
func (s *shard) switchesFirst(p *part, r *Record) (bool, error) {
	if p.source != nil || s.redo != nil || messageKind(r.Value) != MessageLetter {
		return false, nil
	}
	m, err := DecodeMessage(r.Value)
	if err != nil || m.Kind != MessageLetter || m.Letter.State == nil {
		return false, nil //nolint:nilerr // it becomes a dead letter when it is applied
	}
	var l lead.Lead
	if err := lead.Decode(m.Letter.State, &l); err != nil || l.Rules == s.st.rules.ID() {
		return false, nil //nolint:nilerr // applying it says so
	}
	newer, err := s.newer(l.Rules)
	if errors.Is(err, errNoRules) {
		return false, nil // applying it says so
	}
	s.switchFirst = newer && s.st.rules.ID() != s.active.Load().ID()
	return s.switchFirst, err
}

// messageKind reads no more than the kind of an encoded message, 0 if it is none.
func messageKind(b []byte) MessageKind {
	const array16, uint8Code = 0xdc, 0xcc
	switch {
	case len(b) > 3 && b[0] == array16:
		b = b[3:]
	case len(b) > 1 && b[0]&0xf0 == 0x90:
		b = b[1:]
	default:
		return 0
	}
	if b[0] == uint8Code && len(b) > 1 {
		b = b[1:]
	}
	return MessageKind(b[0])
}

// newerRules says whether a rule set is newer than all that this process heard of, or the one that it is about to
// switch to. The former is put in force here: the topic will say the same.
func (e *Engine) newerRules(id lead.RuleSetID) (bool, error) {
	now := e.active.Load()
	if id == now.ID() {
		return true, nil
	}
	e.mu.RLock()
	past := e.pastRules[id]
	e.mu.RUnlock()
	if past {
		return false, nil
	}
	set, err := e.ruleSet(id)
	if err != nil {
		return false, err
	}
	e.mu.Lock()
	e.pastRules[id] = true
	e.mu.Unlock()
	e.putFirst(now, set)
	return true, nil
}

func (e *Engine) putFirst(now, set *rules.Set) {
	if e.active.CompareAndSwap(now, set) {
		e.log.Info("a lead came from a shard with newer rules, which are put in force", "before", now.Version(), "now", set.Version())
	}
}
