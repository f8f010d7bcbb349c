package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/bench/workload"
	"leadstream/engine"
)

// liveBytes is what one contender wrote to Kafka in a window of time at a steady rate.
type liveBytes struct {
	contender *contender
	rep       int
	events    int64 // that it did in the window
	rate      float64
	cpu       float64 // share of one core
	written
	checkpointed float64 // leads that leadstream's own metric counted
	writes
}

// written are the bytes that topics grew by: all of a run's, and of those the state or changelog, the journal and the stage changes.
// The broker's are beside: where it keeps the offsets of groups and the progress of transactions.
type written struct {
	all, state, journal, outputs, broker int64
}

// writes says how often leads were written to the state topic or the changelog.
type writes struct {
	leads, records int // leads that had an event, and writes of any lead
	busy           int // leads that had an event in each of the intervals
	busyRecords    int // writes of those
	least          int // of one of those
	enough         int // of those, leads that were written goalCheckpoints times
}

const (
	// liveRate is the rate at which bytes are counted, liveReps how often at most.
	liveRate = 10_000
	liveReps = 3
	// liveIntervals is how many checkpoint intervals the window lasts; one more is the warm-up.
	liveIntervals = 3
)

// liveInterval is within how long leadstream writes a changed lead.
func (b *bench) liveInterval() time.Duration {
	if b.opts.form == "full" {
		return 8 * time.Second
	}
	return 3 * time.Second
}

// liveBytes counts what contenders write at a steady rate, in turns.
func (b *bench) liveBytes(ctx context.Context) error {
	names := slices.DeleteFunc(slices.Clone(b.opts.contenders), func(name string) bool {
		c := contenderNamed(name)
		return !c.outputs || !c.latency
	})
	reps := min(b.opts.reps, liveReps)
	for rep, name := range inTurns(reps, names) {
		c := contenderNamed(name)
		l, err := b.liveRun(ctx, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
		l.rep = rep
		b.res.live = append(b.res.live, l)
		b.say("%d/%d live %-14s %6.1f bytes/event, busy leads written %.1f times, %.0f%% of a core", rep+1, reps, c.name, l.perEvent(l.all), l.perBusy(), 100*l.cpu)
	}
	return nil
}

// liveRun starts a contender, warms it for an interval and compares what there is of its topics at the beginning and at the end
// of a window. Whatever waits to be written at the one waits at the other, too.
func (b *bench) liveRun(ctx context.Context, c *contender) (*liveBytes, error) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	interval := b.liveInterval()
	r, err := b.newRun(c, fmt.Sprintf("live%03d", b.runs), 0, int(interval.Seconds()))
	if err != nil {
		return nil, err
	}
	ch, err := b.startPaced(ctx, c, &r)
	if err != nil {
		return nil, err
	}
	defer ch.kill()
	p := newPace(r.topic, []phase{{liveRate, workload.ByZipf}}, interval, liveIntervals*interval, time.Now().Add(50*time.Millisecond))
	window := p.steps[1]
	looks := make(chan looked, 1)
	go func() { // ends with the window, or with ctx
		var l looked
		if l.from, l.err = b.lookAt(ctx, c, r, ch, window.start.Add(window.settle)); l.err == nil {
			l.to, l.err = b.lookAt(ctx, c, r, ch, window.start.Add(window.lasts))
		}
		looks <- l
	}()
	if err := p.produce(ctx, b.broker.Addr(), ch); err != nil {
		return nil, err
	}
	l := <-looks
	if l.err != nil {
		return nil, l.err
	}
	r.events = p.events()
	if _, err := b.watch(ctx, c, r, ch); err != nil {
		return nil, err
	}
	if err := ch.stop(); err != nil {
		return nil, err
	}
	lb := &liveBytes{contender: c, events: l.to.done - l.from.done, checkpointed: l.to.checkpointed - l.from.checkpointed}
	took := l.to.at.Sub(l.from.at).Seconds()
	lb.rate, lb.cpu = float64(lb.events)/took, (l.to.cpu-l.from.cpu).Seconds()/took
	lb.written = grew(r, stateTopic(c, r), l.from.sizes, l.to.sizes)
	if lb.writes, err = b.countWrites(ctx, p, stateTopic(c, r), l.from.ends, l.to.ends); err != nil {
		return nil, err
	}
	return lb, b.clear(ctx, r)
}

// stateTopic is where a run writes its leads.
func stateTopic(c *contender, r run) string {
	if c.name == streamsEOS || c.name == streamsALOS {
		return r.app + "-leads-changelog"
	}
	return engine.TopicName(r.app, engine.TopicState)
}

// look is what there is at one moment.
type look struct {
	sample
	sizes        map[string]int64 // of all topics
	ends         map[int32]int64  // of the state topic's partitions
	checkpointed float64
}

type looked struct {
	from, to look
	err      error
}

// lookAt waits for a time and looks.
func (b *bench) lookAt(ctx context.Context, c *contender, r run, ch *child, at time.Time) (l look, err error) {
	select {
	case <-ctx.Done():
		return l, ctx.Err()
	case <-time.After(time.Until(at)):
	}
	if l.sample, err = b.sample(ctx, c, r, ch); err != nil {
		return l, err
	}
	if l.sizes, err = topicSizes(ctx, b.adm, ""); err != nil {
		return l, err
	}
	if l.ends, err = endOffsets(ctx, b.adm, stateTopic(c, r)); err != nil {
		return l, err
	}
	if url := ch.logged("api="); url != "" {
		l.checkpointed, _, err = readMetrics(ctx, url)
	}
	return l, err
}

// grew compares the sizes of topics.
func grew(r run, state string, from, to map[string]int64) written {
	var g written
	for topic, size := range to {
		n := size - from[topic]
		switch {
		case topic == "__consumer_offsets" || topic == "__transaction_state":
			g.broker += n
			continue
		case !strings.HasPrefix(topic, r.app):
			continue
		case topic == state:
			g.state += n
		case topic == engine.TopicName(r.app, engine.TopicJournal):
			g.journal += n
		case topic == r.outTopic():
			g.outputs += n
		}
		g.all += n
	}
	return g
}

// countWrites counts by lead what was written to a topic between offsets.
func (b *bench) countWrites(ctx context.Context, p *pace, topic string, from, to map[int32]int64) (writes, error) {
	touched, err := p.touched(1, liveIntervals)
	if err != nil {
		return writes{}, err
	}
	times := map[string]int{}
	err = readCommitted(ctx, b.broker.Addr(), topic, from, to, func(rec *kgo.Record) error {
		times[string(rec.Key)]++
		return nil
	})
	return writesOf(touched, times, liveIntervals), err
}

// touched says in which of so many equal parts of a step, after it has settled, each lead had an event: bit i is part i.
func (p *pace) touched(step, parts int) (map[string]uint, error) {
	load, err := p.load(step)
	if err != nil {
		return nil, err
	}
	s := p.steps[step]
	touched := map[string]uint{}
	for i := range s.events {
		key, _, _, _ := load.Next(nil)
		if at := s.due(i).Sub(s.start) - s.settle; at >= 0 {
			touched[string(key)] |= 1 << (int(at) * parts / int(s.lasts-s.settle))
		}
	}
	return touched, nil
}

// writesOf compares when leads had events with how often they were written.
func writesOf(touched map[string]uint, times map[string]int, parts int) writes {
	w := writes{leads: len(touched)}
	for n := range maps.Values(times) {
		w.records += n
	}
	for id, in := range touched {
		if in != 1<<parts-1 {
			continue
		}
		n := times[id]
		if w.busy == 0 || n < w.least {
			w.least = n
		}
		w.busy++
		w.busyRecords += n
		if n >= goalCheckpoints {
			w.enough++
		}
	}
	return w
}

func (l *liveBytes) perEvent(bytes int64) float64 { return float64(bytes) / max(1, float64(l.events)) }
func (w *writes) perLead() float64                { return float64(w.records) / max(1, float64(w.leads)) }
func (w *writes) perBusy() float64                { return float64(w.busyRecords) / max(1, float64(w.busy)) }

// enoughPercent is how many of the busy leads were written as often as the goal asks.
func (w *writes) enoughPercent() float64 { return 100 * float64(w.enough) / max(1, float64(w.busy)) }
