package kafka

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/engine"
)

// faulty is a process on an embedded broker that can be told to fail.
type faulty struct {
	t      *testing.T
	broker *Broker
	c      *Cluster
	w      *Committer
	g      *Group
	fence  engine.Fence
	next   int64
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	b, err := StartEmbedded(Embedded{Topics: map[string]int32{"source": 2}})
	must(t, err)
	t.Cleanup(b.Close)
	c, err := Open(t.Context(), Config{Brokers: b.Addresses(), App: "app", Instance: "a", Shards: 2, Slots: 2,
		TransactionTimeout: 2 * time.Second, HeartbeatInterval: 50 * time.Millisecond})
	must(t, err)
	t.Cleanup(c.Close)
	return newFaultyOn(t, b, c)
}

func newFaultyOn(t *testing.T, b *Broker, c *Cluster) *faulty {
	t.Helper()
	f, end := commitOn(t, b, c)
	t.Cleanup(end)
	return f
}

// commitOn joins the group and waits until it may commit; end leaves.
func commitOn(t *testing.T, b *Broker, c *Cluster) (f *faulty, end func()) {
	t.Helper()
	_, err := c.EnsureTopics(t.Context(), []string{"source"})
	must(t, err)
	w, err := c.Committer(t.Context())
	must(t, err)
	g, err := c.Group()
	must(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ch := range g.Changes() {
			ch.Done()
		}
	}()
	f = &faulty{t: t, broker: b, c: c, w: w, g: g}
	f.awaitFence()
	return f, func() {
		must(t, g.Leave(context.Background()))
		<-ended
		w.Close()
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f *faulty) awaitFence() {
	for ok := false; !ok; {
		if f.fence, ok = f.g.Fence(); !ok {
			time.Sleep(time.Millisecond)
		}
	}
}

func (f *faulty) commit(value string) error {
	f.next++
	return f.w.Commit(f.t.Context(), &engine.Transaction{Fence: f.fence,
		Records: []engine.OutRecord{{Topic: engine.TopicJournal, Partition: 1, Value: []byte(value)}},
		Offsets: []engine.Position{{TopicPartition: engine.TopicPartition{Topic: "source"}, Offset: f.next, LeaderEpoch: -1}}})
}

// journal returns what is committed.
func (f *faulty) journal() string {
	f.t.Helper()
	got := ""
	must(f.t, f.c.History().Read(f.t.Context(), engine.TopicPartition{Topic: f.c.TopicName(engine.TopicJournal), Partition: 1},
		engine.StartOfPartition, engine.EndOfPartition, func(r *engine.Record) error {
			got += string(r.Value)
			return nil
		}))
	return got
}

func TestCommitOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault kfake.Fault
		want  error // nil: committed
	}{
		{"leader moves", kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: 2}, nil},
		{"too few replicas", kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas, Count: 2}, nil},
		{"record too large", kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge}, ErrTooLarge},
		{"producer fenced at produce", kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidProducerEpoch}, engine.ErrAborted},
		{"no permission", kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed}, engine.ErrAborted},
		{"coordinator loads", kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.CoordinatorLoadInProgress, Count: 3}, nil},
		{"coordinator moves", kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.NotCoordinator, Count: 3}, nil},
		{"markers pending", kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.ConcurrentTransactions, Count: 3}, nil},
		{"old generation", kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.IllegalGeneration}, engine.ErrFenced},
		{"unknown member", kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.UnknownMemberID}, engine.ErrFenced},
		{"instance replaced", kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.FencedInstanceID}, engine.ErrFenced},
		{"offset too large", kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.OffsetMetadataTooLarge}, engine.ErrAborted},
		{"producer fenced at offsets", kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.ProducerFenced}, engine.ErrAborted},
		{"end while coordinator moves", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.NotCoordinator, TopLevel: true, Count: 2}, nil},
		{"end while markers pending", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.ConcurrentTransactions, TopLevel: true, Count: 2}, nil},
		{"end refused", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.InvalidTxnState, TopLevel: true}, engine.ErrAborted},
		{"producer fenced at end", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.InvalidProducerEpoch, TopLevel: true}, engine.ErrAborted},
		{"end unanswered", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.UnknownServerError, TopLevel: true}, errUnknownOutcome},
		{"end times out", kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.CoordinatorNotAvailable, TopLevel: true, Count: -1}, errUnknownOutcome},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFaulty(t)
			must(t, f.commit("a"))
			h := f.broker.cluster.Fault(tt.fault)
			err := f.commit("b")
			if h.Hits() == 0 {
				t.Fatal("the fault did not happen")
			}
			h.Remove()
			for _, e := range []error{engine.ErrAborted, engine.ErrFenced, ErrTooLarge, errUnknownOutcome} {
				if errors.Is(err, e) != errors.Is(tt.want, e) {
					t.Errorf("the commit said %v, want %v", err, tt.want)
				}
			}
			if tt.want == nil {
				must(t, err)
			}
			// What follows is not hurt, on any slot.
			for _, v := range []string{"c", "d", "e"} {
				must(t, f.commit(v))
			}
			want := "acde"
			if tt.want == nil {
				want = "abcde"
			}
			if got := f.journal(); got != want {
				t.Errorf("the journal has %q, want %q", got, want)
			}
		})
	}
}

// A repeated end may be refused because the first one worked: that is no refusal.
func TestRefusalOfARepeatedEndIsUnknown(t *testing.T) {
	f := newFaulty(t)
	must(t, f.commit("a"))
	n := 0
	f.broker.cluster.ControlKey(kmsg.EndTxn.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		f.broker.cluster.KeepControl()
		n++
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		switch n {
		case 1:
			resp.ErrorCode = kerr.NotCoordinator.Code
			return resp, nil, true
		case 2:
			resp.ErrorCode = kerr.InvalidProducerEpoch.Code
			return resp, nil, true
		}
		return nil, nil, false
	})
	if err := f.commit("b"); !errors.Is(err, errUnknownOutcome) {
		t.Errorf("the commit said %v", err)
	}
	must(t, f.commit("c"))
}

// Someone took our ids over, while the group says that we are out: nothing may be tried again.
func TestFencedProducerOutOfTheGroup(t *testing.T) {
	f := newFaulty(t)
	must(t, f.commit("a"))
	h := f.broker.cluster.Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidProducerEpoch},
		kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.UnknownMemberID, TopLevel: true, Count: -1})
	err := f.commit("b")
	h.Remove()
	if !errors.Is(err, engine.ErrFenced) {
		t.Errorf("the commit said %v", err)
	}
	f.awaitFence()
	must(t, f.commit("c"))
	if got := f.journal(); got != "ac" {
		t.Errorf("the journal has %q", got)
	}
}

// Shards are restored, and their former writers fenced, while others are committed.
func TestFenceWriterBesideCommits(t *testing.T) {
	f := newFaulty(t)
	var wg sync.WaitGroup
	for _, name := range []string{"a", "b", "c"} {
		wg.Go(func() {
			for range 20 {
				if err := f.w.FenceWriter(t.Context(), name, 4); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 50 {
		must(t, f.commit("x"))
	}
	wg.Wait()
	f.w.Close()
	if err := f.commit("late"); !errors.Is(err, engine.ErrAborted) {
		t.Errorf("a commit after Close said %v", err)
	}
}

// An unreachable cluster is a bounded wait and a plain answer.
func TestCommitWithoutACluster(t *testing.T) {
	f := newFaulty(t)
	must(t, f.commit("a"))
	h := f.broker.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.LeaderNotAvailable, Count: -1})
	if err := f.commit("b"); !errors.Is(err, engine.ErrAborted) {
		t.Errorf("the commit said %v", err)
	}
	h.Remove()
	must(t, f.commit("c"))
	if got := f.journal(); got != "ac" {
		t.Errorf("the journal has %q", got)
	}
}
