package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"leadstream/connectors/backup"
	"leadstream/connectors/kafka"
	"leadstream/engine"
)

func (p *program) restoreCommand() *cobra.Command {
	var file, from, positions string
	var onlyCheck bool
	cmd := &cobra.Command{
		Use:   "restore --from DIR --config FILE",
		Short: "Fill an application from a backup",
		Long: `restore fills the configured application, which must be empty, from a directory that ` + "`leadstream backup`" + ` has written: on
the same cluster or another one, under the same name or another one. Every file is checked first, and the
application cannot start before all of it is there.
Events from the backup's positions on are then read again from the sources, so they must still hold them, and what comes
out of them is put out again, with the same ids where it comes in the same order.
--positions says where the sources' records are now:
  same    at the same offsets: the cluster is the same, or its disks were copied. The default on the same cluster.
  search  in a copy of the topics that kept names, partitions, order, keys, values and timestamps, as mirroring tools make it.
          The places are found by the last records before them.
  FILE    at the offsets that the file lists, lines of: topic partition offset`,
		Example: `  leadstream restore --from /backup/2026-11-22 --check
  leadstream restore --from /backup/2026-11-22 --config leadstream.yaml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from == "" || file == "" && !onlyCheck {
				return fmt.Errorf("%w: --from and --config are required; see `%s --help`", errUsage, cmd.CommandPath())
			}
			d, err := backup.Open(cmd.Context(), from)
			if err != nil {
				return err
			}
			bytes, entities := d.Size()
			if onlyCheck {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is whole: application %q of %s, %d shards, %d ids, %d bytes\n", from, d.App, d.At, d.Shards, entities, bytes)
				return err
			}
			c, err := loadConfig(file, p.sys)
			if err != nil {
				return err
			}
			if int32(c.Shards) != d.Shards {
				return fmt.Errorf("%w: the backup has %d shards and %d are configured: restore it with %[2]d, then use `leadstream reshard`", errConfig, d.Shards, c.Shards)
			}
			cluster, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer cluster.Close()
			if err := restoreBackup(cmd.Context(), c, cluster, d, positions, cmd.ErrOrStderr()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "application %q is filled: %d ids; start it with `leadstream run`\n", c.App, entities)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration file")
	cmd.Flags().StringVar(&from, "from", "", "directory of the backup")
	cmd.Flags().StringVar(&positions, "positions", "", "where the sources' records are: same, search or a file")
	cmd.Flags().BoolVar(&onlyCheck, "check", false, "read and check the backup, then stop")
	return cmd
}

// restoreBackup fills an empty application from a backup of as many shards.
func restoreBackup(ctx context.Context, c *config, cluster *kafka.Cluster, d *backup.Dir, positions string, say io.Writer) error {
	if err := cluster.Vacant(ctx); err != nil {
		return err
	}
	partitions, err := cluster.Describe(ctx, sourceTopics(c), false)
	if err != nil {
		return err
	}
	at, err := newPositions(ctx, cluster, &d.Manifest, positions, partitions)
	if err != nil {
		return err
	}
	if _, err := cluster.EnsureTopics(ctx, sourceTopics(c)); err != nil {
		return err
	}
	f := &filling{cluster: cluster, from: d, app: c.App, at: at, journals: d.Journals, say: say,
		place: func(shard int32, _ string) []int32 { return []int32{shard} }}
	return f.run(ctx)
}

// filling is an application on its way out of a backup.
type filling struct {
	cluster *kafka.Cluster
	from    *backup.Dir
	app     string
	// at are the sources' positions as of now.
	at map[engine.TopicPartition]int64
	// journals are what the shards begin with, but for positions.
	journals []*engine.JournalRecord
	// place is where an id of one of the backup's shards belongs.
	place func(shard int32, id string) []int32
	// rekeyed says that ids go to other shards than they were on.
	rekeyed bool
	say     io.Writer
}

// run fills the topics. Until its last step no process of the application starts.
func (f *filling) run(ctx context.Context) error {
	begin, offsets, err := f.begin()
	if err != nil {
		return err
	}
	if err := f.cluster.StartAt(ctx, offsets); err != nil {
		return err
	}
	w, err := f.cluster.Filler()
	if err != nil {
		return err
	}
	defer w.Close()
	if f.rekeyed {
		if err := f.bars(ctx, w); err != nil {
			return err
		}
	}
	for s := range f.from.Shards {
		if err := f.shard(ctx, w, s); err != nil {
			return err
		}
		fmt.Fprintf(f.say, "shard %d of %d: written\n", s+1, f.from.Shards)
	}
	err = f.from.Rules(ctx, func(r *engine.Record) error { return w.Add(ctx, engine.TopicRules, 0, fresh(r)) })
	if err != nil {
		return err
	}
	if err := w.Flush(ctx); err != nil {
		return err
	}
	return f.cluster.Begin(ctx, begin)
}

// fresh is a record whose time does not matter: it is that of its writing.
func fresh(r *engine.Record) *engine.Record {
	return &engine.Record{Key: r.Key, Value: r.Value, Headers: r.Headers}
}

func (f *filling) shard(ctx context.Context, w *kafka.Filler, s int32) error {
	put := func(t engine.Topic, own bool) func(r *engine.Record) error {
		return func(r *engine.Record) error {
			if f.rekeyed && t == engine.TopicState && engine.IsBar(string(r.Key)) {
				return nil // it was written
			}
			if !own {
				r = fresh(r)
			}
			for _, to := range f.place(s, string(r.Key)) {
				if err := w.Add(ctx, t, to, r); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if err := f.from.State(ctx, s, put(engine.TopicState, false)); err != nil {
		return err
	}
	if err := f.from.Inbox(ctx, s, put(engine.TopicInbox, true)); err != nil {
		return err
	}
	to := s % int32(len(f.journals)) // their shard says nothing about whom they are of
	return f.from.Audit(ctx, s, func(r *engine.Record) error { return w.Add(ctx, engine.TopicAudit, to, r) })
}

// begin encodes the journals' records and collects the group's offsets.
func (f *filling) begin() (begin [][]byte, offsets map[engine.TopicPartition]int64, err error) {
	begin, offsets = make([][]byte, len(f.journals)), map[engine.TopicPartition]int64{}
	ids := f.cluster.TopicIDs()
	engine.Renumber(f.journals, time.Now().UnixMilli())
	for s, j := range f.journals {
		if j == nil {
			continue
		}
		for i := range j.Parts {
			p := &j.Parts[i]
			p.LeaderEpoch = -1
			if i == 0 {
				p.Topic, p.Next, p.TopicID = engine.TopicName(f.app, engine.TopicInbox), 0, ""
			} else if p.Next >= 0 {
				p.Next = f.at[engine.TopicPartition{Topic: p.Topic, Partition: p.Partition}]
				p.TopicID = ids[p.Topic]
			}
			if p.Next >= 0 {
				offsets[engine.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = p.Next
			}
		}
		if begin[s], err = j.Encode(); err != nil {
			return nil, nil, err
		}
	}
	return begin, offsets, nil
}
