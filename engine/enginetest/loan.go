package enginetest

import (
	"slices"

	"leadstream/engine"
)

// lent returns records with memory of their own, to be spoiled.
func lent(recs []engine.Record) []engine.Record {
	out := slices.Clone(recs)
	for i := range out {
		r := &out[i]
		r.Key, r.Value, r.Headers = slices.Clone(r.Key), slices.Clone(r.Value), slices.Clone(r.Headers)
		for j := range r.Headers {
			r.Headers[j].Value = slices.Clone(r.Headers[j].Value)
		}
	}
	return out
}

// spoil takes the memory of records back, as if others were in it already: who still needs it should have copied it.
func spoil(recs []engine.Record) {
	for i := range recs {
		r := &recs[i]
		overwrite(r.Key)
		overwrite(r.Value)
		for j := range r.Headers {
			overwrite(r.Headers[j].Value)
			r.Headers[j] = engine.Header{Key: "freed"}
		}
		*r = engine.Record{Offset: -1}
	}
}

func overwrite(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}

// show calls fn with a copy of a record that is there for the call alone.
func show(r *engine.Record, fn func(*engine.Record)) {
	one := lent([]engine.Record{*r})
	fn(&one[0])
	spoil(one)
}
