package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// drained is one contender's run through the preloaded topic.
type drained struct {
	contender *contender
	rep       int
	// CPU time of the process in us per event, from when the first events were done to when the last was;
	// and of the second half.
	cpuPerEvent, warmCPU float64
	// Events per second over the same time, and over the second half.
	rate, warmRate float64
	usage                // of the whole life: start and stop included
	events         int   // that it has done in it
	written        int64 // bytes that its topics hold when all events are done
	changes        int64 // those of them that are stage changes
	outcome        outcome
	checkpointed   float64 // leads written to the state topic before it was told to stop
	epochs         float64
}

// sample is a look at a process: the events that it has done and the CPU time that it has taken.
type sample struct {
	at   time.Time
	done int64
	cpu  time.Duration
}

// sampleEvery is how often a process is looked at. CPU time comes in steps of 10 ms.
const sampleEvery = 20 * time.Millisecond

// drainLimit is how long one run may take.
const drainLimit = 10 * time.Minute

// drain runs a contender through the preloaded topic, from its start to its stop.
func (b *bench) drain(ctx context.Context, c *contender) (*drained, error) {
	r, err := b.newRun(c, preloaded, b.opts.events, 1)
	if err != nil {
		return nil, err
	}
	if !c.outputs && !c.committed { // it reads the topic again and again, and says how much
		r.events *= (limitEvents + r.events - 1) / r.events
	}
	return b.drainRun(ctx, c, r, nil)
}

// drainRun is drain of a run that is set up; beside, if not nil, goes on while it drains.
func (b *bench) drainRun(ctx context.Context, c *contender, r run, beside func(ctx context.Context, api string)) (_ *drained, err error) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	if c.outputs {
		if err := b.prepareTopics(ctx, c, r); err != nil {
			return nil, err
		}
	}
	ch, err := c.start(ctx, b, r)
	if err != nil {
		return nil, err
	}
	defer ch.kill()
	stopBeside := b.startBeside(ctx, ch, beside)
	samples, err := b.watch(ctx, c, r, ch)
	stopBeside()
	if err != nil {
		return nil, err
	}
	d := &drained{contender: c, events: int(samples[len(samples)-1].done)}
	if url := ch.logged("api="); url != "" {
		if d.checkpointed, d.epochs, err = readMetrics(ctx, url); err != nil {
			return nil, err
		}
	}
	if c.outputs {
		if d.written, err = topicBytes(ctx, b.adm, r.app); err != nil {
			return nil, err
		}
		if d.changes, err = topicBytes(ctx, b.adm, r.outTopic()); err != nil {
			return nil, err
		}
	}
	if err := ch.stop(); err != nil {
		return nil, err
	}
	if err := b.summarize(ctx, c); err != nil {
		return nil, err
	}
	d.usage = ch.usage()
	d.figures(samples)
	if c.outputs {
		if d.outcome, err = readOutcome(ctx, b.adm, b.broker.Addr(), r.outTopic()); err != nil {
			return nil, err
		}
		if err := deleteTopics(ctx, b.adm, r.app, r.app); err != nil {
			return nil, err
		}
	}
	return d, os.RemoveAll(r.dir)
}

// startBeside runs something beside a process, once that has an API, until the function that it returns is called.
func (b *bench) startBeside(ctx context.Context, ch *child, beside func(ctx context.Context, api string)) (stop func()) {
	if beside == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil && ch.logged("api=") == "" {
			time.Sleep(sampleEvery)
		}
		beside(ctx, ch.logged("api="))
	}()
	return func() {
		cancel()
		<-done
	}
}

// prepareTopics creates the output topic for those that don't do it themselves.
func (b *bench) prepareTopics(ctx context.Context, c *contender, r run) error {
	if c.name == streamsEOS || c.name == streamsALOS {
		return createTopic(ctx, b.adm, r.outTopic(), partitions)
	}
	return nil
}

// watch samples a process until it has done all events.
func (b *bench) watch(ctx context.Context, c *contender, r run, ch *child) ([]sample, error) {
	var samples []sample
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %s", ctx.Err(), ch.lastWords())
		case <-tick.C:
		}
		if err := ch.ended(); err != nil {
			return nil, err
		}
		s, err := b.sample(ctx, c, r, ch)
		if err != nil {
			return nil, err
		}
		if s.done > 0 && (len(samples) == 0 || samples[len(samples)-1].done == 0) {
			b.profile(c, ch, true)
		}
		samples = append(samples, s)
		if s.done >= int64(r.events) {
			b.profile(c, ch, false)
			return samples, nil
		}
	}
}

func (b *bench) sample(ctx context.Context, c *contender, r run, ch *child) (sample, error) {
	s := sample{done: ch.said.Load()}
	var err error
	if c.committed {
		if s.done, err = committedEvents(ctx, b.adm, r.app, r.topic); err != nil {
			return s, err
		}
	}
	s.at = time.Now()
	s.cpu, err = cpuOf(ch.pids())
	return s, err
}

// cpuOf returns the user and system time that running processes have taken.
func cpuOf(pids []int) (time.Duration, error) {
	var all time.Duration
	for _, pid := range pids {
		d, err := cpuOfOne(pid)
		if err != nil {
			return 0, err
		}
		all += d
	}
	return all, nil
}

// figures computes what follows from the samples. Start-up is left out: counting begins with the first
// sample that shows events done, and those that it shows are left out, too.
func (d *drained) figures(samples []sample) {
	end := samples[len(samples)-1]
	from := func(least int64) sample {
		for _, s := range samples {
			if s.done >= least {
				return s
			}
		}
		return end
	}
	d.cpuPerEvent, d.rate = between(from(1), end)
	d.warmCPU, d.warmRate = between(from(end.done/2), end)
}

func between(a, z sample) (cpuPerEvent, rate float64) {
	n := float64(z.done - a.done)
	if n == 0 { // done between two looks
		return 0, 0
	}
	return float64((z.cpu - a.cpu).Nanoseconds()) / 1000 / n, n / z.at.Sub(a.at).Seconds()
}

// readMetrics reads from leadstream's own metrics how many leads were written and how many epochs were committed.
func readMetrics(ctx context.Context, url string) (leads, epochs float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return 0, 0, fmt.Errorf("reading metrics: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, 0, fmt.Errorf("reading metrics: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, 0, fmt.Errorf("reading metrics: %w", err)
	}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		v, perr := strconv.ParseFloat(value, 64)
		switch name {
		case "leadstream_engine_leads_checkpointed_total":
			leads, err = v, errors.Join(err, perr)
		case `leadstream_engine_epochs_total{outcome="committed"}`:
			epochs, err = v, errors.Join(err, perr)
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("reading metrics: %w", err)
	}
	return leads, epochs, nil
}
