package connectortest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"leadstream/engine"
)

// Committer is the suite of engine.Committer.
func Committer(t *testing.T, fresh func(testing.TB) Env) {
	runAll(t, fresh, []test{
		{"CommitIsVisible", commitVisible},
		{"ManyCommitsInOrder", manyInOrder},
		{"OffsetsAlone", offsetsAlone},
		{"WrongFenceIsRefused", wrongFence},
		{"FormerOwnerIsRefused", formerOwner},
		{"CancelledCommitIsInvisible", cancelledCommit},
		{"FenceWriterEndsItsTransactions", fenceWriter},
		{"FenceWriterLeavesMembersAlone", fenceMember},
		{"CloseTwice", func(t *testing.T, e Env) {
			w := e.Open(t, "a").Committer
			w.Close()
			w.Close()
		}},
	})
}

// joined opens a process that owns all shards.
func joined(t *testing.T, e Env, instance string) (Process, *member) {
	t.Helper()
	p := e.Open(t, instance)
	t.Cleanup(p.Committer.Close)
	t.Cleanup(p.Inputs.Close)
	m := join(t, p.Group, nil)
	settled(t, e.Shards, m)
	return p, m
}

// transaction has a journal and an inbox record, and an offset.
func transaction(e Env, f engine.Fence, offset int64, value string) *engine.Transaction {
	return &engine.Transaction{
		Fence: f,
		Records: []engine.OutRecord{
			{Topic: engine.TopicJournal, Partition: 0, Value: []byte(value)},
			{Topic: engine.TopicInbox, Partition: 1, Key: []byte("key"), Value: []byte(value), Headers: []engine.Header{{Key: "h", Value: []byte("x")}}},
		},
		Offsets: []engine.Position{
			{TopicPartition: at(e.Source, 0), Offset: offset, LeaderEpoch: -1},
			{TopicPartition: at(e.Topic(engine.TopicInbox), 0), Offset: 0, LeaderEpoch: 0},
		},
	}
}

func commitVisible(t *testing.T, e Env) {
	p, _ := joined(t, e, "a")
	f, _ := p.Group.Fence()
	tx := transaction(e, f, 7, "first")
	must(t, p.Committer.Commit(within(t), tx))
	second := transaction(e, f, 8, "second")
	must(t, p.Committer.Commit(within(t), second))
	for i, r := range second.Records {
		if tx.Records[i].Offset != 0 || r.Offset <= 0 {
			t.Errorf("%v: offsets %d, %d", r.Topic, tx.Records[i].Offset, r.Offset)
		}
	}
	must(t, p.History.Read(within(t), at(e.Topic(engine.TopicInbox), 1), second.Records[1].Offset, engine.EndOfPartition, func(r *engine.Record) error {
		if string(r.Value) != "second" || string(r.Key) != "key" || len(r.Headers) != 1 || r.Headers[0].Key != "h" || string(r.Headers[0].Value) != "x" {
			t.Errorf("at the offset told there is %+v", r)
		}
		return nil
	}))
	offsets, err := p.History.Committed(within(t), []engine.TopicPartition{at(e.Source, 0), at(e.Source, 1), at(e.Topic(engine.TopicInbox), 0)})
	must(t, err)
	if len(offsets) != 2 || offsets[at(e.Source, 0)] != 8 {
		t.Errorf("offsets %v", offsets)
	}
}

func manyInOrder(t *testing.T, e Env) {
	p, _ := joined(t, e, "a")
	f, _ := p.Group.Fence()
	_, slots := p.Committer.Writer()
	n := 3*slots + 1
	for i := range n {
		must(t, p.Committer.Commit(within(t), transaction(e, f, int64(i), fmt.Sprintf("v%d", i))))
	}
	for _, tp := range []engine.TopicPartition{at(e.Topic(engine.TopicJournal), 0), at(e.Topic(engine.TopicInbox), 1)} {
		if got := all(t, p.History, tp); !slices.Equal(got, values(0, n)) {
			t.Errorf("%v has %v", tp, got)
		}
	}
	offsets, err := p.History.Committed(within(t), []engine.TopicPartition{at(e.Source, 0)})
	must(t, err)
	if offsets[at(e.Source, 0)] != int64(n-1) {
		t.Errorf("offsets %v, want %d", offsets, n-1)
	}
}

func offsetsAlone(t *testing.T, e Env) {
	p, _ := joined(t, e, "a")
	f, _ := p.Group.Fence()
	for i := range int64(5) {
		tx := transaction(e, f, 2*i, "v")
		tx.Records = nil
		must(t, p.Committer.Commit(within(t), tx))
		must(t, p.Committer.Commit(within(t), transaction(e, f, 2*i+1, "v")))
		offsets, err := p.History.Committed(within(t), []engine.TopicPartition{at(e.Source, 0)})
		must(t, err)
		if got := offsets[at(e.Source, 0)]; got != 2*i+1 {
			t.Fatalf("offset %d, want %d", got, 2*i+1)
		}
	}
	f.Generation++
	tx := transaction(e, f, 100, "v")
	tx.Records = nil
	if err := p.Committer.Commit(within(t), tx); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("offsets of another generation: %v", err)
	}
}

func wrongFence(t *testing.T, e Env) {
	p, _ := joined(t, e, "a")
	f, _ := p.Group.Fence()
	must(t, p.Committer.Commit(within(t), transaction(e, f, 1, "good")))
	for _, wrong := range []engine.Fence{
		{}, {Generation: -1}, {Member: f.Member, Generation: -1}, {Generation: f.Generation},
		{Member: f.Member, Generation: f.Generation + 1}, {Member: f.Member, Generation: f.Generation - 1},
		{Member: "stranger", Generation: f.Generation},
	} {
		if err := p.Committer.Commit(within(t), transaction(e, wrong, 50, "bad")); !errors.Is(err, engine.ErrFenced) || errors.Is(err, engine.ErrAborted) {
			t.Errorf("fence %v: %v", wrong, err)
		}
	}
	must(t, p.Committer.Commit(within(t), transaction(e, f, 2, "good")))
	if got := all(t, p.History, at(e.Topic(engine.TopicJournal), 0)); !slices.Equal(got, []string{"good", "good"}) {
		t.Errorf("journal has %v", got)
	}
	offsets, err := p.History.Committed(within(t), []engine.TopicPartition{at(e.Source, 0)})
	must(t, err)
	if offsets[at(e.Source, 0)] != 2 {
		t.Errorf("offsets %v, want 2", offsets)
	}
}

func formerOwner(t *testing.T, e Env) {
	a, ma := joined(t, e, "a")
	old, _ := a.Group.Fence()
	must(t, a.Committer.Commit(within(t), transaction(e, old, 1, "before")))
	b := e.Open(t, "b")
	t.Cleanup(b.Committer.Close)
	t.Cleanup(b.Inputs.Close)
	mb := join(t, b.Group, nil)
	waitFor(t, "b to own shards", func() bool { return len(mb.owns()) > 0 })
	settled(t, e.Shards, ma, mb)
	if err := a.Committer.Commit(within(t), transaction(e, old, 2, "zombie")); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("the old generation's commit: %v", err)
	}
	for i, p := range []Process{a, b} {
		f, ok := p.Group.Fence()
		if !ok {
			t.Fatal("no fence")
		}
		must(t, p.Committer.Commit(within(t), transaction(e, f, int64(3+i), "after")))
	}
	if got := all(t, a.History, at(e.Topic(engine.TopicJournal), 0)); !slices.Equal(got, []string{"before", "after", "after"}) {
		t.Errorf("journal has %v", got)
	}
}

func cancelledCommit(t *testing.T, e Env) {
	p, _ := joined(t, e, "a")
	f, _ := p.Group.Fence()
	ctx, cancel := context.WithCancel(within(t))
	cancel()
	if err := p.Committer.Commit(ctx, transaction(e, f, 1, "cancelled")); !errors.Is(err, engine.ErrAborted) {
		t.Errorf("cancelled commit: %v", err)
	}
	must(t, p.Committer.Commit(within(t), transaction(e, f, 2, "good")))
	if got := all(t, p.History, at(e.Topic(engine.TopicJournal), 0)); !slices.Equal(got, []string{"good"}) {
		t.Errorf("journal has %v", got)
	}
}

func fenceWriter(t *testing.T, e Env) {
	if e.LeaveOpen == nil {
		t.Skip("no transaction can be left open")
	}
	p, _ := joined(t, e, "a")
	f, _ := p.Group.Fence()
	journal := at(e.Topic(engine.TopicJournal), 0)
	must(t, p.Committer.Commit(within(t), transaction(e, f, 1, "good")))
	e.LeaveOpen(t, "gone", 1, journal.Topic, journal.Partition)
	must(t, p.Committer.Commit(within(t), transaction(e, f, 2, "behind")))
	if got := read(t, p.History, journal, engine.StartOfPartition, engine.CommittedEnd); !slices.Equal(got, []string{"good"}) {
		t.Errorf("up to the committed end: %v", got)
	}
	must(t, p.Committer.FenceWriter(within(t), "gone", 2))
	if got := all(t, p.History, journal); !slices.Equal(got, []string{"good", "behind"}) {
		t.Errorf("journal has %v", got)
	}
	// Its own id, and that of a member, it must leave alone.
	must(t, p.Committer.FenceWriter(within(t), "a", 2))
	must(t, p.Committer.Commit(within(t), transaction(e, f, 3, "still here")))
}

// fenceMember has a writer that is still in the group with a transaction open: it was decided before it gave up a shard,
// or will be by itself.
func fenceMember(t *testing.T, e Env) {
	if e.LeaveOpen == nil {
		t.Skip("no transaction can be left open")
	}
	p, m := joined(t, e, "a")
	f, _ := p.Group.Fence()
	journal := at(e.Topic(engine.TopicJournal), 0)
	must(t, p.Committer.Commit(within(t), transaction(e, f, 1, "good")))
	q := e.Open(t, "b")
	e.LeaveOpen(t, "b", 0, journal.Topic, journal.Partition)
	n := join(t, q.Group, nil)
	settled(t, e.Shards, m, n)
	must(t, p.Committer.FenceWriter(within(t), "b", 1))
	f, _ = p.Group.Fence()
	must(t, p.Committer.Commit(within(t), transaction(e, f, 2, "behind")))
	if got := read(t, p.History, journal, engine.StartOfPartition, engine.CommittedEnd); !slices.Equal(got, []string{"good"}) {
		t.Errorf("up to the committed end: %v: the member's transaction was ended", got)
	}
	must(t, q.Group.Leave(within(t)))
	must(t, p.Committer.FenceWriter(within(t), "b", 1))
	if got := all(t, p.History, journal); !slices.Equal(got, []string{"good", "behind"}) {
		t.Errorf("once it has left the journal has %v", got)
	}
}
