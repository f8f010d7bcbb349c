package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
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
	leads, events int
	memory        string
	peak          int64   // bytes of memory at most
	filled, rate  float64 // events per second: one for each lead in turn, then any lead
	cpu           float64 // us per event of any lead
	store         float64 // reads and writes of any lead per second by the store alone, on the same files
}

// storeFor is how long the store alone is measured, storeBatch how many leads it writes at once.
const (
	storeFor   = 10 * time.Second
	storeBatch = 500
)

// tight fills a store with one event for each lead, then sends events to any of them.
func (b *bench) tight(ctx context.Context) error {
	m := &tight{leads: 300_000, events: 100_000, memory: "64MiB"}
	if b.opts.form == "full" {
		*m = tight{leads: 10_000_000, events: 2_000_000, memory: "512MiB"}
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
	load = workload.LoadConfig{Seed: 2, Events: m.events, First: m.leads, Leads: m.leads, Span: time.Hour, Spread: workload.Evenly,
		Start: load.Start + time.Hour.Milliseconds()}
	if _, err := preload(ctx, b.broker.Addr(), topic, partitions, load); err != nil {
		return err
	}
	r.events += m.events
	if m.rate, m.cpu, err = b.tightRun(ctx, c, r, m, m.leads); err != nil {
		return fmt.Errorf("events of any lead: %w", err)
	}
	meta, err := b.adm.BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("asking for the cluster's id: %w", err)
	}
	if err := m.measureStore(state.Options{Dir: filepath.Join(r.dir, "data"), App: r.app, ClusterID: meta.Cluster, Instance: "bench"}); err != nil {
		return err
	}
	b.res.tight = m
	b.say("%d leads in %s: peak %d MiB, %.0f events/s of any lead, the store alone %.0f", m.leads, m.memory, m.peak>>20, m.rate, m.store)
	if err := deleteTopics(ctx, b.adm, r.app, r.app); err != nil {
		return err
	}
	if err := deleteTopics(ctx, b.adm, topic, r.app); err != nil {
		return err
	}
	return os.RemoveAll(r.dir)
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
	_, peak, _ := ch.usage()
	m.peak = max(m.peak, peak)
	first := slices.IndexFunc(samples, func(s sample) bool { return s.done > int64(before) })
	cpu, rate = between(samples[first], samples[len(samples)-1])
	return rate, cpu, nil
}

// measureStore reads and writes leads of a stopped leadstream's store, on two goroutines.
func (m *tight) measureStore(o state.Options) (err error) {
	s, err := state.Open(o)
	if err != nil {
		return err
	}
	var done atomic.Int64
	var errs [2]error
	var wg sync.WaitGroup
	began := time.Now()
	for w := range errs {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 7))
			for time.Since(began) < storeFor && errs[w] == nil {
				// A goroutine writes shards of its own.
				shard := int32(rng.IntN(partitions/2)*2 + w)
				var batch []state.Entity
				for len(batch) < storeBatch && errs[w] == nil {
					id := fmt.Sprintf("lead-%010d", rng.IntN(m.leads))
					if engine.ShardOf([]byte(id), partitions) != shard {
						continue
					}
					v, ok, err := s.Get(shard, id, nil)
					errs[w] = err
					if ok {
						batch = append(batch, state.Entity{ID: id, Value: v, Due: lead.Never, OldDue: lead.Never})
					}
					done.Add(1)
				}
				if errs[w] == nil {
					errs[w] = s.Checkpoint(shard, batch, state.Meta{})
				}
			}
		})
	}
	wg.Wait()
	m.store = float64(done.Load()) / time.Since(began).Seconds()
	for _, e := range append(errs[:], s.Close()) {
		if e != nil && err == nil {
			err = e
		}
	}
	return err
}

func (b *bench) tightTable(w *bytes.Buffer) {
	m := b.res.tight
	if m == nil {
		return
	}
	fmt.Fprintf(w, "\n## More leads than memory\n\n%d leads on disk, one event each in turn, then %d events of any lead, all equally likely; `memory: %s`. "+
		"The store alone reads and writes leads of the same files at the same time, %d in a batch, on two goroutines.\n\n"+
		"| peak MiB | filling, events/s | any lead, events/s | CPU us per event | the store alone, per second | in proportion |\n| --- | --- | --- | --- | --- | --- |\n"+
		"| %d | %.0f | %.0f | %.2f | %.0f | %.2f |\n", m.leads, m.events, m.memory, storeBatch, m.peak>>20, m.filled, m.rate, m.cpu, m.store, m.rate/m.store)
}
