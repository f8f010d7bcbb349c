package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"leadstream/rules"
)

// work applies what there is and commits what is ready. It is called after everything that happens.
func (e *Engine) work() error {
	lp := &e.loop
	e.tendStandbys()
	e.tellNeeds(e.cfg.Clock())
	waits := e.cfg.Group.Pending() || !lp.fencedAt.IsZero() || time.Now().Before(lp.retryAt)
	if !lp.fencedAt.IsZero() {
		if f, ok := e.cfg.Group.Fence(); ok && f != lp.fenced {
			lp.fencedAt = time.Time{} // back in the group under a new generation
		} else if time.Since(lp.fencedAt) > e.cfg.FencedWait {
			return fmt.Errorf("out of the group for %s: is another process running as instance %q? %w", e.cfg.FencedWait, e.writer, ErrFenced)
		}
	}
	if !waits {
		if err := e.apply(); err != nil {
			return err
		}
	}
	if lp.cur == nil || lp.flight != nil {
		return nil
	}
	switch all, some := e.ready(); {
	case waits || all:
		return e.send(e.nextSlice())
	case some:
		return e.sendPart((*shard).speaks)
	}
	return nil
}

// ready says that the open epoch should end, because it has no room, or nothing is read until a slice is written, or it is old; or at
// least the part of it that has something to say.
func (e *Engine) ready() (all, some bool) {
	cur := e.loop.cur
	if cur.full() || e.unwritten() {
		return true, true
	}
	old := e.cfg.CommitInterval.Milliseconds()
	if cur.behind() {
		old = max(old, behindAge)
	}
	return e.cfg.Clock()-cur.opened >= old, cur.urgent()
}

// sendPart starts the commit of what some shards have of the open epoch. The others go on with theirs: they have nothing to say, and a
// transaction costs the broker as much for each shard as for some hundred events.
func (e *Engine) sendPart(now func(*shard) bool) error {
	sl := e.nextSlice()
	rest := e.loop.cur.part(func(s *shard) bool { return !now(s) && (sl == nil || sl.shard != s) })
	err := e.send(sl)
	e.loop.cur = rest
	return err
}

// behindAge is how old an epoch may become whose shards are all behind, in ms: what they say is late by more than that, and
// large epochs get them on faster. A lead that many events change is copied once an epoch, and a transaction costs the same
// for one event and for thousands.
const behindAge = 1000

// apply runs the shards that have something to do, opening an epoch if none is open.
func (e *Engine) apply() error {
	lp := &e.loop
	if lp.cur != nil && (lp.cur.full() || lp.cur.urgent() && lp.flight == nil) {
		return nil
	}
	wall := e.cfg.Clock()
	e.ownHeads(wall)
	var busy []*shard
	var clocks []clockInput
	for _, id := range e.liveIDs() {
		s := e.live[id]
		c := s.readClock(wall, bounds{lp.heads.limit(id, s.st.got), lp.heads.trailing}, lp.skewed)
		if s.ep != nil && lp.flight == nil {
			if passed, err := s.passed(c); err != nil {
				return err
			} else if passed {
				return e.sendPart(func(x *shard) bool { return x == s || x.speaks() })
			}
		}
		if s.ep != nil && len(s.queue) == 0 {
			continue
		}
		due, err := s.due(c)
		if err != nil {
			return err
		}
		if due {
			busy, clocks = append(busy, s), append(clocks, c)
		}
	}
	if len(busy) == 0 {
		return e.checkpointIdle()
	}
	if !e.open() {
		return nil
	}
	for i, s := range busy {
		s.begin(clocks[i])
		lp.cur.add(s)
	}
	if err := e.each(busy, (*shard).run); err != nil {
		return err
	}
	e.evict(busy)
	return nil
}

// ownHeads takes in where this process's shards are, as far as it is committed: a shard that never has
// input has no journal to be heard of by.
func (e *Engine) ownHeads(wall int64) {
	for _, s := range e.live {
		d := &s.done
		e.loop.heads.update(heard{s.id, d.epoch, d.sourceTime(), d.epoch == s.st.epoch && s.atEnd(), d.read, d.sent}, wall)
	}
	e.loop.heads.choose(e.cfg.Shards, wall, e.cfg.WatermarkWait.Milliseconds(), e.cfg.IdleAfter.Milliseconds())
}

// open opens an epoch. The fence is taken before anything is applied: a generation younger than the
// epoch's input would prove nothing. False while this process is out of the group.
func (e *Engine) open() bool {
	if e.loop.cur != nil {
		return true
	}
	fence, ok := e.cfg.Group.Fence()
	if !ok {
		return false
	}
	e.loop.cur = &epoch{opened: e.cfg.Clock(), fence: fence}
	return true
}

// checkpointIdle opens an epoch that only carries a slice, when leads have waited long enough and
// nothing else happens.
func (e *Engine) checkpointIdle() error {
	if e.loop.cur != nil || e.loop.flight != nil {
		return nil
	}
	sl := e.nextSlice()
	if sl == nil {
		return e.askTime()
	}
	if !e.open() {
		sl.shard.putBack(sl)
		return nil
	}
	return e.send(sl)
}

// askEvery is how often the broker's time is asked for while it seems to differ from ours.
const askEvery = time.Second

// askTime commits an epoch with nothing in it while the clocks seem to differ: its journal record brings back the
// broker's time. Without it a process that stood still for a minute with one record under way would believe in the
// difference until the next event, and fire no timers.
func (e *Engine) askTime() error {
	ids := slices.DeleteFunc(e.liveIDs(), func(id int32) bool { return !e.live[id].placed() })
	if !e.loop.skewed || len(ids) == 0 || time.Since(e.loop.heardAt) < askEvery || !e.open() {
		return nil
	}
	e.loop.heardAt = time.Now()
	s := e.live[ids[0]]
	s.beginIdle(s.idleClock())
	e.loop.cur.add(s)
	return e.send(nil)
}

// nextSlice takes the oldest changed leads of one shard, the shards in turn. nil if none has waited
// long enough.
func (e *Engine) nextSlice() *slice {
	lp := &e.loop
	ids := e.liveIDs()
	if len(ids) == 0 || lp.inStore >= cap(e.store) {
		return nil
	}
	old := e.cfg.Clock() - e.cfg.CheckpointInterval.Milliseconds()/2
	for range ids {
		lp.turn = (lp.turn + 1) % int32(len(ids))
		s := e.live[ids[lp.turn]]
		upTo, n, bytes := lp.agedTo(s.id, old), e.cfg.SliceLeads, e.cfg.SliceBytes
		if s.dirty.len() > e.dirtyLimit()/2 {
			upTo, n, bytes = ^uint64(0), 4*n, 4*bytes
		}
		upTo = max(upTo, s.hurry())
		if taken, bars := s.exhume(s.take(n, bytes, upTo), n); len(taken)+len(bars) > 0 {
			return &slice{shard: s, entries: taken, bars: bars}
		}
	}
	return nil
}

// agedTo is the last epoch of a shard that ended at or before a wall clock time.
func (lp *loop) agedTo(id int32, wall int64) uint64 {
	var upTo uint64
	for _, m := range lp.marks[id] {
		if m.wall > wall {
			break
		}
		upTo = m.epoch
	}
	return upTo
}

// send seals the open epoch and starts its commit.
func (e *Engine) send(sl *slice) error {
	e.seal(sl)
	lp := &e.loop
	e.m.epochSeconds.Observe(float64(e.cfg.Clock()-lp.flight.opened) / 1000)
	e.commits <- lp.flight
	return nil
}

// seal closes the open epoch and puts it in flight.
func (e *Engine) seal(sl *slice) {
	lp := &e.loop
	ep := lp.cur
	lp.cur, lp.flight = nil, ep
	if sl != nil {
		ep.slice = sl
		if s := sl.shard; s.ep == nil {
			s.beginIdle(s.idleClock())
			ep.add(s)
		}
	}
	ep.seal(e.writer, e.slots, e.cfg.Logic, e.rulesRecords)
}

// idleClock is that of the last epoch: time stands still for one that only carries a slice.
func (s *shard) idleClock() clockInput {
	c := clockInput{wall: s.st.wall, cap: s.st.cap, base: s.st.base, floors: make([]int64, len(s.st.parts))}
	for i := range s.st.parts {
		c.floors[i] = s.st.parts[i].floor
	}
	return c
}

// decide takes in the outcome of the epoch in flight.
func (e *Engine) decide(d decision) error {
	lp := &e.loop
	e.m.commitSeconds.Observe(d.ms.Seconds())
	if d.err == nil {
		e.m.epochs.WithLabelValues("committed").Inc()
		lp.flight, lp.aborts = nil, 0
		e.publish(d.ep)
		return nil
	}
	cause := "unknown"
	switch {
	case errors.Is(d.err, ErrAborted):
		cause = "aborted"
	case errors.Is(d.err, ErrFenced):
		cause = "fenced"
		lp.fencedAt, lp.fenced = time.Now(), d.ep.fence
	}
	e.m.epochs.WithLabelValues(cause).Inc()
	e.m.aborts.WithLabelValues(cause).Inc()
	e.log.Warn("an epoch was not committed; it will be done again", "outcome", cause, "reason", d.err)
	// Waiting longer each time, so that a broken broker is not hammered.
	lp.aborts++
	lp.retryAt = time.Now().Add(min(time.Duration(lp.aborts*lp.aborts)*10*time.Millisecond, 2*time.Second))
	clear(lp.published)
	if cause == "unknown" {
		return e.reloadAll()
	}
	return e.rollbackAll()
}

// publish makes a committed epoch visible.
func (e *Engine) publish(ep *epoch) {
	lp := &e.loop
	wall := e.cfg.Clock()
	for i, s := range ep.shards {
		part, end := ep.parts[i], ep.ends[i]
		s.publish(part, end)
		e.m.committed(part)
		e.countRules(s)
		j := ep.tx.Records[ep.journalAt+i]
		lp.addMark(s.id, mark{epoch: part.number, wall: wall, journal: j.Offset, inbox: end.parts[0].next}, end.parts)
	}
	if sl := ep.slice; sl != nil {
		sl.laidInTopic()
		e.m.checkpointed.Add(float64(len(sl.entries)))
		if sl.redo == sl.epoch {
			sl.shard.cleanAt = sl.epoch
		}
		e.toStore(ep)
		e.cut(sl, wall)
	}
	e.updateStatus(wall)
}

// addMark keeps about one mark a second; the newest always stands for the newest epoch.
func (lp *loop) addMark(id int32, m mark, parts []part) {
	ms := lp.marks[id]
	if n := len(ms); n >= 2 && m.wall-ms[n-2].wall < 1000 {
		m.places = places(ms[n-1].places, parts)
		ms[n-1] = m
	} else {
		m.places = places(nil, parts)
		ms = append(ms, m)
	}
	if len(ms) > 4096 {
		ms = append(ms[:0], ms[2048:]...)
	}
	lp.marks[id] = ms
}

// cutLag is how old what is cut must be: a standby that loads the state topic needs what came after the redo point that
// held when it began.
const cutLag = 5 * time.Minute

// cut asks for the journal and inbox before the redo point to be deleted. The record of the redo point
// itself stays.
func (e *Engine) cut(sl *slice, wall int64) {
	lp := &e.loop
	if e.cfg.CutInterval < 0 || wall-lp.lastCut < e.cfg.CutInterval.Milliseconds()/int64(max(1, len(e.live))) {
		return
	}
	id := sl.shard.id
	at := -1
	for i, m := range lp.marks[id] {
		if m.epoch > sl.redo || m.wall > wall-cutLag.Milliseconds() {
			break
		}
		at = i
	}
	if at < 0 {
		return
	}
	m := lp.marks[id][at]
	c := cutRequest{
		journal: Start{TopicPartition{e.cfg.topic(TopicJournal), id}, m.journal},
		// One record more than needed stays: the broker inside the process forgets where an emptied
		// partition ended, and would number it from 0 again after a restart.
		inbox: Start{TopicPartition{e.cfg.topic(TopicInbox), id}, m.inbox - 1},
	}
	select {
	case e.cuts <- c:
		lp.lastCut = wall
	default: // the last one is still under way
	}
}

// rollbackAll drops all uncommitted work and reads its input again.
func (e *Engine) rollbackAll() error {
	lp := &e.loop
	for _, s := range e.live {
		var eps []*shardEpoch
		if f := lp.flight; f != nil {
			for i, fs := range f.shards {
				if fs == s {
					eps = append(eps, f.parts[i])
				}
			}
		}
		s.rollback(append(eps, s.ep)...)
	}
	if lp.flight != nil && lp.flight.slice != nil {
		sl := lp.flight.slice
		sl.shard.putBack(sl)
	}
	lp.cur, lp.flight = nil, nil
	var parts []TopicPartition
	var starts []Start
	for _, id := range e.liveIDs() {
		for _, p := range e.live[id].st.parts {
			parts = append(parts, p.TopicPartition)
		}
		starts = append(starts, e.starts(e.live[id])...)
	}
	e.reread(parts, starts)
	return nil
}

// reloadAll forgets what this process believes and restores its shards: after an unknown outcome only
// the cluster knows which epoch was the last.
func (e *Engine) reloadAll() error {
	lp := &e.loop
	lp.cur, lp.flight = nil, nil
	var parts []TopicPartition
	ids := e.liveIDs()
	for _, id := range ids {
		for _, p := range e.live[id].st.parts {
			parts = append(parts, p.TopicPartition)
		}
	}
	e.reread(parts, nil)
	if err := e.awaitStored(); err != nil {
		return err
	}
	e.forgetLive()
	clear(lp.marks)
	f := newFences()
	for _, id := range ids {
		lp.restart(id, f)
	}
	e.countShards()
	return nil
}

// countRules moves what a shard's evaluator counted into the metrics.
func (e *Engine) countRules(s *shard) {
	c, set := s.ev.Counts(), s.evRules
	e.m.late.Add(float64(c.Late))
	e.m.tooLate.Add(float64(c.TooLate))
	e.m.gated.Add(float64(c.Gated))
	e.m.idleTimers.Add(float64(c.Idle))
	e.m.longTraits.Add(float64(c.LongTraits))
	e.m.stoppedLeads.Add(float64(c.Stopped))
	for i, n := range c.Errors {
		if n > 0 {
			e.m.conditionErrors.WithLabelValues(set.Rules()[i]).Add(float64(n))
		}
	}
	for i, n := range c.Dropped {
		if n > 0 {
			e.m.edgesDropped.WithLabelValues(set.Handoffs()[i]).Add(float64(n))
		}
	}
	e.m.accounts.add(c)
	e.m.linked.Add(float64(c.Linked))
	e.m.claimed.Add(float64(c.Claimed))
	for why := uint8(1); why < rules.NumWhys; why++ {
		e.m.linksRefused.WithLabelValues(rules.WhyName(why)).Add(float64(c.Refused[why]))
	}
	c.Reset()
}
