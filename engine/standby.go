package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"leadstream/state"
)

// standby follows a shard that another process owns: it does each epoch again as it is committed. What it is made of
// is what recovery is made of, so taking over is to do what is left of the journal.
type standby struct {
	id     int32
	cancel context.CancelFunc
	done   chan struct{} // closed when its goroutine has ended
	wake   chan struct{} // there may be something to do
	// s is the shard as of its last epoch done again; its goroutine's until done is closed, nil when it is not loaded.
	s       *shard
	journal TopicPartition
	// dropped says that it was ended because the group wants it elsewhere: what it has gets old.
	dropped bool

	// What others see.
	loaded      *atomic.Int64 // records of the state topic
	phase       atomic.Int32
	epoch       atomic.Uint64
	heard       atomic.Uint64  // the owner's last epoch that the follower has told of
	current     atomic.Int64   // our wall clock when it last was where the owner is
	settled     int64          // our wall clock when it last wrote to the store
	unsettled   *JournalRecord // the last record done again since
	mismatches  atomic.Int64
	lastFailure atomic.Pointer[string]
}

// The phases of a standby.
const (
	phaseLoading = int32(iota)
	phaseFollowing
)

// standbyPause is how long a standby gathers epochs before it does them again; standbyLook how often it looks for
// itself, should nobody tell it.
const (
	standbyPause = 20 * time.Millisecond
	standbyLook  = time.Second
	// settleEvery is how often it writes to its store what the owner has written to the state topic.
	settleEvery = 2 * time.Second
)

// wait returns when the standby's goroutine has ended. A nil one has.
func (sb *standby) wait() {
	if sb != nil {
		<-sb.done
	}
}

// ready says whether it would take over in milliseconds.
func (sb *standby) ready(wall int64) bool {
	return sb.phase.Load() == phaseFollowing && (sb.epoch.Load() >= sb.heard.Load() || wall-sb.current.Load() <= time.Second.Milliseconds())
}

func (sb *standby) status(wall int64) StandbyStatus {
	x := StandbyStatus{Shard: sb.id, Epoch: sb.epoch.Load(), Following: sb.phase.Load() == phaseFollowing, Ready: sb.ready(wall), Records: sb.loaded.Load()}
	if heard := sb.heard.Load(); heard > x.Epoch {
		x.BehindEpochs = heard - x.Epoch
		if at := sb.current.Load(); at > 0 {
			x.BehindMs = wall - at
		}
	}
	if f := sb.lastFailure.Load(); f != nil {
		x.Failure = *f
	}
	return x
}

// nudge tells a standby of an epoch of its shard. It is called on the follower's goroutine.
func (e *Engine) nudge(id int32, epoch uint64) {
	e.mu.RLock()
	sb := e.standbys[id]
	e.mu.RUnlock()
	if sb == nil {
		return
	}
	sb.heard.Store(max(sb.heard.Load(), epoch))
	select {
	case sb.wake <- struct{}{}:
	default:
	}
}

// follows takes in the group's plan: shards to stand by for are begun as soon as nothing else works on them.
func (e *Engine) follows(p *Plan) {
	if p == nil {
		return
	}
	e.loop.asked = false
	e.mu.Lock()
	e.plan = p
	e.mu.Unlock()
	for id := range e.standbys {
		if !slices.Contains(p.Standby, id) {
			e.endStandby(id).dropped = true
			e.log.Info("standing by no more", "shard", id)
		}
	}
	e.tendStandbys()
}

// tendStandbys begins the standbys that are missing, and asks for a new plan once those have caught up that are to
// become this process's own.
func (e *Engine) tendStandbys() {
	lp := &e.loop
	if e.plan == nil {
		return
	}
	for _, id := range e.plan.Standby {
		if lp.owned[id] || e.live[id] != nil || lp.restoring[id] != nil || e.standbys[id] != nil {
			continue
		}
		sb := &standby{id: id, loaded: &e.loaded[id], done: make(chan struct{}), wake: make(chan struct{}, 1), journal: TopicPartition{e.cfg.topic(TopicJournal), id}}
		if h := lp.heads.by[id]; h != nil {
			sb.heard.Store(h.epoch)
		}
		e.mu.Lock()
		e.standbys[id] = sb
		e.mu.Unlock()
		lp.stand(sb, lp.ended[id])
		delete(lp.ended, id)
		e.log.Info("standing by", "shard", id)
	}
	r, ok := e.cfg.Group.(Replanner)
	if !ok || lp.asked || len(e.plan.Warming) == 0 {
		return
	}
	wall := e.cfg.Clock()
	for _, id := range e.plan.Warming {
		if sb := e.standbys[id]; sb == nil || !sb.ready(wall) {
			return
		}
	}
	lp.asked = true
	e.log.Info("shards have been caught up with and are asked for", "shards", e.plan.Warming)
	r.Replan()
}

// endStandby ends the standby of a shard, if there is one, and returns the last that was, whose goroutine may not have
// ended yet.
func (e *Engine) endStandby(id int32) *standby {
	e.mu.Lock()
	sb := e.standbys[id]
	delete(e.standbys, id)
	e.mu.Unlock()
	if sb == nil {
		return e.loop.ended[id]
	}
	sb.cancel()
	e.loop.ended[id] = sb
	return sb
}

// standbyFailed says why a standby begins anew.
func (e *Engine) standbyFailed(sb *standby, err error) {
	sb.phase.Store(phaseLoading)
	text := err.Error()
	sb.lastFailure.Store(&text)
	e.m.standbyReloads.Inc()
	if !errors.Is(err, ErrDiverged) {
		e.log.Warn("a standby begins anew", "shard", sb.id, "reason", err)
		return
	}
	e.m.diverged.Inc()
	sb.mismatches.Add(1)
	e.log.Error("a standby came to other leads than the owner: it is loaded anew; if this happens again one of the two machines or the program is at fault", "shard", sb.id, "reason", err)
	if err := e.cfg.Store.Drop(sb.id); err != nil {
		e.log.Warn("clearing a shard", "shard", sb.id, "error", err)
	}
}

// stand loads a shard and follows it until ctx ends or something is wrong. pause waits for the given time or until it
// something comes out of the channel, or ctx ends. When it returns, sb.s stands between two epochs, is broken or nil.
func (e *Engine) stand(ctx context.Context, sb *standby, pause func(time.Duration, <-chan struct{})) error {
	sb.s = nil
	jr, err := e.readJournal(ctx, sb.journal, EndOfPartition)
	if err != nil {
		return err
	}
	s := e.newShard(sb.id)
	if jr.last == nil {
		if err := e.cfg.Store.Drop(sb.id); err != nil {
			return fmt.Errorf("clearing shard %d: %w", sb.id, err)
		}
	} else if s, err = e.rebuild(ctx, s, sb.journal, jr, anyEpoch); err != nil {
		return err
	}
	// What was done again on the way here may not be in the store, and another epoch may not come for long.
	sb.s, sb.unsettled = s, s.journaled
	for ctx.Err() == nil {
		if err := e.catchUp(ctx, sb); err != nil {
			return err
		}
		pause(standbyLook, sb.wake)
		pause(standbyPause, nil) // epochs that come close together are done again together
	}
	return ctx.Err()
}

// catchUp does again what has been committed since.
func (e *Engine) catchUp(ctx context.Context, sb *standby) error {
	s := sb.s
	wall := e.cfg.Clock()
	last, err := e.redoTail(ctx, s, sb.journal, span{s.st.epoch, anyEpoch}, CommittedEnd)
	sb.epoch.Store(s.done.epoch)
	if err != nil {
		return err
	}
	sb.phase.Store(phaseFollowing)
	if sb.epoch.Load() >= sb.heard.Load() {
		sb.current.Store(e.cfg.Clock())
	} else if last != nil {
		sb.current.Store(wall)
	}
	if last != nil {
		sb.unsettled = last
	}
	if sb.unsettled != nil && wall-sb.settled >= min(settleEvery, e.cfg.CheckpointInterval).Milliseconds() {
		if err := e.settle(s, sb.unsettled); err != nil {
			return err
		}
		sb.settled, sb.unsettled = wall, nil
	}
	n := s.cache.shrink(e.cacheShare.Load(), func(x *entry) { s.timers.release(x, x.storedDue) })
	e.m.evicted.Add(float64(n))
	return nil
}

// takeOver brings a shard to the state of its last committed epoch: from a standby that has it, else as restore does.
func (e *Engine) takeOver(ctx context.Context, a *arrival, sb *standby) (*shard, error) {
	id := a.id
	sb.wait()
	a.laps.lap("standby_ms")
	if sb == nil || sb.dropped || sb.s == nil || sb.s.broken || sb.s.st.epoch == 0 {
		return e.restore(ctx, a)
	}
	s := sb.s
	err := e.resume(ctx, a, s)
	sb.s = nil // it is the owner's now, or of no use
	switch {
	case err == nil:
		e.m.takeovers.Inc()
		return s, nil
	case ctx.Err() != nil:
		return nil, err
	case errors.Is(err, ErrDiverged):
		e.m.diverged.Inc()
		e.log.Error("a standby came to other leads than the owner when it was to take over: the shard is restored", "shard", id, "reason", err)
		if err := e.cfg.Store.Drop(id); err != nil {
			return nil, fmt.Errorf("clearing shard %d: %w", id, err)
		}
	default:
		e.log.Warn("a standby can't take over: the shard is restored", "shard", id, "reason", err)
	}
	return e.restore(ctx, a)
}

// Holdings tells what this process has of shards' states. It is safe on any goroutine.
func (e *Engine) Holdings() []Holding {
	wall := e.cfg.Clock()
	e.mu.RLock()
	defer e.mu.RUnlock()
	best := map[int32]Holding{}
	for _, x := range e.status.Shards {
		if e.live[x.Shard] != nil {
			best[x.Shard] = Holding{x.Shard, HoldingLive, x.Epoch}
		}
	}
	for id, sb := range e.standbys {
		if sb.phase.Load() != phaseFollowing {
			continue
		}
		h := Holding{id, HoldingFollowing, sb.epoch.Load()}
		if sb.ready(wall) {
			h.Kind = HoldingReady
		}
		best[id] = h
	}
	return withStored(e.cfg.Store, e.cfg.Shards, best)
}

// StoredHoldings tells what a store has, for a process that has no Engine yet.
func StoredHoldings(st *state.Store, shards int32) []Holding {
	return withStored(st, shards, map[int32]Holding{})
}

func withStored(st *state.Store, shards int32, best map[int32]Holding) []Holding {
	var out []Holding
	for id := range shards {
		h, ok := best[id]
		if !ok {
			// A store that can't be read is as good as none here; whoever restores from it says what is wrong.
			m, stored, err := st.Meta(id)
			if err != nil || !stored {
				continue
			}
			h = Holding{id, HoldingStored, m.Epoch}
		}
		out = append(out, h)
	}
	return out
}
