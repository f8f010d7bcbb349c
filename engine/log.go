package engine

import (
	"context"
	"time"
)

// Topic is one of leadstream's own topics.
type Topic uint8

// The topics that a transaction writes to. DESIGN: docs/architecture.md, "Topics".
const (
	TopicInbox Topic = iota
	TopicJournal
	TopicState
	TopicTransitions
	TopicHandoffs
	TopicDeadletter
	TopicRules // one partition, compacted: every rule set by version
	TopicAudit // who asked for what to be erased, and that it was done
	numTopics
)

// Topics lists all of them, for those who create them.
func Topics() []Topic {
	ts := make([]Topic, 0, numTopics)
	for t := range numTopics {
		ts = append(ts, t)
	}
	return ts
}

var topicNames = [numTopics]string{"inbox", "journal", "state", "transitions", "handoffs", "deadletter", "rules", "audit"}

// String returns the topic's name without the application's prefix.
func (t Topic) String() string { return topicNames[t] }

// Change is one change of shard ownership. The group waits for Done before it lets the change take
// effect elsewhere, so Done must be called within the rebalance timeout.
type Change struct {
	// Gained and Lost are shard numbers. Both empty: only the generation changes.
	Gained, Lost []int32
	// Fenced says the lost shards may already belong to someone else: nothing of theirs can be committed.
	Fenced bool
	// Plan is how the group has spread all shards; nil when it does not say.
	Plan *Plan
	Done func()
}

// Fence proves, at commit, that this process still owned its shards when it read its input.
type Fence struct {
	Member     string
	Generation int32
}

// Group is this process's membership in the application's consumer group. A shard is a partition of
// the inbox topic; its source partitions follow it.
type Group interface {
	// Changes delivers ownership changes in order, one at a time. It is closed after Leave.
	Changes() <-chan Change
	// Pending reports that a rebalance waits: the engine then decides its epochs and starts no new one
	// until the Change arrives.
	Pending() bool
	// Fence returns the present member and generation, false while it is out of the group.
	Fence() (Fence, bool)
	// Leave gives up all shards and returns when the group knows.
	Leave(ctx context.Context) error
}

// OutRecord is one record of a transaction. Partition is always the shard it belongs to.
type OutRecord struct {
	Topic      Topic
	Partition  int32
	Key, Value []byte
	Headers    []Header
	// Offset is filled in by a successful Commit.
	Offset int64
}

// Position is a partition's offset to commit: the next one to be read.
type Position struct {
	TopicPartition
	Offset      int64
	LeaderEpoch int32
}

// Transaction is one epoch's writes.
type Transaction struct {
	Records []OutRecord
	Offsets []Position
	Fence   Fence
}

// Committer writes transactions, strictly one after another, over rotating transactional ids. Its
// methods are called from one goroutine at a time.
type Committer interface {
	// Commit writes t atomically and returns when its outcome is known: nil it is committed; ErrAborted
	// it is not, and the same input may be tried again; ErrFenced it is not, and this process must wait
	// for its next Change; any other error: the outcome is unknown, and everything must be reloaded.
	Commit(ctx context.Context, t *Transaction) error
	// Writer names this process's transaction slots, for the journal: ids are <app>-<writer>-<slot>.
	Writer() (instance string, slots int)
	// FenceWriter ends the open transactions of another writer at once. It does nothing when that writer
	// is this process or still a member of the group: its transactions were decided before it gave up a shard.
	FenceWriter(ctx context.Context, instance string, slots int) error
	// Close aborts what is open and releases everything.
	Close()
}

// History reads back what was committed, for recovery. Methods may be called from several goroutines.
type History interface {
	// Committed returns the group's stable committed offsets; partitions without one are left out.
	Committed(ctx context.Context, parts []TopicPartition) (map[TopicPartition]int64, error)
	// Read calls fn with committed records of [from, to) in order. from may be StartOfPartition, or LastOfPartition: the
	// last committed record or one not far before it; to may be
	// EndOfPartition: the uncommitted end at the time of the call, and Read returns only when the
	// position has reached it; or CommittedEnd. fn may keep what it is given. A range that is no longer there is ErrGap.
	Read(ctx context.Context, tp TopicPartition, from, to int64, fn func(*Record) error) error
	// Follow calls fn with committed records of all the partitions of a topic from their ends on, until ctx ends. What r refers
	// to is valid until fn returns. Whenever it has read some it may wait for as long as rest says: nobody needs more before.
	Follow(ctx context.Context, topic string, rest func() time.Duration, fn func(partition int32, r *Record)) error
	// Cut deletes records of a topic before the offset, as far as the cluster lets it.
	Cut(ctx context.Context, tp TopicPartition, before int64) error
}

// EndOfPartition and CommittedEnd are the `to` of a Read up to the present end: the first counts what
// open transactions have written and waits until they are decided; the second stops before them.
const (
	EndOfPartition = int64(-1)
	CommittedEnd   = int64(-3)
)

// LastOfPartition is the `from` of a Read that asks for no more than the last committed record.
const LastOfPartition = int64(-4)
