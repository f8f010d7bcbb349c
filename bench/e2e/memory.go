package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"leadstream/bench/workload"
	"leadstream/engine"
	"leadstream/state"
	"leadstream/state/lead"
)

// tight is leadstream with many more leads on disk than fit its memory.
type tight struct {
	leads  int
	events int // of any lead, in each repetition
	memory string
	peak   int64   // bytes of memory at most
	filled float64 // events per second, one for each lead in turn
	reps   []tightRep
}

// tightRep is a repetition of events of any lead, and the store alone after it.
type tightRep struct {
	rate  float64 // events per second
	cpu   float64 // us per event
	store float64 // reads and writes of any lead per second by the store alone, on the same files
}

// storeFor is how long the store alone is measured in a repetition, storeBatch how many leads it writes at once.
const (
	storeFor   = 4 * time.Second
	storeBatch = 500
)

// tight fills a store with one event for each lead, then sends events to any of them, in turns with the store alone.
func (b *bench) tight(ctx context.Context) error {
	if err := b.measureLeadBytes(ctx); err != nil {
		return err
	}
	m := &tight{leads: 300_000, events: 50_000, memory: "64MiB"}
	if b.opts.form == "full" {
		*m = tight{leads: 10_000_000, events: 400_000, memory: "512MiB"}
	}
	const topic = "tight"
	if err := createTopic(ctx, b.adm, topic, partitions); err != nil {
		return err
	}
	load := workload.LoadConfig{Seed: 1, Events: m.leads, Leads: m.leads, Span: time.Hour, Spread: workload.OneEach,
		Start: time.Now().Add(-2 * time.Hour).UnixMilli()}
	b.say("filling a store with %d leads", m.leads)
	if _, err := preload(ctx, b.broker.Addr(), topic, partitions, load); err != nil {
		return err
	}
	c := contenderNamed(leadstreamName)
	r, err := b.newRun(c, topic, m.leads, 5)
	if err != nil {
		return err
	}
	r.memory = m.memory
	if m.filled, _, err = b.tightRun(ctx, c, r, m, 0); err != nil {
		return fmt.Errorf("filling a store: %w", err)
	}
	b.res.tight = m
	meta, err := b.adm.BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("asking for the cluster's id: %w", err)
	}
	o := state.Options{Dir: filepath.Join(r.dir, "data"), App: r.app, ClusterID: meta.Cluster, Instance: "bench0"}
	for rep := range b.opts.reps {
		load = workload.LoadConfig{Seed: uint64(2 + rep), Events: m.events, First: r.events, Leads: m.leads, Span: 5 * time.Minute, Spread: workload.Evenly,
			Start: load.Start + load.Span.Milliseconds()}
		if _, err := preload(ctx, b.broker.Addr(), topic, partitions, load); err != nil {
			return err
		}
		before := r.events
		r.events += m.events
		var t tightRep
		if t.rate, t.cpu, err = b.tightRun(ctx, c, r, m, before); err != nil {
			return fmt.Errorf("events of any lead: %w", err)
		}
		if t.store, err = measureStore(o, m.leads, uint64(rep)); err != nil {
			return fmt.Errorf("the store alone: %w", err)
		}
		m.reps = append(m.reps, t)
		b.say("%d/%d %d leads in %s: peak %d MiB, %.0f events/s of any lead, the store alone %.0f", rep+1, b.opts.reps, m.leads, m.memory, m.peak>>20, t.rate, t.store)
	}
	return b.clear(ctx, r)
}

// tightRun starts leadstream, until it has done all events, and measures those after the first so many.
func (b *bench) tightRun(ctx context.Context, c *contender, r run, m *tight, before int) (rate, cpu float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	ch, err := c.start(ctx, b, r)
	if err != nil {
		return 0, 0, err
	}
	defer ch.kill()
	samples, err := b.watch(ctx, c, r, ch)
	if err != nil {
		return 0, 0, err
	}
	if err := ch.stop(); err != nil {
		return 0, 0, err
	}
	m.peak = max(m.peak, ch.usage().peak)
	first := slices.IndexFunc(samples, func(s sample) bool { return s.done > int64(before) })
	cpu, rate = between(samples[first], samples[len(samples)-1])
	return rate, cpu, nil
}

// measureStore reads and writes leads of a stopped leadstream's store, on two goroutines, and returns how many a second. What
// it writes is what it has read, so that leadstream can go on with it.
func measureStore(o state.Options, leads int, seed uint64) (perSecond float64, err error) {
	s, err := state.Open(o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	metas := make([]state.Meta, partitions)
	for i := range metas {
		if metas[i], _, err = s.Meta(int32(i)); err != nil {
			return 0, err
		}
	}
	var done atomic.Int64
	var errs [2]error
	var wg sync.WaitGroup
	began := time.Now()
	for w := range errs {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), seed))
			for time.Since(began) < storeFor && errs[w] == nil {
				// A goroutine writes shards of its own.
				shard := int32(rng.IntN(partitions/2)*len(errs) + w)
				var n int
				n, errs[w] = rewrite(s, shard, leads, rng, metas[shard])
				done.Add(int64(n))
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(began).Seconds(), errors.Join(errs[:]...)
}

// rewrite reads a batch of any of a shard's leads and writes them again.
func rewrite(s *state.Store, shard int32, leads int, rng *rand.Rand, m state.Meta) (n int, err error) {
	var batch []state.Entity
	for len(batch) < storeBatch {
		id := fmt.Sprintf("lead-%010d", rng.IntN(leads))
		if engine.ShardOf([]byte(id), partitions) != shard {
			continue
		}
		v, ok, err := s.Get(shard, id, nil)
		if err != nil {
			return n, err
		}
		if ok {
			batch = append(batch, state.Entity{ID: id, Value: v, Due: lead.Never, OldDue: lead.Never})
		}
		n++
	}
	return n, s.Checkpoint(shard, batch, m)
}

func (b *bench) tightTable(w *bytes.Buffer) {
	m := b.res.tight
	if m == nil {
		return
	}
	cell := func(format string, of func(tightRep) float64) string { return spreadOf(m.reps, of).format(format) }
	fmt.Fprintf(w, "\n## More leads than memory\n\n%d leads on disk, one event each in turn; then %d times %d events of any lead, all equally likely, after a start on that disk; `memory: %s`. "+
		"The store alone reads and writes leads of the same files, %d in a batch, on two goroutines, for %s after each time.\n\n"+
		"| peak MiB | filling, events/s | any lead, events/s | CPU us per event | the store alone, per second | in proportion |\n| --- | --- | --- | --- | --- | --- |\n"+
		"| %d | %.0f | %s | %s | %s | %s |\n", m.leads, len(m.reps), m.events, m.memory, storeBatch, storeFor, m.peak>>20, m.filled,
		cell("%.0f", func(t tightRep) float64 { return t.rate }), cell("%.2f", func(t tightRep) float64 { return t.cpu }),
		cell("%.0f", func(t tightRep) float64 { return t.store }), cell("%.2f", tightRep.inProportion))
}

func (t tightRep) inProportion() float64 { return t.rate / max(1, t.store) }
