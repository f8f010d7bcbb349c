package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/state"
	"leadstream/state/lead"
)

// slowEnds lets some epochs pass after each look for the end of a partition.
type slowEnds struct{ engine.History }

func (h slowEnds) Read(ctx context.Context, tp engine.TopicPartition, from, to int64, fn func(*engine.Record) error) error {
	err := h.History.Read(ctx, tp, from, to, fn)
	if to == engine.CommittedEnd {
		time.Sleep(30 * time.Millisecond)
	}
	return err
}

// snapshot copies the application of a rig.
func (r *rig) snapshot() *engine.Snapshot {
	r.t.Helper()
	st, err := state.Open(state.Options{Dir: r.t.TempDir(), App: "app", ClusterID: "c", Instance: "copy"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = st.Close() })
	x, err := engine.TakeSnapshot(r.t.Context(), engine.Config{App: "app", Shards: r.shards, Sources: r.sources, SourcePartitions: r.parts, Rules: r.set,
		Clock: r.clock, History: slowEnds{r.log.Reader()}, Store: st}, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	return x
}

// restored is a rig whose log has the sources of r and nothing else but a snapshot.
func (r *rig) restored(x *engine.Snapshot) *rig {
	r.t.Helper()
	return r.rekeyed(x, r.shards)
}

// rekeyed is restored with another number of shards.
func (r *rig) rekeyed(x *engine.Snapshot, shards int32) *rig {
	r.t.Helper()
	q := &rig{t: r.t, shards: shards, sources: r.sources, parts: r.parts, set: r.set, began: r.began, tune: r.tune}
	q.skip.Store(r.skip.Load())
	q.log = enginetest.New("app", q.shards, q.clock)
	for topic, n := range r.parts {
		for p := range n {
			for _, rec := range r.log.Records(engine.TopicPartition{Topic: topic, Partition: p}) {
				q.log.Append(topic, p, rec.Key, rec.Value, rec.Timestamp)
			}
		}
	}
	js := make([]*engine.JournalRecord, r.shards)
	for s := range r.shards {
		js[s] = x.Journal(s)
	}
	if shards != r.shards {
		var err error
		if js, err = engine.Rekey("app", js, shards); err != nil {
			r.t.Fatal(err)
		}
	}
	engine.Renumber(js, q.clock())
	put := func(t engine.Topic, s int32) func(rec *engine.Record) error {
		return func(rec *engine.Record) error {
			q.log.AppendRecord(engine.TopicPartition{Topic: engine.TopicName("app", t), Partition: s}, *rec)
			return nil
		}
	}
	for id := range r.shards {
		err := errors.Join(
			x.Entities(id, func(key string, v []byte) error {
				for _, to := range engine.Place(key, id, r.shards, shards) {
					if err := put(engine.TopicState, to)(&engine.Record{Key: []byte(key), Value: append([]byte(nil), v...)}); err != nil {
						return err
					}
				}
				return nil
			}),
			x.Inbox(r.t.Context(), id, put(engine.TopicInbox, id)))
		if err != nil {
			r.t.Fatal(err)
		}
	}
	for s, j := range js {
		id := int32(s)
		if j == nil {
			continue
		}
		j.Parts[0].Next = 0
		for _, p := range j.Parts {
			if p.Next >= 0 {
				q.log.SetOffset(engine.TopicPartition{Topic: p.Topic, Partition: p.Partition}, p.Next)
			}
		}
		v, err := j.Encode()
		if err != nil {
			r.t.Fatal(err)
		}
		if err := put(engine.TopicJournal, id)(&engine.Record{Value: v}); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := x.RuleSets(r.t.Context(), put(engine.TopicRules, 0)); err != nil {
		r.t.Fatal(err)
	}
	return q
}

// counted are all events that leads have had, by lead, from the state topic of a stopped application.
func (r *rig) counted() map[string]int64 {
	r.t.Helper()
	all := map[string]int64{}
	for _, rec := range r.log.Output(engine.TopicState) {
		var l lead.Lead
		if rec.Value == nil {
			continue
		}
		if err := lead.Decode(rec.Value, &l); err != nil {
			r.t.Fatal(err)
		}
		all[l.ID] = l.Events
	}
	return all
}

// TestSnapshotUnderLoad copies applications that are at work: records of any lead come on any partition, so that nearly
// all are on their way between shards once. What is restored and goes on has had every event once.
func TestSnapshotUnderLoad(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	undrained, behind := 0, 0
	for seed := range uint64(rounds) {
		rng := rand.New(rand.NewPCG(seed, 8))
		r := newRig(t, 2+int32(seed%4))
		r.batch = 5 + rng.IntN(30)
		const leads, events = 20, 5000
		want := map[string]int64{}
		for i := range events {
			id := fmt.Sprintf("lead-%d", rng.IntN(leads))
			want[id]++
			at := base - 40*86_400_000 + int64(i)*60_000
			r.log.Append("web", rng.Int32N(r.parts["web"]), nil, fmt.Appendf(nil, `{"userId":%q,"timestamp":%d,"type":"page"}`, id, at), at) // with no message ids to tell doubles by
		}
		limit := 5 + rng.IntN(20)
		r.tune = func(c *engine.Config) { c.MaxEpochRecords = limit }
		r.before = func(op string) { // so that it is at work for some seconds
			if op == "commit" {
				time.Sleep(10 * time.Millisecond)
			}
		}
		p, o := r.start("a", t.TempDir(), nil), r.start("b", t.TempDir(), nil)
		for r.log.Committed() < 100+rng.Int64N(events/3) {
			time.Sleep(100 * time.Microsecond)
		}
		x := r.snapshot()
		for at := r.log.Committed(); at < events-300 && r.log.Committed() < at+100; { // it goes on
			time.Sleep(100 * time.Microsecond)
		}
		p.kill(t)
		o.kill(t)
		q := r.restored(x)
		for s := range q.shards {
			if len(q.log.Records(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicInbox), Partition: s})) > 0 {
				undrained++
			}
			if j := x.Journal(s); j == nil || j.Read < events/int64(2*q.shards) {
				behind++
			}
		}
		q.batch = 0
		q.settleAndStop(t.TempDir())
		got := q.counted()
		for id, n := range want {
			if got[id] != n {
				t.Fatalf("seed %d: %s has had %d events, want %d", seed, id, got[id], n)
			}
		}
	}
	if undrained == 0 || behind == 0 {
		t.Fatalf("%d shards had anything in the inbox, %d were not read to their end: the test tests nothing", undrained, behind)
	}
	t.Logf("%d shards had something in the inbox", undrained)
}

// TestHalfRestored: offsets without journals, or leads without journals, are what is left of a restore that was
// interrupted. Nothing starts from it.
func TestHalfRestored(t *testing.T) {
	r := newRig(t, 1)
	r.produce(1, 10, 50)
	r.log.AppendRecord(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicState), Partition: 0},
		engine.Record{Key: []byte("x"), Value: lead.AppendEncode(nil, r.set.NewLead("x", 1))})
	says(t, r.ends(t.TempDir()), engine.ErrDisagree, "no journal", "restore")
}

// TestOtherNumberOfShards: partitions were added to the topics and the configuration follows. Ids would be looked for on
// shards that know nothing of them.
func TestOtherNumberOfShards(t *testing.T) {
	r, dir := filled(t)
	q := &rig{t: t, log: r.log, shards: 1, sources: r.sources, parts: r.parts, set: r.set, began: r.began}
	says(t, q.ends(dir), engine.ErrDisagree, "has 2 shards", "1 are configured", "leadstream reshard")
}
