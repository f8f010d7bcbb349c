package main

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"leadstream/engine"
	"leadstream/engine/enginetest"
)

// settle waits until the group has committed all input, inboxes included.
func (f *fault) settle() {
	f.t.Helper()
	adm := kadm.NewClient(f.client)
	topics := []string{f.app + ".web", f.app + ".mail", engine.TopicName(f.app, engine.TopicInbox)}
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		ends, err := adm.ListCommittedOffsets(f.t.Context(), topics...)
		if err != nil {
			f.t.Fatal(err)
		}
		at, err := adm.FetchOffsets(f.t.Context(), f.app)
		if err != nil {
			f.t.Fatal(err)
		}
		behind := 0
		ends.Each(func(o kadm.ListedOffset) {
			if r, ok := at.Lookup(o.Topic, o.Partition); o.Offset > 0 && (!ok || r.At < o.Offset) {
				behind++
			}
		})
		if behind == 0 {
			return
		}
		f.mind()
		time.Sleep(50 * time.Millisecond)
	}
	f.t.Fatalf("the input was not applied within two minutes\n%s", f.tail())
}

// check compares what is in the cluster with a replay and with the model, and counts.
func (f *fault) check(sum *summary) {
	f.t.Helper()
	ctx := f.t.Context()
	rp := &enginetest.Replayer{App: f.app, Shards: 4, Sources: f.sources, Rules: f.sets[0], Switched: f.sets[1:], History: f.cluster.History()}
	w, err := rp.Run(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := rp.CheckOutputs(ctx, w); err != nil {
		f.t.Fatal(err)
	}
	states := map[string][]byte{}
	for s := range int32(4) {
		tp := engine.TopicPartition{Topic: engine.TopicName(f.app, engine.TopicState), Partition: s}
		if err := f.cluster.History().Read(ctx, tp, engine.StartOfPartition, engine.EndOfPartition, func(r *engine.Record) error {
			states[string(r.Key)] = r.Value
			return nil
		}); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := w.CheckStates(states); err != nil {
		f.t.Fatal(err)
	}
	for _, topic := range []string{f.app + ".web", f.app + ".mail"} {
		ends, err := kadm.NewClient(f.client).ListEndOffsets(ctx, topic)
		if err != nil {
			f.t.Fatal(err)
		}
		ends.Each(func(o kadm.ListedOffset) {
			if at := w.Next[engine.TopicPartition{Topic: o.Topic, Partition: o.Partition}]; at != o.Offset {
				f.t.Errorf("%s/%d is journaled up to %d of %d", o.Topic, o.Partition, at, o.Offset)
			}
		})
	}
	n := f.checkModel(ctx)
	sum.count(f, w, n)
	f.t.Logf("shards went live %d times, %d epochs, %d records replayed, %d leads; %d outputs of ordered leads equal the model's: lost 0, doubled 0", f.live(), w.Epochs, w.Records, len(w.Leads), n)
}

// checkModel compares the outputs of the ordered leads with the model's.
func (f *fault) checkModel(ctx context.Context) (outputs int) {
	f.t.Helper()
	got := map[string][]said{}
	for _, topic := range []engine.Topic{engine.TopicTransitions, engine.TopicHandoffs} {
		for s := range int32(4) {
			tp := engine.TopicPartition{Topic: engine.TopicName(f.app, topic), Partition: s}
			if err := f.cluster.History().Read(ctx, tp, engine.StartOfPartition, engine.EndOfPartition, func(r *engine.Record) error { return hear(got, topic, r) }); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	for id, events := range f.events {
		want := modelLead(events, f.until)
		have := got[id]
		byTopic := func(a []said) (x [2][]said) {
			for _, s := range a {
				i := 0
				if s.what == "handoff hot" {
					i = 1
				}
				x[i] = append(x[i], s)
			}
			return x
		}
		g, m := byTopic(have), byTopic(want)
		if !slices.Equal(g[0], m[0]) || !slices.Equal(g[1], m[1]) {
			f.t.Fatalf("lead %s said\n  %v\nthe model says\n  %v", id, have, want)
		}
		outputs += len(want)
	}
	if outputs < 300 {
		f.t.Fatalf("only %d outputs: the test tests nothing", outputs)
	}
	return outputs
}
