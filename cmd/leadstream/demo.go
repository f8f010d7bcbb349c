package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
)

// The sample: realistic events of invented people, made by the project's own generator.
var (
	//go:embed demo/sample.jsonl.gz
	demoSample []byte
	//go:embed demo/rules.yaml
	demoRules []byte
)

// The demo's application, and the topic that its events are in.
const (
	demoApp   = "demo"
	demoTopic = "demo-events"
)

// demoFlags are the flags of demo.
type demoFlags struct {
	listen string
	speed  string
	keep   string
	once   bool
}

func (p *program) demoCommand() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Try leadstream with a sample, with nothing installed",
		Long: `demo runs leadstream with a broker inside the process, replays weeks of a sample in about a minute, and prints
each stage change and hand-off as it is committed. Then it goes on with the wall clock: scores decay, and
leads cool down or are returned with no event at all. It needs no network and leaves nothing behind.`,
		Example: `  leadstream demo
  leadstream demo --speed 5
  leadstream demo --speed max --once
  leadstream demo --keep leads`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			speed, err := parseSpeed(f.speed)
			if err != nil {
				return err
			}
			d := &demo{flags: f, speed: speed, out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr()}
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8080", "address of the HTTP API; if it is taken, a free one")
	cmd.Flags().StringVar(&f.speed, "speed", "1", "how fast to replay: 1 is about a minute, 2 half of it, max as fast as it goes")
	cmd.Flags().StringVar(&f.keep, "keep", "", "keep everything in `DIR`, to go on with leadstream run")
	cmd.Flags().BoolVar(&f.once, "once", false, "stop when the sample is replayed and nothing is left to do")
	return cmd
}

// demo is one run of the demo.
type demo struct {
	flags       demoFlags
	speed       float64
	out, errOut io.Writer

	service *service
	events  []demoEvent
	tally   tally
}

func (d *demo) run(ctx context.Context) (err error) {
	dir, remove, err := d.directory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	if d.events, err = loadSample(demoSample); err != nil {
		return err
	}
	c, err := d.config(dir)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(d.errOut, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if d.service, err = start(ctx, c, log); err != nil {
		return err
	}
	d.greet()

	// The service stops last: what the demo reads and writes goes through it.
	serviceCtx, stopService := context.WithCancel(context.WithoutCancel(ctx))
	defer stopService()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	var serviceErr, workErr error
	running.Go(func() {
		serviceErr = d.service.run(serviceCtx)
		stop(serviceErr)
	})
	workErr = d.work(ctx)
	d.tally.write(d.out)
	stopService()
	running.Wait()
	return errors.Join(serviceErr, workErr)
}

// work replays and prints until ctx ends or, with --once, everything is done.
func (d *demo) work(ctx context.Context) error {
	// A reader of its own for each run: the service's feed outlives it.
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	settled := make(chan struct{})
	var printErr error
	running.Go(func() {
		printErr = d.print(ctx, settled)
		stop(printErr)
	})
	err := d.replay(ctx)
	if err == nil && d.flags.once {
		err = d.settle(ctx)
	}
	if err == nil {
		if d.flags.once {
			close(settled)
		} else {
			fmt.Fprintf(d.out, "\nThe sample is replayed. From here on time passes as it does; Ctrl-C ends the demo.\n\n")
		}
	} else {
		stop(err)
	}
	running.Wait()
	return errors.Join(ignoreCancel(err), printErr)
}

// directory makes the directory to work in and returns what removes it.
func (d *demo) directory() (dir string, remove func() error, err error) {
	if d.flags.keep != "" {
		if dir, err = filepath.Abs(d.flags.keep); err != nil {
			return "", nil, err
		}
		if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
			return "", nil, fmt.Errorf("%w: --keep: %s is not empty; go on with `leadstream run --config %s`", errUsage, dir,
				filepath.Join(dir, "leadstream.yaml"))
		}
		return dir, func() error { return nil }, os.MkdirAll(dir, 0o755)
	}
	dir, err = os.MkdirTemp("", "leadstream-demo-")
	return dir, func() error { return os.RemoveAll(dir) }, err
}

// config writes the rules, and with --keep the configuration to go on with, into dir.
func (d *demo) config(dir string) (*config, error) {
	c := defaultConfig()
	c.App, c.Instance = demoApp, "demo"
	c.Shards = 4
	c.Rules = []string{filepath.Join(dir, "rules.yaml")}
	c.DataDir = filepath.Join(dir, "leads")
	c.Memory = 256 << 20
	// Leads that have no event at the sample's end soon follow the wall clock.
	c.IdleAfter = duration(time.Second)
	c.HTTP.Listen = freeAddress(d.flags.listen)
	c.Embedded.Enabled, c.Embedded.Port = true, 0
	source := defaultSource()
	source.Name, source.Topic, source.History = "sample", demoTopic, true
	c.Sources = []sourceConfig{source}
	if err := os.WriteFile(c.Rules[0], demoRules, 0o644); err != nil {
		return nil, err
	}
	if d.flags.keep == "" {
		return &c, nil
	}
	// The port is the same when it is run again, so that producers find it.
	_, port, err := net.SplitHostPort(freeAddress("127.0.0.1:9092"))
	if err != nil {
		return nil, err
	}
	c.Embedded.DataDir = filepath.Join(dir, "broker")
	if c.Embedded.Port, err = strconv.Atoi(port); err != nil {
		return nil, err
	}
	file, err := os.Create(filepath.Join(dir, "leadstream.yaml"))
	if err != nil {
		return nil, err
	}
	return &c, errors.Join(printConfig(file, &c), file.Close())
}

// freeAddress returns address, or one with a free port of the same host where it is taken. Somebody else may
// take that one before it is used; then start says so.
func freeAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "0" {
		return address
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		if l, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			return address
		}
	}
	defer l.Close()
	return l.Addr().String()
}

func (d *demo) greet() {
	first, last := d.events[0], d.events[len(d.events)-1]
	// Somebody known who is there from early on, so that asking for them has an answer.
	lead := first.id
	if i := slices.IndexFunc(d.events, func(e demoEvent) bool { return e.known }); i >= 0 {
		lead = d.events[i].id
	}
	s := d.service
	fmt.Fprintf(d.out, `leadstream demo: %d events of %d days, made up, are replayed as if they ended now.

  a lead      curl %s/v1/leads/%s
  live        curl -N '%s/v1/events/stream?from=earliest'
  all else    %s/
  Kafka       %s, topics %s, %s.transitions, %s.handoffs
  rules       %s

`, len(d.events), (last.at-first.at)/86_400_000+1, s.api.URL(), lead, s.api.URL(), s.api.URL(), s.brokers[0],
		demoTopic, demoApp, demoApp, s.cfg.Rules[0])
	if d.flags.keep != "" {
		fmt.Fprintf(d.out, "  go on with  leadstream run --config %s\n\n", filepath.Join(filepath.Dir(s.cfg.Rules[0]), "leadstream.yaml"))
	}
}
