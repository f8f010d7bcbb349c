package feed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"leadstream/connectors/httpapi"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// cluster is an in-process broker with one topic of two partitions and another of one.
type cluster struct {
	t        *testing.T
	addrs    []string
	producer *kgo.Client
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "app.transitions"), kfake.SeedTopics(1, "app.handoffs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	c := &cluster{t: t, addrs: k.ListenAddrs()}
	c.producer, err = kgo.NewClient(kgo.SeedBrokers(c.addrs...), kgo.TransactionalID("tx"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.producer.Close)
	return c
}

// transaction writes one record and commits or aborts.
func (c *cluster) transaction(topic string, partition int32, value string, commit bool) {
	c.t.Helper()
	if err := c.producer.BeginTransaction(); err != nil {
		c.t.Fatal(err)
	}
	err := c.producer.ProduceSync(c.t.Context(), &kgo.Record{Topic: topic, Partition: partition, Key: []byte("k"), Value: []byte(value)}).FirstErr()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.producer.EndTransaction(c.t.Context(), kgo.TransactionEndTry(commit)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) feed() *Feed {
	c.t.Helper()
	f, err := Open(c.t.Context(), Config{Topics: []string{"app.transitions", "app.handoffs"}, MaxRecords: 2,
		Options: func(string) []kgo.Opt { return []kgo.Opt{kgo.SeedBrokers(c.addrs...)} }})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(f.Close)
	return f
}

// readTo reads until the position is reached and returns the values seen.
func readTo(t *testing.T, f *Feed, from, to httpapi.Position) []string {
	t.Helper()
	r, err := f.Open(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var values []string
	at := from.Clone()
	for !reached(at, to) {
		records, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range records {
			at[k.Topic][k.Partition] = k.Offset + 1
			if k.Value != nil {
				values = append(values, string(k.Value))
			}
		}
	}
	return values
}

func reached(at, to httpapi.Position) bool {
	for i := range to {
		for n := range to[i] {
			if at[i][n] < to[i][n] {
				return false
			}
		}
	}
	return true
}

func TestFeedReadsCommittedToTheEnd(t *testing.T) {
	c := newCluster(t)
	f := c.feed()
	c.transaction("app.transitions", 0, "a", true)
	c.transaction("app.transitions", 0, "never", false)
	oldest, end, err := f.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The end lies behind the marker of an aborted transaction and is reached all the same.
	if got := readTo(t, f, oldest, end); len(got) != 1 || got[0] != "a" {
		t.Fatalf("read %q", got)
	}
	c.transaction("app.handoffs", 0, "b", true)
	c.transaction("app.transitions", 0, "c", true)
	_, later, err := f.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := readTo(t, f, end, later); len(got) != 2 {
		t.Fatalf("read on %q", got)
	}
	if l := f.Layout(); len(l.Topics) != 2 || l.Topics[0].Partitions != 2 || l.Topics[1].Name != "app.handoffs" || l.Generation == 0 {
		t.Fatalf("layout %+v", l)
	}
}

func TestNextEndsWithItsContext(t *testing.T) {
	f := newCluster(t).feed()
	oldest, _, err := f.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Open(t.Context(), oldest)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
}

func TestRecordsThatAreGone(t *testing.T) {
	c := newCluster(t)
	f := c.feed()
	oldest, _, err := f.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.transaction("app.transitions", 1, "a", true)
	c.transaction("app.transitions", 1, "b", true)
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: "app.transitions", Partition: 1, At: 2})
	if _, err := f.admin.DeleteRecords(t.Context(), offsets); err != nil {
		t.Fatal(err)
	}
	r, err := f.Open(t.Context(), oldest)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Next(t.Context()); !errors.Is(err, httpapi.ErrOutOfRange) {
		t.Fatalf("%v", err)
	}
	if now, _, err := f.Bounds(t.Context()); err != nil || now[0][1] != 2 {
		t.Fatalf("bounds %v, %v", now, err)
	}
}

func TestGenerationTellsTopicsApart(t *testing.T) {
	c := newCluster(t)
	before := c.feed().Layout().Generation
	f := c.feed()
	if again := f.Layout().Generation; again != before {
		t.Fatalf("%d, then %d for the same topics", before, again)
	}
	if _, err := f.admin.DeleteTopics(t.Context(), "app.handoffs"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), f.cfg); err == nil {
		t.Fatal("opened without a topic")
	}
	if _, err := f.admin.CreateTopic(t.Context(), 1, 1, nil, "app.handoffs"); err != nil {
		t.Fatal(err)
	}
	if after := c.feed().Layout().Generation; after == before {
		t.Fatal("the same generation for topics created anew")
	}
}
