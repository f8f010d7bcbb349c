package main

import (
	"bytes"
	"fmt"
	"slices"

	"leadstream/bench/workload"
)

// liveOf returns what a contender wrote at the steady rate, by repetition.
func (r *results) liveOf(name string) []*liveBytes {
	return slices.DeleteFunc(slices.Clone(r.live), func(l *liveBytes) bool { return l.contender.name != name })
}

// liveInProportion divides the bytes per event of leadstream by those of another contender, repetition by repetition.
func (r *results) liveInProportion(name string) spread {
	return ratios(r.liveOf(leadstreamName), r.liveOf(name), func(l *liveBytes) int { return l.rep }, func(l *liveBytes) float64 { return l.perEvent(l.all) })
}

func (b *bench) liveTable(w *bytes.Buffer) {
	if len(b.res.live) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## Bytes at a live rate\n\n%d events/s for %s, after %s that do not count; %d repetitions, interleaved. leadstream writes a changed lead within %s (default a minute). "+
		"Bytes are what the program's topics grew by, for each event that it did meanwhile; replication is not in them, nor what the broker keeps of offsets and transactions, which stands beside.\n\n"+
		"| | bytes per event | state or changelog | journal | stage changes | per byte of input | leadstream in proportion | the broker's own | events/s | CPU, %% of a core |\n"+
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
		liveRate, liveIntervals*b.liveInterval(), settle+b.liveInterval(), b.res.live[len(b.res.live)-1].rep+1, b.liveInterval())
	leads := ""
	for c, runs := range byContender(b, b.res.liveOf) {
		cell := func(verb string, of func(*liveBytes) float64) string { return spreadOf(runs, of).format(verb) }
		each := func(of func(*liveBytes) int64) string {
			return cell("%.1f", func(l *liveBytes) float64 { return l.perEvent(of(l)) })
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", c.title, each(func(l *liveBytes) int64 { return l.all }),
			each(func(l *liveBytes) int64 { return l.state }), each(func(l *liveBytes) int64 { return l.journal }), each(func(l *liveBytes) int64 { return l.outputs }),
			cell("%.3f", func(l *liveBytes) float64 { return l.perEvent(l.all) / workload.LoadEventBytes }), b.res.liveInProportion(c.name).format("%.2f"),
			each(func(l *liveBytes) int64 { return l.broker }), cell("%.0f", func(l *liveBytes) float64 { return l.rate }), cell("%.0f", func(l *liveBytes) float64 { return 100 * l.cpu }))
		metric := ""
		if runs[0].checkpointed > 0 {
			metric = cell("%.0f", func(l *liveBytes) float64 { return l.checkpointed })
		}
		leads += fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", c.title, cell("%.0f", func(l *liveBytes) float64 { return float64(l.leads) }),
			cell("%.0f", func(l *liveBytes) float64 { return float64(l.records) }), metric, cell("%.1f", func(l *liveBytes) float64 { return l.perLead() }),
			cell("%.0f", func(l *liveBytes) float64 { return float64(l.busy) }), cell("%.1f", func(l *liveBytes) float64 { return l.perBusy() }),
			cell("%.0f", func(l *liveBytes) float64 { return float64(l.least) }), cell("%.1f", func(l *liveBytes) float64 { return l.enoughPercent() }))
	}
	fmt.Fprintf(w, "\nHow often leads were written to the state topic or the changelog in that time, counted there; busy are those that had an event in each %s of it.\n\n"+
		"| | leads with an event | writes | by leadstream's metric | for each lead with an event | busy leads | for each busy lead | the least | busy leads written %d times, %% |\n"+
		"| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n%s", b.liveInterval(), goalCheckpoints, leads)
}

// liveTargets are the goals of writing little and of writing often, at the steady rate.
func (b *bench) liveTargets() []target {
	r := &b.res
	ours := r.liveOf(leadstreamName)
	often := judge(fmt.Sprintf("every lead that stays busy is written at least three times in the run: mean writes of those with an event in every interval, at %d/s", liveRate),
		spreadOf(ours, func(l *liveBytes) float64 { return l.perBusy() }), "%.1f", atLeast(goalCheckpoints))
	if len(ours) > 0 {
		enough := spreadOf(ours, func(l *liveBytes) float64 { return l.enoughPercent() })
		often.found += fmt.Sprintf("; three times %s %% of them; of any lead with an event %s", enough.format("%.1f"),
			spreadOf(ours, func(l *liveBytes) float64 { return l.perLead() }).format("%.1f"))
		if enough.median() < 100 { // a mean hides those with few events
			often.reached += fmt.Sprintf(" in the mean; each of them: no (%.0f %%)", enough.median())
		}
	}
	return []target{often, judge(fmt.Sprintf("bytes written to Kafka at %d/s at most 1/5 of the Kafka Streams program's changelog and outputs", liveRate),
		r.liveInProportion(streamsEOS), "%.2f", atMost(goalBytes))}
}
