package httpapi

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// memFeed is a Feed in memory. Offsets have holes where a topic would have transaction markers.
type memFeed struct {
	layout Layout

	mu      sync.Mutex
	records [][][]FeedRecord
	oldest  Position
	changed chan struct{}
	// fail, when set, is what the next Next of any reader returns, once.
	fail error
}

func newMemFeed(partitions int) *memFeed {
	f := &memFeed{changed: make(chan struct{}), layout: Layout{Generation: 7, Topics: []FeedTopic{
		{Name: "app.transitions", Partitions: partitions}, {Name: "app.handoffs", Partitions: partitions}}}}
	for range f.layout.Topics {
		f.records = append(f.records, make([][]FeedRecord, partitions))
		f.oldest = append(f.oldest, make([]int64, partitions))
	}
	return f
}

// put appends a record and, as a transaction would, a marker after it.
func (f *memFeed) put(topic int, partition int32, key, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := &f.records[topic][partition]
	offset := int64(len(*list))
	*list = append(*list,
		FeedRecord{Topic: topic, Partition: partition, Offset: offset, Key: []byte(key), Value: []byte(value)},
		FeedRecord{Topic: topic, Partition: partition, Offset: offset + 1})
	close(f.changed)
	f.changed = make(chan struct{})
}

// stage puts a stage change of a lead.
func (f *memFeed) stage(partition int32, id, to string, n int) {
	f.put(0, partition, id, fmt.Sprintf(`{"type":"stage.changed","lead":%q,"to":%q,"n":%d}`, id, to, n))
}

func (f *memFeed) Layout() Layout { return f.layout }

func (f *memFeed) Bounds(context.Context) (oldest, end Position, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, topic := range f.records {
		var ends []int64
		for _, list := range topic {
			ends = append(ends, int64(len(list)))
		}
		end = append(end, ends)
	}
	return f.oldest.Clone(), end, nil
}

func (f *memFeed) Open(_ context.Context, from Position) (FeedReader, error) {
	return &memReader{feed: f, at: from}, nil
}

type memReader struct {
	feed *memFeed
	at   Position
}

func (r *memReader) Next(ctx context.Context) ([]FeedRecord, error) {
	for {
		records, changed, err := r.poll()
		if err != nil || len(records) > 0 {
			return records, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// poll returns a few records of each partition, so that a reader is seen in the middle of things.
func (r *memReader) poll() ([]FeedRecord, <-chan struct{}, error) {
	f := r.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fail; err != nil {
		f.fail = nil
		return nil, nil, err
	}
	var out []FeedRecord
	for t, topic := range f.records {
		for p, list := range topic {
			if r.at[t][p] < f.oldest[t][p] {
				return nil, nil, ErrOutOfRange
			}
			n := min(int64(len(list)), r.at[t][p]+3)
			out = append(out, slices.Clone(list[r.at[t][p]:n])...)
			r.at[t][p] = n
		}
	}
	return out, f.changed, nil
}

func (r *memReader) Close() {}
