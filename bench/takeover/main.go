// Program takeover measures how long shards stand still when an instance of leadstream dies or stops, and how fast shards come back from
// the state topic and from the local disk, beside Kafka Streams' restoration of the same leads. It starts a real broker and the program itself.
//
//	go run ./bench/takeover -form quick
//	go run ./bench/takeover -form full
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"leadstream/bench/broker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options is what the command line asks for.
type options struct {
	form        string
	leads, reps int // leads of a shard; takeovers of each kind
	session     time.Duration
	rate        int // events a second meanwhile
	out         string
}

const shards = 2

func parse(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("bench/takeover", flag.ContinueOnError)
	fs.StringVar(&o.form, "form", "quick", "quick (20,000 leads a shard, 2 repetitions) or full (1,000,000, 5)")
	fs.IntVar(&o.leads, "leads", 0, "leads of each of the two shards (default: as the form)")
	fs.IntVar(&o.reps, "reps", 0, "takeovers of each kind (default: as the form)")
	fs.DurationVar(&o.session, "session", 3*time.Second, "session timeout")
	fs.IntVar(&o.rate, "rate", 500, "events per second meanwhile")
	fs.StringVar(&o.out, "out", "", "file to write the result to (default: bench/results/DATE-takeover.md in the full form)")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	leads, reps := 20_000, 2
	switch o.form {
	case "quick":
	case "full":
		leads, reps = 1_000_000, 5
		if o.out == "" {
			o.out = filepath.Join("bench", "results", time.Now().UTC().Format(time.DateOnly)+"-takeover.md")
		}
	default:
		return nil, fmt.Errorf("form %q: quick or full", o.form)
	}
	if o.leads == 0 {
		o.leads = leads
	}
	if o.reps == 0 {
		o.reps = reps
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if ok, why := broker.Available(); !ok {
		return errors.New(why)
	}
	dir, err := os.MkdirTemp("", "leadstream-takeover-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b, err := broker.Start(ctx, broker.Options{Heap: "-Xmx2g -Xms512m"})
	if err != nil {
		return err
	}
	defer b.Stop()
	m := &bench{o: o, dir: dir, addr: b.Addr(), bin: filepath.Join(dir, "leadstream"), fence: map[string][]float64{}}
	build := exec.CommandContext(ctx, "go", "build", "-o", m.bin, "./cmd/leadstream")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("building leadstream: %w", err)
	}
	defer m.end()
	if err := m.measure(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, m.tails())
	}
	fmt.Print(m.report(ctx))
	return nil
}

// save writes what was measured so far, so that what comes later can't take it away.
func (m *bench) save(ctx context.Context) error {
	if m.o.out == "" {
		return nil
	}
	return os.WriteFile(m.o.out, []byte(m.report(ctx)), 0o644)
}
