package kafka

import (
	"math/rand/v2"
	"testing"
)

func TestSizes(t *testing.T) {
	if sizeOf(0) != leastBytes || sizeOf(sizes-1) != mostBytes {
		t.Fatalf("sizes go from %d to %d", sizeOf(0), sizeOf(sizes-1))
	}
	for i := range sizes {
		n := sizeOf(i)
		if sizeFor(n) != i || sizeWithin(n) != i {
			t.Errorf("%d bytes are of size %d, and need %d; want %d", n, sizeWithin(n), sizeFor(n), i)
		}
		if i > 0 && (sizeFor(n-1) != i || sizeWithin(n-1) != i-1 || n*4 > sizeOf(i-1)*5) {
			t.Errorf("%d bytes are of size %d, and need %d; that is one of %d", n-1, sizeWithin(n-1), sizeFor(n-1), sizeOf(i-1))
		}
	}
}

// FuzzBytesShelf borrows and gives back at random: nothing is lent twice, all has room enough and not too much, and what waits is
// bounded and counted.
func FuzzBytesShelf(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, 1<<(12+seed%10))
	}
	f.Fuzz(func(t *testing.T, seed uint64, limit int) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := bytesShelf{limit: limit & (64<<20 - 1)}
		lent := map[*byte]int{}
		var out [][]byte
		for range 400 {
			if len(out) > 0 && r.IntN(2) == 0 {
				i := r.IntN(len(out))
				b := out[i]
				out[i] = out[len(out)-1]
				out = out[:len(out)-1]
				delete(lent, &b[:1][0])
				s.giveBack(b[:r.IntN(cap(b)+1)])
			} else if r.IntN(20) == 0 { // one that grew elsewhere
				s.giveBack(make([]byte, r.IntN(1<<18)))
			} else {
				n := r.IntN(1 << (1 + r.IntN(18)))
				b := s.borrow(n)
				at := &b[:1][0]
				if lent[at]++; lent[at] > 1 {
					t.Fatal("the same array was lent twice")
				}
				if cap(b) < n || cap(b) > 3*max(leastBytes, n) {
					t.Fatalf("%d bytes were lent for %d", cap(b), n)
				}
				out = append(out, b)
			}
			room, waits := 0, map[*byte]bool{}
			for i := range s.sizes {
				for _, b := range s.sizes[i].arrays {
					at := &b[:1][0]
					if waits[at] || lent[at] > 0 {
						t.Fatal("what is lent, or waits, waits again")
					}
					waits[at] = true
					if room += cap(b); cap(b) < sizeOf(i) {
						t.Fatalf("%d bytes wait with those of %d", cap(b), sizeOf(i))
					}
				}
			}
			if room != s.room || room > s.limit {
				t.Fatalf("%d bytes wait, counted as %d, at most %d", room, s.room, s.limit)
			}
		}
	})
}

// TestShelfForgetsWhatNobodyAsksFor: arrays of a size that is not asked for any more make room for others.
func TestShelfForgetsWhatNobodyAsksFor(t *testing.T) {
	s := bytesShelf{limit: 64 << 10}
	var old [][]byte
	for range 4 {
		old = append(old, s.borrow(16<<10))
	}
	for _, b := range old {
		s.giveBack(b)
	}
	b := s.borrow(32 << 10)
	if s.room != 64<<10 {
		t.Fatalf("%d bytes wait", s.room)
	}
	s.giveBack(b)
	if again := s.borrow(32 << 10); &again[:1][0] != &b[:1][0] || s.room != 32<<10 {
		t.Errorf("not the same array again, and %d bytes wait", s.room)
	}
}

func TestRatios(t *testing.T) {
	var r ratios
	if n := r.guess(3, 1000); n < 1000 {
		t.Errorf("%d bytes for 1000 of an unknown ratio", n)
	}
	r.note(3, 1000, 5000)
	r.note(2, 1000, 500_000)
	r.note(7, 1000, 5000)
	if n := r.guess(3, 1000); n < 5000 || n > 5000*17/16+sizeSlack {
		t.Errorf("%d bytes, 5000 were needed before", n)
	}
	if n := r.guess(2, 1000); n > 17*1000+sizeSlack {
		t.Errorf("%d bytes, over the bound", n)
	}
	if n := r.guess(2, 1<<30); n > maxDecompressed {
		t.Errorf("%d bytes, more than may be", n)
	}
	for range 8 * ratioLag {
		r.note(3, 1000, 2000)
	}
	if n := r.guess(3, 1000); n > 2200+sizeSlack {
		t.Errorf("%d bytes, after 2000 for long", n)
	}
}
