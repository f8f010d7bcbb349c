package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/bench/workload"
)

// latency is how long a contender takes at a fixed rate from the moment an event is due to be produced
// until its stage change is there for a consumer that reads committed records.
type latency struct {
	contender *contender
	rate      int
	spread    workload.Spread
	p50, p99  time.Duration
	worst     time.Duration
	changes   int     // stage changes measured
	cpu       float64 // share of one core while measuring
}

// generatorLinger is how long the producer of the events waits for more; it is part of every latency.
const generatorLinger = 2 * time.Millisecond

func (b *bench) latencies(ctx context.Context) error {
	if len(b.opts.rates) == 0 {
		return nil
	}
	if err := b.warm(ctx); err != nil {
		return err
	}
	for _, rate := range b.opts.rates {
		for _, name := range b.opts.contenders {
			c := contenderNamed(name)
			if !c.latency || b.opts.form == "quick" && name == streamsEOS {
				continue
			}
			l, err := b.latency(ctx, c, rate, workload.ByZipf)
			if err != nil {
				return fmt.Errorf("%s at %d/s: %w", c.title, rate, err)
			}
			b.res.latencies = append(b.res.latencies, l)
			b.say("%6d/s %-14s p50 %.1f ms, p99 %.1f ms, %d stage changes", rate, name, ms(l.p50), ms(l.p99), l.changes)
		}
	}
	return nil
}

// warmRounds is how many runs are thrown away at most, until the broker is warm: its compiler needs some to come to
// rest, and a latency measured before is that of the compiler.
const warmRounds = 4

// warm runs leadstream at 5,000 events per second until that does not become faster any more.
func (b *bench) warm(ctx context.Context) error {
	var last time.Duration
	for range warmRounds {
		l, err := b.latency(ctx, contenderNamed(leadstreamName), 5000, workload.ByZipf)
		if err != nil {
			return fmt.Errorf("warming the broker: %w", err)
		}
		b.say("warming the broker: p50 %.1f ms, p99 %.1f ms", ms(l.p50), ms(l.p99))
		b.res.warming = append(b.res.warming, l.p50)
		if last > 0 && l.p50 > last*8/10 {
			return nil
		}
		last = l.p50
	}
	return nil
}

// hot measures leadstream at 5,000 events per second, and then beside as many more that are all of one lead.
func (b *bench) hot(ctx context.Context) error {
	for _, s := range []struct {
		rate   int
		spread workload.Spread
	}{{5000, workload.ByZipf}, {10_000, workload.HalfToOne}} {
		l, err := b.latency(ctx, contenderNamed(leadstreamName), s.rate, s.spread)
		if err != nil {
			return fmt.Errorf("a hot lead: %w", err)
		}
		b.res.hot = append(b.res.hot, l)
		b.say("hot lead: %d/s p50 %.1f ms, p99 %.1f ms", s.rate, ms(l.p50), ms(l.p99))
	}
	return nil
}

func (b *bench) hotTable(w *bytes.Buffer) {
	if len(b.res.hot) < 2 {
		return
	}
	alone, beside := b.res.hot[0], b.res.hot[1]
	fmt.Fprintf(w, "\n## Beside a hot lead\n\nLatency of all leads at %d events/s, and of the same beside as many more events of one lead.\n\n"+
		"| | p50 ms | p99 ms | worst ms | stage changes |\n| --- | --- | --- | --- | --- |\n", alone.rate)
	for i, l := range b.res.hot {
		fmt.Fprintf(w, "| %s | %.1f | %.1f | %.1f | %d |\n", []string{"alone", "beside"}[i], ms(l.p50), ms(l.p99), ms(l.worst), l.changes)
	}
	fmt.Fprintf(w, "| beside : alone | %.2f | %.2f | | |\n", ms(beside.p50)/ms(alone.p50), ms(beside.p99)/ms(alone.p99))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// latency runs one contender at one rate: first one event, until it is done and the program thus up; then
// a warm-up at the rate, then what is measured, without a break.
func (b *bench) latency(ctx context.Context, c *contender, rate int, spread workload.Spread) (_ *latency, err error) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	warm := max(3*time.Second, b.opts.latencyFor*2/3)
	r, err := b.newRun(c, fmt.Sprintf("paced%03d", b.runs), 0, 5)
	if err != nil {
		return nil, err
	}
	r.eager = true
	if err := createTopic(ctx, b.adm, r.topic, partitions); err != nil {
		return nil, err
	}
	if err := b.prepareTopics(ctx, c, r); err != nil {
		return nil, err
	}
	ch, err := c.start(ctx, b, r)
	if err != nil {
		return nil, err
	}
	defer ch.kill()
	first := workload.LoadConfig{Seed: 2, Events: 1, Leads: 1, Start: time.Now().UnixMilli()}
	if _, err := preload(ctx, b.broker.Addr(), r.topic, partitions, first); err != nil {
		return nil, err
	}
	r.events = 1
	if _, err := b.watch(ctx, c, r, ch); err != nil {
		return nil, err
	}
	p := &pace{rate: rate, spread: spread, topic: r.topic, warm: warm, measured: b.opts.latencyFor, start: time.Now().Add(50 * time.Millisecond)}
	seen, err := b.paced(ctx, p, c, r, ch)
	if err != nil {
		return nil, err
	}
	if err := ch.stop(); err != nil {
		return nil, err
	}
	if len(seen) == 0 {
		return nil, errors.New("no stage change was seen: measure for longer")
	}
	slices.Sort(seen)
	l := &latency{contender: c, rate: rate, spread: spread, changes: len(seen), p50: seen[len(seen)/2], p99: seen[len(seen)*99/100],
		worst: seen[len(seen)-1], cpu: p.cpu.Seconds() / p.measured.Seconds()}
	if err := deleteTopics(ctx, b.adm, r.app, r.app); err != nil {
		return nil, err
	}
	if err := deleteTopics(ctx, b.adm, r.topic, r.app); err != nil {
		return nil, err
	}
	return l, os.RemoveAll(r.dir)
}

// pace is a stream of events at a fixed rate.
type pace struct {
	rate           int
	spread         workload.Spread
	topic          string
	warm, measured time.Duration
	start          time.Time
	cpu            time.Duration // taken by the contender while measuring
}

func (p *pace) events() int { return int(float64(p.rate) * (p.warm + p.measured).Seconds()) }

// due is when event i is to be produced.
func (p *pace) due(i int) time.Time {
	return p.start.Add(time.Duration(float64(i) / float64(p.rate) * float64(time.Second)))
}

// paced produces the events and returns the latencies of those after the warm-up that changed a stage.
func (b *bench) paced(ctx context.Context, p *pace, c *contender, r run, ch *child) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.broker.Addr()), kgo.ConsumeTopics(r.outTopic()), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return nil, fmt.Errorf("opening the consumer: %w", err)
	}
	defer cl.Close()
	var seen []time.Duration
	done := make(chan error, 1)
	rctx, stopReading := context.WithCancel(ctx)
	defer stopReading()
	go func() { done <- p.read(rctx, cl, &seen) }()
	if err := p.produce(ctx, b.broker.Addr(), ch); err != nil {
		return nil, err
	}
	r.events = p.events() + 1
	if _, err := b.watch(ctx, c, r, ch); err != nil {
		return nil, err
	}
	// The group's offsets and the outputs become visible within milliseconds of each other.
	time.Sleep(time.Second)
	stopReading()
	return seen, <-done
}

// read takes stage changes until ctx ends.
func (p *pace) read(ctx context.Context, cl *kgo.Client, seen *[]time.Duration) error {
	for {
		fetches := cl.PollFetches(ctx)
		now := time.Now()
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("reading stage changes: %w", err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if string(r.Key) == workload.HotLead {
				return // measured are the others
			}
			i, err := strconv.Atoi(string(bytes.TrimPrefix(quoted(r.Value, `"event":"`), []byte("m-"))))
			if due := p.due(i); err == nil && due.Sub(p.start) >= p.warm {
				*seen = append(*seen, now.Sub(due))
			}
		})
	}
}

// produce writes every event when it is due.
func (p *pace) produce(ctx context.Context, addr string, ch *child) error {
	cl, err := producer(addr, generatorLinger)
	if err != nil {
		return err
	}
	defer cl.Close()
	load, err := workload.NewLoad(workload.LoadConfig{Seed: 3, Events: p.events(), Spread: p.spread, Start: p.start.UnixMilli(), Span: p.warm + p.measured})
	if err != nil {
		return fmt.Errorf("making events: %w", err)
	}
	var failed error
	promise := func(_ *kgo.Record, err error) { failed = errors.Join(failed, err) }
	var before time.Duration
	warming := true
	for i := 0; i < p.events(); i++ {
		for time.Until(p.due(i)) > 0 {
			time.Sleep(min(time.Until(p.due(i)), time.Millisecond))
		}
		if warming && time.Since(p.start) >= p.warm {
			warming = false
			if before, err = cpuOf(ch.cmd.Process.Pid); err != nil {
				return err
			}
		}
		key, value, at, _ := load.Next(nil)
		cl.Produce(ctx, record(p.topic, partitions, key, value, at), promise)
	}
	after, err := cpuOf(ch.cmd.Process.Pid)
	if err != nil {
		return err
	}
	p.cpu = after - before
	if err := cl.Flush(ctx); err != nil {
		return fmt.Errorf("producing: %w", err)
	}
	return failed
}
