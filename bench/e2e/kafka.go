package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/bench/workload"
	"leadstream/engine"
)

// partitions is how many every topic has, and the number of shards.
const partitions = 8

// createTopic creates a topic that keeps what it gets.
func createTopic(ctx context.Context, adm *kadm.Client, topic string, partitions int32) error {
	_, err := adm.CreateTopic(ctx, partitions, 1, map[string]*string{"retention.ms": kadm.StringPtr("-1")}, topic)
	if err != nil {
		return fmt.Errorf("creating topic %s: %w", topic, err)
	}
	// The broker learns of it a little later than it answers.
	for ctx.Err() == nil {
		if topics, err := adm.ListTopics(ctx, topic); err == nil && len(topics[topic].Partitions) == int(partitions) && topics.Error() == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("creating topic %s: %w", topic, ctx.Err())
}

// producer writes as an event collector would: lz4, batches of what comes within the linger.
func producer(addr string, linger time.Duration) (*kgo.Client, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()), kgo.ProducerLinger(linger), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		return nil, fmt.Errorf("opening the producer: %w", err)
	}
	return cl, nil
}

// preload writes the load to a topic, each lead to its shard's partition, and returns how many leads it was about.
func preload(ctx context.Context, addr, topic string, partitions int32, c workload.LoadConfig) (leads int, err error) {
	cl, err := producer(addr, 20*time.Millisecond)
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	load, err := workload.NewLoad(c)
	if err != nil {
		return 0, fmt.Errorf("making events: %w", err)
	}
	known := make([]bool, c.Leads) // a map of ten million ids would be most of what filling a topic takes
	var failed error
	done := func(_ *kgo.Record, err error) { failed = errors.Join(failed, err) }
	for ctx.Err() == nil {
		key, value, at, ok := load.Next(nil)
		if !ok {
			break
		}
		if n, err := strconv.Atoi(string(bytes.TrimPrefix(key, []byte("lead-")))); err == nil && n < len(known) && !known[n] {
			known[n] = true
			leads++
		}
		cl.Produce(ctx, record(topic, partitions, key, value, at), done)
	}
	if err := cl.Flush(ctx); err != nil {
		return 0, fmt.Errorf("preloading: %w", err)
	}
	if failed != nil {
		return 0, fmt.Errorf("preloading: %w", failed)
	}
	return leads, nil
}

func record(topic string, partitions int32, key, value []byte, at int64) *kgo.Record {
	return &kgo.Record{Topic: topic, Partition: engine.ShardOf(key, partitions), Key: slices.Clone(key), Value: value, Timestamp: time.UnixMilli(at)}
}

// committedEvents sums the group's offsets in a topic that holds no transactions, so that offsets count events.
func committedEvents(ctx context.Context, adm *kadm.Client, group, topic string) (int64, error) {
	offsets, err := adm.FetchOffsets(ctx, group)
	if err != nil {
		// The group or the topics' offsets may not be there yet.
		return 0, nil //nolint:nilerr // progress is asked for again, and a run has a time limit
	}
	var n int64
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Topic == topic && o.At > 0 {
			n += o.At
		}
	})
	return n, nil
}

// topicSizes are the bytes that the topics hold whose names begin with a prefix: all batches that the broker has taken, those that
// are not on disk yet and the ends of transactions among them. Nothing is missing as long as no segment (256 MiB) of a partition is
// full: only then may the broker compact or delete what is before.
func topicSizes(ctx context.Context, adm *kadm.Client, prefix string) (map[string]int64, error) {
	dirs, err := adm.DescribeAllLogDirs(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("asking for topic sizes: %w", err)
	}
	sizes := map[string]int64{}
	dirs.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if strings.HasPrefix(p.Topic, prefix) {
				sizes[p.Topic] += p.Size
			}
		})
	})
	return sizes, nil
}

// topicBytes sums what the topics hold whose names begin with a prefix.
func topicBytes(ctx context.Context, adm *kadm.Client, prefix string) (int64, error) {
	sizes, err := topicSizes(ctx, adm, prefix)
	var n int64
	for _, size := range sizes {
		n += size
	}
	return n, err
}

// deleteTopics deletes the topics whose names begin with a prefix, and the group.
func deleteTopics(ctx context.Context, adm *kadm.Client, prefix, group string) error {
	topics, err := adm.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("listing topics: %w", err)
	}
	gone := slices.DeleteFunc(topics.Names(), func(t string) bool { return !strings.HasPrefix(t, prefix) })
	if len(gone) > 0 {
		if _, err := adm.DeleteTopics(ctx, gone...); err != nil {
			return fmt.Errorf("deleting topics: %w", err)
		}
	}
	_, err = adm.DeleteGroups(ctx, group)
	if err != nil {
		return fmt.Errorf("deleting group %s: %w", group, err)
	}
	return nil
}

// outcome is what a contender put out: how many transitions, and a digest of every lead's sequence of
// stages, which does not depend on the order among leads.
type outcome struct {
	transitions int
	digest      string
}

// readOutcome reads the committed transitions.
func readOutcome(ctx context.Context, adm *kadm.Client, addr, topic string) (outcome, error) {
	var o outcome
	ends, err := endOffsets(ctx, adm, topic)
	if err != nil {
		return o, err
	}
	stages := map[string]string{}
	if err := readCommitted(ctx, addr, topic, nil, ends, func(r *kgo.Record) error {
		var t struct{ Lead, From, To string }
		if err := json.Unmarshal(r.Value, &t); err != nil {
			return fmt.Errorf("reading topic %s: %w", topic, err)
		}
		o.transitions++
		stages[t.Lead] += " " + t.From + ">" + t.To
		return nil
	}); err != nil {
		return o, err
	}
	h := sha256.New()
	for _, id := range slices.Sorted(maps.Keys(stages)) {
		fmt.Fprintf(h, "%s%s\n", id, stages[id])
	}
	o.digest = hex.EncodeToString(h.Sum(nil)[:6])
	return o, nil
}

// endOffsets are the present ends of a topic's partitions.
func endOffsets(ctx context.Context, adm *kadm.Client, topic string) (map[int32]int64, error) {
	listed, err := adm.ListEndOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the end of topic %s: %w", topic, err)
	}
	ends := map[int32]int64{}
	listed.Each(func(e kadm.ListedOffset) { ends[e.Partition] = e.Offset })
	return ends, nil
}

// readCommitted hands a topic's committed records between two offsets of each partition to a function; what is not in from begins at 0.
// Every transaction that began before must be decided.
func readCommitted(ctx context.Context, addr, topic string, from, to map[int32]int64, each func(*kgo.Record) error) error {
	left, starts := map[int32]int64{}, map[int32]kgo.Offset{}
	for p, end := range to {
		if end > from[p] {
			left[p], starts[p] = end, kgo.NewOffset().At(from[p])
		}
	}
	if len(left) == 0 {
		return nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		return fmt.Errorf("reading topic %s: %w", topic, err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var fault error
	for len(left) > 0 && fault == nil {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("reading topic %s: %w", topic, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= to[r.Partition] {
				delete(left, r.Partition)
			}
			if !r.Attrs.IsControl() && r.Offset < to[r.Partition] && fault == nil {
				fault = each(r)
			}
		})
	}
	return fault
}
