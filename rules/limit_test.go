package rules

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"leadstream/state/lead"
)

func TestLimit(t *testing.T) {
	type try struct {
		s      int64
		points float64
		want   float64
		ok     bool
	}
	for _, tc := range []struct {
		name  string
		limit limit
		tries []try
		kept  []int64
	}{
		{"no limit", limit{}, []try{{1, 5, 5, true}, {1, -5, -5, true}}, nil},
		{"twice in 100 ms", limit{Times: 2, Per: 100}, []try{
			{0, 1, 1, true}, {99, 1, 1, true}, {99, 1, 0, false}, {100, 1, 1, true}, {198, 1, 0, false}, {199, 1, 1, true},
		}, []int64{100, 199}},
		{"a late one takes a place among later ones", limit{Times: 2, Per: 100}, []try{
			{500, 1, 1, true}, {450, 1, 1, true}, {401, 1, 0, false}, {460, 1, 0, false},
		}, []int64{450, 500}},
		{"a late one within the span of none", limit{Times: 2, Per: 100}, []try{
			{500, 1, 1, true}, {400, 1, 1, true}, {450, 1, 0, false},
		}, []int64{400, 500}},
		{"older than all kept", limit{Times: 2, Per: 10}, []try{
			{500, 1, 1, true}, {600, 1, 1, true}, {400, 1, 0, false}, {550, 1, 1, true}, {700, 1, 1, true},
		}, []int64{600, 700}},
		{"20 points in 100 ms", limit{Points: 20, Per: 100}, []try{
			{0, 15, 15, true}, {10, 15, 5, true}, {20, 1, 0, false}, {100, 15, 15, true}, {109, 9, 0, false}, {110, 9, 5, true},
		}, []int64{0, 10, 100, 110}},
		{"negative points are cut alike", limit{Points: 20, Per: 100}, []try{
			{0, -15, -15, true}, {1, -15, -5, true}, {2, 1, 0, false},
		}, []int64{0, 1}},
		{"nothing uses up nothing", limit{Points: 20, Per: 100}, []try{{0, 0, 0, true}}, nil},
		{"both", limit{Times: 2, Points: 20, Per: 100}, []try{
			{0, 15, 15, true}, {1, 15, 5, true}, {2, 0, 0, false}, {100, 7, 7, true}, {101, 30, 13, true},
		}, []int64{100, 101}},
		{"once", limit{Once: true}, []try{{0, 4, 4, true}, {1000, 4, 0, false}, {-5, 4, 0, false}}, []int64{0}},
	} {
		var x lead.Line
		for i, tr := range tc.tries {
			got, ok := tc.limit.admit(&x, tr.s, tr.points)
			if got != tr.want || ok != tr.ok {
				t.Errorf("%s, %d: %v points at %d: %v %v, want %v %v", tc.name, i, tr.points, tr.s, got, ok, tr.want, tr.ok)
			}
		}
		if !slices.Equal(x.Counted, tc.kept) {
			t.Errorf("%s: kept %v, want %v", tc.name, x.Counted, tc.kept)
		}
	}
}

func TestLimitRelease(t *testing.T) {
	var x lead.Line
	once := limit{Once: true}
	once.admit(&x, 0, 4)
	once.release(&x, 0, 4)
	if _, ok := once.admit(&x, 7, 4); !ok || x.Fired != 7 {
		t.Errorf("once after release: %+v", x)
	}

	x = lead.Line{}
	times := limit{Times: 2, Per: 100}
	times.admit(&x, 10, 1)
	times.admit(&x, 20, 1)
	times.release(&x, 15, 1) // did not count
	if _, ok := times.admit(&x, 30, 1); ok {
		t.Error("releasing what did not count gave a place")
	}
	times.release(&x, 10, 1)
	if _, ok := times.admit(&x, 30, 1); !ok {
		t.Error("releasing gave no place")
	}

	x = lead.Line{}
	points := limit{Points: 20, Per: 100}
	points.admit(&x, 10, -4)
	points.admit(&x, 10, 6)
	points.admit(&x, 10, 10)
	points.release(&x, 10, 6)
	if !slices.Equal(x.Points, []float64{4, 10}) {
		t.Errorf("points left: %v", x.Points)
	}
	points.release(&x, 10, 3) // a part: the rest was clipped
	if got, ok := points.admit(&x, 11, 100); !ok || got != 9 {
		t.Errorf("what is left after releases: %v", got)
	}
}

// TestLimitBrute compares limits with their definition. A limit of points may, beyond what it remembers,
// only be too strict.
func TestLimitBrute(t *testing.T) {
	type counted struct {
		s      int64
		points float64
	}
	rapid.Check(t, func(rt *rapid.T) {
		l := limit{Per: rapid.Int64Range(1, 100).Draw(rt, "per")}
		if rapid.Bool().Draw(rt, "is times") {
			l.Times = rapid.IntRange(1, 5).Draw(rt, "times")
		} else {
			l.Points = float64(rapid.IntRange(1, 200).Draw(rt, "points"))
		}
		mostLate := rapid.SampledFrom([]int64{0, 200}).Draw(rt, "most late")
		var all []counted // of a limit of times: the newest n
		var x lead.Line
		now := int64(0)
		for range rapid.IntRange(1, 200).Draw(rt, "n") {
			now += rapid.Int64Range(0, 30).Draw(rt, "ahead")
			s := now - rapid.Int64Range(0, mostLate).Draw(rt, "late")
			points := float64(rapid.IntRange(1, 30).Draw(rt, "w"))
			n, used, older := 0, 0.0, 0
			for _, c := range all {
				if c.s > s-l.Per && c.s < s+l.Per {
					n++
					used += c.points
				}
				if s < c.s {
					older++
				}
			}
			got, ok := l.admit(&x, s, points)
			want := 0.0
			switch {
			case l.Times > 0 && n < l.Times && older < l.Times:
				want = points
			case l.Points > 0 && used < l.Points:
				want = math.Min(points, l.Points-used)
			}
			exact := l.Times > 0 || len(all) < maxPointsKept
			if got > want || exact && (got != want || ok != (want > 0)) {
				rt.Fatalf("%v points at %d count %v, want %v", points, s, got, want)
			}
			if len(x.Counted) > l.kept() || !slices.IsSorted(x.Counted) || l.Points > 0 && len(x.Points) != len(x.Counted) {
				rt.Fatalf("kept %v %v", x.Counted, x.Points)
			}
			if !ok {
				continue
			}
			all = append(all, counted{s, got})
			slices.SortStableFunc(all, func(a, b counted) int { return int(a.s - b.s) })
			if l.Times > 0 && len(all) > l.Times {
				all = all[1:]
			}
		}
	})
}

func TestMathAllocatesNothing(t *testing.T) {
	w := newWindow(maxEntries, false, day, 30*day)
	sig := newSignal(0)
	var x lead.Line
	times := limit{Times: 10, Per: day}
	points := limit{Points: 100, Per: day}
	var y lead.Line
	now := int64(0)
	insert := func() {
		now += hour / 7
		w.insert(&sig, lead.Entry{Time: now - now%hour, Message: uint64(now)}, now)
		times.admit(&x, now, 1)
		points.admit(&y, now, 1)
	}
	for range 20000 {
		insert()
	}
	terms := []expTerm{{20, 0, 10 * day}, {-50, 0, day}, {3, 0, 30 * day}}
	for name, fn := range map[string]func(){
		"window and limits":       insert,
		"crossing":                func() { crossing(terms, 10, opGE, 0); crossing(terms[:1], 10, opGE, 0); crossing(terms, 0, opEQ, 0) },
		"sum":                     func() { sumAt(terms, day) },
		"crossings of the window": func() { countCrossing(&sig, day, 3, opGE, now); sumCrossing(&sig, day, 3, opGE, now) },
		"crossings of line and step": func() {
			linearCrossing(&sig, day, 3, opGE, now)
			stepCrossing(100, 0, 0, hour, 0.9, 3, opLT, 0)
		},
	} {
		if n := testing.AllocsPerRun(200, fn); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
