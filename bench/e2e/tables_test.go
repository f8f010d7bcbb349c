package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"leadstream/bench/workload"
	ruleset "leadstream/rules"
	"leadstream/state/lead"
)

// measured is a run of two repetitions with figures that can be followed by hand.
func measured(t *testing.T) *bench {
	t.Helper()
	o, err := parseOptions([]string{"-form", "full", "-only", "leadstream,scan,kstreams-eos,kstreams-alos,passthrough", "-reps", "2", "-events", "1000"})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{opts: o}
	r := &b.res
	r.leads, r.inputBytes = 100, 41_000
	for rep := range 2 {
		drain := func(name string, us, perSecond float64, written int64) {
			d := &drained{contender: contenderNamed(name), rep: rep, cpuPerEvent: us, warmCPU: us, rate: perSecond, warmRate: perSecond, written: written, events: 1000}
			d.user, d.system, d.faults = 3*time.Millisecond, time.Millisecond, 50
			d.checkpointed, d.epochs = float64(290+20*rep), 10
			if d.contender.outputs {
				d.outcome = outcome{7, "cafe"}
			}
			r.drains = append(r.drains, d)
		}
		drain(leadstreamName, 1, 500_000, 2070)
		drain(scanName, 0.5, 2_000_000, 0)
		drain(decodeName, 0.75, 990_000, 0)
		drain(streamsEOS, 8+float64(rep)*8, 90_000, 4140)
		for _, l := range []struct {
			name string
			p99  time.Duration
		}{{leadstreamName, 30}, {streamsEOS, 120}, {streamsALOS, 40}, {throughName, 10}} {
			r.latencies = append(r.latencies, &latency{contender: contenderNamed(l.name), rate: 10_000, rep: rep, p50: 5 * time.Millisecond,
				p99: l.p99 * time.Millisecond, worst: time.Second, changes: 60, cpu: 0.5})
		}
		for i, s := range []workload.Spread{workload.ByZipf, workload.HalfToOne} {
			r.hot = append(r.hot, &latency{contender: contenderNamed(leadstreamName), rate: 5000 * (i + 1), spread: s, rep: rep,
				p50: time.Millisecond, p99: time.Duration(10+10*i) * time.Millisecond, changes: 5})
		}
		for i, name := range []string{leadstreamName, streamsEOS} {
			r.live = append(r.live, &liveBytes{contender: contenderNamed(name), rep: rep, events: 100, rate: 50, cpu: 0.5, checkpointed: float64(16 * (1 - i)),
				written: written{all: int64(2070 * (1 + 3*i)), state: 1000, journal: 400, outputs: 100, broker: 50},
				writes:  writes{leads: 10, records: 16, busy: 4, busyRecords: 10 + 4*rep, least: 2, enough: 3}})
		}
		for cores := 1; cores <= 2; cores++ {
			r.alone = append(r.alone, &alone{Cores: cores, rep: rep, CPU: 2, WarmCPU: 3, PerSecond: float64(1000 * cores), WarmPS: float64(800 + 1000*(cores-1)*(rep+1))})
		}
		r.reads = append(r.reads, &reads{took: []time.Duration{time.Millisecond, 4 * time.Millisecond}, rate: 1000})
	}
	for i, what := range []string{growthFewLeads, growthBase, growthOneCore, growthTwoProcs, growthFewLines, growthMostLines} {
		g := &grown{what: what, known: 10}
		for rep := range 2 {
			g.drains = append(g.drains, &drained{rep: rep, cpuPerEvent: float64(10 + i), warmRate: float64(100 * (1 + i%2))})
		}
		r.growths = append(r.growths, g)
	}
	r.growthEvents, r.aloneEvents = 500, 700_000
	r.leadBytes = []leadBytes{{1, 884}, {4, 1052}}
	r.tight = &tight{leads: 10_000_000, events: 10, memory: "512MiB", peak: 900 << 20, reps: []tightRep{{rate: 60, store: 100}, {rate: 40, store: 100}}}
	r.times = []partTime{{name: "drain", took: 61 * time.Second}, {name: "reads", took: time.Second, failed: true}}
	return b
}

func TestTargets(t *testing.T) {
	b := measured(t)
	for goal, want := range map[string][2]string{
		"happen in the drain":            {"3.0 (2.9 to 3.1)", "yes (in 1 of 2 repetitions)"},
		"written at least three times":   {"3.0 (2.5 to 3.5); three times 75.0 (75.0 to 75.0) % of them; of any lead with an event 1.6 (1.6 to 1.6)", "yes (in 1 of 2 repetitions) in the mean; each of them: no (75 %)"},
		"Kafka at 10000/s at most 1/5":   {"0.25 (0.25 to 0.25)", "no"},
		"digest":                         {"they do", "yes"},
		"1/8 (0.125)":                    {"0.094 (0.062 to 0.125)", "yes"},
		"2.3 times consume and scan":     {"2.00 (2.00 to 2.00)", "yes"},
		"5 times Kafka Streams":          {"5.56 (5.56 to 5.56)", "yes"},
		"at 50000/s":                     {notMeasured, "-"},
		"1/5 of Kafka Streams exactly":   {"0.25 (0.25 to 0.25)", "no"},
		"at least once at its best":      {"0.75 (0.75 to 0.75)", "yes"},
		"pass-through":                   {"3.00 (3.00 to 3.00)", "yes"},
		"hot lead in cache":              {"884 with 1, 1052 with 4", "no: up to 1 events"},
		"under 1 GiB":                    {"900", "yes"},
		"uniform access":                 {"0.50 (0.40 to 0.60)", "yes (in 1 of 2 repetitions)"},
		"10 thousand leads":              {"0.91 (0.91 to 0.91)", "yes"},
		"with 10 million leads":          {notMeasured, "-"},
		"1,000 rule lines":               {"1.07 (1.07 to 1.07)", "yes"},
		"1 to 2 cores":                   {"2.88 (2.25 to 3.50)", "yes"},
		"beside the broker":              {"2.00 (2.00 to 2.00)", "yes"},
		"more processes":                 {"2.00 (2.00 to 2.00)", "yes"},
		"beyond 1.5 times":               {"2.00 (2.00 to 2.00)", "no"},
		"drain at most 1/5":              {"0.50 (0.50 to 0.50)", "no"},
		"live score read":                {"4.00 (4.00 to 4.00); 4.00 (4.00 to 4.00)", "measured"},
		"next to Kafka Streams' restore": {"a result of its own: `make bench-takeover`", "-"},
		"the same with 256 shards, of":   {notMeasured, "-"},
	} {
		var found []target
		for _, x := range b.targets() {
			if strings.Contains(x.goal, goal) {
				found = append(found, x)
			}
		}
		if len(found) != 1 || found[0].found != want[0] || found[0].reached != want[1] {
			t.Errorf("%s: %+v, want %v", goal, found, want)
		}
	}
}

// TestTargetsBesideLimits: where the goal is a proportion to another program, it stands beside what no program can better.
func TestTargetsBesideLimits(t *testing.T) {
	text := string(measured(t).text())
	for goal, limit := range map[string]string{
		"1/8 (0.125)":                  "0.070 (0.047 to 0.094)",
		"2.3 times consume and scan":   "1.50 (1.50 to 1.50)",
		"5 times Kafka Streams":        "11.00 (11.00 to 11.00)",
		"1/5 of Kafka Streams exactly": "0.08 (0.08 to 0.08)",
		"at least once at its best":    "0.25 (0.25 to 0.25)",
		"pass-through |":               "",
	} {
		if !regexp.MustCompile(`(?m)^\| [^|]*` + regexp.QuoteMeta(goal) + `.* \| ` + regexp.QuoteMeta(limit) + ` \|$`).MatchString(text) {
			t.Errorf("%s: no line that ends in %q in\n%s", goal, limit, text)
		}
	}
}

func TestDisagreementIsAMissedTarget(t *testing.T) {
	b := measured(t)
	b.res.drains[0].outcome.digest = "other"
	if !strings.Contains(string(b.text()), "| they differ | no |") || b.disagreement() == nil {
		t.Errorf("%s", b.text())
	}
}

func TestTables(t *testing.T) {
	text := string(measured(t).text())
	for _, line := range []string{
		"- drained are 1000 events of 207 bytes about 100 leads of 200000, Zipf 1.1; 8 partitions, lz4: 41 bytes per event in the topic",
		"- it took: drain 1m1s, reads 1s",
		"- **not complete**: bytes, reads (failed), latency, hot, growth, cores, memory",
		"At least 5 repetitions are asked for, this run has 2.",
		"| leadstream | 3.00 (3.00 to 3.00) | 1.00 (1.00 to 1.00) | 25 (25 to 25) | 50.0 (50.0 to 50.0) | 0.00 (0.00 to 0.00) |",
		"| leadstream | 2.1 (2.1 to 2.1) | 0.0 (0.0 to 0.0) | 0.010 (0.010 to 0.010) | 0.0 (0.0 to 0.0) |",
		"| | leads written | per lead with an event | transactions | leads in each |",
		"| leadstream | 300 (290 to 310) | 3.0 (2.9 to 3.1) | 10 (10 to 10) | 30 (29 to 31) |",
		"10000 events/s for 24s, after 9s that do not count; 2 repetitions, interleaved.",
		"| leadstream | 20.7 (20.7 to 20.7) | 10.0 (10.0 to 10.0) | 4.0 (4.0 to 4.0) | 1.0 (1.0 to 1.0) | 0.100 (0.100 to 0.100) | 1.00 (1.00 to 1.00) | 0.5 (0.5 to 0.5) | 50 (50 to 50) | 50 (50 to 50) |",
		"| leadstream | 10 (10 to 10) | 16 (16 to 16) | 16 (16 to 16) | 1.6 (1.6 to 1.6) | 4 (4 to 4) | 3.0 (2.5 to 3.5) | 2 (2 to 2) | 75.0 (75.0 to 75.0) |",
		"| Kafka Streams, exactly once v2 | 10 (10 to 10) | 16 (16 to 16) |  | 1.6",
		"| 10000 | leadstream | 5.0 (5.0 to 5.0) | 30.0 (30.0 to 30.0) | 1000.0 (1000.0 to 1000.0) | 120 | 50 (50 to 50) |",
		"| beside : alone | 1.00 (1.00 to 1.00) | 2.00 (2.00 to 2.00) | | |",
		"500 events of 207 bytes, Zipf 1.1",
		"700000 events of 207 bytes about 100000 leads",
		"| 1 | 2.00 (2.00 to 2.00) | 3.00 (3.00 to 3.00) | 1000 (1000 to 1000) | 800 (800 to 800) |",
		"| 2 : 1 | 1.00 (1.00 to 1.00) | 1.00 (1.00 to 1.00) | 2.00 (2.00 to 2.00) | 2.88 (2.25 to 3.50) |",
		"| bytes | 884 | 1052 |",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}

func TestQuickSpeaksOfWhatItMeasured(t *testing.T) {
	b := measured(t)
	if !strings.Contains(string(b.text()), "| "+notMeasured+" |") {
		t.Error("a full run says nothing of what it lacks")
	}
	b.opts.form = "quick"
	if text := string(b.text()); strings.Contains(text, notMeasured) || !strings.Contains(text, "## Targets") {
		t.Error(text)
	}
}

func TestHeaderSpeaksOfWhatWasFilled(t *testing.T) {
	b := measured(t)
	b.res.leads = 0
	if text := string(b.text()); strings.Contains(text, "about 0 leads") {
		t.Error(text)
	}
}

// TestPartsAreKept says that a part that fails costs neither those before it nor those after.
func TestPartsAreKept(t *testing.T) {
	b := measured(t)
	b.res.times = nil
	b.out = filepath.Join(t.TempDir(), "new", "result.md")
	boom := errors.New("boom")
	saved := func() string {
		text, err := os.ReadFile(b.out)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	nothing := func(*bench, context.Context) error { return nil }
	err := b.measureParts(context.Background(), []part{
		{name: "drain", do: nothing},
		{name: "unknown", do: func(*bench, context.Context) error { panic("it was not asked for") }},
		{name: "reads", do: func(*bench, context.Context) error {
			if !strings.Contains(saved(), "it took: drain 0s\n") {
				t.Errorf("after a part: %s", saved())
			}
			return boom
		}},
		{name: "hot", do: nothing},
	})
	if !errors.Is(err, boom) || !strings.Contains(saved(), "it took: drain 0s, reads 0s, hot 0s\n- **not complete**: bytes, reads (failed), latency, growth, cores, memory\n") {
		t.Errorf("%v: %s", err, saved())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	b.res.times = nil
	if err := b.measureParts(ctx, []part{{name: "drain", do: nothing}}); !errors.Is(err, context.Canceled) || len(b.res.times) > 0 {
		t.Errorf("cut off: %v, %v", err, b.res.times)
	}
}

func TestPace(t *testing.T) {
	start := time.Unix(1000, 0)
	p := newPace("t", []phase{{500, workload.ByZipf}, {1000, workload.HalfToOne}}, 3*time.Second, 2*time.Second, start)
	// 30,000 of the warm-up, then 3 s at 500 and 3 s at 1,000, the first second of each not measured; one event came before.
	if p.events() != 1+30_000+1500+3000 {
		t.Fatalf("%d events", p.events())
	}
	at := func(i int, seconds, late float64) {
		p.saw(i, start.Add(time.Duration((seconds+late)*float64(time.Second))))
	}
	at(1, 0, 9)              // warming up
	at(30_001, 3, 9)         // not settled
	at(30_001+500, 4, 0.25)  // the first that counts
	at(30_001+1499, 6, 0.75) // the last of its phase: due 2 ms before
	at(31_501+2000, 8, 0.5)  // in the middle of the second phase
	at(p.events(), 9, 9)     // nobody's
	for i, want := range [][]time.Duration{nil, {250 * time.Millisecond, 752 * time.Millisecond}, {500 * time.Millisecond}} {
		if got := p.steps[i].seen; len(got) != len(want) || len(got) > 0 && (got[0] != want[0] || got[len(got)-1] != want[len(want)-1]) {
			t.Errorf("step %d: %v, want %v", i, got, want)
		}
	}
	ls, err := p.latencies(contenderNamed(leadstreamName))
	if err != nil || len(ls) != 2 || ls[0].p99 != 752*time.Millisecond || ls[1].changes != 1 {
		t.Errorf("%v, %v", ls, err)
	}
	if _, err := newPace("t", []phase{{500, workload.ByZipf}}, 3*time.Second, 2*time.Second, start).latencies(nil); err == nil {
		t.Error("no stage change, and no error")
	}
}

func TestLinedRules(t *testing.T) {
	for _, n := range []int{10, 100, 1000} {
		set, err := ruleset.Parse(ruleset.File{Name: "rules.yaml", Src: []byte(linedRules(n))})
		if err != nil {
			t.Fatalf("%d lines: %v", n, err)
		}
		ev, l := set.NewEvaluator(), set.NewLead("lead", 1)
		out, points := ev.Apply(l, &lead.Event{Type: lead.Track, Name: workload.LoadNames[1], Time: 1}, nil)
		if got := ev.View(l, l.Clock).Scores; len(got) != 2 || got[1].Value != 2 {
			t.Errorf("%d lines: %v, %v, %v", n, got, out, points)
		}
	}
}

func TestLeadBytes(t *testing.T) {
	got := parseLeadBytes([]byte("=== RUN\n    a_test.go:9: 1 events: 884 bytes of heap (the cache counts 890), 121 encoded\n" +
		"    a_test.go:11: 1 events: 884 bytes of heap and 121 encoded, at most 1 and 1\n    a_test.go:9: 16 events: 1764 bytes of heap (the cache counts 1), 5 encoded\n"))
	if len(got) != 2 || got[0] != (leadBytes{1, 884}) || got[1] != (leadBytes{16, 1764}) {
		t.Error(got)
	}
}

func TestRatiosOfWhatWasMeasured(t *testing.T) {
	b := measured(t)
	b.res.drains[0].warmCPU = 0 // the first repetition was too short
	b.res.drains = b.res.drains[:6]
	if got := b.res.inProportion(scanName, warmCPU).format("%.1f"); got != "2.0" {
		t.Errorf("in proportion %q", got)
	}
	if got := b.res.inProportion(streamsEOS, warmCPU); got != nil {
		t.Errorf("a ratio to what is not there: %v", got)
	}
}

func TestTableOfNothing(t *testing.T) {
	b := &bench{opts: &options{reps: 1}}
	var w bytes.Buffer
	for _, table := range []func(*bytes.Buffer){b.drainTable, b.ratioTable, b.bytesTable, b.usageTable, b.checkpointTable, b.liveTable, b.latencyTable, b.hotTable,
		b.readsTable, b.growthTable, b.coresTable, b.leadBytesTable, b.tightTable} {
		table(&w)
	}
	if w.Len() > 0 {
		t.Errorf("%s", w.Bytes())
	}
}

func TestWithoutTail(t *testing.T) {
	samples := []sample{{done: 100_000}, {done: 400_000}, {done: 700_000}, {done: 700_001}, {done: 1_000_000}, {done: 1_000_000}}
	if got := withoutTail(samples, 1_000_000); len(got) != 3 || got[2].done != 700_000 || len(samples) != 6 || samples[5].done != 1_000_000 {
		t.Errorf("%v of %v", got, samples)
	}
	if err := aloneMain([]string{"600000", t.TempDir()}); err == nil {
		t.Error("a run that is nearly all tail was accepted")
	}
}
