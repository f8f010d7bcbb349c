package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/engine"
)

// An application is filled from a copy in three steps, so that it does not start while it is half there: first come the group's
// offsets, without journals for which no shard starts; then everything else; then the journals, in one transaction.

// StartAt commits the group's offsets, for a group that has no members.
func (c *Cluster) StartAt(ctx context.Context, at map[engine.TopicPartition]int64) error {
	var os kadm.Offsets
	for tp, offset := range at {
		os.AddOffset(tp.Topic, tp.Partition, offset, -1)
	}
	if len(os) == 0 {
		return nil
	}
	if err := kadm.NewClient(c.admin).CommitAllOffsets(ctx, c.cfg.App, os); err != nil {
		return fmt.Errorf("committing offsets of group %q: %w", c.cfg.App, err)
	}
	return nil
}

// Filler writes records to partitions of the application's topics.
type Filler struct {
	c  *Cluster
	cl *kgo.Client
	mu sync.Mutex
	// failed is the first error of a write.
	failed error
}

// Filler must be closed.
func (c *Cluster) Filler() (*Filler, error) {
	cl, err := kgo.NewClient(c.options("fill", kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(maxBuffered), kgo.MaxBufferedBytes(maxBufferedBytes),
		compression(), kgo.ProducerBatchMaxBytes(c.cfg.maxRecord()))...)
	if err != nil {
		return nil, fmt.Errorf("opening producer: %w", err)
	}
	return &Filler{c: c, cl: cl}, nil
}

// Add writes a record, and waits only while too many are on their way. A timestamp of 0 is now. Key and value may not be changed
// any more. It returns the first error that there was.
func (f *Filler) Add(ctx context.Context, t engine.Topic, partition int32, r *engine.Record) error {
	rec := &kgo.Record{Topic: f.c.TopicName(t), Partition: partition, Key: r.Key, Value: r.Value}
	if r.Timestamp != 0 {
		rec.Timestamp = time.UnixMilli(r.Timestamp)
	}
	for _, h := range r.Headers {
		rec.Headers = append(rec.Headers, kgo.RecordHeader(h))
	}
	f.cl.Produce(ctx, rec, func(r *kgo.Record, err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if err != nil && f.failed == nil {
			f.failed = fmt.Errorf("writing to %s[%d]: %w", r.Topic, r.Partition, err)
		}
	})
	return f.err()
}

func (f *Filler) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// Flush waits until everything is written, on all in-sync replicas.
func (f *Filler) Flush(ctx context.Context) error {
	if err := errors.Join(f.cl.Flush(ctx), f.err()); err != nil {
		return fmt.Errorf("filling the application: %w", err)
	}
	return nil
}

// Close releases the producer.
func (f *Filler) Close() { f.cl.Close() }

// Begin writes the journals' first records, by shard, all or none of them. nil is one that there is not.
func (c *Cluster) Begin(ctx context.Context, journals [][]byte) error {
	w := &slot{c: c, id: c.slotID("fill", 0)}
	defer w.drop()
	ctx, cancel := context.WithTimeout(ctx, max(c.cfg.TransactionTimeout, time.Minute))
	defer cancel()
	if err := w.init(ctx); err != nil {
		return err
	}
	var out []engine.OutRecord
	for s, v := range journals {
		if v != nil {
			out = append(out, engine.OutRecord{Topic: engine.TopicJournal, Partition: int32(s), Value: v})
		}
	}
	if len(out) == 0 {
		return nil
	}
	if err := w.cl.BeginTransaction(); err != nil {
		return fmt.Errorf("writing the journals: %w", err)
	}
	if err := w.write(ctx, out); err != nil {
		w.abort(ctx)
		return fmt.Errorf("writing the journals: %w", err)
	}
	if err := w.cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
		return fmt.Errorf("writing the journals: whether they are there is not known; look whether the application starts: %w", err)
	}
	return nil
}

// Bounds returns the first offset and the end, for a committed reader, of partitions.
func (c *Cluster) Bounds(ctx context.Context, parts []engine.TopicPartition) (first, end map[engine.TopicPartition]int64, err error) {
	if first, err = c.offsets(ctx, parts, earliest, false); err != nil {
		return nil, nil, err
	}
	end, err = c.offsets(ctx, parts, latest, true)
	return first, end, err
}

// OffsetAt returns the first offset of a partition whose record is not older than a time in ms, -1 if there is none.
func (c *Cluster) OffsetAt(ctx context.Context, tp engine.TopicPartition, at int64) (int64, error) {
	found, err := c.offsets(ctx, []engine.TopicPartition{tp}, max(0, at), true)
	return found[tp], err
}
