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
