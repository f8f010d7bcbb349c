package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/engine"
)

// Inputs reads partitions at offsets the engine chooses. It implements engine.Inputs.
//
// Its client belongs to no group, so nothing but Add and Remove moves a position. Control records are
// kept by the client and dropped here: they move the position, and only so can a partition that ends
// in a transaction's marker be seen to be read to its end.
type Inputs struct {
	c    *Cluster
	cl   *kgo.Client
	pool *pool
	pos  map[engine.TopicPartition]*position
	// added are the partitions the next Poll reports in any case.
	added []engine.TopicPartition
	// failed is reported by the next Poll, after what came with it.
	failed error
	once   sync.Once
}

type position struct{ next, end int64 }

// Inputs returns a reader without partitions.
func (c *Cluster) Inputs() (*Inputs, error) {
	p := newPool(shelvedFetches * int(c.cfg.FetchMaxBytes))
	cl, err := kgo.NewClient(c.options(roleInputs, kgo.WithPools(p), kgo.WithHooks(p),
		// Adding partitions waits for it.
		kgo.MetadataMinAge(10*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		// A position that is gone must be seen, never moved: events would count twice or not at all.
		kgo.ConsumeStartOffset(kgo.NoResetOffset()), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMinBytes(1), kgo.FetchMaxWait(c.cfg.FetchMaxWait),
		kgo.FetchMaxBytes(c.cfg.FetchMaxBytes), kgo.FetchMaxPartitionBytes(c.cfg.FetchMaxPartitionBytes),
		kgo.MaxDecompressBatchBytes(maxDecompressed))...)
	if err != nil {
		return nil, fmt.Errorf("opening inputs: %w", err)
	}
	return &Inputs{c: c, cl: cl, pool: p, pos: map[engine.TopicPartition]*position{}}, nil
}

// maxDecompressed bounds what one compressed batch may become in memory.
const maxDecompressed = 64 << 20

// shelvedFetches is how many times the bytes of a fetch the decompressed bytes may be that wait to be written to again.
const shelvedFetches = 4

// Add implements engine.Inputs.
func (in *Inputs) Add(ctx context.Context, starts []engine.Start) error {
	if len(starts) == 0 {
		return nil
	}
	parts := make([]engine.TopicPartition, len(starts))
	for i, s := range starts {
		parts[i] = s.TopicPartition
		if in.pos[s.TopicPartition] != nil {
			panic(fmt.Sprintf("bug: %s[%d] added twice", s.Topic, s.Partition))
		}
	}
	var first, high, end map[engine.TopicPartition]int64
	var errs [3]error
	var wg sync.WaitGroup
	wg.Go(func() { first, errs[0] = in.c.offsets(ctx, parts, earliest, false) })
	wg.Go(func() { high, errs[1] = in.c.offsets(ctx, parts, latest, false) })
	wg.Go(func() { end, errs[2] = in.c.offsets(ctx, parts, latest, true) })
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	assign := map[string]map[int32]kgo.Offset{}
	for _, s := range starts {
		tp, at := s.TopicPartition, s.Offset
		if at == engine.StartOfPartition {
			at = first[tp]
		}
		if at < first[tp] || at > high[tp] {
			return gap(tp, at, first[tp], high[tp])
		}
		if assign[tp.Topic] == nil {
			assign[tp.Topic] = map[int32]kgo.Offset{}
		}
		// Without an epoch: the offset comes from a committed transaction, and an older epoch than the
		// partition's present one is no sign of loss.
		assign[tp.Topic][tp.Partition] = kgo.NewOffset().At(at).WithEpoch(-1)
		in.pos[tp] = &position{next: at, end: max(at, end[tp])}
	}
	in.added = append(in.added, parts...)
	in.cl.AddConsumePartitions(assign)
	return nil
}

// gap is ErrGap for an offset asked for that is not within what is there.
func gap(tp engine.TopicPartition, asked, first, end int64) error {
	return fmt.Errorf("%w: %s[%d] is needed from offset %d, and has %d to %d", engine.ErrGap, tp.Topic, tp.Partition, asked, first, end)
}

// Remove implements engine.Inputs.
func (in *Inputs) Remove(parts []engine.TopicPartition) {
	if len(parts) == 0 {
		return
	}
	for _, tp := range parts {
		delete(in.pos, tp)
	}
	in.added = slices.DeleteFunc(in.added, func(tp engine.TopicPartition) bool { return in.pos[tp] == nil })
	in.cl.RemoveConsumePartitions(byTopic(parts))
}

// Poll implements engine.Inputs.
func (in *Inputs) Poll(ctx context.Context, maxRecords int) ([]engine.Fetch, error) {
	if err := in.failed; err != nil {
		in.failed = nil
		return nil, err
	}
	if maxRecords < 1 {
		maxRecords = 1
	}
	for {
		wait := ctx
		if len(in.added) > 0 || ctx.Err() != nil {
			wait = nil // the client's word for: only what is there
		}
		polled := in.cl.PollRecords(wait, maxRecords)
		out := in.accept(polled)
		out = append(out, in.reportAdded(out)...)
		if len(out) > 0 {
			return out, nil
		}
		if err := in.failed; err != nil {
			in.failed = nil
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, nil
		}
	}
}

// reportAdded makes an empty Fetch for each partition just added that is not among got.
func (in *Inputs) reportAdded(got []engine.Fetch) []engine.Fetch {
	var out []engine.Fetch
	for _, tp := range in.added {
		if slices.ContainsFunc(got, func(f engine.Fetch) bool { return f.TopicPartition == tp }) {
			continue
		}
		p := in.pos[tp]
		out = append(out, engine.Fetch{TopicPartition: tp, From: p.next, Next: p.next, End: p.end, LeaderEpoch: -1})
	}
	in.added = in.added[:0]
	return out
}

// accept turns what the client polled into engine terms, and advances positions.
func (in *Inputs) accept(polled kgo.Fetches) []engine.Fetch {
	var out []engine.Fetch
	for i := range polled {
		for t := range polled[i].Topics {
			topic := &polled[i].Topics[t]
			for p := range topic.Partitions {
				fp := &topic.Partitions[p]
				tp := engine.TopicPartition{Topic: topic.Topic, Partition: fp.Partition}
				if fp.Err != nil {
					in.fault(tp, fp)
				}
				if f, ok := in.fetch(tp, fp); ok {
					out = append(out, f)
				}
			}
		}
	}
	return out
}

// fetch converts one partition's records; false when nothing changed.
func (in *Inputs) fetch(tp engine.TopicPartition, fp *kgo.FetchPartition) (engine.Fetch, bool) {
	pos := in.pos[tp]
	if pos == nil {
		recycle(fp.Records)
		return engine.Fetch{}, false
	}
	f := engine.Fetch{TopicPartition: tp, From: pos.next, Next: pos.next, LeaderEpoch: -1}
	if len(fp.Records) > 0 {
		if first := fp.Records[0].Offset; first < pos.next {
			panic(fmt.Sprintf("bug: %s[%d] read offset %d again, position is %d", tp.Topic, tp.Partition, first, pos.next))
		}
		last := fp.Records[len(fp.Records)-1]
		f.Next, f.LeaderEpoch = last.Offset+1, last.LeaderEpoch
		f.Records, f.Free = in.pool.lend(fp.Records)
		in.count(f.Records)
	}
	f.End = max(fp.LastStableOffset, f.Next)
	if fp.Err != nil {
		f.End = max(pos.end, f.Next)
	}
	changed := f.Next > pos.next || f.End > pos.end
	pos.next, pos.end = f.Next, f.End
	return f, changed
}

func (in *Inputs) count(recs []engine.Record) {
	bytes := 0
	for i := range recs {
		bytes += len(recs[i].Key) + len(recs[i].Value)
	}
	in.c.metrics.fetches.Inc()
	in.c.metrics.inBytes.Add(float64(bytes))
	in.c.metrics.inRecords.Add(float64(len(recs)))
}

// convert returns the engine's form of a record. Key, value and headers are shared with the fetched batch.
func convert(r *kgo.Record) engine.Record {
	return engine.Record{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value, Headers: headers(r.Headers)}
}

func headers(hs []kgo.RecordHeader) []engine.Header {
	if len(hs) == 0 {
		return nil
	}
	out := make([]engine.Header, len(hs))
	for i, h := range hs {
		out[i] = engine.Header(h)
	}
	return out
}

// fault keeps an error for the next Poll, unless it goes away by itself.
func (in *Inputs) fault(tp engine.TopicPartition, fp *kgo.FetchPartition) {
	err := fp.Err
	var loss *kgo.ErrDataLoss
	switch pos := in.pos[tp]; {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return // the poll's own context
	case errors.Is(err, kgo.ErrClientClosed):
		err = fmt.Errorf("reading: %w", err)
	case errors.As(err, &loss):
		err = fmt.Errorf("%w: %s[%d] was read to offset %d, and the cluster lost what is above %d",
			engine.ErrGap, loss.Topic, loss.Partition, loss.ConsumedTo, loss.ResetTo)
	case pos == nil && tp.Topic != "":
		return // removed meanwhile
	case errors.Is(err, kerr.OffsetOutOfRange):
		err = gap(tp, pos.next, fp.LogStartOffset, fp.HighWatermark)
	case kerr.IsRetriable(err) && !errors.Is(err, kerr.UnknownTopicID):
		in.c.log.Debug("fetch will be tried again", "topic", tp.Topic, "partition", tp.Partition, "error", err)
		return
	case errors.Is(err, kerr.UnknownTopicID):
		err = deleted(tp.Topic)
		in.c.metrics.topicsChanged.Inc()
	default:
		err = fmt.Errorf("reading %s[%d]: %w", tp.Topic, tp.Partition, err)
	}
	in.failed = errors.Join(in.failed, err)
}

// Close implements engine.Inputs.
func (in *Inputs) Close() {
	in.once.Do(func() {
		// A partition added a moment ago would be assigned while the client closes, and read by a fetch
		// that has no lock in common with the end of its session.
		in.Remove(slices.Collect(maps.Keys(in.pos)))
		in.cl.Close()
	})
}
