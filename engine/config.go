package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/rules"
	"leadstream/state"
)

// Config is what an Engine needs. Zero values take the default named in the field's comment.
type Config struct {
	// App prefixes the engine's topics and names its consumer group. Required.
	App string
	// Shards is the number of shards: partitions of the inbox topic, fixed at creation. Required, 1 to 4096.
	Shards int32
	// Sources are the configured source topics. At least one.
	Sources []SourceConfig
	// SourcePartitions is the number of partitions of each source topic.
	SourcePartitions map[string]int32
	// TopicIDs are the cluster's ids of the sources and of the inbox, by topic; those that are not known are left out.
	TopicIDs map[string]string
	// Rules is the rule set to run. Shards that ran another one switch to it. Required.
	Rules *rules.Set
	// Logic names the versions that decide results (engine, CEL, time zones, Go), for the journal.
	Logic string

	// CommitInterval is how long an epoch without outputs stays open; where all its shards have more records before them than
	// MaxEpochRecords it is a second at least, with outputs or without. Default 100 ms.
	CommitInterval time.Duration
	// CheckpointInterval is within which a changed lead is written to the store and the state topic. Default 60 s.
	CheckpointInterval time.Duration
	// IdleAfter is how long a caught-up partition must be silent before its time follows the wall
	// clock although its last event is old. Default 30 s.
	IdleAfter time.Duration
	// WatermarkWait is how long a shard waits for another that is behind and forwards events. Default 1 m.
	WatermarkWait time.Duration
	// CutInterval is how often journal and inbox are cut up to the redo point. Default 30 s; negative: never.
	CutInterval time.Duration
	// FencedWait is how long the engine waits for its group after it was fenced before it gives up. Default 60 s.
	FencedWait time.Duration

	// MaxEpochRecords, MaxEpochTimers and MaxEpochOutputs bound one shard's part of a transaction.
	// Defaults 20,000, 20,000 and 5,000.
	MaxEpochRecords, MaxEpochTimers, MaxEpochOutputs int
	// MaxEpochBytes bounds the input bytes of one shard in a transaction. Default 16 MiB.
	MaxEpochBytes int
	// MaxPoll bounds the records of one poll. Default 40,000: enough that all shards get some of what eight busy partitions bring.
	MaxPoll int
	// SliceLeads bounds the leads checkpointed in one transaction. Default 4,000.
	SliceLeads int
	// SliceBytes bounds the bytes of heap that they occupy, which are more than those that are written. Default 4 MiB.
	SliceBytes int
	// CacheBytes bounds the estimated heap of cached clean leads over all shards. Default 256 MiB.
	CacheBytes int64
	// DirtyLimit is the number of changed, unwritten leads of a shard over which slices grow and
	// reading pauses. Default 200,000. A cache that holds fewer, at 1 KiB each, lowers it, to 1,000 at the least.
	DirtyLimit int
	// MaxRecordBytes is the largest key and value that fit a topic of ours: the largest source record and
	// room for where it came from. An event that does not fit the inbox is a dead letter, a dead letter that does not
	// fit is truncated. Default 1 MiB + 32 KiB.
	MaxRecordBytes int
	// Workers is how many shards are applied at the same time. Default: GOMAXPROCS.
	Workers int

	// Drain, when set, makes Run do no more than bring the application to rest: it takes all shards, applies what is in the
	// inboxes while time stands still and sources are not read, writes every lead, and returns nil.
	Drain *Drain

	// Clock returns the wall clock in ms. Required: only the program picks a real clock.
	Clock func() int64
	// Logger receives what operators should know. Default: discard.
	Logger *slog.Logger
	// Registerer takes the metrics. Default: none.
	Registerer prometheus.Registerer

	// The outside world. All required; Run does not close them.
	Inputs    Inputs
	Group     Group
	Committer Committer
	History   History
	Store     *state.Store
}

func def[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

func (c Config) withDefaults() Config {
	def(&c.CommitInterval, 100*time.Millisecond)
	def(&c.CheckpointInterval, time.Minute)
	def(&c.IdleAfter, 30*time.Second)
	def(&c.WatermarkWait, time.Minute)
	def(&c.CutInterval, 30*time.Second)
	def(&c.FencedWait, time.Minute)
	def(&c.MaxEpochRecords, 20_000)
	def(&c.MaxEpochTimers, 20_000)
	def(&c.MaxEpochOutputs, 5_000)
	def(&c.MaxEpochBytes, 16<<20)
	def(&c.MaxPoll, 40_000)
	def(&c.SliceLeads, 4_000)
	def(&c.SliceBytes, 4<<20)
	def(&c.CacheBytes, 256<<20)
	def(&c.DirtyLimit, 200_000)
	def(&c.MaxRecordBytes, 1<<20+32<<10)
	def(&c.Workers, runtime.GOMAXPROCS(0))
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// validate returns all faults at once.
func (c Config) validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(c.App != "", "app: a name is required")
	need(c.Shards >= 1 && c.Shards <= 4096, "shards: %d is outside 1 to 4096", c.Shards)
	need(len(c.Sources) > 0, "sources: at least one is required")
	seen := map[string]bool{}
	for i, s := range c.Sources {
		need(s.Topic != "" && s.Name != "" && s.NewDecoder != nil, "sources[%d]: name, topic and decoder are required", i)
		need(!seen[s.Topic], "sources[%d]: topic %q is listed twice", i, s.Topic)
		seen[s.Topic] = true
		need(c.SourcePartitions[s.Topic] > 0, "sources[%d]: the partitions of topic %q are not known", i, s.Topic)
	}
	need(c.Rules != nil, "rules: a rule set is required")
	need(c.Clock != nil, "clock: required")
	need(c.Inputs != nil && c.Group != nil && c.Committer != nil && c.History != nil && c.Store != nil,
		"inputs, group, committer, history and store are required")
	return errors.Join(errs...)
}

// topic returns the full name of one of the engine's topics.
func (c *Config) topic(t Topic) string { return TopicName(c.App, t) }

// TopicName returns the full name of one of an application's own topics.
func TopicName(app string, t Topic) string { return app + "." + t.String() }
