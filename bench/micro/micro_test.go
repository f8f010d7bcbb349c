package micro

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"leadstream/bench/tape"
	"leadstream/connectors/formats"
	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

func ruleSet(b testing.TB) *rules.Set {
	b.Helper()
	text, err := os.ReadFile("../e2e/rules.yaml")
	if err != nil {
		b.Fatal(err)
	}
	set, err := rules.Parse(rules.File{Name: "rules.yaml", Src: text})
	if err != nil {
		b.Fatal(err)
	}
	return set
}

// records makes a load, by partition.
func records(b testing.TB, events, leads int) *tape.Parts {
	b.Helper()
	parts, err := tape.Record(events, leads)
	if err != nil {
		b.Fatal(err)
	}
	return parts
}

func decoder(b testing.TB) func() engine.Decoder {
	b.Helper()
	newDecoder, err := formats.New(formats.Config{})
	if err != nil {
		b.Fatal(err)
	}
	return newDecoder
}

// decoded are the events of the load's first partition.
func decoded(b *testing.B, n int) []lead.Event {
	b.Helper()
	d := decoder(b)()
	recs := records(b, n*tape.Shards, 200_000)[0]
	events := make([]lead.Event, len(recs))
	for i := range recs {
		if err := d.Decode(&recs[i], tape.Start*2, &events[i]); err != nil {
			b.Fatal(err)
		}
	}
	return events
}

func BenchmarkDecode(b *testing.B) {
	recs := records(b, 20_000, 200_000)[0]
	d := decoder(b)()
	var ev lead.Event
	i := 0
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		if err := d.Decode(&recs[i], tape.Start*2, &ev); err != nil {
			b.Fatal(err)
		}
		i = (i + 1) % len(recs)
	}
}

// BenchmarkApply applies events to their leads, without copying them first. Every pass begins with new leads.
func BenchmarkApply(b *testing.B) {
	set := ruleSet(b)
	e := set.NewEvaluator()
	events := decoded(b, 20_000)
	leads := map[string]*lead.Lead{}
	var of []*lead.Lead
	fresh := func() {
		clear(leads)
		of = of[:0]
		for i := range events {
			id := string(events[i].RoutingID)
			if leads[id] == nil {
				leads[id] = set.NewLead(id, 1)
			}
			of = append(of, leads[id])
		}
	}
	var out []lead.Output
	i := 0
	b.ReportAllocs()
	defer reportCPU(b)()
	for b.Loop() {
		if i == 0 {
			b.StopTimer()
			fresh()
			b.StartTimer()
		}
		out, _ = e.Apply(of[i], &events[i], out[:0])
		i = (i + 1) % len(events)
	}
}

// grown is a lead with n events.
func grown(b *testing.B, n int) *lead.Lead {
	b.Helper()
	set := ruleSet(b)
	e, l := set.NewEvaluator(), set.NewLead("lead-0000421337", 1)
	events := decoded(b, n)
	var out []lead.Output
	for i := range n {
		out, _ = e.Apply(l, &events[i%len(events)], out[:0])
	}
	return l
}

func BenchmarkLead(b *testing.B) {
	for _, size := range []struct {
		name   string
		events int
	}{{"events=1", 1}, {"events=10", 10}, {"events=1000", 1000}} {
		l := grown(b, size.events)
		b.Run("encode/"+size.name, func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				buf = lead.AppendEncode(buf[:0], l)
			}
			b.ReportMetric(float64(len(buf)), "B/lead")
		})
		b.Run("clone/"+size.name, func(b *testing.B) {
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				l.Clone()
			}
			b.ReportMetric(float64(l.Size()), "B/lead")
		})
		b.Run("decode/"+size.name, func(b *testing.B) {
			buf := lead.AppendEncode(nil, l)
			b.ReportAllocs()
			defer reportCPU(b)()
			for b.Loop() {
				if err := lead.Decode(buf, new(lead.Lead)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkEngine runs the whole engine, with checkpoints to a store on disk and metrics, over a million
// recorded events: one iteration is one run from an empty state. A commit takes as long as Kafka's.
func BenchmarkEngine(b *testing.B) {
	const events = 1_000_000
	parts := records(b, events, 200_000)
	set := ruleSet(b)
	var before, after runtime.MemStats
	var mallocs, bytes uint64
	var cpu time.Duration
	var last *tape.Tape
	runs := 0
	for b.Loop() {
		b.StopTimer()
		t := tape.New(parts, tape.Options{CommitTakes: 4 * time.Millisecond})
		dir := b.TempDir()
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := cpuTime(b)
		b.StartTimer()
		runEngine(b, t, set, dir)
		b.StopTimer()
		cpu += cpuTime(b) - began
		runtime.ReadMemStats(&after)
		mallocs += after.Mallocs - before.Mallocs
		bytes += after.TotalAlloc - before.TotalAlloc
		last = t
		runs++
		b.StartTimer()
	}
	all := float64(runs * events)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/all, "ns/event")
	b.ReportMetric(float64(cpu.Nanoseconds())/all, "cpu-ns/event")
	b.ReportMetric(float64(mallocs)/all, "allocs/event")
	b.ReportMetric(float64(bytes)/all, "B/event")
	b.ReportMetric(float64(last.Commits.Load()), "epochs")
	b.ReportMetric(float64(last.States.Load())/events, "checkpoints/event")
	b.ReportMetric(float64(last.Bytes.Load())/events, "out-B/event")
}

// cpuTime is what this process has taken, which other work on the machine disturbs less than the clock.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reportCPU makes its result report the CPU time of each iteration since it was called.
func reportCPU(b *testing.B) func() {
	b.Helper()
	before := cpuTime(b)
	return func() { b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op") }
}

// memory is the budget of runs of the whole engine.
const memory = 512 << 20

func runEngine(b testing.TB, t *tape.Tape, set *rules.Set, dir string) {
	b.Helper()
	if err := tape.Run(b.Context(), t, set, dir, memory); err != nil {
		b.Fatal(err)
	}
}
