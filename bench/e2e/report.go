package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
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
	live       []*liveBytes
	hot        []*latency
	reads      []*reads
	growths    []*grown
	// growthEvents is how many events growths are about, but for those that say otherwise.
	growthEvents int
	alone        []*alone
	aloneEvents  int // in each run of alone
	tight        *tight
	leadBytes    []leadBytes
	times        []partTime
}

// of returns the drains of one contender by repetition.
func (r *results) of(name string) []*drained {
	return slices.DeleteFunc(slices.Clone(r.drains), func(d *drained) bool { return d.contender.name != name })
}

// drained goes through those that drained, with their drains by repetition.
func (b *bench) drained() iter.Seq2[*contender, []*drained] { return byContender(b, b.res.of) }

// byContender goes through the contenders that something was measured of, in the order in which they were asked for.
func byContender[T any](b *bench, of func(name string) []T) iter.Seq2[*contender, []T] {
	return func(yield func(*contender, []T) bool) {
		for _, name := range b.opts.contenders {
			if runs := of(name); len(runs) > 0 && !yield(contenderNamed(name), runs) {
				return
			}
		}
	}
}

// inTurns goes through all in each of so many repetitions. Each begins with another one, so that nobody always comes first.
func inTurns[T any](reps int, all []T) iter.Seq2[int, T] {
	return func(yield func(int, T) bool) {
		for rep := range reps {
			for i := range all {
				if !yield(rep, all[(i+rep)%len(all)]) {
					return
				}
			}
		}
	}
}

// partTime is how long a part took.
type partTime struct {
	name   string
	took   time.Duration
	failed bool
}

// place says where the result is written.
func (b *bench) place(ctx context.Context) error {
	b.out = b.opts.out
	if b.out == "" && b.opts.form == "full" {
		root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "leadstream").Output()
		if err != nil {
			return fmt.Errorf("finding bench/results: %w", err)
		}
		b.out = filepath.Join(strings.TrimSpace(string(root)), "bench", "results", time.Now().Format(time.DateOnly)+"-full.md")
	}
	return nil
}

// save writes what was measured so far.
func (b *bench) save() error {
	if b.out == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(b.out), 0o755); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	if err := os.WriteFile(b.out, b.text(), 0o644); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	b.say("written to %s", b.out)
	return nil
}

// report prints the result and returns what went wrong with the parts. Contenders that disagree are an error, too.
func (b *bench) report(failed error) error {
	_, err := os.Stdout.Write(b.text())
	return errors.Join(failed, err, b.disagreement())
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
	if b.res.leads > 0 {
		fmt.Fprintf(&w, "- drained are %d events of %d bytes about %d leads of %d, Zipf 1.1; %d partitions, lz4: %.0f bytes per event in the topic\n",
			o.events, workload.LoadEventBytes, b.res.leads, o.leads, partitions, float64(b.res.inputBytes)/float64(o.events))
	}
	fmt.Fprintf(&w, "- %d repetitions, interleaved; each cell is the median (least to most)\n", o.reps)
	for _, s := range b.skipped {
		fmt.Fprintf(&w, "- left out: %s\n", s)
	}
	b.times(&w)
	b.targetTable(&w)
	b.drainTable(&w)
	b.ratioTable(&w)
	b.bytesTable(&w)
	b.usageTable(&w)
	b.checkpointTable(&w)
	b.liveTable(&w)
	b.latencyTable(&w)
	b.hotTable(&w)
	b.readsTable(&w)
	b.growthTable(&w)
	b.coresTable(&w)
	b.leadBytesTable(&w)
	b.tightTable(&w)
	return w.Bytes()
}

// times says how long each part took, and which of them did not come to its end or did not begin.
func (b *bench) times(w *bytes.Buffer) {
	var done, missing []string
	for _, name := range b.opts.parts {
		i := slices.IndexFunc(b.res.times, func(t partTime) bool { return t.name == name })
		switch {
		case i < 0:
			missing = append(missing, name)
		case b.res.times[i].failed:
			missing = append(missing, name+" (failed)")
			fallthrough
		default:
			done = append(done, name+" "+b.res.times[i].took.Round(time.Second).String())
		}
	}
	fmt.Fprintf(w, "- it took: %s\n", strings.Join(done, ", "))
	if len(missing) > 0 {
		fmt.Fprintf(w, "- **not complete**: %s\n", strings.Join(missing, ", "))
	}
}

func (b *bench) drainTable(w *bytes.Buffer) {
	if len(b.res.drains) == 0 {
		return
	}
	fmt.Fprint(w, "\n## Draining a preloaded topic\n\n"+
		"| | CPU us per event | second half, warm | events/s | second half | peak MiB | stage changes | digest |\n"+
		"| --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for c, runs := range b.drained() {
		cell := func(format string, of func(*drained) float64) string { return spreadOf(runs, of).format(format) }
		count, digest := "", ""
		if c.outputs {
			count, digest = fmt.Sprint(runs[0].outcome.transitions), runs[0].outcome.digest
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", c.title,
			cell("%.2f", cpuPerEvent), cell("%.2f", warmCPU),
			cell("%.0f", allPerSecond), cell("%.0f", warmPerSecond),
			cell("%.0f", func(d *drained) float64 { return float64(d.peak >> 20) }), count, digest)
	}
}

// inProportion divides a figure of leadstream by that of another contender, repetition by repetition: what else the
// machine does then weighs on both.
func (r *results) inProportion(name string, of func(*drained) float64) spread {
	return r.proportion(leadstreamName, name, of)
}

// proportion is inProportion of any contender.
func (r *results) proportion(name, other string, of func(*drained) float64) spread {
	return ratios(r.of(name), r.of(other), repOf, of)
}

func repOf(d *drained) int { return d.rep }

// ratioTable compares leadstream with each other contender.
func (b *bench) ratioTable(w *bytes.Buffer) {
	ours := b.res.of(leadstreamName)
	if len(ours) == 0 || len(b.opts.contenders) < 2 {
		return
	}
	fmt.Fprint(w, "\n## leadstream in proportion to\n\n| | CPU per event | warm | events/s | warm | Kafka bytes written |\n| --- | --- | --- | --- | --- | --- |\n")
	for c := range b.drained() {
		if c.name == leadstreamName {
			continue
		}
		cell := func(of func(*drained) float64) string { return b.res.inProportion(c.name, of).format("%.2f") }
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", c.title,
			cell(cpuPerEvent), cell(warmCPU),
			cell(allPerSecond), cell(warmPerSecond),
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
		"| | Kafka | stage changes among them | Kafka, per byte of input | disk |\n| --- | --- | --- | --- | --- |\n")
	n := float64(b.opts.events)
	for c, runs := range b.drained() {
		if !c.outputs {
			continue
		}
		cell := func(of func(*drained) int64) string {
			return spreadOf(runs, func(d *drained) float64 { return float64(of(d)) / n }).format("%.1f")
		}
		perByte := spreadOf(runs, func(d *drained) float64 { return float64(d.written) / n / workload.LoadEventBytes })
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", c.title, cell(func(d *drained) int64 { return d.written }),
			cell(func(d *drained) int64 { return d.changes }), perByte.format("%.3f"), cell(func(d *drained) int64 { return d.disk }))
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
			fmt.Fprint(w, "\n## Checkpoints while draining\n\nA transaction carries a slice of the changed leads of one shard at most.\n\n"+
				"| | leads written | per lead with an event | transactions | leads in each |\n| --- | --- | --- | --- | --- |\n")
			first = false
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", runs[0].contender.title,
			spreadOf(runs, func(d *drained) float64 { return d.checkpointed }).format("%.0f"),
			spreadOf(runs, func(d *drained) float64 { return d.perLead(b.res.leads) }).format("%.1f"),
			spreadOf(runs, func(d *drained) float64 { return d.epochs }).format("%.0f"),
			spreadOf(runs, func(d *drained) float64 { return d.checkpointed / max(1, d.epochs) }).format("%.0f"))
	}
}
