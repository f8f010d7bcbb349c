package micro

import (
	"context"
	"sync/atomic"
	"time"

	"leadstream/engine"
)

const (
	app        = "micro"
	sourceName = "events"
	shards     = 8
	// commitMs is how far a commit moves the clock of a run in steps.
	commitMs = 50
)

// tape is all that an engine needs of Kafka: it plays recorded partitions as fast as they are asked for,
// and forgets what is committed but for how much it was.
type tape struct {
	parts  [shards][]engine.Record
	at     [shards]int
	added  [shards]bool
	turn   int
	fresh  []engine.Fetch
	total  int64
	takes  time.Duration // of one commit
	done   chan struct{} // closed when every record's offset has been committed
	given  chan engine.Change
	placed map[engine.TopicPartition]int64
	// step gives nothing more before all that was given is committed, and clock moves with every commit: so that a
	// run is the same every time.
	step  bool
	clock atomic.Int64
	sent  int64
	sum   atomic.Int64  // of the committed offsets
	news  chan struct{} // sum has changed
	// What was committed.
	commits, records, bytes, states atomic.Int64
}

func newTape(parts [shards][]engine.Record, takes time.Duration) *tape {
	t := &tape{parts: parts, takes: takes, done: make(chan struct{}), news: make(chan struct{}, 1), given: make(chan engine.Change, 1), placed: map[engine.TopicPartition]int64{}}
	var all []int32
	for s := range int32(shards) {
		t.total += int64(len(parts[s]))
		all = append(all, s)
	}
	t.given <- engine.Change{Gained: all, Done: func() {}}
	return t
}

// now is the engine's clock.
func (t *tape) now() int64 {
	if t.step {
		return start*2 + t.clock.Load()
	}
	return time.Now().UnixMilli()
}

// Add implements engine.Inputs.
func (t *tape) Add(_ context.Context, starts []engine.Start) error {
	for _, s := range starts {
		t.fresh = append(t.fresh, engine.Fetch{TopicPartition: s.TopicPartition, LeaderEpoch: -1})
		t.added[s.Partition] = true
	}
	return nil
}

// Remove implements engine.Inputs.
func (t *tape) Remove([]engine.TopicPartition) {}

// Poll implements engine.Inputs: what Kafka has fetched of two partitions, as a client gets it.
func (t *tape) Poll(ctx context.Context, most int) ([]engine.Fetch, error) {
	if len(t.fresh) > 0 {
		defer func() { t.fresh = nil }()
		return t.fresh, nil
	}
	for t.step && t.sum.Load() < t.sent {
		select {
		case <-ctx.Done():
			return nil, nil
		case <-t.news:
		}
	}
	var out []engine.Fetch
	for range shards {
		if most <= 0 {
			break
		}
		p := t.turn
		t.turn = (t.turn + 1) % shards
		from := t.at[p]
		n := min(len(t.parts[p])-from, most, 5000)
		if n == 0 || !t.added[p] {
			continue
		}
		t.at[p] += n
		t.sent += int64(n)
		most -= n
		end := len(t.parts[p])
		if t.step { // who knew of more would wait for it
			end = from + n
		}
		out = append(out, engine.Fetch{TopicPartition: engine.TopicPartition{Topic: sourceName, Partition: int32(p)}, From: int64(from),
			Next: int64(from + n), End: int64(end), LeaderEpoch: -1, Records: t.parts[p][from : from+n]})
	}
	if len(out) == 0 {
		<-ctx.Done()
	}
	return out, nil
}

// Commit implements engine.Committer.
func (t *tape) Commit(_ context.Context, tx *engine.Transaction) error {
	if t.takes > 0 {
		time.Sleep(t.takes)
	}
	t.commits.Add(1)
	for i := range tx.Records {
		r := &tx.Records[i]
		t.records.Add(1)
		t.bytes.Add(int64(len(r.Key) + len(r.Value)))
		if r.Topic == engine.TopicState {
			t.states.Add(1)
		}
	}
	var sum int64
	for _, o := range tx.Offsets {
		t.placed[o.TopicPartition] = o.Offset
	}
	for tp, at := range t.placed {
		if tp.Topic == sourceName {
			sum += at
		}
	}
	t.sum.Store(sum)
	t.clock.Add(commitMs)
	select {
	case t.news <- struct{}{}:
	default:
	}
	select {
	case <-t.done:
	default:
		if sum == t.total {
			close(t.done)
		}
	}
	return nil
}

// Writer implements engine.Committer.
func (t *tape) Writer() (string, int) { return "micro", 1 }

// FenceWriter implements engine.Committer.
func (t *tape) FenceWriter(context.Context, string, int) error { return nil }

// Close implements engine.Inputs and engine.Committer.
func (t *tape) Close() {}

// Changes implements engine.Group.
func (t *tape) Changes() <-chan engine.Change { return t.given }

// Pending implements engine.Group.
func (t *tape) Pending() bool { return false }

// Fence implements engine.Group.
func (t *tape) Fence() (engine.Fence, bool) {
	return engine.Fence{Member: "micro", Generation: 1}, true
}

// Leave implements engine.Group.
func (t *tape) Leave(context.Context) error { return nil }

// Committed implements engine.History: there is none.
func (t *tape) Committed(context.Context, []engine.TopicPartition) (map[engine.TopicPartition]int64, error) {
	return map[engine.TopicPartition]int64{}, nil
}

// Read implements engine.History.
func (t *tape) Read(context.Context, engine.TopicPartition, int64, int64, func(*engine.Record) error) error {
	return nil
}

// Follow implements engine.History.
func (t *tape) Follow(ctx context.Context, _ string, _ func(int32, *engine.Record)) error {
	<-ctx.Done()
	return ctx.Err()
}

// Cut implements engine.History.
func (t *tape) Cut(context.Context, engine.TopicPartition, int64) error { return nil }
