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

// phase is a time of a fixed rate.
type phase struct {
	rate   int
	spread workload.Spread
}

const (
	// warmRate is the rate of the warm-up before the first phase.
	warmRate = 10_000
	// settle is how long each phase lasts before it is measured.
	settle = time.Second
)

// warmFor is how long a contender is warmed.
func (b *bench) warmFor() time.Duration { return max(3*time.Second, b.opts.latencyFor*2/3) }

// pacedRun runs one contender through phases: first one event, until it is done and the program thus up; then
// a warm-up, then what is measured, without a break.
func (b *bench) pacedRun(ctx context.Context, c *contender, phases []phase) ([]*latency, error) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	r, err := b.newRun(c, fmt.Sprintf("paced%03d", b.runs), 0, 5)
	if err != nil {
		return nil, err
	}
	r.eager = true
	ch, err := b.startPaced(ctx, c, &r)
	if err != nil {
		return nil, err
	}
	defer ch.kill()
	p := newPace(r.topic, phases, b.warmFor(), b.opts.latencyFor, time.Now().Add(50*time.Millisecond))
	if err := b.paced(ctx, p, c, r, ch); err != nil {
		return nil, err
	}
	if err := ch.stop(); err != nil {
		return nil, err
	}
	ls, err := p.latencies(c)
	if err != nil {
		return nil, err
	}
	return ls, b.clear(ctx, r)
}

// startPaced makes a run's topics and starts its contender, whose first event is done when it returns.
func (b *bench) startPaced(ctx context.Context, c *contender, r *run) (_ *child, err error) {
	if err := createTopic(ctx, b.adm, r.topic, partitions); err != nil {
		return nil, err
	}
	if err := b.prepareTopics(ctx, c, *r); err != nil {
		return nil, err
	}
	ch, err := c.start(ctx, b, *r)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			ch.kill()
		}
	}()
	first := workload.LoadConfig{Seed: 2, Events: 1, Leads: 1, Start: time.Now().UnixMilli()}
	if _, err := preload(ctx, b.broker.Addr(), r.topic, partitions, first); err != nil {
		return nil, err
	}
	r.events = 1
	_, err = b.watch(ctx, c, *r, ch)
	return ch, err
}

// clear deletes what a run has left: the topics that it wrote and read, its group and its directory.
func (b *bench) clear(ctx context.Context, r run) error {
	for _, prefix := range []string{r.app, r.topic} {
		if err := deleteTopics(ctx, b.adm, prefix, r.app); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("deleting what a run has left: %w", err)
	}
	return nil
}

// pace is a stream of events at fixed rates, one after another.
type pace struct {
	topic string
	steps []*step // a warm-up, then one for each phase
}

// step is a phase and what was seen in it.
type step struct {
	phase
	first, events int       // number of its first event, which the messageId has, and how many there are
	start         time.Time // when the first is due
	lasts, settle time.Duration
	cpu           time.Duration // taken by the contender after it had settled
	seen          []time.Duration
}

func newPace(topic string, phases []phase, warm, measured time.Duration, start time.Time) *pace {
	p := &pace{topic: topic}
	first := 1 // 0 is the event that says that the program is up
	add := func(ph phase, settle, lasts time.Duration) {
		s := &step{phase: ph, first: first, events: int(float64(ph.rate) * lasts.Seconds()), start: start, lasts: lasts, settle: settle}
		p.steps = append(p.steps, s)
		first, start = first+s.events, start.Add(lasts)
	}
	add(phase{warmRate, workload.ByZipf}, warm, warm)
	for _, ph := range phases {
		add(ph, settle, settle+measured)
	}
	return p
}

func (p *pace) events() int {
	last := p.steps[len(p.steps)-1]
	return last.first + last.events
}

// due is when the event of that number within the step is to be produced.
func (s *step) due(i int) time.Time {
	return s.start.Add(time.Duration(float64(i) / float64(s.rate) * float64(time.Second)))
}

// latencies are those of each phase.
func (p *pace) latencies(c *contender) ([]*latency, error) {
	var ls []*latency
	for _, s := range p.steps[1:] {
		n := len(s.seen)
		if n == 0 {
			return nil, fmt.Errorf("no stage change was seen at %d/s: measure for longer", s.rate)
		}
		slices.Sort(s.seen)
		ls = append(ls, &latency{contender: c, rate: s.rate, spread: s.spread, changes: n, p50: s.seen[n/2], p99: s.seen[n*99/100], worst: s.seen[n-1],
			cpu: s.cpu.Seconds() / (s.lasts - s.settle).Seconds()})
	}
	return ls, nil
}

// paced produces the events and takes in the latencies of those that changed a stage after their phase had settled.
func (b *bench) paced(ctx context.Context, p *pace, c *contender, r run, ch *child) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(b.broker.Addr()), kgo.ConsumeTopics(r.outTopic()), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return fmt.Errorf("opening the consumer: %w", err)
	}
	defer cl.Close()
	done := make(chan error, 1)
	rctx, stopReading := context.WithCancel(ctx)
	defer stopReading()
	go func() { done <- p.read(rctx, cl) }()
	if err := p.produce(ctx, b.broker.Addr(), ch); err != nil {
		return err
	}
	r.events = p.events()
	if _, err := b.watch(ctx, c, r, ch); err != nil {
		return err
	}
	// The group's offsets and the outputs become visible within milliseconds of each other.
	time.Sleep(time.Second)
	stopReading()
	return <-done
}

// read takes stage changes until ctx ends.
func (p *pace) read(ctx context.Context, cl *kgo.Client) error {
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
			if i, err := strconv.Atoi(string(bytes.TrimPrefix(quoted(r.Value, `"event":"`), []byte("m-")))); err == nil {
				p.saw(i, now)
			}
		})
	}
}

// saw takes in the stage change of an event.
func (p *pace) saw(i int, now time.Time) {
	for _, s := range p.steps {
		if i < s.first || i >= s.first+s.events {
			continue
		}
		if due := s.due(i - s.first); due.Sub(s.start) >= s.settle {
			s.seen = append(s.seen, now.Sub(due))
		}
	}
}

// load makes the events of a step, the same ones every time.
func (p *pace) load(step int) (*workload.Load, error) {
	s := p.steps[step]
	load, err := workload.NewLoad(workload.LoadConfig{Seed: uint64(3 + step), Events: s.events, First: s.first, Spread: s.spread,
		Start: s.start.UnixMilli(), Span: s.lasts})
	if err != nil {
		return nil, fmt.Errorf("making events: %w", err)
	}
	return load, nil
}

// produce writes every event when it is due.
func (p *pace) produce(ctx context.Context, addr string, ch *child) error {
	cl, err := producer(addr, generatorLinger)
	if err != nil {
		return err
	}
	defer cl.Close()
	var failed error
	promise := func(_ *kgo.Record, err error) { failed = errors.Join(failed, err) }
	for n, s := range p.steps {
		load, err := p.load(n)
		if err != nil {
			return err
		}
		var before time.Duration
		settling := true
		for i := range s.events {
			for time.Until(s.due(i)) > 0 {
				time.Sleep(min(time.Until(s.due(i)), time.Millisecond))
			}
			if settling && time.Since(s.start) >= s.settle {
				settling = false
				if before, err = cpuOf(ch.pids()); err != nil {
					return err
				}
			}
			key, value, at, _ := load.Next(nil)
			cl.Produce(ctx, record(p.topic, partitions, key, value, at), promise)
		}
		after, err := cpuOf(ch.pids())
		if err != nil {
			return err
		}
		s.cpu = after - before
	}
	if err := cl.Flush(ctx); err != nil {
		return fmt.Errorf("producing: %w", err)
	}
	return failed
}
