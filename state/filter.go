package state

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// idFilter knows which ids a shard's part of the store may have: a Bloom filter in memory, so that the first event of a
// new lead costs no look into memtables and tables. It may take an id for one that is there, which costs that look;
// what it says to be absent is absent. Three rules see to that:
//
//   - What is written is added before it can be read.
//   - What is removed stays.
//   - Of what was written before the filter was made, it answers only for the ids that a scan has come by.
//
// It decides how fast an answer is, never which.
type idFilter struct {
	memory *filterMemory

	// grown are the generations, oldest first; a new one is begun when the last is full. Readers take no lock.
	grown atomic.Pointer[[]*generation]
	// seen says how much of the shard the filter speaks for.
	seen atomic.Pointer[extent]
	// misses are the looks in vain since the filter was made, which pay for the scan.
	misses atomic.Uint32

	mu sync.Mutex // held to add
	// retired says that the filter is no longer the shard's, and has no memory.
	retired bool

	scanning sync.Mutex // held to scan
}

// extent are the ids that a filter speaks for: those up to `to`, or all.
type extent struct {
	to    string
	whole bool
}

func (m *filterMemory) newFilter(x extent) *idFilter {
	f := &idFilter{memory: m}
	f.grown.Store(new([]*generation))
	f.seen.Store(&x)
	return f
}

// absent says that the shard has no such id; false is no answer.
func (f *idFilter) absent(id string, hash uint64) bool {
	// The extent is read before the bits: the scan sets it after them.
	if x := f.seen.Load(); !x.whole && id > x.to || id == "" {
		return false
	}
	for _, g := range *f.grown.Load() {
		if g.has(hash) {
			return false
		}
	}
	return true
}

// add adds ids by their hashes.
func (f *idFilter) add(hashes ...uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.retired {
		return
	}
	for _, h := range hashes {
		f.addOne(h)
	}
}

func (f *idFilter) addOne(h uint64) {
	gs := *f.grown.Load()
	for i := len(gs) - 1; i >= 0; i-- { // The last has most of them.
		if gs[i].has(h) {
			return
		}
	}
	if len(gs) == 0 || gs[len(gs)-1].room == 0 {
		gs = f.grow(gs)
	}
	g := gs[len(gs)-1]
	g.set(h)
	if g.room > 0 {
		g.room--
	}
}

// grow begins a generation, four times as large as the last or as large as there is memory for. Without any, the last
// takes more than it has room for, and tells less and less.
func (f *idFilter) grow(gs []*generation) []*generation {
	blocks := firstBlocks
	if n := len(gs); n > 0 {
		last := len(gs[n-1].words) / blockWords
		blocks = f.memory.take(4*last, (last+3)/4)
	} else {
		f.memory.used.Add(firstBlocks * blockBytes) // granted always: without one there is nothing to set
	}
	if blocks == 0 {
		return gs
	}
	gs = append(gs[:len(gs):len(gs)], newGeneration(blocks))
	f.grown.Store(&gs)
	return gs
}

// retire gives the memory back. Who still reads gets answers as of before.
func (f *idFilter) retire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.retired = true
	for _, g := range *f.grown.Load() {
		f.memory.used.Add(-int64(len(g.words) / blockWords * blockBytes))
	}
}

// filterMemory is what the filters of all shards share.
type filterMemory struct {
	limit int64
	used  *atomic.Int64
}

// take reserves memory for up to `most` blocks, 0 if there is less than for `least`.
func (m *filterMemory) take(most, least int) int {
	for {
		used := m.used.Load()
		n := min(int64(most), (m.limit-used)/blockBytes)
		if n < int64(least) {
			return 0
		}
		if m.used.CompareAndSwap(used, used+n*blockBytes) {
			return int(n)
		}
	}
}

// A block is 256 bits: half a cache line. Each id has 8 bits in one block, two in each word, so a look is one access to
// memory. With 12 bits an id, one of 200 that are absent is taken for present.
const (
	blockWords  = 4
	blockBytes  = blockWords * 8
	bitsPerID   = 12
	firstBlocks = 192 // 6 KiB, for 4,096 ids
)

// generation is a Bloom filter of a fixed size.
type generation struct {
	words []uint64
	room  int // ids that it may still take; guarded by the filter's mu
}

func newGeneration(blocks int) *generation {
	return &generation{words: make([]uint64, blocks*blockWords), room: blocks * blockBytes * 8 / bitsPerID}
}

// block returns the block of a hash, and what makes its bits: the block is by the hash's upper bits, the bits by
// those of a product that depend on all of it.
func (g *generation) block(hash uint64) (words []uint64, pattern uint64) {
	i, _ := bits.Mul64(hash, uint64(len(g.words)/blockWords))
	return g.words[i*blockWords:][:blockWords], hash * 0x9e3779b97f4a7c15 >> 16
}

// mask is what of a pattern is in a word.
func mask(pattern uint64, word int) uint64 {
	p := pattern >> (12 * word)
	return 1<<(p&63) | 1<<(p>>6&63)
}

func (g *generation) has(hash uint64) bool {
	words, p := g.block(hash)
	for i := range words {
		if m := mask(p, i); atomic.LoadUint64(&words[i])&m != m {
			return false
		}
	}
	return true
}

func (g *generation) set(hash uint64) {
	words, p := g.block(hash)
	for i := range words {
		atomic.OrUint64(&words[i], mask(p, i))
	}
}
