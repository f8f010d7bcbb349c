package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"leadstream/connectors/backup"
	"leadstream/connectors/kafka"
	"leadstream/engine"
	"leadstream/state"
)

func (p *program) reshardCommand() *cobra.Command {
	var file, to, work string
	var shards int
	var cancel bool
	cmd := &cobra.Command{
		Use:   "reshard --shards N --config FILE",
		Short: "Give an application another number of shards",
		Long: `reshard makes of a stopped application another one with another number of shards, which goes on exactly where this one
was: every lead, who is who, erasures, timers, rule sets and positions go along. No instance may be running.
It applies what is still in the inboxes, with time standing still, marks the application as given up, so that no instance of it
starts again, copies it into a directory and fills the other application, which must be empty. Then set app and
shards in the configuration, choose a new data_dir, and start. What was put out stays in the old topics.
If it is interrupted, run it again; what was written of the other application has to be deleted first. --cancel takes the mark
back, as long as the other application was not started.`,
		Example: `  leadstream reshard --shards 32 --config leadstream.yaml
  leadstream reshard --shards 32 --to leads-2027 --config leadstream.yaml
  leadstream reshard --cancel --config leadstream.yaml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" || (shards == 0) != cancel {
				return fmt.Errorf("%w: --config and one of --shards and --cancel are required; see `%s --help`", errUsage, cmd.CommandPath())
			}
			c, err := loadConfig(file, p.sys)
			if err != nil {
				return err
			}
			if shards < 0 || shards > 4096 || shards == c.Shards {
				return fmt.Errorf("%w: --shards: expected a number from 1 to 4096 other than %d", errUsage, c.Shards)
			}
			if to == "" {
				to = nextGeneration(c.App)
			}
			if work == "" {
				work = filepath.Clean(c.DataDir) + ".reshard"
			}
			c.limitMemory(p.sys)
			r := &resharding{old: c, shards: shards, app: to, work: work, say: cmd.ErrOrStderr()}
			if cancel {
				r.app = ""
			}
			if err := r.run(cmd.Context()); err != nil {
				return err
			}
			text := fmt.Sprintf("application %q is filled: set app: %[1]s, shards: %d and a new data_dir, and start it\n", r.app, shards)
			if cancel {
				text = fmt.Sprintf("application %q may be started again\n", c.App)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration file")
	cmd.Flags().IntVar(&shards, "shards", 0, "number of shards to have")
	cmd.Flags().StringVar(&to, "to", "", "name of the other application (default APP.g2, APP.g3 after that)")
	cmd.Flags().StringVar(&work, "work", "", "directory for the copy, new or empty, deleted at the end (default data_dir with .reshard)")
	cmd.Flags().BoolVar(&cancel, "cancel", false, "let the application be started again")
	return cmd
}

var generation = regexp.MustCompile(`^(.*)\.g([0-9]{1,6})$`)

// nextGeneration is the name of the application after this one.
func nextGeneration(app string) string {
	if m := generation.FindStringSubmatch(app); m != nil {
		if n, err := strconv.Atoi(m[2]); err == nil {
			return fmt.Sprintf("%s.g%d", m[1], n+1)
		}
	}
	return app + ".g2"
}

// resharding is a change of the number of shards.
type resharding struct {
	old    *config
	shards int
	app    string // the one to fill, "" to take a change back
	work   string
	say    io.Writer
}

func (r *resharding) run(ctx context.Context) (err error) {
	cluster, err := r.old.connect(ctx)
	if err != nil {
		return err
	}
	defer cluster.Close()
	if err := cluster.Idle(ctx); err != nil {
		return err
	}
	var next *kafka.Cluster
	if r.app != "" {
		c := *r.old
		c.App, c.Shards = r.app, r.shards
		if next, err = c.connect(ctx); err != nil {
			return err
		}
		defer next.Close()
		if err := next.Vacant(ctx); err != nil {
			return err
		}
	}
	if err := backup.Prepare(r.work); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.work)) }()
	if err := r.drain(ctx, cluster); err != nil || r.app == "" {
		return err
	}
	fmt.Fprintf(r.say, "application %q is at rest\n", r.old.App)
	dir := filepath.Join(r.work, "copy")
	if _, err := takeBackup(ctx, r.old, cluster, dir, r.say); err != nil {
		return err
	}
	d, err := backup.Open(ctx, dir)
	if err != nil {
		return err
	}
	return r.fill(ctx, next, d)
}

// fill fills the next application.
func (r *resharding) fill(ctx context.Context, next *kafka.Cluster, d *backup.Dir) error {
	if n := d.Undrained(); n > 0 {
		return fmt.Errorf("%d commands were given meanwhile: run the command again: %w", n, engine.ErrDisagree)
	}
	journals, err := engine.Rekey(r.app, d.Journals, int32(r.shards))
	if err != nil {
		return err
	}
	partitions, err := next.Describe(ctx, sourceTopics(r.old), false)
	if err != nil {
		return err
	}
	at, err := newPositions(ctx, next, &d.Manifest, "", partitions)
	if err != nil {
		return err
	}
	if _, err := next.EnsureTopics(ctx, sourceTopics(r.old)); err != nil {
		return err
	}
	f := &filling{cluster: next, from: d, app: r.app, at: at, journals: journals, say: r.say, rekeyed: true,
		place: func(shard int32, id string) []int32 { return engine.Place(id, shard, d.Shards, int32(r.shards)) }}
	return f.run(ctx)
}

// drain brings the application to rest, as its only instance.
func (r *resharding) drain(ctx context.Context, cluster *kafka.Cluster) (err error) {
	c := r.old
	closing := func(f func() error) { err = errors.Join(err, f()) }
	set, err := loadRules(c.Rules, io.Discard)
	if err != nil {
		return err
	}
	sources, err := engineSources(c.Sources)
	if err != nil {
		return err
	}
	partitions, err := cluster.Describe(ctx, sourceTopics(c), true)
	if err != nil {
		return err
	}
	store, err := state.Open(state.Options{Dir: filepath.Join(r.work, "drain"), App: c.App, ClusterID: cluster.ClusterID(), Instance: c.Instance}.
		Within(int64(c.Memory)))
	if err != nil {
		return err
	}
	defer closing(store.Close)
	committer, err := cluster.Committer(ctx)
	if err != nil {
		return err
	}
	defer committer.Close()
	inputs, err := cluster.Inputs()
	if err != nil {
		return err
	}
	defer inputs.Close()
	group, err := cluster.Join(kafka.Member{})
	if err != nil {
		return err
	}
	defer closing(func() error { return leave(group) })
	e, err := engine.New(engine.Config{
		App: c.App, Shards: int32(c.Shards), Sources: sources, SourcePartitions: partitions, TopicIDs: cluster.TopicIDs(), Rules: set, Logic: logic(),
		Drain: &engine.Drain{Moved: r.app}, CutInterval: -1, MaxRecordBytes: int(c.kafka().MaxSourceRecord), CacheBytes: int64(c.Memory / 2),
		Clock: func() int64 { return time.Now().UnixMilli() }, Logger: c.Log.logger(r.say),
		Inputs: inputs, Group: group, Committer: committer, History: cluster.History(), Store: store,
	})
	if err != nil {
		return err
	}
	if err := e.Run(ctx); err != nil {
		return err
	}
	return ctx.Err()
}
