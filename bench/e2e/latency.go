package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"leadstream/bench/workload"
)

// latency is how long a contender takes at a fixed rate from the moment an event is due to be produced
// until its stage change is there for a consumer that reads committed records.
type latency struct {
	contender *contender
	rate      int
	spread    workload.Spread
	rep       int
	p50, p99  time.Duration
	worst     time.Duration
	changes   int     // stage changes measured
	cpu       float64 // share of one core while measuring
}

// generatorLinger is how long the producer of the events waits for more; it is part of every latency.
const generatorLinger = 2 * time.Millisecond

// latencies measures every contender at all rates, one rate after the other in one life of its process, the contenders
// taking turns.
func (b *bench) latencies(ctx context.Context) error {
	if len(b.opts.rates) == 0 {
		return nil
	}
	if err := b.warm(ctx); err != nil {
		return err
	}
	var phases []phase
	for _, rate := range slices.Sorted(slices.Values(b.opts.rates)) {
		phases = append(phases, phase{rate: rate, spread: workload.ByZipf})
	}
	names := slices.DeleteFunc(slices.Clone(b.opts.contenders), func(name string) bool {
		return !contenderNamed(name).latency || b.opts.form == "quick" && name == streamsEOS
	})
	for rep, name := range inTurns(b.opts.reps, names) {
		c := contenderNamed(name)
		ls, err := b.pacedRun(ctx, c, phases)
		if err != nil {
			return fmt.Errorf("%s: %w", c.title, err)
		}
		for _, l := range ls {
			l.rep = rep
			b.res.latencies = append(b.res.latencies, l)
			b.say("%d/%d %6d/s %-14s p50 %.1f ms, p99 %.1f ms, %d stage changes", rep+1, b.opts.reps, l.rate, c.name, ms(l.p50), ms(l.p99), l.changes)
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
		ls, err := b.pacedRun(ctx, contenderNamed(leadstreamName), []phase{{5000, workload.ByZipf}})
		if err != nil {
			return fmt.Errorf("warming the broker: %w", err)
		}
		l := ls[0]
		b.say("warming the broker: p50 %.1f ms, p99 %.1f ms", ms(l.p50), ms(l.p99))
		b.res.warming = append(b.res.warming, l.p50)
		if last > 0 && l.p50 > last*8/10 {
			return nil
		}
		last = l.p50
	}
	return nil
}

// hot measures leadstream at 5,000 events per second, and beside as many more that are all of one lead, in turns that
// begin with the one and with the other.
func (b *bench) hot(ctx context.Context) error {
	for rep := range b.opts.reps {
		phases := []phase{{hotRate, workload.ByZipf}, {2 * hotRate, workload.HalfToOne}}
		if rep%2 == 1 {
			slices.Reverse(phases)
		}
		ls, err := b.pacedRun(ctx, contenderNamed(leadstreamName), phases)
		if err != nil {
			return fmt.Errorf("a hot lead: %w", err)
		}
		for _, l := range ls {
			l.rep = rep
			b.res.hot = append(b.res.hot, l)
			b.say("%d/%d hot lead: %d/s p50 %.1f ms, p99 %.1f ms", rep+1, b.opts.reps, l.rate, ms(l.p50), ms(l.p99))
		}
	}
	return nil
}

// hotRate is how many events a second all leads have, and the hot one beside them.
const hotRate = 5000

func (b *bench) hotTable(w *bytes.Buffer) {
	if len(b.res.hot) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## Beside a hot lead\n\nLatency of all leads at %d events/s, and of the same beside as many more events of one lead; %d repetitions in turns.\n\n"+
		"| | p50 ms | p99 ms | worst ms | stage changes |\n| --- | --- | --- | --- | --- |\n", hotRate, b.res.hot[len(b.res.hot)-1].rep+1)
	for i, s := range []workload.Spread{workload.ByZipf, workload.HalfToOne} {
		fmt.Fprintf(w, "| %s %s\n", []string{"alone", "beside"}[i], latencyCells(hotOf(b.res.hot, s)))
	}
	fmt.Fprintf(w, "| beside : alone | %s | %s | | |\n", b.res.besideHot(func(l *latency) float64 { return ms(l.p50) }).format("%.2f"),
		b.res.besideHot(func(l *latency) float64 { return ms(l.p99) }).format("%.2f"))
}

func hotOf(ls []*latency, s workload.Spread) []*latency {
	return slices.DeleteFunc(slices.Clone(ls), func(l *latency) bool { return l.spread != s })
}

// besideHot divides a figure beside a hot lead by that without, repetition by repetition.
func (r *results) besideHot(of func(*latency) float64) spread {
	return ratios(hotOf(r.hot, workload.HalfToOne), hotOf(r.hot, workload.ByZipf), func(l *latency) int { return l.rep }, of)
}

// latencyOf returns the latencies of a contender at a rate, by repetition.
func (r *results) latencyOf(name string, rate int) []*latency {
	return slices.DeleteFunc(slices.Clone(r.latencies), func(l *latency) bool { return l.contender.name != name || l.rate != rate })
}

func (b *bench) latencyTable(w *bytes.Buffer) {
	if len(b.res.latencies) == 0 {
		return
	}
	var warming []string
	for _, p50 := range b.res.warming {
		warming = append(warming, fmt.Sprintf("%.1f", ms(p50)))
	}
	fmt.Fprintf(w, "\n## From an event that is due to its stage change, seen by a read_committed consumer\n\n"+
		"One process for all rates, lowest first, after a warm-up of %s at %d/s; %s each. The generator's linger of %s is in it. "+
		"Points count %d times as much, so that more events change a stage. "+
		"The pass-through writes for one event in a hundred. The broker was warmed before by runs of leadstream at 5,000/s, with p50 of %s ms.\n\n"+
		"| events/s | | p50 ms | p99 ms | worst ms | stage changes | CPU, %% of a core |\n| --- | --- | --- | --- | --- | --- | --- |\n",
		b.warmFor(), warmRate, b.opts.latencyFor, generatorLinger, eagerTimes, fmt.Sprint(warming))
	for _, rate := range slices.Sorted(slices.Values(b.opts.rates)) {
		for c, ls := range byContender(b, func(name string) []*latency { return b.res.latencyOf(name, rate) }) {
			fmt.Fprintf(w, "| %d | %s %s %s |\n", rate, c.title, latencyCells(ls),
				spreadOf(ls, func(l *latency) float64 { return 100 * l.cpu }).format("%.0f"))
		}
	}
}

// latencyCells are the columns of latencies of one kind, from p50 to the stage changes of all.
func latencyCells(ls []*latency) string {
	changes := 0
	for _, l := range ls {
		changes += l.changes
	}
	cell := func(of func(*latency) time.Duration) string {
		return spreadOf(ls, func(l *latency) float64 { return ms(of(l)) }).format("%.1f")
	}
	return fmt.Sprintf("| %s | %s | %s | %d |", cell(func(l *latency) time.Duration { return l.p50 }),
		cell(func(l *latency) time.Duration { return l.p99 }), cell(func(l *latency) time.Duration { return l.worst }), changes)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
