package rules

import (
	"fmt"
	"testing"

	"leadstream/state/lead"
)

// benchTerms returns n terms of alternating sign with different half-lives of weeks.
func benchTerms(n int) []expTerm {
	terms := make([]expTerm, n)
	for i := range terms {
		terms[i] = expTerm{V: float64(50 - 7*i), At: -int64(i) * day, H: int64(7+5*i) * day}
		if i%2 != 0 {
			terms[i].V = -terms[i].V
		}
	}
	return terms
}

func BenchmarkDecay(b *testing.B) {
	for _, ages := range []int64{3, 40} {
		b.Run(fmt.Sprintf("half_life=7d/age=%dd", ages), func(b *testing.B) {
			b.ReportAllocs()
			v := 0.0
			for i := range int64(b.N) {
				v += decayHalfLife(10, i&0xfffff, ages*day, 7*day)
			}
			sink = v
		})
	}
}

var sink float64

func BenchmarkSum(b *testing.B) {
	for _, n := range []int{1, 2, 4, 16} {
		terms := benchTerms(n)
		b.Run(fmt.Sprintf("terms=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := range int64(b.N) {
				sink = sumAt(terms, i&0xfffff)
			}
		})
	}
	sig := benchSignal(maxEntries)
	b.Run("linear_over/entries=64", func(b *testing.B) {
		b.ReportAllocs()
		for i := range int64(b.N) {
			sink = linearAt(sig, 90*day, i&0xfffff)
		}
	})
}

func benchSignal(entries int64) *lead.Signal {
	sig := newSignal(0)
	w := newWindow(maxEntries, false, 90*day)
	for i := range entries {
		w.insert(&sig, lead.Entry{Time: (i - entries) * hour, Message: uint64(i), Value: float64(1 + i%5)}, 0)
	}
	return &sig
}

// BenchmarkCrossing measures one search, for a constant that is crossed, one that is never reached, the sum's
// own end, and one that the curve touches.
func BenchmarkCrossing(b *testing.B) {
	for _, n := range []int{1, 2, 4, 16} {
		terms := benchTerms(n)
		now := sumAt(terms, 0)
		for _, c := range []struct {
			name string
			c    float64
		}{
			{"crossed", 0.7 * now}, {"never", 1e6}, {"end", 0}, {"touched", sumAt(terms, turn(terms, 0, 100*day))},
		} {
			b.Run(fmt.Sprintf("terms=%d/constant=%s", n, c.name), func(b *testing.B) {
				b.ReportAllocs()
				for i := range int64(b.N) {
					crossing(terms, c.c, opLT, i&0xfffff)
				}
			})
		}
	}
	sig := benchSignal(maxEntries)
	for _, c := range []struct {
		name  string
		cross func(at int64)
	}{
		{"count", func(at int64) { countCrossing(sig, 90*day, 10, opLT, at) }},
		{"sum", func(at int64) { sumCrossing(sig, 90*day, 30, opLT, at) }},
		{"linear_over", func(at int64) { linearCrossing(sig, 90*day, 30, opLT, at) }},
		{"step", func(at int64) { stepCrossing(100, 0, 0, day, 0.9, 3, opLT, at) }},
	} {
		b.Run("entries=64/kind="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range int64(b.N) {
				c.cross(i & 0xfffff)
			}
		})
	}
}

func BenchmarkWindow(b *testing.B) {
	for _, spans := range [][]int64{{day}, {day, 30 * day, 365 * day}} {
		b.Run(fmt.Sprintf("spans=%d/op=insert", len(spans)), func(b *testing.B) {
			b.ReportAllocs()
			w := newWindow(maxEntries, false, spans...)
			sig := newSignal(0)
			for i := range int64(b.N) {
				w.insert(&sig, lead.Entry{Time: i * minute, Message: uint64(i)}, i*minute)
			}
			b.ReportMetric(float64(len(sig.Buckets)), "buckets")
		})
	}
}
