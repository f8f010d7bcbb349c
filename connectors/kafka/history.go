package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/engine"
)

// History reads back what was committed. It implements engine.History.
type History struct {
	c *Cluster
}

// History returns a reader of what was committed. It holds nothing that must be closed.
func (c *Cluster) History() *History { return &History{c: c} }

// Committed implements engine.History. It waits for open transactions that hold offsets to be decided.
func (h *History) Committed(ctx context.Context, parts []engine.TopicPartition) (map[engine.TopicPartition]int64, error) {
	out := map[engine.TopicPartition]int64{}
	if len(parts) == 0 {
		return out, nil
	}
	var wait waiting
	for try := 0; ; try++ {
		err := h.committed(ctx, parts, out)
		if err == nil {
			return out, nil
		}
		if errors.Is(err, kerr.UnstableOffsetCommit) && wait.long(h.c.cfg.TransactionTimeout) {
			h.c.log.Warn(hungOffsets, "group", h.c.cfg.App, "error", err)
			h.c.metrics.hung.Inc()
		}
		err = fmt.Errorf("fetching offsets of group %q: %w", h.c.cfg.App, err)
		// An unstable offset is one in an open transaction: it ends with its time-out at the latest.
		var ke *kerr.Error
		if !errors.As(err, &ke) || !ke.Retriable {
			return nil, err
		}
		if pause(ctx, try) != nil {
			return nil, err
		}
	}
}

func (h *History) committed(ctx context.Context, parts []engine.TopicPartition, out map[engine.TopicPartition]int64) error {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = true
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = h.c.cfg.App
	for topic, ps := range byTopic(parts) {
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.Partitions = topic, ps
		g.Topics = append(g.Topics, t)
	}
	req.Groups = append(req.Groups, g)
	resp, err := req.RequestWith(ctx, h.c.admin)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return err
	}
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); errors.Is(err, kerr.GroupIDNotFound) {
			continue // nothing was ever committed, and nobody has joined yet
		} else if err != nil {
			return err
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("%s[%d]: %w", t.Topic, p.Partition, err)
				}
				if p.Offset >= 0 {
					out[engine.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = p.Offset
				}
			}
		}
	}
	return nil
}

// Read implements engine.History.
func (h *History) Read(ctx context.Context, tp engine.TopicPartition, from, to int64, fn func(*engine.Record) error) error {
	parts := []engine.TopicPartition{tp}
	end, err := h.c.offsets(ctx, parts, latest, to == engine.CommittedEnd)
	if err != nil {
		return err
	}
	switch {
	case to == engine.EndOfPartition, to == engine.CommittedEnd:
		to = end[tp]
	case to > end[tp]:
		return fmt.Errorf("%w: %s[%d] is needed up to offset %d, and ends at %d", engine.ErrGap, tp.Topic, tp.Partition, to, end[tp])
	}
	if from == engine.LastOfPartition {
		return h.readLast(ctx, tp, to, fn)
	}
	fromStart := from == engine.StartOfPartition
	if fromStart {
		first, err := h.c.offsets(ctx, parts, earliest, false)
		if err != nil {
			return err
		}
		from = first[tp]
	}
	err = h.read(ctx, tp, from, to, fn)
	if moved := (*movedStart)(nil); fromStart && errors.As(err, &moved) {
		// The start moved on before anything was read: it is still the start that was asked for.
		return h.Read(ctx, tp, engine.StartOfPartition, to, fn)
	}
	return err
}

// readLast looks for records further and further before the end: those of aborted transactions and markers are none.
func (h *History) readLast(ctx context.Context, tp engine.TopicPartition, to int64, fn func(*engine.Record) error) error {
	first, err := h.c.offsets(ctx, []engine.TopicPartition{tp}, earliest, false)
	if err != nil {
		return err
	}
	for back := int64(16); ; back *= 8 {
		from, found := max(first[tp], to-back), false
		err := h.read(ctx, tp, from, to, func(r *engine.Record) error {
			found = true
			return fn(r)
		})
		if moved := (*movedStart)(nil); errors.As(err, &moved) {
			return h.Read(ctx, tp, engine.StartOfPartition, to, fn) // it was cut meanwhile: what is left is short
		}
		if err != nil || found || from == first[tp] {
			return err
		}
	}
}

// movedStart is ErrGap at the first fetch.
type movedStart struct{ error }

// Unwrap returns the ErrGap.
func (m *movedStart) Unwrap() error { return m.error }

// read fetches ahead by one fetch while fn works on the last.
func (h *History) read(ctx context.Context, tp engine.TopicPartition, from, to int64, fn func(*engine.Record) error) error {
	ctx, cancel := context.WithCancel(ctx)
	type fetched struct {
		recs []*kgo.Record
		err  error
	}
	ahead := make(chan fetched, 1)
	go func() { // ends when it is at the end, failed or cancelled; awaited below
		defer close(ahead)
		r := reader{c: h.c, tp: tp, pos: from}
		for r.pos < to {
			recs, err := r.fetch(ctx)
			if errors.Is(err, engine.ErrGap) && r.pos == from {
				err = &movedStart{err}
			}
			select {
			case ahead <- fetched{recs, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range ahead {
		}
	}()
	for f := range ahead {
		if f.err != nil {
			return f.err
		}
		if err := each(f.recs, to, fn); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("reading %s[%d]: %w", tp.Topic, tp.Partition, err)
	}
	return nil
}

// each calls fn with the data records below to.
func each(recs []*kgo.Record, to int64, fn func(*engine.Record) error) error {
	out := make([]engine.Record, 0, len(recs))
	for _, r := range recs {
		if r.Offset >= to {
			break
		}
		if r.Attrs.IsControl() {
			continue
		}
		out = append(out, convert(r))
		if err := fn(&out[len(out)-1]); err != nil {
			return err
		}
	}
	return nil
}

// Starts implements engine.Starter.
func (h *History) Starts(ctx context.Context, parts []engine.TopicPartition) (map[engine.TopicPartition]int64, error) {
	return h.c.offsets(ctx, parts, earliest, false)
}

// Follow implements engine.History.
func (h *History) Follow(ctx context.Context, topic string, rest func() time.Duration, fn func(partition int32, r *engine.Record)) error {
	n, err := h.c.Partitions(ctx, topic)
	if err != nil {
		return err
	}
	in, err := h.c.Inputs()
	if err != nil {
		return err
	}
	defer in.Close()
	parts := make([]engine.TopicPartition, n)
	for p := range n {
		parts[p] = engine.TopicPartition{Topic: topic, Partition: p}
	}
	ends, err := h.c.offsets(ctx, parts, latest, true)
	if err != nil {
		return err
	}
	starts := make([]engine.Start, n)
	for p, tp := range parts {
		starts[p] = engine.Start{TopicPartition: tp, Offset: ends[tp]}
	}
	if err := in.Add(ctx, starts); err != nil {
		return err
	}
	for ctx.Err() == nil {
		fetches, err := in.Poll(ctx, followRecords)
		if err != nil {
			return fmt.Errorf("following %q: %w", topic, err)
		}
		for _, f := range fetches {
			for i := range f.Records {
				fn(f.Partition, &f.Records[i])
			}
			if f.Free != nil {
				f.Free(f.Records)
			}
		}
		if d := rest(); d > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(d):
			}
		}
	}
	return nil
}

// followRecords bounds one poll of Follow.
const followRecords = 10_000

// Cut implements engine.History. Deleting what is deleted already is no error.
func (h *History) Cut(ctx context.Context, tp engine.TopicPartition, before int64) error {
	req := kmsg.NewPtrDeleteRecordsRequest()
	t := kmsg.NewDeleteRecordsRequestTopic()
	t.Topic = tp.Topic
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Partition, p.Offset = tp.Partition, before
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	req.TimeoutMillis = 5_000
	for try := 0; ; try++ {
		resp, err := req.RequestWith(ctx, h.c.admin)
		if err == nil {
			err = deleteError(resp)
		}
		if err == nil {
			return nil
		}
		if errors.Is(err, kerr.OffsetOutOfRange) {
			first, ferr := h.c.offsets(ctx, []engine.TopicPartition{tp}, earliest, false)
			if ferr == nil && first[tp] >= before {
				return nil
			}
		}
		err = fmt.Errorf("deleting %s[%d] before offset %d: %w", tp.Topic, tp.Partition, before, err)
		if !kerr.IsRetriable(err) || try == adminTries {
			return err
		}
		if pause(ctx, try) != nil {
			return err
		}
	}
}

func deleteError(resp *kmsg.DeleteRecordsResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}

// decompressor is shared by all readers; it holds only pools.
var decompressor = sync.OnceValue(func() kgo.Decompressor { return kgo.DefaultDecompressor() })
