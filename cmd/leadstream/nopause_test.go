package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"leadstream/engine"
)

// change is a rebalance that is looked at: what the sources held when it began.
type change struct {
	began time.Time
	ends  map[engine.TopicPartition]int64
}

// begin notes what the sources hold before a rebalance.
func (f *fault) begin() *change {
	f.t.Helper()
	ends, err := kadm.NewClient(f.client).ListEndOffsets(f.t.Context(), f.app+".web", f.app+".mail")
	if err != nil {
		f.t.Fatal(err)
	}
	c := &change{began: time.Now(), ends: map[engine.TopicPartition]int64{}}
	ends.Each(func(o kadm.ListedOffset) {
		c.ends[engine.TopicPartition{Topic: o.Topic, Partition: o.Partition}] = o.Offset
	})
	return c
}

// wentOn looks at the shards that kept their owner through a rebalance that is over now, all but those that went live elsewhere. Each
// must have committed, before it was over, records that were produced after it had begun; after a stop in order, which may be over before
// anything was produced, that is only told: the suite of connectortest holds a group up for it.
func (f *fault) wentOn(what string, c *change, moved int, stop bool) {
	f.t.Helper()
	over := time.Now()
	var gone []int32
	for _, l := range f.lastLines("shard is live", moved) {
		var shard int32
		_, rest, _ := strings.Cut(l, " shard=")
		if _, err := fmt.Sscan(rest, &shard); err != nil {
			f.t.Fatalf("%s: %v", l, err)
		}
		gone = append(gone, shard)
	}
	for shard := range int32(4) {
		if slices.Contains(gone, shard) {
			continue
		}
		fresh, epochs := 0, 0
		tp := engine.TopicPartition{Topic: engine.TopicName(f.app, engine.TopicJournal), Partition: shard}
		if err := f.cluster.History().Read(f.t.Context(), tp, engine.StartOfPartition, engine.CommittedEnd, func(r *engine.Record) error {
			j, err := engine.DecodeJournal(r.Value)
			if at := time.UnixMilli(r.Timestamp); err != nil || at.Before(c.began) || at.After(over) {
				return err
			}
			epochs++
			for _, g := range j.Ranges {
				if end, source := c.ends[engine.TopicPartition{Topic: j.Parts[g.Part].Topic, Partition: j.Parts[g.Part].Partition}]; source && g.Count > 0 && g.Next > end {
					fresh++
				}
			}
			return nil
		}); err != nil {
			f.t.Fatal(err)
		}
		f.t.Logf("%s: shard %d stayed and committed %d epochs meanwhile, with %d ranges of what was produced meanwhile", what, shard, epochs, fresh)
		if fresh == 0 && !stop {
			f.t.Errorf("%s: shard %d stood still", what, shard)
		}
	}
}
