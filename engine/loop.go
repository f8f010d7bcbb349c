package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"leadstream/state"
	"leadstream/state/lead"
)

// loop is what only Run's goroutine touches.
type loop struct {
	cur, flight *epoch
	owned       map[int32]bool // as the group says, live or restoring
	restoring   map[int32]context.CancelFunc
	restores    sync.WaitGroup
	heads       heads
	skewed      bool
	heardAt     time.Time // when the last journal record came that has the broker's time
	turn        int32     // the shard whose slice comes next
	fencedAt    time.Time
	fenced      Fence
	marks       map[int32][]mark
	lastCut     int64
	toldNeeds   int64
	published   map[string]bool
	retryAt     time.Time
	aborts      int
	restart     func(id int32, f *fences)
	inStore     int // slices on their way into the store
	// stand starts a standby once the one before has ended; ended are those that were and may not have ended yet.
	stand func(sb, before *standby)
	ended map[int32]*standby
	asked bool // for a new plan, since the last
}

// mark remembers where an epoch ended, for cutting and for the age of changes.
type mark struct {
	epoch          uint64
	wall           int64
	journal, inbox int64
	places         []int64 // of all inputs, as the shard orders them
}

type restoration struct {
	id  int32
	ctx context.Context // ended when the shard was lost meanwhile: what was restored may be out of date
	s   *shard
	err error
	// laps are the parts that it took.
	laps *laps
}

// laps say how long the parts of something took.
type laps struct {
	began, last time.Time
	attrs       []any // name and ms, as a log takes them
}

func newLaps() laps {
	now := time.Now()
	return laps{began: now, last: now}
}

// lap ends a part; its name says that the unit is ms.
func (l *laps) lap(name string) {
	now := time.Now()
	l.attrs = append(l.attrs, name, now.Sub(l.last).Milliseconds())
	l.last = now
}

// tickEvery is how often the loop looks for timers that have come due while nothing arrives.
const tickEvery = 10 * time.Millisecond

func (e *Engine) runLoop(ctx, work context.Context) error {
	lp := &e.loop
	lp.owned, lp.restoring = map[int32]bool{}, map[int32]context.CancelFunc{}
	lp.heads = heads{by: map[int32]*head{}, began: e.cfg.Clock()}
	lp.marks, lp.published = map[int32][]mark{}, map[string]bool{}
	lp.restart = func(id int32, f *fences) { e.startRestore(work, id, f) }
	lp.stand, lp.ended = func(sb, before *standby) { e.startStandby(work, sb, before) }, map[int32]*standby{}
	defer func() {
		for _, cancel := range lp.restoring {
			cancel()
		}
	}()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		in := e.polled
		if e.backlogged() {
			in = nil
		}
		more, err := e.next(ctx, in, tick.C)
		if !more {
			return e.stop()
		}
		if err == nil && e.grown.Swap(false) {
			err = e.grow()
		}
		if err == nil {
			err = e.work()
		}
		rest := false
		if err == nil && e.cfg.Drain != nil {
			rest, err = e.atRest(work)
		}
		if err != nil {
			e.abandon()
			return err
		}
		if rest {
			return e.retire()
		}
	}
}

// maxQueuedBytes bounds the keys and values of what was polled and is not applied, over all shards; the poll that comes over it is
// still taken.
const maxQueuedBytes = 64 << 20

// backlogged says that nothing more should be read now.
func (e *Engine) backlogged() bool {
	if e.unwritten() {
		return true
	}
	records, bytes := 0, 0
	for _, s := range e.live {
		for i := range s.queue {
			records += len(s.queue[i].Records)
			bytes += s.queue[i].bytes
		}
	}
	if records > 2*e.cfg.MaxPoll || bytes > maxQueuedBytes {
		return true
	}
	return e.loop.flight != nil && e.loop.cur != nil && e.loop.cur.full()
}

// distribute hands fetches to their shards.
func (e *Engine) distribute(fetches []Fetch) {
	now := e.cfg.Clock()
	byShard := map[int32][]Fetch{}
	for _, f := range fetches {
		id := f.Partition % e.cfg.Shards
		s := e.live[id]
		if s == nil {
			continue // of a shard that has just left
		}
		l := s.live[f.TopicPartition]
		if l == nil {
			l = &liveness{recordAt: now}
			s.live[f.TopicPartition] = l
		}
		l.end = f.End
		if len(f.Records) > 0 {
			l.recordAt = now
		}
		byShard[id] = append(byShard[id], f)
	}
	for id, fs := range byShard {
		e.live[id].enqueue(fs)
	}
}

// heard takes in what a shard's journal says of its place in time, and of the broker's clock.
func (e *Engine) heard(f followed) {
	now := e.cfg.Clock()
	if e.live[f.shard] == nil {
		e.loop.heads.update(f.heard, now)
	}
	if f.appended <= 0 {
		return
	}
	e.loop.heardAt = time.Now()
	skewed := now-f.appended > nearWall || f.appended-now > nearWall
	if skewed != e.loop.skewed {
		e.loop.skewed = skewed
		e.m.skewed.Set(map[bool]float64{true: 1}[skewed])
		e.log.Warn("the broker's clock and ours differ by over a minute", "skewed", skewed, "broker_minus_local_ms", f.appended-now)
	}
}

// change follows the group.
func (e *Engine) change(ch Change) error {
	lp := &e.loop
	// Also after an error, which ends Run: nothing is committed any more, and others need not wait for it.
	defer ch.Done()
	if lp.flight != nil {
		if err := e.decide(<-e.decided); err != nil {
			return err
		}
	}
	if fence, ok := e.cfg.Group.Fence(); ok && lp.cur != nil && lp.cur.fence == fence && !ch.Fenced {
		// Still under the generation it was begun in.
		if err := e.send(e.nextSlice()); err != nil {
			return err
		}
		if err := e.decide(<-e.decided); err != nil {
			return err
		}
	}
	if lp.cur != nil {
		e.m.aborts.WithLabelValues("rebalance").Inc()
		if err := e.rollbackAll(); err != nil {
			return err
		}
	}
	var remove []TopicPartition
	for _, id := range ch.Lost {
		delete(lp.owned, id)
		if cancel := lp.restoring[id]; cancel != nil {
			cancel()
		}
		if s := e.live[id]; s != nil {
			for _, p := range s.st.parts {
				remove = append(remove, p.TopicPartition)
			}
			e.mu.Lock()
			delete(e.live, id)
			e.mu.Unlock()
			delete(lp.marks, id)
		}
	}
	if len(remove) > 0 {
		e.reread(remove, nil)
		// Nothing of a shard that left may reach the store after it has come back with newer leads.
		if err := e.awaitStored(); err != nil {
			return err
		}
	}
	f := newFences()
	for _, id := range ch.Gained {
		lp.owned[id] = true
		lp.restart(id, f)
	}
	if len(ch.Lost)+len(ch.Gained) > 0 {
		e.log.Info("shards changed", "gained", ch.Gained, "lost", ch.Lost, "owned", len(lp.owned))
	}
	e.follows(ch.Plan)
	lp.fencedAt = time.Time{}
	e.countShards()
	return nil
}

// install makes a restored shard live.
func (e *Engine) install(r restoration) error {
	lp := &e.loop
	cancel := lp.restoring[r.id]
	delete(lp.restoring, r.id)
	defer e.countShards()
	if cancel != nil {
		defer cancel()
	}
	if !lp.owned[r.id] {
		e.tendStandbys()
		return nil // lost meanwhile
	}
	if r.ctx.Err() != nil {
		// Lost and gained again while it was restoring. Whoever had it in between may have committed: what
		// was restored, and any error, is of the time before.
		lp.restart(r.id, newFences())
		return nil
	}
	if r.err != nil {
		return fmt.Errorf("restoring shard %d: %w", r.id, r.err)
	}
	e.mu.Lock()
	e.live[r.id] = r.s
	e.mu.Unlock()
	e.reread(nil, e.starts(r.s))
	lp.addMark(r.id, mark{epoch: r.s.st.epoch, wall: e.cfg.Clock(), inbox: r.s.st.parts[0].next}, r.s.st.parts)
	e.grown.Store(true) // a source may have grown meanwhile
	r.laps.lap("install_ms")
	dur := r.laps.last.Sub(r.laps.began)
	e.m.restoreSeconds.Observe(dur.Seconds())
	e.log.Info("shard is live", append([]any{"shard", r.id, "epoch", r.s.st.epoch, "restore_ms", dur.Milliseconds()}, r.laps.attrs...)...)
	return nil
}

func (e *Engine) countShards() {
	e.m.shards.WithLabelValues("live").Set(float64(len(e.live)))
	e.m.shards.WithLabelValues("restoring").Set(float64(len(e.loop.restoring)))
	e.m.shards.WithLabelValues("standby").Set(float64(len(e.standbys)))
	e.divide()
	e.updateStatus(e.cfg.Clock())
}

// stop ends in order: what is open is committed, everything is checkpointed.
func (e *Engine) stop() error {
	lp := &e.loop
	e.log.Info("stopping in order", "live", len(e.live))
	if lp.flight != nil {
		if err := e.decide(<-e.decided); err != nil {
			return err
		}
	}
	if lp.cur != nil {
		if err := e.finish(nil); err != nil {
			return err
		}
	}
	for _, id := range e.liveIDs() {
		for e.live[id] != nil {
			done, err := e.checkpointAll(e.live[id])
			if err != nil {
				return err
			}
			if done {
				break
			}
		}
	}
	return e.drainStore()
}

// finish commits the open epoch and waits; on an abort the work is dropped: it will be done by whoever comes next.
func (e *Engine) finish(sl *slice) error {
	if err := e.send(sl); err != nil {
		return err
	}
	d := <-e.decided
	if d.err != nil {
		e.log.Warn("the last epoch was not committed and will be done again", "reason", d.err)
		e.m.aborts.WithLabelValues("stop").Inc()
		for i, s := range d.ep.shards {
			s.rollback(d.ep.parts[i])
		}
		if sl := d.ep.slice; sl != nil {
			sl.shard.putBack(sl)
		}
		e.loop.flight = nil
		e.forgetLive()
		return nil
	}
	return e.decide(d)
}

// checkpointAll writes one more slice of a shard's changed leads in an epoch of its own.
func (e *Engine) checkpointAll(s *shard) (done bool, err error) {
	if s.dirty.len() == 0 && s.st.epoch == s.cleanAt {
		return true, nil
	}
	fence, ok := e.cfg.Group.Fence()
	if !ok {
		return true, nil // out of the group: the journal has everything
	}
	e.loop.cur = &epoch{opened: e.cfg.Clock(), fence: fence}
	s.beginIdle(s.readClock(s.st.wall, bounds{s.st.cap, lead.Never}, true))
	e.loop.cur.add(s)
	sl := &slice{shard: s, entries: s.take(e.cfg.SliceLeads, e.cfg.SliceBytes*4, ^uint64(0))}
	return false, e.finish(sl)
}

// toStore hands a committed slice to the storer, whose answers it takes meanwhile.
func (e *Engine) toStore(ep *epoch) {
	e.loop.inStore++
	select {
	case e.store <- ep:
		return
	default:
	}
	for {
		select {
		case e.store <- ep:
			return
		case done := <-e.stored:
			e.wasStored(done)
		}
	}
}

func (e *Engine) wasStored(ep *epoch) {
	e.loop.inStore--
	ep.slice.shard.stored(ep.slice)
}

// awaitStored waits until the store has all slices.
func (e *Engine) awaitStored() error {
	for e.loop.inStore > 0 {
		select {
		case ep := <-e.stored:
			e.wasStored(ep)
		case err := <-e.failed:
			return err
		}
	}
	return nil
}

// drainStore waits until the store has all slices, and makes them durable.
func (e *Engine) drainStore() error {
	if err := e.awaitStored(); err != nil {
		return err
	}
	if err := e.cfg.Store.Flush(); err != nil {
		return fmt.Errorf("flushing the store: %w", err)
	}
	return nil
}

// abandon stops without deciding anything more: the next owner redoes what is committed.
func (e *Engine) abandon() {
	if e.loop.flight != nil {
		<-e.decided
		e.loop.flight = nil
	}
}

func (e *Engine) liveIDs() []int32 {
	ids := make([]int32, 0, len(e.live))
	for id := range e.live {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// forgetLive drops all shards without deciding anything.
func (e *Engine) forgetLive() {
	e.mu.Lock()
	clear(e.live)
	e.mu.Unlock()
}

func (e *Engine) writeSlice(sl *slice, records []OutRecord) error {
	return e.cfg.Store.Checkpoint(sl.shard.id, sl.entities(records), state.Meta{Epoch: sl.epoch, Redo: sl.redo, Extra: sl.extra})
}
