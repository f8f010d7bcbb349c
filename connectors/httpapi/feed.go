package httpapi

import "context"

// Feed reads the output topics, committed records only. Calls may overlap.
type Feed interface {
	// Layout names the topics and their partition counts. It is fixed while the process runs.
	Layout() Layout
	// Bounds returns the oldest positions that can be read, and the committed ends.
	Bounds(ctx context.Context) (oldest, end Position, err error)
	// Open begins to read from a position. The reader must be closed.
	Open(ctx context.Context, from Position) (FeedReader, error)
}

// FeedReader is one reader. Its methods are called from one goroutine.
type FeedReader interface {
	// Next waits for records and returns them, in order within a partition. Transient errors are retried
	// inside; it returns ctx's error when that ends, ErrOutOfRange when records are gone.
	Next(ctx context.Context) ([]FeedRecord, error)
	// Close releases the reader. Next must not be running.
	Close()
}

// Layout describes the output topics, in a fixed order.
type Layout struct {
	Topics []FeedTopic
	// Generation tells apart topics that were deleted and created anew under the same names.
	Generation uint32
}

// FeedTopic is one output topic.
type FeedTopic struct {
	Name       string
	Partitions int
}

// FeedRecord is one record. It owns its memory.
type FeedRecord struct {
	// Topic is the index in Layout.Topics.
	Topic     int
	Partition int32
	Offset    int64
	// Key is the lead id, Value the JSON document. Both are nil for a record that only moves the
	// position (a transaction's marker).
	Key, Value []byte
}
