package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"leadstream/bench/workload"
)

// grown is one setting in which leadstream drains a topic.
type grown struct {
	what   string
	leads  int
	shards int32
	times  int // as many times growthEvents; 0 for once
	env    []string
	lines  int // of the rule set; 0 for the rules that the peers share
	procs  int // how many share the work; 0 for one
	known  int // leads that had events
	drains []*drained
}

// The settings that targets compare.
const (
	growthBase      = "100,000 leads"
	growthFewLeads  = "10,000 leads"
	growthManyLeads = "1,000,000 leads"
	growthMostLeads = "10,000,000 leads"
	growthOneCore   = growthBase + ", 1 core"
	growthTwoProcs  = growthBase + ", 2 processes of 1 core"
	growthMostShard = growthBase + ", 256 shards"
	growthLong      = growthBase + ", 4 times the events"
	growthLongShard = growthMostShard + ", 4 times the events"
	growthFewLines  = growthBase + ", 10 rule lines"
	growthMostLines = growthBase + ", 1,000 rule lines"
)

// growths are the settings: leads, shards, cores and rule lines, each beside the same base.
func growths(full bool) []*grown {
	one := []string{"GOMAXPROCS=1"}
	all := []*grown{
		{what: growthFewLeads, leads: 10_000, shards: partitions},
		{what: growthBase, leads: 100_000, shards: partitions},
		{what: growthManyLeads, leads: 1_000_000, shards: partitions},
		{what: growthMostShard, leads: 100_000, shards: 256},
		{what: growthLong, leads: 100_000, shards: partitions, times: 4},
		{what: growthLongShard, leads: 100_000, shards: 256, times: 4},
		{what: growthOneCore, leads: 100_000, shards: partitions, env: one},
		{what: growthTwoProcs, leads: 100_000, shards: partitions, env: one, procs: 2},
		{what: growthFewLines, leads: 100_000, shards: partitions, lines: 10},
		{what: growthMostLines, leads: 100_000, shards: partitions, lines: 1000},
	}
	if full {
		all = append(all, &grown{what: growthMostLeads, leads: 10_000_000, shards: partitions})
	}
	return all
}

// growthEvents is how many events each setting is drained of at most. Shared out over 256 shards they are not enough to see
// anything but 256 shards start, so those are also compared over four times as many.
const growthEvents = 1_000_000

// events is how many events a setting is drained of, when one that says nothing of it is drained of so many.
func (g *grown) events(once int) int { return once * max(1, g.times) }

func (g *grown) topic(once int) string {
	return fmt.Sprintf("growth-%d-%d-%d", g.leads, g.shards, g.events(once))
}

func (b *bench) growth(ctx context.Context) error {
	events := min(growthEvents, b.opts.events/2)
	c := contenderNamed(leadstreamName)
	gs := growths(b.opts.form == "full")
	made, err := b.growthTopics(ctx, gs, events)
	if err != nil {
		return err
	}
	b.res.growths, b.res.growthEvents = gs, events
	for rep, g := range inTurns(b.opts.reps, gs) {
		r, err := b.newRun(c, g.topic(events), g.events(events), 1)
		if err != nil {
			return err
		}
		r.shards, r.env, r.processes = g.shards, g.env, g.procs
		if g.lines > 0 {
			r.rules = linedRules(g.lines)
		}
		d, err := b.drainRun(ctx, c, r, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", g.what, err)
		}
		d.rep = rep
		g.drains = append(g.drains, d)
		b.say("%d/%d %-36s %6.2f us/event, %9.0f events/s", rep+1, b.opts.reps, g.what, d.cpuPerEvent, d.rate)
	}
	for _, name := range made {
		if err := deleteTopics(ctx, b.adm, name, name); err != nil {
			return err
		}
	}
	return nil
}

// growthTopics fills the topics that the settings read and returns their names.
func (b *bench) growthTopics(ctx context.Context, gs []*grown, events int) ([]string, error) {
	known := map[string]int{}
	var made []string
	for _, g := range gs {
		name := g.topic(events)
		if _, ok := known[name]; !ok {
			if err := createTopic(ctx, b.adm, name, g.shards); err != nil {
				return nil, err
			}
			span := 24 * time.Hour
			n, err := preload(ctx, b.broker.Addr(), name, g.shards, workload.LoadConfig{Seed: 1, Events: g.events(events), Leads: g.leads, Span: span,
				Start: time.Now().Add(-span - time.Minute).UnixMilli()})
			if err != nil {
				return nil, err
			}
			known[name], made = n, append(made, name)
		}
		g.known = known[name]
	}
	return made, nil
}

// linedRules is a rule set of n lines that add points to one score, n lines that look at traits and n transitions, each about
// what a signal has counted. A load's events are about the first ten signals, whatever n is.
func linedRules(n int) string {
	var w strings.Builder
	w.WriteString("signals:\n")
	for i := range n {
		name := fmt.Sprintf("Never Seen %d", i)
		if i < 10 {
			name = workload.LoadNames[i]
		}
		fmt.Fprintf(&w, "  s%d: {match: 'event.name == %q'}\n", i, name)
	}
	w.WriteString("scores:\n  fit:\n    lines:\n")
	for i := range n {
		fmt.Fprintf(&w, "      - {id: l%d, when: 'traits.t%d >= %d', add: 1}\n", i, i, i)
	}
	w.WriteString("  engagement:\n    half_life: 7d\n    min: 0\n    lines:\n")
	for i := range n {
		fmt.Fprintf(&w, "      - {signal: s%d, add: %d}\n", i, i%3+1)
	}
	w.WriteString("stages: [subscriber, MQL]\ntransitions:\n")
	for i := range n {
		fmt.Fprintf(&w, "  - {from: subscriber, to: MQL, when: 'count(\"s%d\", \"30d\") > 1000000'}\n", i)
	}
	return w.String()
}

func (b *bench) growthTable(w *bytes.Buffer) {
	if len(b.res.growths) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## Growth\n\n%d events of %d bytes, Zipf 1.1, %d shards and as many partitions, but where a setting says otherwise, from an empty state; "+
		"%d repetitions, interleaved. Each lead's first event costs a new lead: "+
		"the more leads, the more of them. CPU, memory and events of two processes are those of both. Proportions are those to %s, of CPU per event and of events/s in the second half.\n\n"+
		"| | leads with events | CPU us per event | second half | events/s | second half | peak MiB | CPU in proportion | rate in proportion |\n"+
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
		b.res.growthEvents, workload.LoadEventBytes, partitions, len(b.res.growths[0].drains), growthBase)
	for _, g := range b.res.growths {
		cell := func(format string, of func(*drained) float64) string { return spreadOf(g.drains, of).format(format) }
		fmt.Fprintf(w, "| %s | %d | %s | %s | %s | %s | %s | %s | %s |\n", g.what, g.known, cell("%.2f", cpuPerEvent), cell("%.2f", warmCPU),
			cell("%.0f", allPerSecond), cell("%.0f", warmPerSecond), cell("%.0f", func(d *drained) float64 { return float64(d.peak >> 20) }),
			b.res.grownBy(g.what, growthBase, cpuPerEvent).format("%.2f"), b.res.grownBy(g.what, growthBase, warmPerSecond).format("%.2f"))
	}
}

// grownBy divides a figure in one setting by that in another, repetition by repetition.
func (r *results) grownBy(what, base string, of func(*drained) float64) spread {
	return ratios(r.grown(what), r.grown(base), repOf, of)
}

func (r *results) grown(what string) []*drained {
	i := slices.IndexFunc(r.growths, func(g *grown) bool { return g.what == what })
	if i < 0 {
		return nil
	}
	return r.growths[i].drains
}

func cpuPerEvent(d *drained) float64   { return d.cpuPerEvent }
func warmCPU(d *drained) float64       { return d.warmCPU }
func allPerSecond(d *drained) float64  { return d.rate }
func warmPerSecond(d *drained) float64 { return d.warmRate }
