package kafka

import (
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/engine"
)

// pool lends arrays of records, those of the client and those of the engine, again and again: they were a fifth of all
// that a busy process allocated, and full of pointers. What records refer to (keys, values, headers) is not lent, so it may
// be kept. It implements kgo.PoolRecords and is safe for use by several goroutines.
type pool struct {
	mu     sync.Mutex
	client shelf[kgo.Record]
	engine shelf[engine.Record]
}

// shelf are arrays that wait to be lent.
type shelf[T any] struct {
	arrays [][]T
	room   int // of all of them, in records
}

// maxShelved is how many records the arrays of a shelf have room for at most, about what two fetches of busy partitions
// bring. More are left to the garbage collector: what was needed once is not held for ever.
const maxShelved = 1 << 17

// GetRecords implements kgo.PoolRecords.
func (p *pool) GetRecords(n int) []kgo.Record { return borrow(p, &p.client, n) }

// PutRecords implements kgo.PoolRecords. The client has cleared them.
func (p *pool) PutRecords(rs []kgo.Record) { giveBack(p, &p.client, rs) }

// records lends an empty array with room for n.
func (p *pool) records(n int) []engine.Record { return borrow(p, &p.engine, n)[:0] }

// free takes the records of a fetch back.
func (p *pool) free(rs []engine.Record) {
	clear(rs)
	giveBack(p, &p.engine, rs)
}

// borrow returns the array that was given back last among those that are long enough, else a new one.
func borrow[T any](p *pool, from *shelf[T], n int) []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, rs := range slices.Backward(from.arrays) {
		if cap(rs) >= n {
			from.arrays = slices.Delete(from.arrays, i, i+1)
			from.room -= cap(rs)
			return rs[:n]
		}
	}
	return make([]T, n)
}

func giveBack[T any](p *pool, to *shelf[T], rs []T) {
	if cap(rs) > maxShelved || cap(rs) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	drop := 0 // those that have waited longest
	for ; to.room+cap(rs) > maxShelved; drop++ {
		to.room -= cap(to.arrays[drop])
	}
	to.arrays = append(slices.Delete(to.arrays, 0, drop), rs)
	to.room += cap(rs)
}
