package kafka

import (
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/engine"
)

// pool lends arrays of records, those of the client and those of the engine, and the memory that batches are decompressed
// into, again and again: they were two fifths of all that a busy process allocated. It implements kgo.PoolRecords,
// kgo.PoolDecompressBytes and kgo.HookFetchBatchRead, and is safe for use by several goroutines.
type pool struct {
	mu     sync.Mutex
	client shelf[kgo.Record]
	engine shelf[engine.Record]
	bytes  bytesShelf
	ratios ratios
}

func newPool(limit int) *pool { return &pool{bytes: bytesShelf{limit: limit}} }

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

// GetDecompressBytes implements kgo.PoolDecompressBytes.
func (p *pool) GetDecompressBytes(compressed []byte, codec kgo.CompressionCodecType) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes.borrow(p.ratios.guess(codec, len(compressed)))
}

// PutDecompressBytes implements kgo.PoolDecompressBytes. The client has cleared them.
func (p *pool) PutDecompressBytes(b []byte) {
	if poisoning {
		overwrite(b[:cap(b)])
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes.giveBack(b)
}

// OnFetchBatchRead implements kgo.HookFetchBatchRead.
func (p *pool) OnFetchBatchRead(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.FetchBatchMetrics) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ratios.note(kgo.CompressionCodecType(m.CompressionType), m.CompressedBytes, m.UncompressedBytes)
}

// records lends an empty array with room for n.
func (p *pool) records(n int) []engine.Record { return borrow(p, &p.engine, n)[:0] }

// free takes the records of a fetch back.
func (p *pool) free(rs []engine.Record) {
	if poisoning {
		for i := range rs {
			overwrite(rs[i].Key)
			overwrite(rs[i].Value)
			for _, h := range rs[i].Headers {
				overwrite(h.Value)
			}
		}
	}
	clear(rs)
	giveBack(p, &p.engine, rs)
}

func overwrite(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}

// lend turns what was polled of a partition into the engine's records, but for control records, and returns what takes them
// back. They refer to memory of the client, which lends it again once all records of a batch are recycled. So that it does
// not while the engine needs it, the last record of each batch in recs is recycled when the engine frees its records, and all others
// at once, as they are in the processor's cache. A batch that is polled in parts is held by one record of each part. The array
// of recs is ours, and is used for those.
func (p *pool) lend(recs []*kgo.Record) ([]engine.Record, func([]engine.Record)) {
	out, held := p.records(len(recs)), recs[:0]
	for i, r := range recs {
		if !r.Attrs.IsControl() {
			out = append(out, convert(r))
		}
		switch more := i+1 < len(recs) && recs[i+1].Context == r.Context; {
		case more, r.Attrs.CompressionType() == 0: // what is not compressed is in memory that is not lent
			r.Recycle()
		default:
			held = append(held, r)
		}
	}
	clear(recs[len(held):])
	return out, func(rs []engine.Record) {
		p.free(rs)
		recycle(held)
	}
}

// recycle gives records back to the client that nobody needs.
func recycle(recs []*kgo.Record) {
	for _, r := range recs {
		r.Recycle()
	}
	clear(recs)
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
