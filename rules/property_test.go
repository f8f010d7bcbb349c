package rules

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"leadstream/state/lead"
)

var (
	cases = flag.Int("cases", 10_000, "how many histories TestAgainstModel draws; under -short a tenth")
	seed0 = flag.Uint64("seed", 0, "the first rule set that TestAgainstModel draws")
)

// histories is how many histories each rule set is tried with: loading it takes longer than they do.
const histories = 4

// TestAgainstModel draws rule sets, events and ticks, and compares what the engine says, ms by ms, with
// the model. make fuzz draws a million histories, of rule sets that were not drawn before.
func TestAgainstModel(t *testing.T) {
	n := *cases
	if testing.Short() {
		n /= 10
	}
	parts := max(1, min(runtime.GOMAXPROCS(0), n/1000))
	runs := make([]modelRun, parts)
	t.Run("parts", func(t *testing.T) {
		for part := range parts {
			t.Run(strconv.Itoa(part), func(t *testing.T) {
				t.Parallel()
				runs[part].timed = make(map[string]int)
				for i := part; i < n/histories; i += parts {
					if seed := *seed0 + uint64(i); !checkRules(t, seed, &runs[part]) {
						t.Fatalf("go test ./rules -run TestAgainstModel -cases %d -seed %d", histories, seed)
					}
				}
			})
		}
	})
	checkTimed(t, n, runs)
}

// modelRun is what a part of the histories have in common.
type modelRun struct {
	timed map[string]int // what time alone made fire, by the term that it consists of
	zones zones
}

// checkRules tries the rule set of a seed with some histories.
func checkRules(t *testing.T, seed uint64, run *modelRun) bool {
	draw := func() (*drawer, string) {
		g := newDrawer(seed)
		g.wide, g.m.byTime, g.zones = true, run.timed, &run.zones
		return g, g.rules()
	}
	_, text := draw()
	set, err := Parse(File{Name: "rules", Src: []byte(text)})
	if err != nil {
		t.Fatalf("seed %d:\n%s\n%v", seed, text, err)
	}
	eval := set.NewEvaluator()
	for i := range uint64(histories) {
		g, _ := draw() // the model keeps what happened in its rules
		g.r = rand.New(rand.NewPCG(seed, 1000+i))
		if !checkHistory(t, g, eval, seed, text) {
			return false
		}
	}
	return true
}

func checkHistory(t *testing.T, g *drawer, eval *Evaluator, seed uint64, text string) bool {
	l := eval.set.NewLead("ann", 1)
	var log strings.Builder
	var got []modelOutput
	take := func(out []lead.Output) {
		for _, o := range out {
			x := modelOutput{o.At, "stage", o.From, o.To}
			if o.Kind == lead.HandOff {
				x.what, x.from = o.Name, ""
			}
			got = append(got, x)
		}
	}
	now, tick := g.base+100, int64(math.MinInt64)
	for step := range 12 {
		if step > 0 && g.r.IntN(3) == 0 {
			promised := int64(math.MinInt64)
			if g.r.IntN(4) == 0 {
				promised = eval.View(l, now).NextChange
			}
			now += g.r.Int64N(150)
			tick = now
			fmt.Fprintf(&log, "fire to %d\n", now)
			clock, done := l.Clock, eval.Counts().Timers
			take(eval.Fire(l, now, nil))
			if moved := eval.Counts().Timers > done; moved && l.Clock < promised || !moved && promised <= now && promised > clock {
				t.Errorf("seed %d: the next change was to be at %d, and the clock went from %d to %d", seed, promised, clock, l.Clock)
				return false
			}
			g.m.fire(now)
			if l.Due <= now {
				t.Errorf("seed %d: due %d after fire to %d", seed, l.Due, now)
				return false
			}
		} else {
			ev := g.event(now, step)
			now = max(now, ev.time)
			fmt.Fprintf(&log, "event %s %s at %d, traits %v\n", ev.id, ev.name, ev.time, ev.traits)
			hash := lead.HashString(ev.id)
			before, last := lead.AppendEncode(nil, l), l
			if g.r.IntN(2) == 0 {
				l = l.Fork()
			}
			out, verdict := eval.Apply(l, g.message(ev, hash), nil)
			if l != last && !bytes.Equal(before, lead.AppendEncode(nil, last)) {
				t.Errorf("seed %d: a change of a lead changed its version before", seed)
				return false
			}
			if verdict == Duplicate && !bytes.Equal(before, lead.AppendEncode(nil, l)) {
				t.Errorf("seed %d: a duplicate changed the lead", seed)
				return false
			}
			take(out)
			g.m.apply(ev, hash)
			// An event behind the tick can arm a timer that is due already: the shard fires it at once.
			take(eval.Fire(l, tick, nil))
			g.m.fire(tick)
		}
		if g.m.full() {
			return true // beyond 64 entries windows and limits of points may be late to forget; the model is not
		}
		if !slices.Equal(got, g.m.out) || !g.sameState(t, eval, l, now) {
			t.Errorf("seed %d:\n%s\n%s\n got %v, clock %d\nwant %v, clock %d", seed, text, log.String(), got, l.Clock, g.m.out, g.m.clock)
			return false
		}
	}
	return true
}

// sameState compares clock, stage, scores and ledgers.
func (g *drawer) sameState(t *testing.T, eval *Evaluator, l *lead.Lead, now int64) bool {
	if l.Clock != g.m.clock || eval.set.stages[l.Stage].name != g.m.stage || l.StageSince != g.m.since {
		return false
	}
	at := max(now, l.Clock)
	v := eval.viewNow(l, at)
	for _, s := range v.Scores {
		// What is added up in another order, or set to a number while it falls, differs in the last bits.
		exact := g.m.scores[s.Name].decay == decayNone || g.m.scores[s.Name].decay == stateScore
		if want := g.m.score(s.Name, at); s.Value != want && (exact || math.Abs(s.Value-want) > 1e-9) {
			t.Errorf("score %s is %v, want %v", s.Name, s.Value, want)
			return false
		}
	}
	checkLedger(t, v)
	return !t.Failed()
}

// drawer draws rules and events, and builds the model beside the text.
type drawer struct {
	r *rand.Rand
	m *model
	// ids are those of earlier events, for duplicates.
	ids []*modelEvent
	// wide draws from the whole language. What is recorded in files was drawn without it.
	wide  bool
	zones *zones
	// base is 100 ms before the first event, near where the local hour changes.
	base int64
	// term names the term that the last formula consists of, "" if of several; terms counts terms by what
	// they stand under.
	term  string
	terms map[string]int
}

func (g *drawer) pick(list ...string) string { return list[g.r.IntN(len(list))] }

func (g *drawer) event(now int64, step int) *modelEvent {
	if len(g.ids) > 0 && g.r.IntN(12) == 0 {
		return g.ids[g.r.IntN(len(g.ids))]
	}
	ev := &modelEvent{time: now + g.r.Int64N(100), id: fmt.Sprintf("m%d", step), name: g.pick("e0", "e1", "e2"), value: g.r.IntN(6)}
	if g.r.IntN(3) == 0 {
		ev.time = now - g.r.Int64N(80)
	}
	switch g.r.IntN(5) {
	case 0, 1:
		ev.traits = map[string]int{g.pick("x", "y"): g.r.IntN(6) - 1}
	case 2:
		ev.traits = map[string]int{"z": int(now) + g.r.IntN(300) - 50}
	}
	g.ids = append(g.ids, ev)
	return ev
}

func (g *drawer) message(ev *modelEvent, hash uint64) *lead.Event {
	traits := "{"
	for _, name := range []string{"x", "y", "z"} {
		if v, ok := ev.traits[name]; ok {
			if len(traits) > 1 {
				traits += ","
			}
			if v < 0 {
				traits += fmt.Sprintf("%q: null", name)
			} else {
				traits += fmt.Sprintf("%q: %d", name, v)
			}
		}
	}
	return &lead.Event{Type: lead.Track, Name: ev.name, Time: ev.time, MessageID: []byte(ev.id), MessageHash: hash,
		Properties: lead.Object(fmt.Sprintf(`{"v": %d}`, ev.value)),
		Context:    lead.Object(`{"traits":` + traits + `}}`)}
}

func (g *drawer) rules() string {
	var b strings.Builder
	if g.wide {
		g.localTime(&b)
	}
	b.WriteString("max_late: 50ms\nsignals:\n")
	for _, s := range []string{"e0", "e1", "e2"} {
		hold := ""
		if g.r.IntN(6) == 0 {
			g.m.hold[s] = 1 + g.r.Int64N(80)
			hold = fmt.Sprintf(", hold: %dms", g.m.hold[s])
		}
		fmt.Fprintf(&b, "  %s: {match: 'event.name == %q'%s}\n", s, s, hold)
	}
	g.m.tag.halfLife = 20 + g.r.Int64N(200)
	fmt.Fprintf(&b, "tags: {half_life: %dms, lines: [{signal: e0, tag: '\"hot\"', weight: 1.5}]}\n", g.m.tag.halfLife)
	b.WriteString("scores:\n")
	g.m.scoreNames = []string{"a", "b", "n", "f", "d"}
	for _, name := range g.m.scoreNames {
		g.score(&b, name)
	}
	if g.wide {
		b.WriteString("matrix: {seg: [f, a]}\n")
	}
	b.WriteString("stages: [s0, s1, s2]\ntransitions:\n")
	for range 1 + g.r.IntN(6) {
		tr := &modelTransition{}
		from := g.r.IntN(3)
		to := (from + 1 + g.r.IntN(2)) % 3
		tr.from, tr.to = []string{fmt.Sprintf("s%d", from)}, fmt.Sprintf("s%d", to)
		fromText := tr.from[0]
		if g.r.IntN(4) == 0 {
			fromText = "any"
			tr.from = []string{fmt.Sprintf("s%d", (to+1)%3), fmt.Sprintf("s%d", (to+2)%3)}
		}
		text, f := g.whole(3, true)
		tr.when, tr.term = f, g.term
		extra := ""
		if g.r.IntN(3) == 0 {
			tr.minStay = 1 + g.r.Int64N(80)
			extra = fmt.Sprintf(", min_stay: %dms", tr.minStay)
		}
		fmt.Fprintf(&b, "  - {from: %s, to: %s, when: '%s'%s}\n", fromText, tr.to, text, extra)
		g.m.transitions = append(g.m.transitions, tr)
	}
	b.WriteString("handoffs:\n")
	for i := range 1 + g.r.IntN(3) {
		h := &modelHandoff{name: fmt.Sprintf("h%d", i)}
		text, f := g.whole(3, true)
		h.when, h.term = f, g.term
		extra := ""
		if g.r.IntN(2) == 0 {
			h.cooldown = 1 + g.r.Int64N(100)
			extra = fmt.Sprintf(", cooldown: %dms", h.cooldown)
		}
		fmt.Fprintf(&b, "  - {name: %s, when: '%s'%s}\n", h.name, text, extra)
		g.m.handoffs = append(g.m.handoffs, h)
	}
	return b.String()
}

func (g *drawer) score(b *strings.Builder, name string) {
	s := &modelScore{min: -math.MaxFloat64, max: math.MaxFloat64}
	g.m.scores[name] = s
	fmt.Fprintf(b, "  %s:\n", name)
	switch name {
	case "a", "b":
		g.decay(b, s)
	case "f":
		s.decay = stateScore
	case "d":
		s.decay = derived
	}
	limitedPart := name != "f" && name != "d" && (s.decay == decayAll || s.decay == decayLine)
	if g.r.IntN(3) == 0 && !limitedPart && name != "f" {
		s.max = float64(5 + g.r.IntN(20))
		fmt.Fprintf(b, "    max: %g\n", s.max)
	}
	if g.r.IntN(3) == 0 && !limitedPart && name != "f" {
		s.min = -float64(g.r.IntN(5))
		fmt.Fprintf(b, "    min: %g\n", s.min)
	}
	if name == "d" {
		g.derived(b, s)
		return
	}
	b.WriteString("    lines:\n")
	for i := range 1 + g.r.IntN(3) {
		l := &modelLine{score: name, add: float64(g.r.IntN(25) - 8)}
		g.line(b, s, l, i)
		g.m.lines = append(g.m.lines, l)
	}
	if name == "f" {
		g.m.grades = map[string]float64{"A": 12, "B": 3}
		b.WriteString("    grades: {A: 12, B: 3, C: -100}\n")
	}
	if name == "a" && g.wide {
		b.WriteString("    grades: {H: 6, L: 0}\n")
	}
}

func (g *drawer) decay(b *strings.Builder, s *modelScore) {
	span := 20 + g.r.Int64N(200)
	switch g.r.IntN(5) {
	case 0:
		s.decay, s.span = decayAll, span
		fmt.Fprintf(b, "    expire_after: %dms\n", span)
	case 1:
		s.decay, s.span = decayLine, span
		fmt.Fprintf(b, "    linear_over: %dms\n", span)
	case 2:
		s.decay, s.span, s.keep = decayStepped, span, float64(g.r.IntN(4))/4
		fmt.Fprintf(b, "    step: {every: %dms, keep: %g}\n", span, s.keep)
	default:
		s.halfLife = span
		fmt.Fprintf(b, "    half_life: %dms\n", span)
	}
}

func (g *drawer) derived(b *strings.Builder, s *modelScore) {
	s.parts = make(map[string]float64)
	s.base = float64(g.r.IntN(5) - 2)
	text := fmt.Sprintf("%g", s.base)
	for _, part := range []string{"a", "b", "n", "f"} {
		if w := []float64{0, 1, -1, 0.5, 2}[g.r.IntN(5)]; w != 0 {
			s.parts[part] = w
			text += fmt.Sprintf(" + %g * score.%s", w, part)
		}
	}
	if len(s.parts) == 0 {
		s.parts["a"] = 1
		text += " + score.a"
	}
	fmt.Fprintf(b, "    derived: '%s'\n", text)
}

func (g *drawer) line(b *strings.Builder, s *modelScore, l *modelLine, i int) {
	fmt.Fprintf(b, "      - {id: l%d, ", i)
	if s.decay != stateScore {
		key := "add"
		if g.r.IntN(5) == 0 {
			l.enter = g.pick("s0", "s1", "s2")
			// Setting a sum of fractions would make the model's bits others than the engine's.
			if l.set = g.r.IntN(2) == 0 && s.decay != decayLine; l.set {
				key = "set"
			}
		}
		fmt.Fprintf(b, "%s: %g, ", key, l.add)
	}
	switch {
	case s.decay == stateScore:
		tiers := 1 + g.r.IntN(2)
		if tiers > 1 {
			b.WriteString("tiers: [")
		}
		for n := range tiers {
			text, f := g.whole(2, false)
			tier := modelTier{f, float64(g.r.IntN(25) - 8)}
			l.tiers = append(l.tiers, tier)
			switch {
			case tiers == 1:
				fmt.Fprintf(b, "when: '%s', add: %g", text, tier.add)
			case n > 0:
				b.WriteString(", ")
				fallthrough
			default:
				fmt.Fprintf(b, "{when: '%s', add: %g}", text, tier.add)
			}
		}
		if tiers > 1 {
			b.WriteString("]")
		}
	case l.enter != "":
		fmt.Fprintf(b, "enter: %s", l.enter)
		if !l.set {
			g.limit(b, l)
		}
	case g.r.IntN(4) == 0:
		l.inactive = 1 + g.r.Int64N(150)
		fmt.Fprintf(b, "inactive: %dms", l.inactive)
		if g.r.IntN(2) == 0 {
			l.of = g.pick("e0", "e1")
			fmt.Fprintf(b, ", of: %s", l.of)
		}
		g.limit(b, l)
	default:
		l.signal = g.pick("e0", "e1", "e2")
		fmt.Fprintf(b, "signal: %s", l.signal)
		if g.r.IntN(6) == 0 {
			l.hold = 1 + g.r.Int64N(80)
			fmt.Fprintf(b, ", hold: %dms", l.hold)
		}
		g.limit(b, l)
	}
	b.WriteString("}\n")
}

func (g *drawer) limit(b *strings.Builder, l *modelLine) {
	if l.add == 0 {
		return // a line that adds nothing uses up nothing
	}
	switch g.r.IntN(6) {
	case 0:
		l.once = true
		b.WriteString(", once: true")
	case 1:
		l.times, l.per = 1+g.r.IntN(3), 1+g.r.Int64N(200)
		fmt.Fprintf(b, ", limit: {times: %d, per: %dms}", l.times, l.per)
	case 2:
		l.points, l.per = 1+float64(g.r.IntN(20)), 1+g.r.Int64N(200)
		fmt.Fprintf(b, ", limit: {points: %g, per: %dms}", l.points, l.per)
	}
}
