package main

import (
	"context"
	"errors"
	"slices"

	"leadstream/connectors/kafka"
	"leadstream/engine"
)

// bar is what an erasure left, and the shards that it goes to.
type bar struct {
	value []byte
	to    []int32
}

// errOthers ends the reading of what erasures left, which comes first.
var errOthers = errors.New("others")

// bars writes what erasures left. Among another number of shards each goes to several, and one that came to several before is the
// same again, or was renewed on one of them. They are held in memory, some 300 bytes each.
func (f *filling) bars(ctx context.Context, w *kafka.Filler) error {
	all := map[string]*bar{}
	for s := range f.from.Shards {
		err := f.from.State(ctx, s, func(r *engine.Record) (err error) {
			id := string(r.Key)
			if !engine.IsBar(id) {
				return errOthers
			}
			b := all[id]
			if b == nil {
				b = &bar{value: r.Value}
				all[id] = b
			} else if b.value, err = engine.LaterBar(b.value, r.Value); err != nil {
				return err
			}
			for _, to := range f.place(s, id) {
				if !slices.Contains(b.to, to) {
					b.to = append(b.to, to)
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errOthers) {
			return err
		}
	}
	for id, b := range all {
		for _, to := range b.to {
			if err := w.Add(ctx, engine.TopicState, to, &engine.Record{Key: []byte(id), Value: b.value}); err != nil {
				return err
			}
		}
	}
	return nil
}
