package main

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"leadstream/bench/workload"
)

// grown is one setting in which leadstream drains the same number of events.
type grown struct {
	what   string
	leads  int
	shards int32
	env    []string
	known  int // leads that had events
	drains []*drained
}

// growths are the settings: leads, shards and cores, each beside the same base.
func growths(full bool) []*grown {
	all := []*grown{
		{what: "10,000 leads", leads: 10_000, shards: partitions},
		{what: "100,000 leads", leads: 100_000, shards: partitions},
		{what: "1,000,000 leads", leads: 1_000_000, shards: partitions},
		{what: "100,000 leads, 1 core", leads: 100_000, shards: partitions, env: []string{"GOMAXPROCS=1"}},
		{what: "100,000 leads, 256 shards", leads: 100_000, shards: 256},
	}
	if full {
		all = append(all, &grown{what: "10,000,000 leads", leads: 10_000_000, shards: partitions},
			&grown{what: "100,000 leads, 64 shards", leads: 100_000, shards: 64})
	}
	return all
}

// growthReps is how often each setting is drained, taking turns.
const growthReps = 3

func (b *bench) growth(ctx context.Context) error {
	full := b.opts.form == "full"
	events := b.opts.events / 2
	c := contenderNamed(leadstreamName)
	gs := growths(full)
	topic := func(g *grown) string { return fmt.Sprintf("growth-%d-%d", g.leads, g.shards) }
	made := map[string]int{}
	for _, g := range gs {
		if n, ok := made[topic(g)]; ok {
			g.known = n
			continue
		}
		if err := createTopic(ctx, b.adm, topic(g), g.shards); err != nil {
			return err
		}
		span := 24 * time.Hour
		n, err := preload(ctx, b.broker.Addr(), topic(g), g.shards, workload.LoadConfig{Seed: 1, Events: events, Leads: g.leads, Span: span,
			Start: time.Now().Add(-span - time.Minute).UnixMilli()})
		if err != nil {
			return err
		}
		g.known, made[topic(g)] = n, n
	}
	for rep := range growthReps {
		for i := range gs {
			g := gs[(i+rep)%len(gs)]
			r, err := b.newRun(c, topic(g), events, 1)
			if err != nil {
				return err
			}
			r.shards, r.env = g.shards, g.env
			d, err := b.drainRun(ctx, c, r, nil)
			if err != nil {
				return fmt.Errorf("%s: %w", g.what, err)
			}
			g.drains = append(g.drains, d)
			b.say("%d/%d %-26s %6.2f us/event, %9.0f events/s", rep+1, growthReps, g.what, d.cpuPerEvent, d.rate)
		}
	}
	b.res.growths = gs
	for name := range made {
		if err := deleteTopics(ctx, b.adm, name, name); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) growthTable(w *bytes.Buffer) {
	if len(b.res.growths) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## Growth\n\n%d events, Zipf 1.1, from an empty state; %d repetitions, interleaved. Each lead's first event costs a new lead: "+
		"the more leads, the more of them.\n\n| | leads with events | CPU us per event | second half | events/s | peak MiB |\n| --- | --- | --- | --- | --- | --- |\n",
		b.opts.events/2, growthReps)
	for _, g := range b.res.growths {
		cell := func(format string, of func(*drained) float64) string { return spreadOf(g.drains, of).format(format) }
		fmt.Fprintf(w, "| %s | %d | %s | %s | %s | %s |\n", g.what, g.known, cell("%.2f", func(d *drained) float64 { return d.cpuPerEvent }),
			cell("%.2f", func(d *drained) float64 { return d.warmCPU }), cell("%.0f", func(d *drained) float64 { return d.rate }),
			cell("%.0f", func(d *drained) float64 { return float64(d.peak >> 20) }))
	}
}
