// Package feed reads leadstream's output topics for those who subscribe: committed records only, from
// any position, with no consumer group. It implements httpapi.Feed.
package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/connectors/httpapi"
)

// Config says what to read.
type Config struct {
	// Topics are the full names of the output topics, in the order that positions are in. Required.
	Topics []string
	// Options returns the options of a new client of the cluster. Required.
	Options func(role string) []kgo.Opt
	// MaxRecords bounds what one Next returns. Default 1,000.
	MaxRecords int
	// FetchBytes bounds what is fetched ahead of Next, for each broker. Default 1 MiB.
	FetchBytes int32
}

// Feed reads the output topics. Its methods may be called from several goroutines.
type Feed struct {
	cfg    Config
	client *kgo.Client
	admin  *kadm.Client
	layout httpapi.Layout
	// index is the place of each topic in the layout.
	index map[string]int
}

// Open looks the topics up; they must exist. The caller must Close the feed after its readers.
func Open(ctx context.Context, cfg Config) (*Feed, error) {
	if cfg.MaxRecords == 0 {
		cfg.MaxRecords = 1000
	}
	if cfg.FetchBytes == 0 {
		cfg.FetchBytes = 1 << 20
	}
	client, err := kgo.NewClient(cfg.Options("feed")...)
	if err != nil {
		return nil, fmt.Errorf("opening feed: %w", err)
	}
	f := &Feed{cfg: cfg, client: client, admin: kadm.NewClient(client), index: make(map[string]int, len(cfg.Topics))}
	if err := f.lookUp(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("opening feed: %w", err)
	}
	return f, nil
}

// lookUp fills in the layout.
func (f *Feed) lookUp(ctx context.Context) error {
	topics, err := f.admin.ListTopics(ctx, f.cfg.Topics...)
	if err != nil {
		return fmt.Errorf("listing topics: %w", err)
	}
	ids := crc32.NewIEEE()
	for i, name := range f.cfg.Topics {
		t, ok := topics[name]
		if !ok {
			return fmt.Errorf("topic %q: %w", name, kerr.UnknownTopicOrPartition)
		}
		if t.Err != nil {
			return fmt.Errorf("topic %q: %w", name, t.Err)
		}
		f.index[name] = i
		f.layout.Topics = append(f.layout.Topics, httpapi.FeedTopic{Name: name, Partitions: len(t.Partitions)})
		ids.Write(t.ID[:])
	}
	f.layout.Generation = ids.Sum32()
	return nil
}

// Close releases the feed.
func (f *Feed) Close() { f.client.Close() }

// Layout implements httpapi.Feed.
func (f *Feed) Layout() httpapi.Layout { return f.layout }

// Bounds implements httpapi.Feed.
func (f *Feed) Bounds(ctx context.Context) (oldest, end httpapi.Position, err error) {
	starts, err := f.admin.ListStartOffsets(ctx, f.cfg.Topics...)
	if err != nil {
		return nil, nil, fmt.Errorf("listing start offsets: %w", err)
	}
	ends, err := f.admin.ListCommittedOffsets(ctx, f.cfg.Topics...)
	if err != nil {
		return nil, nil, fmt.Errorf("listing end offsets: %w", err)
	}
	if oldest, err = f.position(starts); err != nil {
		return nil, nil, err
	}
	end, err = f.position(ends)
	return oldest, end, err
}

func (f *Feed) position(offsets kadm.ListedOffsets) (httpapi.Position, error) {
	p := make(httpapi.Position, len(f.layout.Topics))
	for i, topic := range f.layout.Topics {
		p[i] = make([]int64, topic.Partitions)
		for n := range p[i] {
			o, ok := offsets.Lookup(topic.Name, int32(n))
			if !ok {
				return nil, fmt.Errorf("offsets of %s/%d: none listed", topic.Name, n)
			}
			if o.Err != nil {
				return nil, fmt.Errorf("offsets of %s/%d: %w", topic.Name, n, o.Err)
			}
			p[i][n] = o.Offset
		}
	}
	return p, nil
}

// Open implements httpapi.Feed. Each reader has a client of its own, so that a slow one holds up
// nobody else.
func (f *Feed) Open(_ context.Context, from httpapi.Position) (httpapi.FeedReader, error) {
	starts := make(map[string]map[int32]kgo.Offset, len(from))
	partitions := make(map[string][]int32, len(from))
	for i, topic := range f.layout.Topics {
		starts[topic.Name] = make(map[int32]kgo.Offset, topic.Partitions)
		for n, offset := range from[i] {
			starts[topic.Name][int32(n)] = kgo.NewOffset().At(offset)
			partitions[topic.Name] = append(partitions[topic.Name], int32(n))
		}
	}
	opts := append(f.cfg.Options("reader"),
		kgo.ConsumePartitions(starts),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// Markers are kept because a position behind one can only be reached by reading it.
		kgo.KeepControlRecords(),
		// A client that reset itself would leave out events without a word.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMinBytes(1),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.FetchMaxBytes(f.cfg.FetchBytes),
		kgo.FetchMaxPartitionBytes(f.cfg.FetchBytes),
		kgo.MaxDecompressBatchBytes(64<<20),
	)
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("opening feed reader: %w", err)
	}
	return &reader{feed: f, client: client, partitions: partitions}, nil
}

// reader implements httpapi.FeedReader.
type reader struct {
	feed       *Feed
	client     *kgo.Client
	partitions map[string][]int32
}

// Next implements httpapi.FeedReader.
func (r *reader) Next(ctx context.Context) ([]httpapi.FeedRecord, error) {
	for {
		fetches := r.client.PollRecords(ctx, r.feed.cfg.MaxRecords)
		var failed error
		fetches.EachError(func(topic string, partition int32, err error) {
			if errors.Is(err, kerr.OffsetOutOfRange) || errors.As(err, new(*kgo.ErrDataLoss)) {
				err = httpapi.ErrOutOfRange
			}
			failed = fmt.Errorf("reading %s/%d: %w", topic, partition, err)
		})
		records := make([]httpapi.FeedRecord, 0, fetches.NumRecords())
		fetches.EachRecord(func(k *kgo.Record) { records = append(records, r.record(k)) })
		// What came beside an error is delivered first: it would not come again.
		if len(records) > 0 {
			return records, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if failed != nil {
			return nil, failed
		}
	}
}

// record copies what the subscriber keeps: one kept value would hold the whole fetched batch.
func (r *reader) record(k *kgo.Record) httpapi.FeedRecord {
	out := httpapi.FeedRecord{Topic: r.feed.index[k.Topic], Partition: k.Partition, Offset: k.Offset}
	if !k.Attrs.IsControl() && k.Value != nil {
		out.Key, out.Value = bytes.Clone(k.Key), bytes.Clone(k.Value)
	}
	return out
}

// Close implements httpapi.FeedReader.
func (r *reader) Close() {
	// Partitions not assigned yet would be while the client closes, and read by a fetch that has no lock
	// in common with the end of its session.
	r.client.RemoveConsumePartitions(r.partitions)
	r.client.Close()
}
