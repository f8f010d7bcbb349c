package kafka

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/engine"
)

// pool lends arrays of records, those of the client and those of the engine, again and again: they were a fifth of all
// that a busy process allocated, and full of pointers. What records refer to (keys, values, headers) is not lent, so it may
// be kept. It implements kgo.PoolRecords and is safe for use by several goroutines.
type pool struct {
	mu     sync.Mutex
	client [][]kgo.Record
	engine [][]engine.Record
}

// pooled is how many arrays of each kind wait at most; more are left to the garbage collector.
const pooled = 16

// maxPooled is the longest array that is kept, in records: one that was needed once is not held for ever.
const maxPooled = 1 << 15

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

// borrow returns the array that was given back last if it is long enough, else a new one.
func borrow[T any](p *pool, from *[][]T, n int) []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(*from) - 1; last >= 0 && cap((*from)[last]) >= n {
		rs := (*from)[last]
		(*from)[last] = nil
		*from = (*from)[:last]
		return rs[:n]
	}
	return make([]T, n)
}

func giveBack[T any](p *pool, to *[][]T, rs []T) {
	if cap(rs) > maxPooled || cap(rs) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(*to) < pooled {
		*to = append(*to, rs)
		return
	}
	// Longer ones take the place of shorter ones.
	for i := range *to {
		if cap((*to)[i]) < cap(rs) {
			(*to)[i] = rs
			return
		}
	}
}
