package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"leadstream/rules"
)

// FenceOfAnEpoch opens an epoch, lets something happen, sends it, and returns under which fence it was opened and sent.
func FenceOfAnEpoch(e *Engine, between func()) (opened, sent Fence, err error) {
	s := e.newShard(0)
	s.reconcile(e.wantedParts(0))
	s.done = s.st
	e.live[0] = s
	e.loop.published = map[string]bool{}
	e.open()
	opened = e.loop.cur.fence
	s.beginIdle(s.idleClock())
	e.loop.cur.add(s)
	between()
	done := make(chan struct{})
	go func() {
		defer close(done)
		sent = (<-e.commits).tx.Fence
	}()
	err = e.send(nil)
	<-done
	return opened, sent, err
}

// UnlessMovedOn says what becomes of an error of restoring a shard whose journal ended at an epoch then; 0: it was empty.
func UnlessMovedOn(e *Engine, id int32, epoch uint64, err error) error {
	var last *JournalRecord
	if epoch > 0 {
		last = &JournalRecord{Epoch: epoch}
	}
	return e.unlessMovedOn(context.Background(), TopicPartition{e.cfg.topic(TopicJournal), id}, last, err)
}

// Silent is how far a shard's tick may come while another one says nothing, began ms after the process did.
func Silent(said bool, began, wait int64) int64 {
	h := heads{by: map[int32]*head{}}
	h.update(heard{shard: 0, epoch: 1, caughtUp: true}, began)
	if said {
		h.update(heard{shard: 1, epoch: 1, caughtUp: true}, began)
	}
	h.choose(2, began, wait, wait)
	return h.limit(0, nil)
}

// LookAtMargins sets how often the sources' beginnings are looked at, and returns how to set it back.
func LookAtMargins(every time.Duration) (back func()) {
	old := marginEvery
	marginEvery = every
	return func() { marginEvery = old }
}

// DueForRules says whether a shard has something to do when another rule set was applied: before it has read anything, and after.
func DueForRules(e *Engine, set *rules.Set) (before, after bool, err error) {
	s := e.newShard(0)
	s.reconcile(e.wantedParts(0))
	s.done = s.st
	e.active.Store(set)
	c := s.idleClock()
	if before, err = s.due(c); err != nil {
		return before, false, err
	}
	s.st.parts[0].next = 0
	after, err = s.due(c)
	return before, after, err
}

// NoTime is before all time.
const NoTime = noTime

// failingFencer fails the first calls.
type failingFencer struct {
	Committer
	mu          sync.Mutex
	calls, fail int
}

// FenceWriter implements Committer.
func (f *failingFencer) FenceWriter(context.Context, string, int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls++; f.calls <= f.fail {
		return errors.New("no answer")
	}
	return nil
}

// FencedFor fences the same writers for some shards that came together, one after another; the first calls fail. It returns how many
// calls there were and how many shards heard of an error.
func FencedFor(e *Engine, shards, fail int, writers ...string) (calls, failed int) {
	f := &failingFencer{Committer: e.cfg.Committer, fail: fail}
	e.cfg.Committer = f
	all := newFences()
	for range shards {
		for _, w := range writers {
			if e.fence(context.Background(), all, &JournalRecord{Writer: w, Slots: 8}) != nil {
				failed++
			}
		}
	}
	return f.calls, failed
}
