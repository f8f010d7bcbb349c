package rules

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"leadstream/state/lead"
)

func TestNewWindow(t *testing.T) {
	for _, tc := range []struct {
		spans []int64
		want  []tier
	}{
		{nil, nil},
		{[]int64{0, -5}, nil},
		{[]int64{1}, []tier{{1, 1}}},
		{[]int64{64}, []tier{{64, 1}}},
		{[]int64{65}, []tier{{65, 2}}},
		{[]int64{7 * day}, []tier{{7 * day, 9450000}}},
		{[]int64{day, day, 7 * day}, []tier{{day, 1350000}, {7 * day, 9450000}}},
		{[]int64{7 * day, day}, []tier{{day, 1350000}, {7 * day, 9450000}}},
		{[]int64{day, day + hour}, []tier{{day + hour, 1350000}}},
		{[]int64{day, 30 * day, 365 * day}, []tier{{day, 1350000}, {30 * day, 40500000}, {365 * day, 486000000}}},
	} {
		if w := newWindow(maxEntries, false, tc.spans...); !slices.Equal(w.tiers, tc.want) {
			t.Errorf("%v: %v, want %v", tc.spans, w.tiers, tc.want)
		}
	}
}

func TestWindowEdges(t *testing.T) {
	w := newWindow(maxEntries, false, 100)
	sig := newSignal(3)
	if n, until := windowCount(&sig, 100, 50); n != 0 || until != lead.Never {
		t.Errorf("empty: %d until %d", n, until)
	}
	w.insert(&sig, lead.Entry{Time: 10, Message: 2, Value: 5}, 10)
	w.insert(&sig, lead.Entry{Time: 7, Message: 9, Value: 2}, 10) // late
	w.insert(&sig, lead.Entry{Time: 10, Message: 1, Value: 1}, 10)
	if got := []uint64{sig.Entries[0].Message, sig.Entries[1].Message, sig.Entries[2].Message}; !slices.Equal(got, []uint64{9, 1, 2}) {
		t.Errorf("order of messages: %v", got)
	}
	if sig.Last != 10 || sig.Slot != 3 {
		t.Errorf("last %d slot %d", sig.Last, sig.Slot)
	}
	for _, tc := range []struct {
		now, n, until int64
		sum           float64
	}{
		{10, 3, 107, 8}, {106, 3, 107, 8}, {107, 2, 110, 6}, {109, 2, 110, 6}, {110, 0, lead.Never, 0},
	} {
		n, until := windowCount(&sig, 100, tc.now)
		sum, until2 := windowSum(&sig, 100, tc.now)
		if n != tc.n || until != tc.until || sum != tc.sum || until2 != until {
			t.Errorf("at %d: %d, sum %v until %d (%d), want %+v", tc.now, n, sum, until, until2, tc)
		}
	}
	if !w.remove(&sig, 1, 1) || w.remove(&sig, 1, 1) || w.remove(&sig, 2, 4) || len(sig.Entries) != 2 {
		t.Errorf("after removal: %+v", sig.Entries)
	}
	w.insert(&sig, lead.Entry{Time: 110, Message: 4}, 110)
	if len(sig.Entries) != 1 {
		t.Errorf("what no span sees is kept: %+v", sig.Entries)
	}
	w.insert(&sig, lead.Entry{Time: 5, Message: 5}, 110)
	if len(sig.Entries) != 1 || sig.Last != 110 {
		t.Errorf("what no span sees came in: %+v", sig)
	}

	ageless := newWindow(2, true)
	sig = newSignal(0)
	for i := range int64(5) {
		ageless.insert(&sig, lead.Entry{Time: i * day, Message: 1}, i*day)
	}
	if len(sig.Entries) != 2 || sig.Entries[0].Time != 3*day || len(sig.Buckets) != 0 {
		t.Errorf("ageless: %+v", sig)
	}
}

// windowCase is a sequence of entries for one window, from bytes or drawn.
type windowCase struct {
	spans []int64
	steps []windowStep
}

// windowStep moves the clock by ahead and inserts an entry that is late by late.
type windowStep struct {
	ahead, late int64
	message     uint64
	value       float64
}

// checkWindow compares a window with one that keeps everything. After each step, count and sum of each
// span may only be late to forget, by less than that span's ceil(D/64), and only beyond maxEntries.
func checkWindow(t fataler, c windowCase) {
	w := newWindow(maxEntries, false, c.spans...)
	sig := newSignal(0)
	var all []lead.Entry
	now := int64(1000)
	for i, s := range c.steps {
		now += s.ahead
		e := lead.Entry{Time: now - s.late, Message: s.message, Value: s.value}
		w.insert(&sig, e, now)
		all = append(all, e)
		if len(sig.Entries) > maxEntries || len(sig.Buckets) > 130*len(w.tiers)+1 {
			t.Fatalf("step %d: %d entries and %d buckets for %d tiers", i, len(sig.Entries), len(sig.Buckets), len(w.tiers))
		}
		if !slices.IsSortedFunc(sig.Entries, func(a, b lead.Entry) int {
			if entryLess(a, b) {
				return -1
			}
			return 1
		}) && len(all) < 3 {
			t.Fatalf("step %d: entries out of order: %+v", i, sig.Entries)
		}
		last := int64(math.MinInt64)
		for _, b := range sig.Buckets {
			if b.Newest <= last || len(sig.Entries) > 0 && b.Newest > sig.Entries[0].Time {
				t.Fatalf("step %d: buckets out of order: %+v", i, sig.Buckets)
			}
			last = b.Newest
		}
		for _, span := range c.spans {
			checkSpan(t, i, &sig, all, span, now)
		}
	}
}

func checkSpan(t fataler, step int, sig *lead.Signal, all []lead.Entry, span, now int64) {
	width := (span + maxEntries - 1) / maxEntries
	for at := now; ; {
		var exact, most int64
		var exactSum, mostSum float64
		for _, e := range all {
			if at-e.Time < span {
				exact++
				exactSum += e.Value
			}
			if at-e.Time < span+width-1 {
				most++
				mostSum += e.Value
			}
		}
		n, until := windowCount(sig, span, at)
		sum, _ := windowSum(sig, span, at)
		if n < exact || n > most || sum < exactSum || sum > mostSum || len(all) <= maxEntries && n != exact {
			t.Fatalf("step %d, span %d at %d: count %d of %d to %d, sum %v of %v to %v", step, span, at, n, exact, most, sum, exactSum, mostSum)
		}
		if until == lead.Never {
			if n != 0 {
				t.Fatalf("step %d, span %d at %d: count %d for ever", step, span, at, n)
			}
			return
		}
		before, _ := windowCount(sig, span, until-1)
		after, _ := windowCount(sig, span, until)
		if until <= at || before != n || after >= n {
			t.Fatalf("step %d, span %d at %d: count %d until %d, but %d before and %d then", step, span, at, n, until, before, after)
		}
		if at > now { // once around the corner is enough
			return
		}
		at = until
	}
}

func TestWindowBrute(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := windowCase{spans: rapid.SliceOfN(rapid.Int64Range(1, 3000), 1, 5).Draw(rt, "spans")}
		most := rapid.Int64Range(1, 60).Draw(rt, "most ahead")
		for range rapid.IntRange(1, 300).Draw(rt, "n") {
			s := windowStep{message: rapid.Uint64Range(0, 5).Draw(rt, "message"), value: float64(rapid.IntRange(0, 9).Draw(rt, "value"))}
			s.ahead = rapid.Int64Range(0, most).Draw(rt, "ahead")
			if rapid.IntRange(0, 5).Draw(rt, "is late") == 0 {
				s.late = rapid.Int64Range(0, 3000).Draw(rt, "late")
			}
			c.steps = append(c.steps, s)
		}
		checkWindow(rt, c)
	})
}

// FuzzWindow reads two spans and then runs of entries: how many, how far the clock moves for each, and how
// late they are.
func FuzzWindow(f *testing.F) {
	f.Add(uint16(100), uint16(3000), []byte{150, 3, 0})
	f.Add(uint16(64), uint16(65), []byte{70, 0, 0, 9, 1, 20, 80, 2, 0})
	f.Fuzz(func(t *testing.T, a, b uint16, runs []byte) {
		c := windowCase{spans: []int64{1 + int64(a), 1 + int64(b)}}
		for ; len(runs) >= 3 && len(c.steps) < 400; runs = runs[3:] {
			late := int64(runs[2])
			for i := range runs[0] {
				c.steps = append(c.steps, windowStep{
					ahead: int64(runs[1]), late: late * late / 8, message: uint64(i*runs[2]) % 7, value: float64(runs[1]),
				})
			}
		}
		checkWindow(t, c)
	})
}

// TestWindowForget: forgetting what no span sees must not show.
func TestWindowForget(t *testing.T) {
	w := newWindow(maxEntries, false, 50, 400)
	a, b := newSignal(0), newSignal(0)
	g := lcg(5)
	now := int64(0)
	for range 2000 {
		now += g.below(9)
		e := lead.Entry{Time: now - g.below(30), Message: g.next(), Value: 1}
		w.insert(&a, e, now)
		w.insert(&b, e, now)
		w.forget(&b, now)
		for _, span := range []int64{50, 400} {
			na, ua := windowCount(&a, span, now)
			nb, ub := windowCount(&b, span, now)
			if na != nb || ua != ub {
				t.Fatalf("at %d, span %d: %d until %d, after forgetting %d until %d", now, span, na, ua, nb, ub)
			}
		}
	}
}
