package enginetest

import (
	"context"
	"slices"

	"leadstream/engine"
)

// txn is a transaction whose generation was checked and that is not decided yet.
type txn struct {
	writer  string
	t       *engine.Transaction
	decided chan struct{}
	aborted bool
}

// open begins a transaction: the group's generation is checked now and never again.
func (l *Log) open(writer string, t *engine.Transaction) (*txn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.group.valid(t.Fence) {
		return nil, engine.ErrFenced
	}
	x := &txn{writer: writer, t: t, decided: make(chan struct{})}
	l.txns = append(l.txns, x)
	return x, nil
}

// decide ends a transaction; false when it was aborted.
func (l *Log) decide(x *txn, commit bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end(x, commit)
}

// end is decide; callers hold the lock.
func (l *Log) end(x *txn, commit bool) bool {
	i := slices.Index(l.txns, x)
	if i < 0 {
		return !x.aborted
	}
	l.txns = slices.Delete(l.txns, i, i+1)
	x.aborted = !commit
	if commit {
		l.write(x.t)
	}
	close(x.decided)
	return commit
}

// abortOpen aborts what a writer has left open.
func (l *Log) abortOpen(writer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range slices.Clone(l.txns) {
		if x.writer == writer {
			l.end(x, false)
		}
	}
}

// stable waits until the transactions that are open now and concern the caller are decided.
func (l *Log) stable(ctx context.Context, concerns func(*engine.Transaction) bool) error {
	l.mu.Lock() // an open transaction's records are not written to
	open := slices.DeleteFunc(slices.Clone(l.txns), func(x *txn) bool { return !concerns(x.t) })
	l.mu.Unlock()
	for _, x := range open {
		select {
		case <-x.decided:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (l *Log) touches(t *engine.Transaction, tp engine.TopicPartition) bool {
	return slices.ContainsFunc(t.Records, func(r engine.OutRecord) bool {
		return r.Partition == tp.Partition && engine.TopicName(l.app, r.Topic) == tp.Topic
	})
}

func (l *Log) isMember(instance string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.group.members, func(m *member) bool { return m.name == instance })
}

func (l *Log) waiter() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wake
}

func (l *Log) begin(tp engine.TopicPartition) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.part(tp).start
}

// Starts implements engine.Starter.
func (c *Client) Starts(_ context.Context, parts []engine.TopicPartition) (map[engine.TopicPartition]int64, error) {
	out := map[engine.TopicPartition]int64{}
	for _, tp := range parts {
		out[tp] = c.log.begin(tp)
	}
	return out, nil
}

// Undecided counts the transactions that a writer has left open.
func (l *Log) Undecided(writer string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.txns {
		if x.writer == writer {
			n++
		}
	}
	return n
}

// SetOffset sets the group's offset of a partition, as an operator's tool does.
func (l *Log) SetOffset(tp engine.TopicPartition, at int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offsets[tp] = at
}

// Truncate forgets the records from an offset on, as if they had never been.
func (l *Log) Truncate(tp engine.TopicPartition, from int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.part(tp)
	p.recs = slices.DeleteFunc(slices.Clone(p.recs), func(r engine.Record) bool { return r.Offset >= from })
	p.end = from
	p.start = min(p.start, from)
}
