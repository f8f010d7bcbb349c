package engine

import (
	"context"
	"fmt"
	"time"

	"leadstream/state/lead"
)

// head is what is known of a shard's place in time: what its last committed epoch says.
type head struct {
	epoch    uint64
	caughtUp bool
	read     int64 // source records, since the beginning
	seenAt   int64 // our wall clock when its watermark last moved
	recordAt int64 // our wall clock when it last read something, or was first heard of
	// past are its last watermarks, ascending, each with what it had sent to every shard by then: a
	// receiver may rely on one only when it has got all that was sent before.
	past []pastHead
}

type pastHead struct {
	watermark int64
	sent      []int64 // by shard; nil: nothing to anybody
}

// maxPast bounds the watermarks remembered of a shard: with fewer its receivers wait a little longer.
const maxPast = 64

// alignedAfter is how many records without one to forward say that a topic's keys are the shards'.
const alignedAfter = 32

func (h *head) last() *pastHead { return &h.past[len(h.past)-1] }

// aligned says that the shard's sources are keyed so that nothing has to be forwarded.
func (h *head) aligned() bool { return h.last().sent == nil && h.read >= alignedAfter }

// trails says that the shard is at the end of its sources, may forward what comes next, and does not follow the wall
// clock: it has read something less than idle ago that is of longer ago.
func (h *head) trails(wall, idle int64) bool {
	at := h.last().watermark
	return h.caughtUp && h.read > 0 && !h.aligned() && wall-h.recordAt < idle && (at == noTime || wall-at > nearWall)
}

// usable is the latest watermark before which the receiver has got everything.
func (h *head) usable(receiver int32, got int64) (watermark int64, all bool) {
	for i := len(h.past) - 1; i >= 0; i-- {
		if p := &h.past[i]; p.sent == nil || p.sent[receiver] <= got {
			return p.watermark, i == len(h.past)-1
		}
	}
	return noTime, false
}

// heads holds the head of every shard that is known, this process's own ones included.
type heads struct {
	by    map[int32]*head
	began int64 // our wall clock when this process began to listen
	// binding are those that may hold others back now; see choose.
	binding []int32
	// trailing is the earliest of those that are at the end of what they read and in its past all the same; Never if
	// none is. See base.
	trailing int64
}

// heard is one shard's place in time, from its journal or from this process's own state.
type heard struct {
	shard     int32
	epoch     uint64
	watermark int64
	caughtUp  bool
	read      int64
	sent      []int64
}

func (h *heads) update(x heard, wall int64) {
	old := h.by[x.shard]
	if old == nil {
		h.by[x.shard] = &head{epoch: x.epoch, caughtUp: x.caughtUp, read: x.read, seenAt: wall, recordAt: wall, past: []pastHead{{x.watermark, x.sent}}}
		return
	}
	if x.epoch < old.epoch {
		return
	}
	if x.watermark != old.last().watermark {
		old.seenAt = wall
	}
	if x.read != old.read {
		old.recordAt = wall
	}
	old.caughtUp, old.read = x.caughtUp, x.read
	if x.epoch == old.epoch {
		*old.last() = pastHead{x.watermark, x.sent}
		return
	}
	old.epoch = x.epoch
	if len(old.past) >= maxPast {
		old.past = append(old.past[:0], old.past[maxPast/2:]...)
	}
	old.past = append(old.past, pastHead{x.watermark, x.sent})
}

// choose finds out which shards may hold others back, before limit is asked for each receiver. A shard that is idle, as a
// partition may be, holds nobody back.
func (h *heads) choose(shards int32, wall, wait, idle int64) {
	h.binding, h.trailing = h.binding[:0], lead.Never
	for id := range shards {
		x := h.by[id]
		if x != nil && x.trails(wall, idle) {
			h.trailing = min(h.trailing, x.last().watermark)
		}
		switch {
		case x == nil:
			if wall-h.began <= wait {
				h.binding = append(h.binding, id)
			}
		case x.aligned() || wall-x.seenAt > wait || x.caughtUp && x.last().sent == nil:
		default:
			h.binding = append(h.binding, id)
		}
	}
}

// limit is what other shards impose on the tick of one: a shard that is behind, or whose messages are still
// on their way, holds the receiver back to the watermark that is certain, if its events are forwarded at all. None does
// for longer than wait after its watermark last moved, and nobody waits longer than that for one that says nothing.
func (h *heads) limit(receiver int32, got []int64) int64 {
	low := lead.Never
	for _, id := range h.binding {
		x := h.by[id]
		switch {
		case id == receiver:
			continue
		case x == nil:
			return noTime
		}
		var have int64
		if got != nil {
			have = got[id]
		}
		if mark, all := x.usable(receiver, have); !x.caughtUp || !all {
			low = min(low, mark)
		}
	}
	return low
}

// followed is a journal record as the followers see it.
type followed struct {
	heard
	appended int64 // the broker's clock
}

// aloneRest is how long journals are left unread that are all our own: what they say but for the broker's time is known.
// Every transaction appends to them, and reading them at once cost the broker as many fetches again as the input.
const aloneRest = 100 * time.Millisecond

// follow watches the journals of all shards, for the place in time of those that run elsewhere.
func (e *Engine) follow(ctx context.Context) {
	rest := func() time.Duration {
		e.mu.RLock()
		defer e.mu.RUnlock()
		if len(e.live) == int(e.cfg.Shards) {
			return aloneRest
		}
		return 0
	}
	err := e.cfg.History.Follow(ctx, e.cfg.topic(TopicJournal), rest, func(p int32, r *Record) {
		j, err := DecodeJournal(r.Value)
		if err != nil {
			e.fail(fmt.Errorf("following the journal of shard %d: %w", p, err))
			return
		}
		e.nudge(p, j.Epoch)
		select {
		case e.followed <- followed{heard{p, j.Epoch, j.Watermark, j.CaughtUp, j.Read, j.Sent}, r.Timestamp}:
		case <-ctx.Done():
		}
	})
	if err != nil && ctx.Err() == nil {
		e.fail(err)
	}
}
