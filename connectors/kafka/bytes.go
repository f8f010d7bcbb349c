package kafka

import (
	"math/bits"
	"slices"
)

// bytesShelf are arrays of bytes that wait to be lent, by size. There are four sizes to each power of two: what is lent has
// a quarter more room than was asked for at most if it is new, and less than three times as much if it waited. All of it is
// cleared by the client each time.
type bytesShelf struct {
	sizes [sizes]sizeShelf
	room  int // bytes of all arrays that wait
	limit int // of room
	turn  uint64
}

// sizeShelf are the arrays with room for one size, but not for the next.
type sizeShelf struct {
	arrays [][]byte
	used   uint64 // the turn in which one of them was last asked for
}

const (
	// leastBytes and mostBytes bound what is lent again; less is not worth it, and more is rare.
	leastBytes = 1 << 10
	mostBytes  = maxDecompressed
	sizes      = 4*(26-10) + 1
	// wider is by how many sizes an array that waits may be larger than what is asked for.
	wider = 3
)

// sizeOf returns how many bytes arrays of a size have room for at least.
func sizeOf(i int) int { return (4 + i%4) << (i/4 + 8) }

// sizeWithin returns the largest size that n bytes have room for; n is leastBytes at least.
func sizeWithin(n int) int {
	high := bits.Len(uint(n)) - 1
	return 4*(high-10) + n>>(high-2)&3
}

// sizeFor returns the smallest size with room for n bytes.
func sizeFor(n int) int {
	if n <= leastBytes {
		return 0
	}
	return sizeWithin(n-1) + 1
}

// borrow returns an array with room for n bytes, of any length.
func (s *bytesShelf) borrow(n int) []byte {
	if n > mostBytes {
		return make([]byte, n)
	}
	s.turn++
	first := sizeFor(n)
	s.sizes[first].used = s.turn
	for i := first; i < min(first+wider+1, sizes); i++ {
		of := &s.sizes[i]
		if last := len(of.arrays) - 1; last >= 0 {
			b := of.arrays[last]
			of.arrays[last], of.arrays = nil, of.arrays[:last]
			of.used = s.turn
			s.room -= cap(b)
			return b
		}
	}
	return make([]byte, sizeOf(first))
}

// giveBack makes room for an array by dropping those of the size that was not asked for for the longest time, which may be its own.
func (s *bytesShelf) giveBack(b []byte) {
	n := cap(b)
	if n < leastBytes || n > min(mostBytes, s.limit) {
		return
	}
	to := &s.sizes[sizeWithin(n)]
	for s.room+n > s.limit {
		stale := to
		for i := range s.sizes {
			if of := &s.sizes[i]; len(of.arrays) > 0 && of.used < stale.used {
				stale = of
			}
		}
		if stale == to {
			return
		}
		last := len(stale.arrays) - 1
		s.room -= cap(stale.arrays[last])
		stale.arrays = slices.Delete(stale.arrays, last, last+1)
	}
	to.arrays = append(to.arrays, b)
	s.room += n
}
