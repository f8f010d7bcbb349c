// Package enginetest holds an in-memory log that an Engine can run on: topics, one consumer group and
// atomic transactions, with faults on demand. It is for tests: nothing in it survives the process.
package enginetest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"
	"time"

	"leadstream/engine"
)

// Log is the shared log: every process of a test is a Client of it. A transaction leaves a marker behind
// its records in every partition it wrote to, as Kafka's do, so positions have gaps.
type Log struct {
	app    string
	shards int32
	clock  func() int64

	mu      sync.Mutex
	parts   map[engine.TopicPartition]*partition
	offsets map[engine.TopicPartition]int64
	wake    chan struct{} // closed and replaced when something is appended
	group   group
	txns    []*txn // open ones, of Sim clients
}

type partition struct {
	recs  []engine.Record
	start int64 // first offset that was not cut
	end   int64
}

// New makes an empty log for an application with the given number of shards; clock stamps what is appended.
func New(app string, shards int32, clock func() int64) *Log {
	l := &Log{
		app: app, shards: shards, clock: clock, parts: map[engine.TopicPartition]*partition{},
		offsets: map[engine.TopicPartition]int64{}, wake: make(chan struct{}),
	}
	l.group.log = l
	return l
}

func (l *Log) part(tp engine.TopicPartition) *partition {
	p := l.parts[tp]
	if p == nil {
		p = &partition{}
		l.parts[tp] = p
	}
	return p
}

// Append adds a record, as a producer outside the engine would.
func (l *Log) Append(topic string, part int32, key, value []byte, timestamp int64) {
	l.AppendRecord(engine.TopicPartition{Topic: topic, Partition: part}, engine.Record{Key: key, Value: value, Timestamp: timestamp})
}

func (l *Log) append(tp engine.TopicPartition, r engine.Record) int64 {
	p := l.part(tp)
	r.Offset = p.end
	p.recs = append(p.recs, r)
	p.end++
	return r.Offset
}

func (l *Log) signal() {
	close(l.wake)
	l.wake = make(chan struct{})
}

// Records returns the records of one partition that were not cut.
func (l *Log) Records(tp engine.TopicPartition) []engine.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]engine.Record(nil), l.part(tp).recs...)
}

// Output returns the records of all shards' partitions of one of the application's topics.
func (l *Log) Output(t engine.Topic) []engine.Record {
	var all []engine.Record
	for s := range l.shards {
		all = append(all, l.Records(engine.TopicPartition{Topic: engine.TopicName(l.app, t), Partition: s})...)
	}
	return all
}

// End returns the end of a partition and the group's offset for it.
func (l *Log) End(tp engine.TopicPartition) (end, committed int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.part(tp).end, l.offsets[tp]
}

// read returns up to limit records from an offset on, the position after them, and the end.
func (l *Log) read(tp engine.TopicPartition, from int64, limit int) (recs []engine.Record, next, end int64, err error) {
	p := l.part(tp)
	if from < p.start || from > p.end {
		return nil, 0, 0, fmt.Errorf("%s/%d: offset %d is outside %d to %d: %w", tp.Topic, tp.Partition, from, p.start, p.end, engine.ErrGap)
	}
	i := sort.Search(len(p.recs), func(i int) bool { return p.recs[i].Offset >= from })
	recs = p.recs[i:]
	if len(recs) > limit {
		recs = recs[:limit]
		return recs, recs[limit-1].Offset + 1, p.end, nil
	}
	return recs, p.end, p.end, nil
}

// Client is one process's view of the log. It implements Inputs, Group, Committer and History. What it polls is spoiled when it is
// freed, and what it follows when the call has ended: who keeps some of it fails.
type Client struct {
	log      *Log
	instance string
	pos      map[engine.TopicPartition]int64
	fresh    map[engine.TopicPartition]bool // added, not yet reported
	member   *member

	mu sync.Mutex
	// Fault, when set, is asked before each commit: what it returns other than nil is the outcome.
	// Applied says whether the transaction takes effect all the same.
	Fault func(n int) (err error, applied bool)
	// Before, when set, is called before each operation that a cluster may be slow at: "commit", "read",
	// "committed", "add". It may block, and is called on the goroutine that does the operation.
	Before func(op string)
	// BatchLimit bounds what one Poll returns of a partition; 0 is no bound.
	BatchLimit int
	commits    int
}

// SetFault replaces Fault while the client is in use.
func (c *Client) SetFault(f func(n int) (err error, applied bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Fault = f
}

// Reader returns a view of the log that is no member of the group: for checkers. Only its History is of use.
func (l *Log) Reader() *Client { return &Client{log: l} }

// Client joins the group under an instance name.
func (l *Log) Client(instance string) *Client {
	c := &Client{log: l, instance: instance, pos: map[engine.TopicPartition]int64{}, fresh: map[engine.TopicPartition]bool{}}
	c.member = l.group.join(instance)
	return c
}

func (c *Client) before(op string) {
	if c.Before != nil {
		c.Before(op)
	}
}

// Add implements engine.Inputs.
func (c *Client) Add(_ context.Context, starts []engine.Start) error {
	c.before("add")
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	for _, s := range starts {
		p := c.log.part(s.TopicPartition)
		from := s.Offset
		if from == engine.StartOfPartition {
			from = p.start
		}
		if from < p.start || from > p.end {
			return fmt.Errorf("%s/%d: offset %d is outside %d to %d: %w", s.Topic, s.Partition, from, p.start, p.end, engine.ErrGap)
		}
		c.pos[s.TopicPartition], c.fresh[s.TopicPartition] = from, true
	}
	return nil
}

// Remove implements engine.Inputs.
func (c *Client) Remove(parts []engine.TopicPartition) {
	for _, p := range parts {
		delete(c.pos, p)
		delete(c.fresh, p)
	}
}

// Poll implements engine.Inputs.
func (c *Client) Poll(ctx context.Context, maxRecords int) ([]engine.Fetch, error) {
	for {
		c.log.mu.Lock()
		wake := c.log.wake
		fetches, err := c.poll(maxRecords)
		c.log.mu.Unlock()
		if err != nil || len(fetches) > 0 {
			return fetches, err
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return nil, nil
		}
	}
}

func compareParts(a, b engine.TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

func (c *Client) poll(maxRecords int) ([]engine.Fetch, error) {
	var out []engine.Fetch
	for _, tp := range slices.SortedFunc(maps.Keys(c.pos), compareParts) {
		from, limit := c.pos[tp], maxRecords
		if c.BatchLimit > 0 {
			limit = min(limit, c.BatchLimit)
		}
		if limit <= 0 {
			break
		}
		recs, next, end, err := c.log.read(tp, from, limit)
		if err != nil {
			return nil, err
		}
		if next == from && !c.fresh[tp] {
			continue
		}
		delete(c.fresh, tp)
		c.pos[tp] = next
		maxRecords -= len(recs)
		out = append(out, engine.Fetch{TopicPartition: tp, From: from, Next: next, End: end, LeaderEpoch: -1, Records: lent(recs), Free: spoil})
	}
	return out, nil
}

// Close implements engine.Inputs and engine.Committer.
func (c *Client) Close() {}

// Writer implements engine.Committer.
func (c *Client) Writer() (string, int) { return c.instance, 1 }

// FenceWriter implements engine.Committer: a transaction here is never left open.
func (c *Client) FenceWriter(context.Context, string, int) error { return nil }

// Commit implements engine.Committer.
func (c *Client) Commit(_ context.Context, t *engine.Transaction) error {
	c.before("commit")
	c.mu.Lock()
	c.commits++
	fault, n := c.Fault, c.commits
	c.mu.Unlock()
	var ferr error
	if fault != nil {
		var applied bool
		if ferr, applied = fault(n); ferr != nil && !applied {
			return ferr
		}
	}
	l := c.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.group.valid(t.Fence) {
		return engine.ErrFenced
	}
	l.write(t)
	return ferr
}

// write makes a transaction's records and offsets what committed readers see. Callers hold the lock.
func (l *Log) write(t *engine.Transaction) {
	if len(t.Offsets) == 0 {
		panic("bug: a transaction without offsets is not fenced")
	}
	touched := map[engine.TopicPartition]bool{}
	for i := range t.Records {
		r := &t.Records[i]
		tp := engine.TopicPartition{Topic: engine.TopicName(l.app, r.Topic), Partition: r.Partition}
		touched[tp] = true
		r.Offset = l.append(tp, engine.Record{Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: l.clock()})
	}
	for tp := range touched {
		l.part(tp).end++ // the marker
	}
	for _, o := range t.Offsets {
		l.offsets[o.TopicPartition] = o.Offset
	}
	l.signal()
}

// Committed implements engine.History.
func (c *Client) Committed(_ context.Context, parts []engine.TopicPartition) (map[engine.TopicPartition]int64, error) {
	c.before("committed")
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	out := map[engine.TopicPartition]int64{}
	for _, tp := range parts {
		if at, ok := c.log.offsets[tp]; ok {
			out[tp] = at
		}
	}
	return out, nil
}

// Read implements engine.History.
func (c *Client) Read(_ context.Context, tp engine.TopicPartition, from, to int64, fn func(*engine.Record) error) error {
	c.before("read")
	c.log.mu.Lock()
	p := c.log.part(tp)
	switch {
	case from == engine.LastOfPartition && len(p.recs) > 0:
		from = p.recs[len(p.recs)-1].Offset
	case from == engine.LastOfPartition, from == engine.StartOfPartition:
		from = p.start
	}
	if to < 0 {
		to = p.end
	}
	recs, _, _, err := c.log.read(tp, from, 1<<30)
	c.log.mu.Unlock()
	if err != nil {
		return err
	}
	for i := range recs {
		if recs[i].Offset >= to {
			break
		}
		if err := fn(&recs[i]); err != nil {
			return err
		}
	}
	return nil
}

// Follow implements engine.History.
func (c *Client) Follow(ctx context.Context, topic string, _ func() time.Duration, fn func(int32, *engine.Record)) error {
	at := map[int32]int64{}
	c.log.mu.Lock()
	for s := range c.log.shards {
		at[s] = c.log.part(engine.TopicPartition{Topic: topic, Partition: s}).end
	}
	c.log.mu.Unlock()
	for {
		c.log.mu.Lock()
		wake := c.log.wake
		got := map[int32][]engine.Record{}
		for s := range c.log.shards {
			p := c.log.part(engine.TopicPartition{Topic: topic, Partition: s})
			recs, next, _, err := c.log.read(engine.TopicPartition{Topic: topic, Partition: s}, max(at[s], p.start), 1<<30)
			if err != nil {
				c.log.mu.Unlock()
				return err
			}
			got[s], at[s] = recs, next
		}
		c.log.mu.Unlock()
		for s, recs := range got {
			for i := range recs {
				show(&recs[i], func(r *engine.Record) { fn(s, r) })
			}
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Cut implements engine.History.
func (c *Client) Cut(_ context.Context, tp engine.TopicPartition, before int64) error {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	p := c.log.part(tp)
	before = min(before, p.end)
	for len(p.recs) > 0 && p.recs[0].Offset < before {
		p.recs = p.recs[1:]
	}
	p.start = max(p.start, before)
	return nil
}
