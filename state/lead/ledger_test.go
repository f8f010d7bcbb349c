package lead

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawContribution draws one with fields of every width.
func drawContribution(t *rapid.T) Contribution {
	wide := rapid.OneOf(rapid.Uint64(), rapid.Just[uint64](0), rapid.Just[uint64](math.MaxUint64))
	slot := rapid.OneOf(rapid.Uint16(), rapid.Uint16Max(math.MaxUint8), rapid.Just(NoSlot), rapid.Just[uint16](math.MaxUint8+1))
	return Contribution{
		Message: wide.Draw(t, "message"),
		Time:    rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 1<<48), rapid.SampledFrom([]int64{-1, 0, 1<<48 - 1, 1 << 48, NoTime})).Draw(t, "time"),
		Points: rapid.OneOf(rapid.Float64(), rapid.Map(rapid.Int8(), func(n int8) float64 { return float64(n) }),
			rapid.SampledFrom([]float64{math.Copysign(0, -1), 127, 128, -128, -129, 0.5, math.Inf(1)})).Draw(t, "points"),
		Score: slot.Draw(t, "score"), Line: slot.Draw(t, "line"), Signal: slot.Draw(t, "signal"),
		Steps: int64(wide.Draw(t, "steps")), Own: wide.Draw(t, "own"),
	}
}

func TestLedgerKeepsWhatItIsGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 10).Draw(t, "most")
		var g Ledger
		var want []Contribution
		for _, c := range rapid.SliceOfN(rapid.Custom(drawContribution), 0, 30).Draw(t, "contributions") {
			g.Enter(&c, most)
			want = append(want, c)
			want = want[max(0, len(want)-most):]
			if g.Len() != len(want) {
				t.Fatalf("%d contributions of %d", g.Len(), len(want))
			}
			i := 0
			for place, have := range g.All() {
				// Bits are compared: -0 is not 0.
				if have != want[i] || math.Signbit(have.Points) != math.Signbit(want[i].Points) || g.At(place) != have {
					t.Fatalf("contribution %d is %+v, want %+v", i, have, want[i])
				}
				i++
			}
			if i != len(want) {
				t.Fatalf("it goes through %d contributions of %d", i, len(want))
			}
			if again := LedgerOf(g.List()); !slices.Equal(again.data, g.data[g.from:]) || again.n != g.n {
				t.Fatalf("the same contributions are %x and %x", g.data, again.data)
			}
		}
	})
}

// TestLedgerIsSmall: an entry as scores of signals make them takes 19 bytes. It is a count.
func TestLedgerIsSmall(t *testing.T) {
	var g Ledger
	c := Contribution{Message: math.MaxUint64, Time: 1_795_000_000_000, Points: 5, Score: 3, Line: 200, Signal: 40}
	g.Enter(&c, 1)
	if len(g.data) != 19 {
		t.Errorf("an entry takes %d bytes", len(g.data))
	}
	if n := testing.AllocsPerRun(1000, func() { g.Enter(&c, 64) }); n > 0.1 {
		t.Errorf("entering allocates %v times", n)
	}
}

// TestClonedLedgersGoApart: what is entered into a lead reaches no clone of it, and the other way round, wherever there is room.
func TestClonedLedgersGoApart(t *testing.T) {
	var l Lead
	var clones []*Lead
	var want [][]Contribution
	for n := range uint64(100) {
		l.Ledger.Enter(&Contribution{Message: n + 1}, 10)
		c := l.Clone()
		c.Ledger.Enter(&Contribution{Message: 1000 + n}, 10)
		clones, want = append(clones, c), append(want, c.Ledger.List())
	}
	for i, c := range clones {
		if !slices.Equal(c.Ledger.List(), want[i]) || want[i][len(want[i])-1].Message != 1000+uint64(i) {
			t.Fatalf("clone %d holds %v, and held %v", i, c.Ledger.List(), want[i])
		}
	}
	if got := l.Ledger.List(); got[0].Message != 91 || got[9].Message != 100 {
		t.Errorf("the lead holds %v", got)
	}
}

func TestLedgerAsJSON(t *testing.T) {
	text, err := json.Marshal(&Lead{Ledger: LedgerOf([]Contribution{{Message: 7, Time: 8, Points: 1.5, Line: 2, Signal: 3}})})
	if err != nil {
		t.Fatal(err)
	}
	if want := `"Ledger":[{"Message":7,"Time":8,"Points":1.5,"Score":0,"Line":2,"Signal":3,"Steps":0,"Own":0}]`; !strings.Contains(string(text), want) {
		t.Errorf("a lead is exported as %s, which lacks %s", text, want)
	}
}
