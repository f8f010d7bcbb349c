package main

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
)

// target is one line of what leadstream is meant to reach, and what this run found. Limit is the same of a program that does not even keep
// a state, where one was measured: what is asked beyond that is asked of the client and the broker.
type target struct {
	goal, found, reached, limit string
}

// beside returns t with what its limit has.
func (t target) beside(limit spread, verb string) target {
	t.limit = limit.format(verb)
	return t
}

// What the goals ask for.
const (
	goalCPUStreams   = 1. / 8
	goalCPUScan      = 2.3
	goalRateStreams  = 5
	goalLatencyRate  = 10_000
	goalP99EOS       = 1. / 5
	goalP99Through   = 3
	goalLeadBytes    = 1 << 10
	goalPeak         = 1 << 30
	goalPeakLeads    = 10_000_000
	goalStore        = 0.5
	goalFlat         = 0.2 // either way
	goalLines        = 3
	goalNearLinear   = 1.7 // of two, where the word is "near-linear"
	goalHot          = 1.5
	goalBytes        = 1. / 5
	goalCheckpoints  = 3
	goalRepetitions  = 5
	notMeasured      = "not measured"
	reachedYes       = "yes"
	reachedNo        = "no"
	reachedUndefined = "-"
)

// unmeasured is a goal of which the run says nothing.
func unmeasured(goal string) target {
	return target{goal: goal, found: notMeasured, reached: reachedUndefined}
}

// judge says whether the median is as asked for, and in how many repetitions that was otherwise.
func judge(goal string, s spread, verb string, ok func(float64) bool) target {
	if len(s) == 0 {
		return unmeasured(goal)
	}
	met := 0
	for _, x := range s {
		if ok(x) {
			met++
		}
	}
	verdict := reachedNo
	if ok(s.median()) {
		verdict = reachedYes
	}
	if met > 0 && met < len(s) {
		verdict += fmt.Sprintf(" (in %d of %d repetitions)", met, len(s))
	}
	return target{goal: goal, found: s.format(verb), reached: verdict}
}

func atMost(limit float64) func(float64) bool  { return func(x float64) bool { return x <= limit } }
func atLeast(limit float64) func(float64) bool { return func(x float64) bool { return x >= limit } }
func below(limit float64) func(float64) bool   { return func(x float64) bool { return x < limit } }
func flat(x float64) bool                      { return math.Abs(x-1) <= goalFlat }

// targets are all of them, in the order in which the project lists them.
func (b *bench) targets() []target {
	return slices.Concat(b.drainTargets(), b.liveTargets(), b.latencyTargets(), b.memoryTargets(), b.growthTargets(), b.otherTargets())
}

func (b *bench) drainTargets() []target {
	r := &b.res
	agree := judge("outputs' digest: all contenders agree", spreadOf(r.drains, func(*drained) float64 { return 1 }), "%.0f", atLeast(1))
	if len(r.drains) > 0 {
		agree.found, agree.reached = "they do", reachedYes
		if b.disagreement() != nil {
			agree.found, agree.reached = "they differ", reachedNo
		}
	}
	return []target{
		judge("checkpoints happen in the drain, too, three writes for each lead with an event: without them its CPU and bytes say little",
			spreadOf(r.of(leadstreamName), func(d *drained) float64 { return d.perLead(r.leads) }), "%.1f", atLeast(goalCheckpoints)),
		agree,
		judge("CPU per event at most 1/8 (0.125) of Kafka Streams exactly once, both warm", r.inProportion(streamsEOS, warmCPU), "%.3f", atMost(goalCPUStreams)).
			beside(r.proportion(decodeName, streamsEOS, warmCPU), "%.3f"),
		judge("CPU per event at most 2.3 times consume and scan, both warm", r.inProportion(scanName, warmCPU), "%.2f", atMost(goalCPUScan)).
			beside(r.proportion(decodeName, scanName, warmCPU), "%.2f"),
		judge("events/s at least 5 times Kafka Streams exactly once, both warm", r.inProportion(streamsEOS, warmPerSecond), "%.2f", atLeast(goalRateStreams)).
			beside(r.proportion(decodeName, streamsEOS, warmPerSecond), "%.2f"),
	}
}

func (b *bench) latencyTargets() []target {
	r := &b.res
	p99 := func(l *latency) float64 { return ms(l.p99) }
	var ts []target
	for _, rate := range []int{500, 5000, 50_000} {
		t := unmeasured(fmt.Sprintf("from an event to its stage change at %d/s: p50 and p99, ms", rate))
		if ls := r.latencyOf(leadstreamName, rate); len(ls) > 0 {
			t.found = spreadOf(ls, func(l *latency) float64 { return ms(l.p50) }).format("%.1f") + "; " + spreadOf(ls, p99).format("%.1f")
			t.reached = "measured"
		}
		ts = append(ts, t)
	}
	of := func(name, other string) spread {
		return ratios(r.latencyOf(name, goalLatencyRate), r.latencyOf(other, goalLatencyRate), func(l *latency) int { return l.rep }, p99)
	}
	return append(ts,
		judge("p99 at 10,000/s at most 1/5 of Kafka Streams exactly once", of(leadstreamName, streamsEOS), "%.2f", atMost(goalP99EOS)).
			beside(of(throughName, streamsEOS), "%.2f"),
		judge("p99 at 10,000/s better than Kafka Streams at least once at its best: in proportion", of(leadstreamName, streamsALOS), "%.2f", below(1)).
			beside(of(throughName, streamsALOS), "%.2f"),
		judge("p99 at 10,000/s at most 3 times that of a stateless transactional pass-through", of(leadstreamName, throughName), "%.2f", atMost(goalP99Through)))
}

func (b *bench) memoryTargets() []target {
	const heap, most, uniform = "hot lead in cache at most 1 KiB of heap all told: bytes by number of events",
		"10M leads on disk with a 512 MiB budget keep the process under 1 GiB: peak MiB",
		"the rate at uniform access at least half of Pebble's own of reading, changing and writing"
	ts := []target{unmeasured(heap), unmeasured(most), unmeasured(uniform)}
	if all := b.res.leadBytes; len(all) > 0 {
		var found []string
		met := 0
		for _, l := range all {
			found = append(found, fmt.Sprintf("%d with %d", l.heap, l.events))
			if l.heap <= goalLeadBytes {
				met = max(met, l.events)
			}
		}
		ts[0].found, ts[0].reached = strings.Join(found, ", "), reachedNo
		if met == all[len(all)-1].events {
			ts[0].reached = reachedYes
		} else if met > 0 {
			ts[0].reached = fmt.Sprintf("no: up to %d events", met)
		}
	}
	m := b.res.tight
	if m == nil {
		return ts
	}
	if m.leads >= goalPeakLeads {
		ts[1] = judge(most, spread{float64(m.peak) / (1 << 20)}, "%.0f", below(goalPeak>>20))
	} else {
		ts[1].found = fmt.Sprintf("only with %d leads: %d", m.leads, m.peak>>20)
	}
	ts[2] = judge(uniform, spreadOf(m.reps, tightRep.inProportion), "%.2f", atLeast(goalStore))
	return ts
}

func (b *bench) growthTargets() []target {
	r := &b.res
	cpu := func(what, base string) spread { return r.grownBy(what, base, cpuPerEvent) }
	of := func(goal string, s spread, ok func(float64) bool) target { return judge(goal, s, "%.2f", ok) }
	return []target{
		of("CPU per event flat (+-20 %): 10 thousand leads, of that with 100 thousand", cpu(growthFewLeads, growthBase), flat),
		of("the same with a million leads", cpu(growthManyLeads, growthBase), flat),
		of("the same with 10 million leads", cpu(growthMostLeads, growthBase), flat),
		of("the same with 256 shards, of that with 8, over 4 times the events", cpu(growthLongShard, growthLong), flat),
		of("from 10 to 1,000 rule lines at most 3 times the CPU per event", cpu(growthMostLines, growthFewLines), atMost(goalLines)),
		of(fmt.Sprintf("near-linear from 1 to 2 cores, the engine alone, without broker and Kafka client: events/s, warm; %.1f counts as near", goalNearLinear),
			r.aloneTwoToOne(alonePerSecond), atLeast(goalNearLinear)),
		of(fmt.Sprintf("the same beside the broker, which shares the cores; %.1f counts as near", goalNearLinear), r.grownBy(growthBase, growthOneCore, warmPerSecond), atLeast(goalNearLinear)),
		of(fmt.Sprintf("near-linear with more processes: two of one core, to one; %.1f counts as near", goalNearLinear),
			r.grownBy(growthTwoProcs, growthOneCore, warmPerSecond), atLeast(goalNearLinear)),
	}
}

func (b *bench) otherTargets() []target {
	r := &b.res
	live := unmeasured("live score read p50 and p99 under full load, ms")
	if len(r.reads) > 0 {
		live.found = spreadOf(r.reads, func(x *reads) float64 { return x.at(50) }).format("%.2f") + "; " +
			spreadOf(r.reads, func(x *reads) float64 { return x.at(99) }).format("%.2f")
		live.reached = "measured"
	}
	return []target{
		judge("a hot lead that gets half of all events costs the others nothing at p99 beyond 1.5 times",
			r.besideHot(func(l *latency) float64 { return ms(l.p99) }), "%.2f", atMost(goalHot)),
		judge("bytes written to Kafka in the drain at most 1/5 of the Kafka Streams program's changelog and outputs",
			r.inProportion(streamsEOS, func(d *drained) float64 { return float64(d.written) }), "%.2f", atMost(goalBytes)),
		live,
		{goal: "restore and takeover times, next to Kafka Streams' restore of the same state", found: "a result of its own: `make bench-takeover`", reached: reachedUndefined},
	}
}

func (b *bench) targetTable(w *bytes.Buffer) {
	fmt.Fprintf(w, "\n## Targets\n\nWhat the project sets out to reach, as ratios within this run. Found is the median (least to most) of the repetitions; reached says "+
		"whether the median is as the goal asks. At least %d repetitions are asked for, this run has %d. The limit is what a program has that keeps no state: "+
		"for CPU and events/s one that consumes and decodes, for latency the pass-through.\n\n"+
		"| goal | found | reached | the limit |\n| --- | --- | --- | --- |\n", goalRepetitions, b.opts.reps)
	for _, t := range b.targets() {
		if t.found == notMeasured && b.opts.form != "full" {
			continue // most of them, in the quick form
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", t.goal, t.found, t.reached, t.limit)
	}
}
