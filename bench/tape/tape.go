// Package tape runs an engine with its store over recorded events, without a broker: the events wait in memory as the Kafka client
// would hand them over, and what is committed is counted and forgotten.
package tape

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"leadstream/bench/workload"
	"leadstream/engine"
)

const (
	// App is the application's name.
	App = "tape"
	// Shards is how many shards and partitions there are.
	Shards = 8
	// Start is the time of the first event in ms since 1970. The last one is before now, as wall clocks see it.
	Start = int64(1_780_000_000_000)

	sourceName = "events"
	// commitMs is how far a commit moves the clock of a run in steps.
	commitMs = 50
)

// Parts are recorded events by partition, which is the shard of their leads.
type Parts [Shards][]engine.Record

// Record makes a load of so many events about up to so many leads, which go over 24 hours from Start on.
func Record(events, leads int) (*Parts, error) {
	load, err := workload.NewLoad(workload.LoadConfig{Seed: 1, Events: events, Leads: leads, Start: Start})
	if err != nil {
		return nil, fmt.Errorf("making events: %w", err)
	}
	parts := new(Parts)
	for {
		// Values share big pieces of memory, as those of a fetched batch do.
		slab := make([]byte, 0, 1000*workload.LoadEventBytes)
		for range 1000 {
			key, value, at, ok := load.Next(slab[len(slab):])
			if !ok {
				return parts, nil
			}
			slab = slab[:len(slab)+len(value)]
			p := engine.ShardOf(key, Shards)
			parts[p] = append(parts[p], engine.Record{Offset: int64(len(parts[p])), Timestamp: at, Key: slices.Clone(key), Value: value})
		}
	}
}

// Tape is all that an engine needs of Kafka: it plays recorded partitions as fast as they are asked for,
// and forgets what is committed but for how much it was. It is played once.
type Tape struct {
	parts     *Parts
	at        [Shards]int
	added     [Shards]bool
	given     int64 // events that were asked for
	fresh     []engine.Fetch
	total     int64
	takes     time.Duration // of one commit
	done      chan struct{} // closed when every record's offset has been committed
	changes   chan engine.Change
	placed    map[engine.TopicPartition]int64
	step      bool
	clock     atomic.Int64
	sent      int64
	sum       atomic.Int64  // of the committed offsets
	news      chan struct{} // sum has changed
	committed func(events int64)
	// What was committed: transactions, the bytes of their records' keys and values, and how many of the records are leads of a checkpoint.
	Commits, Bytes, States atomic.Int64
}

// Options say how a tape is played.
type Options struct {
	// CommitTakes is how long a transaction waits as if for a broker.
	CommitTakes time.Duration
	// Step gives nothing more before all that was given is committed, and lets the engine's clock move with every commit only: so that a
	// run is the same every time.
	Step bool
	// Committed, if not nil, is told after every transaction how many events are done, by one goroutine at a time.
	Committed func(events int64)
}

// New puts a tape in. Parts are read only, and can be played again and again.
func New(parts *Parts, o Options) *Tape {
	t := &Tape{step: o.Step, committed: o.Committed, parts: parts, takes: o.CommitTakes, done: make(chan struct{}), news: make(chan struct{}, 1), changes: make(chan engine.Change, 1), placed: map[engine.TopicPartition]int64{}}
	var all []int32
	for s := range int32(Shards) {
		t.total += int64(len(parts[s]))
		all = append(all, s)
	}
	t.changes <- engine.Change{Gained: all, Done: func() {}}
	return t
}

// now is the engine's clock.
func (t *Tape) now() int64 {
	if t.step {
		return Start*2 + t.clock.Load()
	}
	return time.Now().UnixMilli()
}

// Add implements engine.Inputs.
func (t *Tape) Add(_ context.Context, starts []engine.Start) error {
	for _, s := range starts {
		t.fresh = append(t.fresh, engine.Fetch{TopicPartition: s.TopicPartition, LeaderEpoch: -1})
		t.added[s.Partition] = true
	}
	return nil
}

// Remove implements engine.Inputs.
func (t *Tape) Remove([]engine.TopicPartition) {}

// Poll implements engine.Inputs. Each partition is always as far as the others, as it is when events come as they happen: were as many given
// of each, as a client gets them from a topic that is full, those with few events would be done long before that of the busiest lead, and the
// end of a run would be one shard's.
func (t *Tape) Poll(ctx context.Context, most int) ([]engine.Fetch, error) {
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
	if slices.Contains(t.added[:], false) { // the others wait, so that all begin together
		<-ctx.Done()
		return nil, nil
	}
	t.given = min(t.given+int64(most), t.total)
	var out []engine.Fetch
	for p := range t.parts {
		all := len(t.parts[p])
		from, to := t.at[p], int(int64(all)*t.given/max(1, t.total))
		if from == to {
			continue
		}
		t.at[p] = to
		t.sent += int64(to - from)
		if t.step { // who knew of more would wait for it
			all = to
		}
		out = append(out, engine.Fetch{TopicPartition: engine.TopicPartition{Topic: sourceName, Partition: int32(p)}, From: int64(from),
			Next: int64(to), End: int64(all), LeaderEpoch: -1, Records: t.parts[p][from:to]})
	}
	if len(out) == 0 {
		<-ctx.Done()
	}
	return out, nil
}

// Commit implements engine.Committer.
func (t *Tape) Commit(_ context.Context, tx *engine.Transaction) error {
	if t.takes > 0 {
		time.Sleep(t.takes)
	}
	t.Commits.Add(1)
	for i := range tx.Records {
		r := &tx.Records[i]
		t.Bytes.Add(int64(len(r.Key) + len(r.Value)))
		if r.Topic == engine.TopicState {
			t.States.Add(1)
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
	if t.committed != nil {
		t.committed(sum)
	}
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
func (t *Tape) Writer() (string, int) { return App, 1 }

// FenceWriter implements engine.Committer.
func (t *Tape) FenceWriter(context.Context, string, int) error { return nil }

// Close implements engine.Inputs and engine.Committer.
func (t *Tape) Close() {}

// Changes implements engine.Group.
func (t *Tape) Changes() <-chan engine.Change { return t.changes }

// Pending implements engine.Group.
func (t *Tape) Pending() bool { return false }

// Fence implements engine.Group.
func (t *Tape) Fence() (engine.Fence, bool) {
	return engine.Fence{Member: App, Generation: 1}, true
}

// Leave implements engine.Group.
func (t *Tape) Leave(context.Context) error { return nil }

// Committed implements engine.History: there is none.
func (t *Tape) Committed(context.Context, []engine.TopicPartition) (map[engine.TopicPartition]int64, error) {
	return map[engine.TopicPartition]int64{}, nil
}

// Read implements engine.History.
func (t *Tape) Read(context.Context, engine.TopicPartition, int64, int64, func(*engine.Record) error) error {
	return nil
}

// Follow implements engine.History.
func (t *Tape) Follow(ctx context.Context, _ string, _ func() time.Duration, _ func(int32, *engine.Record)) error {
	<-ctx.Done()
	return ctx.Err()
}

// Cut implements engine.History.
func (t *Tape) Cut(context.Context, engine.TopicPartition, int64) error { return nil }
