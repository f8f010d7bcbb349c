package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"leadstream/bench/tape"
	"leadstream/bench/workload"
	ruleset "leadstream/rules"
)

// aloneCommand makes this program the engine alone: events out of memory, and all but the broker and the Kafka client.
const aloneCommand = "alone"

const (
	// aloneLeads is what the events are about, as growthBase.
	aloneLeads = 100_000
	// aloneTail is how many events at the end are not measured: a shard with fewer than 20,000 before it ends its epochs as soon as it has
	// something to say, and the smallest of eight has one event in fourteen.
	aloneTail = 300_000
	// aloneCommit is how long a transaction waits as if for a broker.
	aloneCommit = 4 * time.Millisecond
	aloneMemory = 1 << 30
)

// alone is one run of the engine alone.
type alone struct {
	Cores             int // that it may use at the same time
	rep               int
	CPU, WarmCPU      float64 // us per event, of all and of the second half
	PerSecond, WarmPS float64 // events
}

// aloneMain runs the engine over so many events, with its store in a directory, and prints what it took.
func aloneMain(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: alone EVENTS DIR")
	}
	events, err := strconv.Atoi(args[0])
	if err != nil {
		return fmt.Errorf("events %q: %w", args[0], err)
	}
	if events <= 2*aloneTail {
		return fmt.Errorf("events %d: more than %d, of which the last %d are not measured", events, 2*aloneTail, aloneTail)
	}
	set, err := ruleset.Parse(ruleset.File{Name: "rules.yaml", Src: []byte(rules)})
	if err != nil {
		return err
	}
	parts, err := tape.Record(events, aloneLeads)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var samples []sample
	var failed error
	t := tape.New(parts, tape.Options{CommitTakes: aloneCommit, Committed: func(done int64) {
		cpu, err := cpuOfOne(os.Getpid())
		failed = errors.Join(failed, err)
		samples = append(samples, sample{time.Now(), done, cpu})
	}})
	runtime.GC()
	if err := errors.Join(tape.Run(ctx, t, set, args[1], aloneMemory), failed, ctx.Err()); err != nil {
		return err
	}
	var d drained
	d.figures(withoutTail(samples, int64(events)))
	return json.NewEncoder(os.Stdout).Encode(alone{runtime.GOMAXPROCS(0), 0, d.cpuPerEvent, d.warmCPU, d.rate, d.warmRate})
}

// withoutTail leaves the samples of the last events out.
func withoutTail(samples []sample, events int64) []sample {
	return slices.DeleteFunc(slices.Clone(samples), func(s sample) bool { return s.done > events-aloneTail })
}

// cores runs the engine alone on one core and on two, in turns.
func (b *bench) cores(ctx context.Context) error {
	if n := runtime.NumCPU(); n < 2 {
		return fmt.Errorf("the engine on two cores: this machine has %d", n)
	}
	b.res.aloneEvents = 1_000_000
	if b.opts.form == "full" {
		b.res.aloneEvents = 2_000_000
	}
	for rep, cores := range inTurns(b.opts.reps, []int{1, 2}) {
		a, err := b.aloneRun(ctx, cores)
		if err != nil {
			return err
		}
		a.rep = rep
		b.res.alone = append(b.res.alone, a)
		b.say("%d/%d the engine alone on %d: %6.2f us/event, warm %6.2f, %9.0f events/s, warm %9.0f", rep+1, b.opts.reps, a.Cores, a.CPU, a.WarmCPU, a.PerSecond, a.WarmPS)
	}
	return nil
}

func (b *bench) aloneRun(ctx context.Context, cores int) (*alone, error) {
	ctx, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	b.runs++
	dir := filepath.Join(b.dir, fmt.Sprintf("alone%03d", b.runs))
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, aloneCommand, strconv.Itoa(b.res.aloneEvents), dir)
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", cores))
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the engine alone: %w: %s", err, said.String())
	}
	a := &alone{}
	if err := json.Unmarshal(out, a); err != nil {
		return nil, fmt.Errorf("the engine alone: %w: %q", err, out)
	}
	if a.Cores != cores {
		return nil, fmt.Errorf("the engine alone ran on %d cores, not %d", a.Cores, cores)
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("deleting what a run has left: %w", err)
	}
	return a, nil
}

// aloneOn returns the runs on so many cores by repetition.
func (r *results) aloneOn(cores int) []*alone {
	return slices.DeleteFunc(slices.Clone(r.alone), func(a *alone) bool { return a.Cores != cores })
}

// aloneTwoToOne divides a figure on two cores by that on one, repetition by repetition.
func (r *results) aloneTwoToOne(of func(*alone) float64) spread {
	return ratios(r.aloneOn(2), r.aloneOn(1), func(a *alone) int { return a.rep }, of)
}

func (b *bench) coresTable(w *bytes.Buffer) {
	if len(b.res.alone) == 0 {
		return
	}
	fmt.Fprintf(w, "\n## The engine alone on one core and on two\n\n%d events of %d bytes about %d leads, Zipf 1.1, %d shards, out of memory and from an empty state: decoding, rules, journal, "+
		"checkpoints within a second to a store on disk, metrics, and transactions that wait %s each. No broker and no Kafka client; a process for each run, %d of each in turns, with GOMAXPROCS of 1 and of 2. "+
		"All partitions are always equally far. The last %d events do not count: shards that are no longer behind make small epochs.\n\n"+
		"| cores | CPU us per event | second half | events/s | second half |\n| --- | --- | --- | --- | --- |\n",
		b.res.aloneEvents, workload.LoadEventBytes, aloneLeads, tape.Shards, aloneCommit, len(b.res.aloneOn(1)), aloneTail)
	figures := []struct {
		verb string
		of   func(*alone) float64
	}{
		{"%.2f", func(a *alone) float64 { return a.CPU }}, {"%.2f", func(a *alone) float64 { return a.WarmCPU }},
		{"%.0f", func(a *alone) float64 { return a.PerSecond }}, {"%.0f", alonePerSecond},
	}
	for _, cores := range []int{1, 2} {
		fmt.Fprintf(w, "| %d |", cores)
		for _, f := range figures {
			fmt.Fprintf(w, " %s |", spreadOf(b.res.aloneOn(cores), f.of).format(f.verb))
		}
		w.WriteByte('\n')
	}
	w.WriteString("| 2 : 1 |")
	for _, f := range figures {
		fmt.Fprintf(w, " %s |", b.res.aloneTwoToOne(f.of).format("%.2f"))
	}
	w.WriteByte('\n')
}

func alonePerSecond(a *alone) float64 { return a.WarmPS }
