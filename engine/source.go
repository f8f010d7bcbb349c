package engine

import (
	"context"

	"leadstream/state/lead"
)

// TopicPartition names one partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// Start is where reading a partition begins. Offset StartOfPartition means its first record.
type Start struct {
	TopicPartition
	Offset int64
}

// StartOfPartition is the Start offset of a partition that was never read.
const StartOfPartition = int64(-2)

// Header is one Kafka record header.
type Header struct {
	Key   string
	Value []byte
}

// Record is one record as Kafka has it. Key, Value, Headers and their values alias the fetched batch: of a Fetch with
// a Free they are valid until that is called, else for as long as somebody refers to them. Header keys are valid for ever, as
// strings are. A nil Value is a tombstone.
type Record struct {
	Offset int64
	// Timestamp is Kafka's, in ms.
	Timestamp  int64
	Key, Value []byte
	Headers    []Header
}

// Fetch is what one poll brought of one partition: committed records at consecutive positions.
type Fetch struct {
	TopicPartition
	// From is the position before, Next the position after: past the last record and past control
	// records (transaction markers) that follow it, so that a partition that ends in a marker can be
	// seen to be caught up. From of a fetch is Next of the one before.
	From, Next int64
	// End is the partition's end for a committed reader (last stable offset) as known with this fetch.
	End int64
	// LeaderEpoch is that of the last record, -1 when unknown.
	LeaderEpoch int32
	Records     []Record
	// Free, if there is one, takes Records back, and the memory that they refer to, which others are written to then. It is
	// called at most once, from any goroutine, when all of Records were applied; before, what outlives that must have been
	// copied: what a lead, an output, a letter or a dead letter has of a record. A Fetch that is dropped instead is left
	// to the garbage collector.
	Free func([]Record)

	bytes int // of keys and values, once it is queued
}

// Inputs reads the partitions that this process's shards own, committed records only.
//
// All methods are called from one goroutine. Transient errors are retried inside.
type Inputs interface {
	// Add starts reading. It returns when the start positions and ends are known; the next Poll then
	// brings for each added partition a Fetch, without records if there are none yet, with From resolved.
	// An offset that is out of range is ErrGap, naming topic, partition and what is missing.
	Add(ctx context.Context, starts []Start) error
	// Remove stops reading and drops what was fetched ahead. Adding again later may start elsewhere.
	Remove(parts []TopicPartition)
	// Poll returns what is there, at most maxRecords, waiting until ctx ends if there is nothing;
	// an ended ctx is no error: it returns nil, nil. What it returned stays valid until it is freed, also
	// after Remove and Close.
	Poll(ctx context.Context, maxRecords int) ([]Fetch, error)
	// Close releases everything. Poll must not be running.
	Close()
}

// Decoder turns a source record into an event. It must be a pure function of its arguments, its
// configuration and the last LimitFuture. One Decoder is used by one goroutine.
type Decoder interface {
	// Decode fills ev, which it first resets, but for Source and History, which the engine knows. wall is the epoch's wall clock in ms, limiting the
	// record's timestamp. A record that can't be read is a *DeadLetter error; no other error is returned.
	Decode(r *Record, wall int64, ev *lead.Event) error
	// LimitFuture says by how many ms an event's own time may be after its record's; a later one counts as the record's. It is
	// called before the first Decode and when other rules are in force.
	LimitFuture(ms int64)
}

// SourceConfig is one configured source topic.
type SourceConfig struct {
	// Name is what event.source says; Topic is the Kafka topic.
	Name, Topic string
	// History marks an import of old data: it never counts as caught up until closed by a command.
	History bool
	// NewDecoder makes a Decoder for one goroutine.
	NewDecoder func() Decoder
}
