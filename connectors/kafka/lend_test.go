package kafka

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/engine"
)

// FuzzLend fetches batches of all codecs, some of them aborted, some markers, polls them in parts, and frees what it polled in any
// order, while others are fetched into the same memory. What was not freed must be what was written; once everything is
// freed all memory must be back, but that of what was dropped.
func FuzzLend(f *testing.F) {
	for seed := range uint64(30) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := &tally{pool: newPool(1 << uint(10+r.IntN(14))), bytes: map[*byte]bool{}, records: map[*kgo.Record]bool{}}
		drops := seed%4 == 0
		var held []lentFetch
		offset := int64(0)
		for range 6 {
			batches, next := drawBatches(r, offset)
			opts := kgo.ProcessFetchPartitionOpts{KeepControlRecords: true, DisableCRCValidation: true, Offset: offset + r.Int64N(5),
				IsolationLevel: kgo.ReadCommitted(), Topic: "t", Pools: []kgo.Pool{p}}
			fp, at := kgo.ProcessFetchPartition(opts, batches, p, func(m kgo.FetchBatchMetrics) { p.OnFetchBatchRead(kgo.BrokerMetadata{}, "t", 0, m) })
			if fp.Err != nil || at != next {
				t.Fatalf("read to %d of %d: %v", at, next, fp.Err)
			}
			offset = next
			for recs := fp.Records; len(recs) > 0; {
				n := 1 + r.IntN(len(recs))
				polled := recs[:n:n]
				recs = recs[n:]
				if r.IntN(10) == 0 { // of a partition that was removed
					recycle(polled)
					continue
				}
				out, free := p.lend(polled)
				held = append(held, lentFetch{out, free})
				for len(held) > 0 && r.IntN(3) == 0 {
					held = release(t, r, held, drops)
				}
			}
		}
		for len(held) > 0 {
			held = release(t, r, held, drops)
		}
		if !drops && (len(p.bytes) > 0 || len(p.records) > 0) {
			t.Errorf("memory of %d batches, and records of %d, did not come back", len(p.bytes), len(p.records))
		}
	})
}

type lentFetch struct {
	recs []engine.Record
	free func([]engine.Record)
}

// release checks one fetch and frees it, or drops it.
func release(t *testing.T, r *rand.Rand, held []lentFetch, drops bool) []lentFetch {
	t.Helper()
	i := r.IntN(len(held))
	for _, got := range held[i].recs {
		if want := drawRecord(got.Offset); !bytes.Equal(got.Key, want.Key) || !bytes.Equal(got.Value, want.Value) ||
			len(got.Headers) != len(want.Headers) || len(want.Headers) > 0 && !bytes.Equal(got.Headers[0].Value, want.Headers[0].Value) {
			t.Fatalf("record %d is not what was written", got.Offset)
		}
	}
	if !drops || r.IntN(3) > 0 {
		held[i].free(held[i].recs)
	}
	held[i] = held[len(held)-1]
	return held[:len(held)-1]
}

// drawRecord is the record that is written at an offset.
func drawRecord(offset int64) kmsg.Record {
	r := rand.New(rand.NewPCG(uint64(offset), 3))
	rec := kmsg.Record{Value: fmt.Appendf(nil, "%d %s %x", offset, strings.Repeat("value", r.IntN(60)), r.Uint64())}
	if r.IntN(3) > 0 {
		rec.Key = fmt.Appendf(nil, "key %d", offset)
	}
	if r.IntN(3) == 0 {
		rec.Headers = []kmsg.Header{{Key: "h", Value: fmt.Appendf(nil, "header %d", offset)}}
	}
	return rec
}

// drawBatches makes what a broker answers, and returns the offset after it.
func drawBatches(r *rand.Rand, offset int64) (*kmsg.FetchResponseTopicPartition, int64) {
	answer := &kmsg.FetchResponseTopicPartition{}
	for range 2 + r.IntN(6) {
		n, producer := 1+r.IntN(40), r.Int64N(1<<40)
		var raw []byte
		for i := range n {
			rec := drawRecord(offset + int64(i))
			rec.OffsetDelta = int32(i)
			rec.Length = int32(len(rec.AppendTo(nil)) - 1) // without the length, which is 0 here
			raw = rec.AppendTo(raw)
		}
		codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.GzipCompression(), kgo.ZstdCompression()}
		compressor, err := kgo.DefaultCompressor(codecs[r.IntN(len(codecs))])
		if err != nil {
			panic(err)
		}
		codec := kgo.CodecNone
		if compressor != nil {
			raw, codec = compressor.Compress(new(bytes.Buffer), raw)
		}
		const transactional, control = 1 << 4, 1 << 5
		b := kmsg.RecordBatch{FirstOffset: offset, Magic: 2, Attributes: int16(codec), LastOffsetDelta: int32(n - 1), ProducerID: producer, NumRecords: int32(n), Records: bytes.Clone(raw)}
		offset += int64(n)
		aborted := r.IntN(4) == 0
		if aborted {
			b.Attributes |= transactional
			answer.AbortedTransactions = append(answer.AbortedTransactions, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: producer, FirstOffset: b.FirstOffset})
		}
		answer.RecordBatches = appendBatch(answer.RecordBatches, b)
		if aborted {
			mark := kmsg.Record{Key: make([]byte, 4), Value: make([]byte, 6)}
			mark.Length = int32(len(mark.AppendTo(nil)) - 1)
			answer.RecordBatches = appendBatch(answer.RecordBatches, kmsg.RecordBatch{FirstOffset: offset, Magic: 2,
				Attributes: transactional | control, ProducerID: producer, NumRecords: 1, Records: mark.AppendTo(nil)})
			offset++
		}
	}
	return answer, offset
}

func appendBatch(to []byte, b kmsg.RecordBatch) []byte {
	b.Length = int32(len(b.AppendTo(nil)) - 12)
	return b.AppendTo(to)
}

// tally knows what is lent.
type tally struct {
	*pool
	bytes   map[*byte]bool
	records map[*kgo.Record]bool
}

// Decompress implements kgo.Decompressor. What it returns is what is lent: it may have outgrown what the pool gave.
func (c *tally) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	b, err := kgo.DefaultDecompressor(c).Decompress(src, codec)
	if err != nil {
		return nil, err
	}
	at := &b[:1][0]
	if c.bytes[at] {
		panic("the same bytes were lent twice")
	}
	c.bytes[at] = true
	return b, nil
}

func (c *tally) PutDecompressBytes(b []byte) {
	delete(c.bytes, &b[:1][0])
	c.pool.PutDecompressBytes(b)
}

func (c *tally) GetRecords(n int) []kgo.Record {
	rs := c.pool.GetRecords(n)
	at := &rs[:1][0]
	if c.records[at] {
		panic("the same records were lent twice")
	}
	c.records[at] = true
	return rs
}

func (c *tally) PutRecords(rs []kgo.Record) {
	delete(c.records, &rs[:1][0])
	c.pool.PutRecords(rs)
}
