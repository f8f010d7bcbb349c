package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/bench/broker"
	"leadstream/bench/peers"
	"leadstream/bench/workload"
)

// rules is the logic that all contenders share.
//
//go:embed rules.yaml
var rules string

// timedRules are the same with stages that also fall when nothing happens.
func timedRules() string { return strings.ReplaceAll(rules, `event.type == "track" && `, "") }

// eagerRules are the same with points that count eagerTimes as much, so that more events change a stage:
// latency is that of stage changes.
func eagerRules() string {
	return regexp.MustCompile(`add: -?\d+`).ReplaceAllStringFunc(rules, func(add string) string {
		n, err := strconv.Atoi(strings.TrimPrefix(add, "add: "))
		if err != nil {
			panic("bug: " + add + " in rules.yaml is not a number")
		}
		return fmt.Sprintf("add: %d", eagerTimes*n)
	})
}

const eagerTimes = 5

// preloaded is the topic that all contenders drain.
const preloaded = "preloaded"

// bench is what all runs share.
type bench struct {
	opts    *options
	broker  *broker.Broker
	adm     *kadm.Client
	dir     string
	program string // the built leadstream
	env     []string
	streams string // class path of the Kafka Streams program
	runs    int
	skipped []string // contenders that can't run here, and why
	out     string   // file of the result, "" for none
	res     results
}

// part is something that is measured on its own; quick says that the quick form does, too.
type part struct {
	name  string
	quick bool
	do    func(b *bench, ctx context.Context) error
}

// parts are what can be measured, in order.
var parts = []part{
	{"drain", true, (*bench).drains}, {"bytes", false, (*bench).liveBytes}, {"reads", false, (*bench).reads},
	{"latency", true, (*bench).latencies}, {"hot", false, (*bench).hot}, {"growth", false, (*bench).growth},
	{"cores", false, (*bench).cores}, {"memory", false, (*bench).tight},
}

// measure runs everything and reports it.
func measure(ctx context.Context, o *options) (err error) {
	if ok, why := broker.Available(); !ok {
		return errors.New(why)
	}
	b := &bench{opts: o}
	if b.dir, err = os.MkdirTemp("", "leadstream-bench-"); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if err := b.build(ctx); err != nil {
		return err
	}
	b.say("starting a Kafka broker")
	if b.broker, err = broker.Start(ctx, broker.Options{}); err != nil {
		return err
	}
	defer b.broker.Stop()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.broker.Addr()))
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer cl.Close()
	b.adm = kadm.NewClient(cl)
	b.res.machine = describe(ctx)
	if err := b.place(ctx); err != nil {
		return err
	}
	return b.report(b.measureParts(ctx, parts))
}

// measureParts measures part by part and writes the result after each: what a later part does to a run can't take
// away what was measured. A part that fails is left out, and its error returned in the end.
func (b *bench) measureParts(ctx context.Context, parts []part) error {
	var errs []error
	for _, p := range parts {
		if !slices.Contains(b.opts.parts, p.name) || ctx.Err() != nil {
			continue
		}
		began := time.Now()
		err := p.do(b, ctx)
		if err != nil {
			err = fmt.Errorf("part %s: %w", p.name, err)
			b.say("%v", err)
			errs = append(errs, err)
		}
		t := partTime{name: p.name, took: time.Since(began), failed: err != nil}
		b.res.times = append(b.res.times, t)
		b.say("part %s took %s", p.name, t.took.Round(time.Second))
		errs = append(errs, b.save())
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// say tells whoever waits what is going on.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// build makes the programs that are measured. Contenders that can't be built here are left out.
func (b *bench) build(ctx context.Context) error {
	b.say("building leadstream")
	b.program = filepath.Join(b.dir, "leadstream")
	tags := ""
	if b.opts.profile != "" {
		if err := os.MkdirAll(b.opts.profile, 0o755); err != nil {
			return fmt.Errorf("making the directory of profiles: %w", err)
		}
		tags = "profile"
		b.env = []string{"LEADSTREAM_PROFILE=" + b.opts.profile}
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", b.program, "leadstream/cmd/leadstream").CombinedOutput(); err != nil {
		return fmt.Errorf("building leadstream: %w\n%s", err, out)
	}
	var kept []string
	for _, name := range b.opts.contenders {
		c := contenderNamed(name)
		if why := c.needs(); why != "" {
			b.skipped = append(b.skipped, c.title+": "+why)
			b.say("left out: %s: %s", c.title, why)
			continue
		}
		kept = append(kept, name)
	}
	b.opts.contenders = kept
	for _, name := range kept {
		if name == streamsEOS || name == streamsALOS {
			b.say("building the Kafka Streams program (the first time takes a minute)")
			var err error
			b.streams, err = peers.KafkaStreams(ctx)
			return err
		}
	}
	return nil
}

// newRun makes the directory of one start of a contender.
func (b *bench) newRun(c *contender, topic string, events, checkpointSeconds int) (run, error) {
	b.runs++
	r := run{app: fmt.Sprintf("run%03d", b.runs), topic: topic, events: events, checkpointSeconds: checkpointSeconds, shards: partitions, memory: "1GiB"}
	r.dir = filepath.Join(b.dir, r.app+"-"+c.name)
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		return r, fmt.Errorf("making a directory: %w", err)
	}
	return r, nil
}

// fill preloads the topic that is drained, once.
func (b *bench) fill(ctx context.Context) error {
	if b.res.leads > 0 {
		return nil
	}
	o := b.opts
	b.say("preloading %d events", o.events)
	if err := createTopic(ctx, b.adm, preloaded, partitions); err != nil {
		return err
	}
	// The last event is a while ago, so that nothing is in the future of any clock.
	span := 24 * time.Hour
	load := workload.LoadConfig{Seed: 1, Events: o.events, Leads: o.leads, Span: span,
		Start: time.Now().Add(-span - time.Minute).UnixMilli()}
	var err error
	if b.res.leads, err = preload(ctx, b.broker.Addr(), preloaded, partitions, load); err != nil {
		return err
	}
	b.res.inputBytes, err = topicBytes(ctx, b.adm, preloaded)
	return err
}

// drains has every contender drain a preloaded topic, taking turns.
func (b *bench) drains(ctx context.Context) error {
	if err := b.fill(ctx); err != nil {
		return err
	}
	o := b.opts
	for rep, name := range inTurns(o.reps, o.draining()) {
		c := contenderNamed(name)
		d, err := b.drain(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
		d.rep = rep
		b.res.drains = append(b.res.drains, d)
		b.say("%d/%d %-14s %6.2f us/event, warm %6.2f, %9.0f events/s, %d MiB", rep+1, o.reps, c.name,
			d.cpuPerEvent, d.warmCPU, d.rate, d.peak>>20)
	}
	return nil
}
