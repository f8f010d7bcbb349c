package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"leadstream/bench/workload"
)

// results are what was measured.
type results struct {
	machine    []string
	inputBytes int64 // that the preloaded topic holds
	leads      int   // that the events are about
	drains     []*drained
	latencies  []*latency
	warming    []time.Duration // p50 of the runs that warmed the broker
	hot        []*latency
	reads      *reads
	growths    []*grown
	tight      *tight
}

// of returns the drains of one contender by repetition.
func (r *results) of(name string) []*drained {
	return slices.DeleteFunc(slices.Clone(r.drains), func(d *drained) bool { return d.contender.name != name })
}

// report prints the result and writes it to its file. Contenders that disagree are an error.
func (b *bench) report() error {
	text := b.text()
	if _, err := os.Stdout.Write(text); err != nil {
		return fmt.Errorf("printing the result: %w", err)
	}
	out := b.opts.out
	if out == "" && b.opts.form == "full" {
		root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "leadstream").Output()
		if err != nil {
			return fmt.Errorf("finding bench/results: %w", err)
		}
		out = filepath.Join(strings.TrimSpace(string(root)), "bench", "results", time.Now().Format(time.DateOnly)+"-full.md")
	}
	if out != "" {
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
		if err := os.WriteFile(out, text, 0o644); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
		b.say("written to %s", out)
	}
	return b.disagreement()
}

// disagreement is an error when contenders of the same logic have put out different stage changes.
func (b *bench) disagreement() error {
	var first *drained
	var errs []error
	for _, d := range b.res.drains {
		switch {
		case !d.contender.outputs || d.contender.name == timedName:
		case first == nil:
			first = d
		case d.outcome != first.outcome:
			errs = append(errs, fmt.Errorf("%s put out %d transitions with digest %s, %s %d with %s", first.contender.title, first.outcome.transitions,
				first.outcome.digest, d.contender.title, d.outcome.transitions, d.outcome.digest))
		}
	}
	return errors.Join(errs...)
}

func (b *bench) text() []byte {
	var w bytes.Buffer
	o := b.opts
	fmt.Fprintf(&w, "# End to end, %s\n\n", time.Now().Format(time.DateOnly))
	for _, line := range b.res.machine {
		fmt.Fprintf(&w, "- %s\n", line)
	}
	fmt.Fprintf(&w, "- `%s`\n", o.command)
	fmt.Fprintf(&w, "- %d events of %d bytes about %d leads of %d, Zipf 1.1; %d partitions, lz4: %.0f bytes per event in the topic\n",
		o.events, workload.LoadEventBytes, b.res.leads, o.leads, partitions, float64(b.res.inputBytes)/float64(o.events))
	fmt.Fprintf(&w, "- %d repetitions, interleaved; each cell is the median (least to most)\n", o.reps)
	for _, s := range b.skipped {
		fmt.Fprintf(&w, "- left out: %s\n", s)
	}
	b.drainTable(&w)
	b.ratioTable(&w)
	b.bytesTable(&w)
	b.checkpointTable(&w)
	b.latencyTable(&w)
	b.hotTable(&w)
	b.readsTable(&w)
	b.growthTable(&w)
	b.tightTable(&w)
	return w.Bytes()
}

func (b *bench) drainTable(w *bytes.Buffer) {
	if len(b.res.drains) == 0 {
		return
	}
	fmt.Fprint(w, "\n## Draining a preloaded topic\n\n"+
		"| | CPU us per event | second half, warm | events/s | second half | peak MiB | stage changes | digest |\n"+
		"| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, name := range b.opts.contenders {
		runs := b.res.of(name)
		if len(runs) == 0 {
			continue
		}
		c := runs[0].contender
		cell := func(format string, of func(*drained) float64) string { return spreadOf(runs, of).format(format) }
		count, digest := "", ""
		if c.outputs {
			count, digest = fmt.Sprint(runs[0].outcome.transitions), runs[0].outcome.digest
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", c.title,
			cell("%.2f", func(d *drained) float64 { return d.cpuPerEvent }), cell("%.2f", func(d *drained) float64 { return d.warmCPU }),
			cell("%.0f", func(d *drained) float64 { return d.rate }), cell("%.0f", func(d *drained) float64 { return d.warmRate }),
			cell("%.0f", func(d *drained) float64 { return float64(d.peak >> 20) }), count, digest)
	}
}

// ratioTable compares leadstream with each other contender, run by run: what else the machine does then
// weighs on both.
func (b *bench) ratioTable(w *bytes.Buffer) {
	ours := b.res.of(leadstreamName)
	if len(ours) == 0 || len(b.opts.contenders) < 2 {
		return
	}
	fmt.Fprint(w, "\n## leadstream in proportion to\n\n| | CPU per event | warm | events/s | warm | Kafka bytes written |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, name := range b.opts.contenders {
		theirs := b.res.of(name)
		if name == leadstreamName || len(theirs) != len(ours) {
			continue
		}
		cell := func(of func(*drained) float64) string {
			var s spread
			for i := range ours {
				if x := of(theirs[i]); x > 0 {
					s = append(s, of(ours[i])/x)
				}
			}
			return s.format("%.2f")
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", theirs[0].contender.title,
			cell(func(d *drained) float64 { return d.cpuPerEvent }), cell(func(d *drained) float64 { return d.warmCPU }),
			cell(func(d *drained) float64 { return d.rate }), cell(func(d *drained) float64 { return d.warmRate }),
			cell(func(d *drained) float64 { return float64(d.written) }))
	}
}

func (b *bench) bytesTable(w *bytes.Buffer) {
	if len(b.res.drains) == 0 {
		return
	}
	fmt.Fprint(w, "\n## Bytes written per event\n\n"+
		"To Kafka until all events are done: sizes of the topics, replication and the group's offsets not included. To disk "+
		"until the program has ended.\n\n"+
		"| | Kafka | stage changes among them | disk |\n| --- | --- | --- | --- |\n")
	n := float64(b.opts.events)
	for _, name := range b.opts.contenders {
		runs := b.res.of(name)
		if len(runs) == 0 || !runs[0].contender.outputs {
			continue
		}
		cell := func(of func(*drained) int64) string {
			return spreadOf(runs, func(d *drained) float64 { return float64(of(d)) / n }).format("%.1f")
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", runs[0].contender.title, cell(func(d *drained) int64 { return d.written }),
			cell(func(d *drained) int64 { return d.changes }), cell(func(d *drained) int64 { return d.disk }))
	}
}

func (b *bench) checkpointTable(w *bytes.Buffer) {
	first := true
	for _, name := range []string{leadstreamName, timedName, otherName} {
		runs := b.res.of(name)
		if len(runs) == 0 {
			continue
		}
		if first {
			fmt.Fprint(w, "\n## Checkpoints while draining\n\n| | leads written | per lead with an event | transactions | CPU s of the whole process |\n| --- | --- | --- | --- | --- |\n")
			first = false
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", runs[0].contender.title,
			spreadOf(runs, func(d *drained) float64 { return d.checkpointed }).format("%.0f"),
			spreadOf(runs, func(d *drained) float64 { return d.checkpointed / float64(b.res.leads) }).format("%.1f"),
			spreadOf(runs, func(d *drained) float64 { return d.epochs }).format("%.0f"),
			spreadOf(runs, func(d *drained) float64 { return d.cpu.Seconds() }).format("%.2f"))
	}
}

func (b *bench) latencyTable(w *bytes.Buffer) {
	if len(b.res.latencies) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## From an event that is due to its stage change, seen by a read_committed consumer\n\n"+
		"%s each after a warm-up; the generator's linger of %s is in it. Points count %d times as much, so that more events change a stage. "+
		"The pass-through writes for one event in a hundred. The broker was warmed before by runs of leadstream at 5,000/s, with p50 of %v.\n\n"+
		"| events/s | | p50 ms | p99 ms | worst ms | stage changes | CPU, %% of a core |\n| --- | --- | --- | --- | --- | --- | --- |\n",
		b.opts.latencyFor, generatorLinger, eagerTimes, b.res.warming)
	for _, l := range b.res.latencies {
		fmt.Fprintf(w, "| %d | %s | %.1f | %.1f | %.1f | %d | %.0f |\n", l.rate, l.contender.title, ms(l.p50), ms(l.p99), ms(l.worst), l.changes, 100*l.cpu)
	}
}

// spread is the same figure of several runs.
type spread []float64

func spreadOf(runs []*drained, of func(*drained) float64) spread {
	var s spread
	for _, d := range runs {
		s = append(s, of(d))
	}
	return s
}

// median of an even number of figures is the mean of the two in the middle.
func (s spread) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

func (s spread) format(verb string) string {
	if len(s) == 0 {
		return ""
	}
	if len(s) == 1 {
		return fmt.Sprintf(verb, s[0])
	}
	return fmt.Sprintf(verb+" ("+verb+" to "+verb+")", s.median(), slices.Min(s), slices.Max(s))
}
