package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/engine"
)

func newInputs(t *testing.T, b *Broker, starts ...engine.Start) *Inputs {
	t.Helper()
	in, err := openAt(t, b.Addresses(), func(c *Config) { c.FetchMaxWait = 20 * time.Millisecond }).Inputs()
	must(t, err)
	t.Cleanup(in.Close)
	must(t, in.Add(t.Context(), starts))
	return in
}

func sourceStart(p int32) engine.Start {
	return engine.Start{TopicPartition: engine.TopicPartition{Topic: "source", Partition: p}, Offset: engine.StartOfPartition}
}

// poll polls until there is something, or an error.
func poll(t *testing.T, in *Inputs) ([]engine.Fetch, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	fetches, err := in.Poll(ctx, 100)
	if fetches == nil && err == nil {
		t.Fatal("nothing came within 30 s")
	}
	return fetches, err
}

func TestInputsRecord(t *testing.T) {
	b := startEmbedded(t, Embedded{Topics: map[string]int32{"source": 1}})
	in := newInputs(t, b, sourceStart(0))
	at := time.UnixMilli(1_700_000_000_123)
	produce(t, b.Addresses(), &kgo.Record{Topic: "source", Key: []byte("k"), Value: []byte("v"), Timestamp: at,
		Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "b"}}})
	produce(t, b.Addresses(), &kgo.Record{Topic: "source", Key: []byte("gone"), Timestamp: at})
	var recs []engine.Record
	for len(recs) < 2 {
		fetches, err := poll(t, in)
		must(t, err)
		for _, f := range fetches {
			recs = append(recs, f.Records...)
		}
	}
	r := recs[0]
	if string(r.Key) != "k" || string(r.Value) != "v" || r.Timestamp != at.UnixMilli() || len(r.Headers) != 2 ||
		r.Headers[0].Key != "a" || string(r.Headers[0].Value) != "1" || r.Headers[1].Key != "b" {
		t.Errorf("the first record is %+v", r)
	}
	if recs[1].Value != nil || string(recs[1].Key) != "gone" {
		t.Errorf("the tombstone is %+v", recs[1])
	}
}

// Records deleted ahead of a running reader are a gap, told after what was read before.
func TestInputsFallBehind(t *testing.T) {
	b := startEmbedded(t, Embedded{Topics: map[string]int32{"source": 2}})
	in := newInputs(t, b, sourceStart(0))
	_, err := poll(t, in)
	must(t, err)
	h := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.OffsetOutOfRange, Topic: "source", Count: -1})
	_, err = poll(t, in)
	h.Remove()
	if !errors.Is(err, engine.ErrGap) || !strings.Contains(err.Error(), "source[0] is needed from offset 0") {
		t.Errorf("got %v", err)
	}
}

func TestInputsGoOnAfterErrorsThatPass(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.NotLeaderForPartition, kerr.UnknownTopicOrPartition, kerr.OffsetNotAvailable, kerr.KafkaStorageError} {
		t.Run(e.Message, func(t *testing.T) {
			t.Parallel()
			b := startEmbedded(t, Embedded{Topics: map[string]int32{"source": 1}})
			in := newInputs(t, b, sourceStart(0))
			_, err := poll(t, in)
			must(t, err)
			h := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: e, Topic: "source", Count: 3})
			must(t, h.Wait(t.Context(), 3))
			produce(t, b.Addresses(), &kgo.Record{Topic: "source", Value: []byte("v")})
			fetches, err := poll(t, in)
			if err != nil || len(fetches) != 1 || len(fetches[0].Records) != 1 {
				t.Errorf("got %v, %v", fetches, err)
			}
		})
	}
}

func TestInputsErrorsThatStay(t *testing.T) {
	b := startEmbedded(t, Embedded{Topics: map[string]int32{"source": 2}})
	in := newInputs(t, b, sourceStart(0))
	_, err := poll(t, in)
	must(t, err)
	h := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.TopicAuthorizationFailed, Topic: "source", Count: -1})
	if _, err = poll(t, in); !errors.Is(err, kerr.TopicAuthorizationFailed) || !strings.Contains(err.Error(), "source[0]") {
		t.Errorf("got %v", err)
	}
	h.Remove()
	if err := in.Add(t.Context(), []engine.Start{sourceStart(7)}); err == nil || !strings.Contains(err.Error(), "source[7]") {
		t.Errorf("a partition that is not there: %v", err)
	}
	h = b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Err: kerr.NotLeaderForPartition, Count: 2})
	must(t, in.Add(t.Context(), []engine.Start{sourceStart(1)}))
	if h.Hits() == 0 {
		t.Error("the fault did not happen")
	}
}

// Cancelled while it asks for offsets, Add returns, and the partition can be added again.
func TestInputsAddCancelled(t *testing.T) {
	b := startEmbedded(t, Embedded{Topics: map[string]int32{"source": 1}})
	in := newInputs(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := in.Add(ctx, []engine.Start{sourceStart(0)}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	must(t, in.Add(t.Context(), []engine.Start{sourceStart(0)}))
	_, err := poll(t, in)
	must(t, err)
}

// Reading goes on while leaders move from broker to broker.
func TestInputsFollowLeaders(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(1, "source"))
	must(t, err)
	t.Cleanup(cluster.Close)
	b := &Broker{cluster: cluster}
	in := newInputs(t, b, sourceStart(0))
	var next int64
	for i := range 6 {
		must(t, cluster.MoveTopicPartition("source", 0, int32(i%3)))
		produce(t, b.Addresses(), &kgo.Record{Topic: "source", Value: []byte("v")})
		for next < int64(i+1) {
			fetches, err := poll(t, in)
			must(t, err)
			for _, f := range fetches {
				if f.From != next {
					t.Fatalf("from %d, was at %d", f.From, next)
				}
				next = f.Next
			}
		}
	}
	h := in.c.History()
	n := 0
	must(t, h.Read(t.Context(), engine.TopicPartition{Topic: "source"}, 0, 6, func(*engine.Record) error {
		n++
		return cluster.MoveTopicPartition("source", 0, int32(n%3))
	}))
	must(t, h.Read(t.Context(), engine.TopicPartition{Topic: "source"}, 0, 6, func(*engine.Record) error { n++; return nil }))
	if n != 12 {
		t.Errorf("read %d records, want 12", n)
	}
}
