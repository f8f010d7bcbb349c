package engine

import (
	"context"
)

// pollNothing answers commands until ctx ends: the loop may wait for an answer before it hears of a failure.
func (e *Engine) pollNothing(ctx context.Context) {
	for {
		select {
		case c := <-e.pollCmds:
			e.pending.Add(-1)
			close(c.done)
		case <-ctx.Done():
			return
		}
	}
}

// pollOnce adds what is wanted, or polls. A waiting command interrupts both.
func (e *Engine) pollOnce(ctx context.Context, wanted *[]Start) ([]Fetch, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e.interrupt.Store(&cancel)
	if e.pending.Load() > 0 {
		return nil, nil
	}
	if len(*wanted) > 0 {
		err := e.cfg.Inputs.Add(ctx, *wanted)
		if err == nil {
			*wanted = nil
		} else if ctx.Err() != nil {
			err = nil // it was interrupted
		}
		return nil, err
	}
	return e.cfg.Inputs.Poll(ctx, e.cfg.MaxPoll)
}

func without(fetches []Fetch, parts []TopicPartition) []Fetch {
	if len(parts) == 0 {
		return fetches
	}
	gone := make(map[TopicPartition]bool, len(parts))
	for _, p := range parts {
		gone[p] = true
	}
	kept := fetches[:0]
	for _, f := range fetches {
		if !gone[f.TopicPartition] {
			kept = append(kept, f)
		}
	}
	return kept
}

// reread makes the poller change what it reads; once it returns nothing of the removed partitions is on its way.
func (e *Engine) reread(remove []TopicPartition, add []Start) {
	c := pollCmd{remove: remove, add: add, done: make(chan struct{})}
	e.pending.Add(1)
	if cancel := e.interrupt.Load(); cancel != nil {
		(*cancel)()
	}
	e.pollCmds <- c
	<-c.done
}
