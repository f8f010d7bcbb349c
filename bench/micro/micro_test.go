package micro

import (
	"context"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/bench/workload"
	"leadstream/connectors/formats"
	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state"
	"leadstream/state/lead"
)

// start is the time of the first event. The last one is before now, as wall clocks see it.
const start = int64(1_780_000_000_000)

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
func records(b testing.TB, events, leads int) (parts [shards][]engine.Record) {
	b.Helper()
	load, err := workload.NewLoad(workload.LoadConfig{Seed: 1, Events: events, Leads: leads, Start: start})
	if err != nil {
		b.Fatal(err)
	}
	for {
		// Values share big pieces of memory, as those of a fetched batch do.
		slab := make([]byte, 0, 1000*workload.LoadEventBytes)
		for range 1000 {
			key, value, at, ok := load.Next(slab[len(slab):])
			if !ok {
				return parts
			}
			slab = slab[:len(slab)+len(value)]
			p := engine.ShardOf(key, shards)
			parts[p] = append(parts[p], engine.Record{Offset: int64(len(parts[p])), Timestamp: at, Key: slices.Clone(key), Value: value})
		}
	}
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
	recs := records(b, n*shards, 200_000)[0]
	events := make([]lead.Event, len(recs))
	for i := range recs {
		if err := d.Decode(&recs[i], start*2, &events[i]); err != nil {
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
		if err := d.Decode(&recs[i], start*2, &ev); err != nil {
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
	newDecoder := decoder(b)
	var before, after runtime.MemStats
	var mallocs, bytes uint64
	var cpu time.Duration
	var last *tape
	runs := 0
	for b.Loop() {
		b.StopTimer()
		t := newTape(parts, 4*time.Millisecond)
		dir := b.TempDir()
		runtime.GC()
		runtime.ReadMemStats(&before)
		began := cpuTime(b)
		b.StartTimer()
		runEngine(b, t, set, newDecoder, dir)
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
	b.ReportMetric(float64(last.commits.Load()), "epochs")
	b.ReportMetric(float64(last.states.Load())/events, "checkpoints/event")
	b.ReportMetric(float64(last.bytes.Load())/events, "out-B/event")
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

func runEngine(b testing.TB, t *tape, set *rules.Set, newDecoder func() engine.Decoder, dir string) {
	b.Helper()
	store, err := state.Open(state.Options{Dir: dir, App: app})
	if err != nil {
		b.Fatal(err)
	}
	e, err := engine.New(engine.Config{
		App: app, Shards: shards, Sources: []engine.SourceConfig{{Name: sourceName, Topic: sourceName, NewDecoder: newDecoder}},
		SourcePartitions: map[string]int32{sourceName: shards}, Rules: set, Logic: "micro", CheckpointInterval: time.Second,
		Clock: t.now, Registerer: prometheus.NewRegistry(),
		Inputs: t, Group: t, Committer: t, History: t, Store: store,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	go func() {
		<-t.done
		cancel()
	}()
	if err := e.Run(ctx); err != nil {
		b.Fatal(err)
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}
