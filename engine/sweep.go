package engine

import (
	"fmt"
	"slices"

	"leadstream/rules"
)

// sweep is the walk over all leads that a rule switch asks for: those that no event or timer has
// touched since are looked at in id order, some in each epoch.
type sweep struct {
	cached []string // ids cached when the walk began, ascending: some are not in the store yet
}

// sweepLeads bounds the leads of one shard that one epoch looks at for a switch. Tests lower it.
var sweepLeads = 2000

// wantsSwitch says whether the next epoch begins with a rule switch.
func (s *shard) wantsSwitch() bool {
	return s.redo == nil && s.st.oldRules == nil && s.st.rules.ID() != s.active.Load().ID()
}

// switchRules begins a rule switch, at the shard's tick.
func (s *shard) switchRules() {
	now := s.active.Load() // another goroutine may change it
	if s.redo != nil || s.st.oldRules != nil || s.st.rules.ID() == now.ID() {
		return
	}
	if s.st.epoch == 1 {
		// There is nothing to bring under other rules, and those of before, which no epoch was applied under, may not be in
		// the rules topic.
		s.st.rules = now
		return
	}
	s.st.oldRules, s.st.rules = s.st.rules, now
	s.st.switchTick, s.st.sweptTo = s.st.tick, ""
}

// useRules makes the evaluator and the decoders those of the rule set in force, which an abort can change.
func (s *shard) useRules() {
	if s.ev != nil && s.evRules == s.st.rules {
		return
	}
	s.ev, s.evRules = s.st.rules.NewEvaluator(), s.st.rules
	for _, d := range s.decoders {
		d.LimitFuture(s.st.rules.MaxFuture())
	}
}

// migrate brings a lead's version of this epoch under the rule set in force, as of the switch's tick. It may be due earlier then,
// whatever else happens to it.
func (s *shard) migrate(e *entry) error {
	l := e.spec
	if l.Rules == s.st.rules.ID() {
		return nil
	}
	if s.st.oldRules == nil || l.Rules != s.st.oldRules.ID() {
		return fmt.Errorf("a lead of shard %d follows rule set %016x, which is neither the active one nor the one before: %w", s.id, uint64(l.Rules), ErrDisagree)
	}
	s.outs = s.ev.Migrate(l, s.st.oldRules, max(s.st.switchTick, l.Clock), s.outs[:0])
	s.ep.stats.migrated++
	s.emit()
	s.timers.arm(e, l.Due)
	return nil
}

// sweepSome goes on with the walk, once in an epoch and before anything else in it: redo has to do the
// same at the same place. During redo it goes exactly as far as the journal says.
func (s *shard) sweepSome() error {
	if s.st.oldRules == nil || s.ep.swept {
		return nil
	}
	s.ep.swept = true
	if s.sweep == nil {
		s.sweep = &sweep{}
		for id, e := range s.cache.byID {
			if e.spec != nil {
				s.sweep.cached = append(s.sweep.cached, id)
			}
		}
		slices.Sort(s.sweep.cached)
	}
	ids, done, err := s.sweepIDs()
	if err != nil {
		return err
	}
	for _, id := range ids {
		if rules.IsBar(id) {
			continue
		}
		e, err := s.load([]byte(id))
		if err != nil {
			return err
		}
		if absent(e) || e.spec.Rules == s.st.rules.ID() {
			continue
		}
		if _, err := s.touch(e); err != nil {
			return err
		}
	}
	s.ep.walked = len(s.ep.touched)
	if len(ids) > 0 {
		s.st.sweptTo = ids[len(ids)-1]
	}
	if done {
		s.st.oldRules, s.st.sweptTo, s.sweep = nil, "", nil
	}
	return nil
}

// sweepIDs returns the next ids of the walk, from the store and from those that were cached when it began.
func (s *shard) sweepIDs() (ids []string, done bool, err error) {
	limit, to, bounded := sweepLeads, "", false
	if s.redo != nil {
		limit = 1 << 30
		if j := s.redo.rec; !j.SweepDone {
			to, bounded = j.SweptTo, true
		}
	}
	in := func(id string) bool { return !bounded || id <= to }
	from := s.st.sweptTo
	err = s.cfg.Store.Each(s.id, from, func(id string, _ []byte) (bool, error) {
		if id > from && in(id) {
			ids = append(ids, id)
		}
		return len(ids) < limit && in(id), nil
	})
	if err != nil {
		return nil, false, fmt.Errorf("walking the leads of shard %d: %w", s.id, err)
	}
	whole := len(ids) < limit
	last := ""
	if !whole {
		last = ids[len(ids)-1] // of the store's
	}
	i, _ := slices.BinarySearch(s.sweep.cached, from)
	for _, id := range s.sweep.cached[i:] {
		if id > from && in(id) && (whole || id <= last) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) > limit {
		ids, whole = ids[:limit], false
	}
	return ids, whole && !bounded, nil
}
