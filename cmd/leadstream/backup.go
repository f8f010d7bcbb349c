package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"leadstream/connectors/backup"
	"leadstream/connectors/kafka"
	"leadstream/engine"
	"leadstream/state"
)

func (p *program) backupCommand() *cobra.Command {
	var file, to string
	cmd := &cobra.Command{
		Use:   "backup --to DIR --config FILE",
		Short: "Copy an application's state into a directory",
		Long: `backup copies every lead, what is on its way between shards, erasures, the audit topic, rule sets and all positions into a
directory, as of one moment that is consistent over all shards. The application may run meanwhile; it is not slowed
down by more than the reading. What was put out is not copied: it is in the output topics.
The directory must be new or empty. It needs room for about twice the state while the command runs.`,
		Example: "  leadstream backup --to /backup/2026-11-22 --config leadstream.yaml",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" || to == "" {
				return fmt.Errorf("%w: --config and --to are required; see `%s --help`", errUsage, cmd.CommandPath())
			}
			c, err := loadConfig(file, p.sys)
			if err != nil {
				return err
			}
			c.limitMemory(p.sys)
			cluster, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer cluster.Close()
			m, err := takeBackup(cmd.Context(), c, cluster, to, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			bytes, entities := m.Size()
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s holds application %q: %d shards, %d ids, %d bytes\n", to, m.App, m.Shards, entities, bytes)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration file")
	cmd.Flags().StringVar(&to, "to", "", "directory to write, new or empty")
	return cmd
}

// takeBackup copies the application into a directory.
func takeBackup(ctx context.Context, c *config, cluster *kafka.Cluster, to string, say io.Writer) (_ *backup.Manifest, err error) {
	began := time.Now()
	set, err := loadRules(c.Rules, io.Discard)
	if err != nil {
		return nil, err
	}
	sources, err := engineSources(c.Sources)
	if err != nil {
		return nil, err
	}
	partitions, err := cluster.Describe(ctx, sourceTopics(c), true)
	if err != nil {
		return nil, err
	}
	if err := backup.Prepare(to); err != nil {
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	work := filepath.Join(to, "work")
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	store, err := state.Open(state.Options{Dir: work, App: c.App, ClusterID: cluster.ClusterID(), Instance: "backup"}.Within(int64(c.Memory)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	x, err := engine.TakeSnapshot(ctx, engine.Config{
		App: c.App, Shards: int32(c.Shards), Sources: sources, SourcePartitions: partitions, TopicIDs: cluster.TopicIDs(), Rules: set, Logic: logic(),
		CacheBytes: int64(c.Memory / 2), Clock: func() int64 { return time.Now().UnixMilli() }, History: cluster.History(), Store: store,
	}, func(shard int32, records int64) {
		fmt.Fprintf(say, "shard %d of %d: %d records loaded\n", shard+1, c.Shards, records)
	})
	if err != nil {
		return nil, err
	}
	m := backup.Manifest{Program: version(), At: began.UTC().Format(time.RFC3339), App: c.App, Cluster: cluster.ClusterID(), Shards: int32(c.Shards)}
	if m.Positions, err = positionsOf(ctx, cluster, x, m.Shards); err != nil {
		return nil, err
	}
	return backup.Write(ctx, to, m, x, func(shard int32, entities uint64) {
		fmt.Fprintf(say, "shard %d of %d: %d ids written\n", shard+1, c.Shards, entities)
	})
}

func sourceTopics(c *config) []string {
	var topics []string
	for _, s := range c.Sources {
		topics = append(topics, s.Topic)
	}
	return topics
}

// positionsOf are the sources' positions in a snapshot.
func positionsOf(ctx context.Context, cluster *kafka.Cluster, x *engine.Snapshot, shards int32) ([]backup.Position, error) {
	var all []backup.Position
	for s := range shards {
		j := x.Journal(s)
		if j == nil {
			continue
		}
		for _, p := range j.Parts[1:] {
			if p.Next < 0 {
				continue
			}
			pos := backup.Position{Topic: p.Topic, Partition: p.Partition, Offset: p.Next, TopicID: fmt.Sprintf("%x", p.TopicID)}
			var err error
			if pos.Before, err = tracesBefore(ctx, cluster, engine.TopicPartition{Topic: p.Topic, Partition: p.Partition}, p.Next); err != nil {
				return nil, err
			}
			all = append(all, pos)
		}
	}
	return all, nil
}

// traces is how many records before a position are remembered, tracesWithin how far back they are looked for.
const (
	traces       = 16
	tracesWithin = 256
)

// tracesBefore describes the last records before a position, as far as the topic still has them.
func tracesBefore(ctx context.Context, cluster *kafka.Cluster, tp engine.TopicPartition, offset int64) ([]backup.Trace, error) {
	first, _, err := cluster.Bounds(ctx, []engine.TopicPartition{tp})
	if err != nil {
		return nil, err
	}
	from := max(first[tp], offset-tracesWithin)
	if from >= offset {
		return nil, nil
	}
	var last []backup.Trace
	err = cluster.History().Read(ctx, tp, from, offset, func(r *engine.Record) error {
		if last = append(last, traceOf(r)); len(last) > traces {
			last = last[1:]
		}
		return nil
	})
	if errors.Is(err, engine.ErrGap) { // retention was faster
		return nil, nil
	}
	slices.Reverse(last)
	return last, err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func traceOf(r *engine.Record) backup.Trace {
	return backup.Trace{At: r.Timestamp, Sum: crc32.Update(crc32.Checksum(r.Key, castagnoli), castagnoli, r.Value)}
}
