package enginetest

import (
	"slices"

	"leadstream/engine"
)

// loan is the memory of one polled record.
type loan struct {
	offset int64
	bytes  []byte
}

// lend replaces a fetch's records by copies, to be reclaimed.
func (c *Sim) lend(f *engine.Fetch) {
	f.Records = slices.Clone(f.Records)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range f.Records {
		r := &f.Records[i]
		b := make([]byte, 0, len(r.Key)+len(r.Value))
		b = append(append(b, r.Key...), r.Value...)
		if r.Key != nil {
			r.Key = b[:len(r.Key):len(r.Key)]
		}
		if r.Value != nil {
			r.Value = b[len(r.Key):]
		}
		c.lent[f.TopicPartition] = append(c.lent[f.TopicPartition], loan{r.Offset, b})
	}
}

// reclaim spoils the memory of records that are applied and decided, as if it were used again: who still needs it
// should have copied it.
func (c *Sim) reclaim(upTo []engine.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range upTo {
		kept := c.lent[p.TopicPartition][:0]
		for _, l := range c.lent[p.TopicPartition] {
			if l.offset >= p.Offset {
				kept = append(kept, l)
				continue
			}
			for i := range l.bytes {
				l.bytes[i] = '~'
			}
		}
		c.lent[p.TopicPartition] = kept
	}
}
