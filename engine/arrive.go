package engine

import (
	"context"
	"fmt"
	"sync"
)

// arrival is a shard on its way to being live here.
type arrival struct {
	id     int32
	fences *fences
	laps   laps
}

// resume brings a shard that was followed here to the state of its last committed epoch.
//
// The writer before is fenced while the offsets are asked for and the journal is read: both wait for what it has left
// open, and fencing only keeps that wait short. A transaction that has no offsets in it yet gets none any more, because its
// generation is over; one that has is waited for until it is decided, by whom ever.
func (e *Engine) resume(ctx context.Context, a *arrival, s *shard) (err error) {
	jtp := TopicPartition{e.cfg.topic(TopicJournal), s.id}
	defer func() { err = e.unlessMovedOn(ctx, jtp, s.journaled, err) }()
	if _, err := e.redoTail(ctx, s, jtp, span{s.st.epoch, anyEpoch}, CommittedEnd); err != nil {
		return err
	}
	a.laps.lap("before_ms")
	before := s.journaled
	fenced := beside(func() error { return e.fence(ctx, a.fences, before) })
	defer func() {
		if ferr := fenced(); err == nil && ferr != nil {
			err = fmt.Errorf("fencing the writer of shard %d before: %w", s.id, ferr)
		}
		a.laps.lap("fence_ms")
	}()
	offsets, err := e.cfg.History.Committed(ctx, e.wantedParts(s.id))
	if err != nil {
		return fmt.Errorf("reading the group's offsets of shard %d: %w", s.id, err)
	}
	a.laps.lap("offsets_ms")
	if _, err := e.redoTail(ctx, s, jtp, span{s.st.epoch, anyEpoch}, EndOfPartition); err != nil {
		return err
	}
	last := s.journaled
	if err := e.sameShards(s.id, last); err != nil {
		return err
	}
	if err := e.sameTopics(s.id, last); err != nil {
		return err
	}
	if err := e.arrive(s, last); err != nil {
		return err
	}
	a.laps.lap("redo_ms")
	// Its redo point is to be that of the owner before: the journal may be cut up to there.
	if err := e.settle(s, last); err != nil {
		return err
	}
	a.laps.lap("settle_ms")
	return e.place(s, offsets, before)
}

// fences are the writers that were fenced since some shards were gained. Whatever a writer before has open on any of them was
// begun before that: its generation is over, so nothing it begins later can be committed. Therefore each is fenced
// once for all shards that came together, and two of them never fight for the same transactional ids.
type fences struct {
	mu sync.Mutex
	by map[string]*fenced
}

type fenced struct {
	done chan struct{}
	err  error
}

func newFences() *fences { return &fences{by: map[string]*fenced{}} }

// fence ends the open transactions of the writer that a journal record names, unless that was done for another shard.
func (e *Engine) fence(ctx context.Context, f *fences, j *JournalRecord) error {
	who := fmt.Sprintf("%s-%d", j.Writer, j.Slots)
	f.mu.Lock()
	first := f.by[who]
	mine := first == nil
	if mine {
		first = &fenced{done: make(chan struct{})}
		f.by[who] = first
	}
	f.mu.Unlock()
	if mine {
		first.err = e.cfg.Committer.FenceWriter(ctx, j.Writer, j.Slots)
		close(first.done)
		return first.err
	}
	select {
	case <-first.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if first.err == nil {
		return nil
	}
	// The other shard may have been lost meanwhile.
	return e.cfg.Committer.FenceWriter(ctx, j.Writer, j.Slots)
}
