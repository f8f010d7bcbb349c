package kafka_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/bench/broker"
	"leadstream/connectors/kafka"
	"leadstream/engine"
)

// cutter breaks connections at chosen requests: before the broker has them, or before it has answered.
type cutter struct {
	key    atomic.Int32
	before atomic.Bool
	left   atomic.Int32
	cuts   atomic.Int32
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: conn, c: c}, nil
}

func (c *cutter) arm(key kmsg.Key, before bool, times int32) {
	c.key.Store(int32(key))
	c.before.Store(before)
	c.left.Store(times)
}

type cutConn struct {
	net.Conn
	c    *cutter
	deaf atomic.Bool
}

// Write sees whole requests: four bytes of length, two of key.
func (c *cutConn) Write(b []byte) (int, error) {
	if len(b) < 6 || int32(binary.BigEndian.Uint16(b[4:])) != c.c.key.Load() || c.c.left.Add(-1) < 0 {
		return c.Conn.Write(b)
	}
	c.c.cuts.Add(1)
	if c.c.before.Load() {
		c.Conn.Close()
		return 0, net.ErrClosed
	}
	c.deaf.Store(true) // what is sent arrives, no answer does
	return c.Conn.Write(b)
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.deaf.Load() {
		return 0, io.EOF
	}
	return n, err
}

func TestWhatCommitSaysIsTrueEmbedded(t *testing.T) {
	whatCommitSaysIsTrue(t, embedded(t).Addresses(), 150)
}

func TestWhatCommitSaysIsTrueRealBroker(t *testing.T) {
	whatCommitSaysIsTrue(t, []string{broker.Shared(t).Addr()}, 40)
}

// whatCommitSaysIsTrue commits numbered transactions over breaking connections, and then compares what was
// answered with what is there.
func whatCommitSaysIsTrue(t *testing.T, brokers []string, n int) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	e := env(t, brokers)
	cut := &cutter{}
	p, f := member(t, e.Topic, brokers, cut)
	keys := []kmsg.Key{kmsg.Produce, kmsg.TxnOffsetCommit, kmsg.EndTxn, kmsg.EndTxn, kmsg.InitProducerID, kmsg.Metadata}
	said := make([]error, n)
	for i := range n {
		switch {
		case i == n/2 || i == n/3:
			// Every answer to an end is lost until Commit gives up: it can't know.
			cut.arm(kmsg.EndTxn, i == n/3, 1<<20)
		case rnd.IntN(3) > 0:
			cut.arm(keys[rnd.IntN(len(keys))], rnd.IntN(2) == 0, int32(1+rnd.IntN(3)))
		}
		said[i] = p.Committer.Commit(t.Context(), numbered(e.Source, f, i))
	}
	cut.left.Store(0)
	if cut.cuts.Load() == 0 {
		t.Error("no connection was cut")
	}
	checkTruth(t, e.Topic(engine.TopicJournal), e.Source, p.History, said)
	if t.Failed() {
		t.Logf("seed %d, %d cuts", seed, cut.cuts.Load())
	}
}

// A broker that dies and comes back costs waiting, and no truth. Reading goes on where it was.
func TestBrokerCrash(t *testing.T) {
	if ok, why := broker.Available(); !ok || testing.Short() {
		t.Skip("no real broker: " + why)
	}
	b, err := broker.Start(t.Context(), broker.Options{})
	check(t, err)
	t.Cleanup(b.Stop)
	e := env(t, []string{b.Addr()})
	p, f := member(t, e.Topic, []string{b.Addr()}, &cutter{})
	journal := engine.TopicPartition{Topic: e.Topic(engine.TopicJournal), Partition: 0}
	in, err := open(t, kafka.Config{Brokers: []string{b.Addr()}, App: "reader", Instance: "r"}).Inputs()
	check(t, err)
	t.Cleanup(in.Close)
	check(t, in.Add(t.Context(), []engine.Start{{TopicPartition: journal, Offset: engine.StartOfPartition}}))
	seen := make(chan int, 1)
	go func() {
		n, next := 0, int64(0)
		for t.Context().Err() == nil && n < 20 {
			fetches, err := in.Poll(t.Context(), 100)
			if err != nil {
				t.Errorf("reading: %v", err)
				break
			}
			for _, f := range fetches {
				if f.From != next {
					t.Errorf("read from %d, was at %d", f.From, next)
				}
				next = f.Next
				n += len(f.Records)
			}
		}
		seen <- n
	}()
	var said []error
	commit := func(until int) {
		for good := 0; good < until; {
			fence, ok := p.Group.Fence()
			if ok {
				f = fence
			}
			said = append(said, p.Committer.Commit(t.Context(), numbered(e.Source, f, len(said))))
			if said[len(said)-1] == nil {
				good++
			}
		}
	}
	commit(10)
	b.Kill()
	said = append(said, p.Committer.Commit(t.Context(), numbered(e.Source, f, len(said))))
	if last := said[len(said)-1]; !errors.Is(last, engine.ErrAborted) {
		t.Errorf("a commit without a broker said %v", last)
	}
	check(t, b.Restart(t.Context()))
	commit(10)
	if n := <-seen; n < 20 {
		t.Errorf("read %d of 20", n)
	}
	checkSaid(t, journal.Topic, e.Source, p.History, said)
}

// member opens a process over a cutter and waits until it owns all shards.
func member(t *testing.T, topic func(engine.Topic) string, brokers []string, cut *cutter) (p struct {
	Committer *kafka.Committer
	History   *kafka.History
	Group     *kafka.Group
}, f engine.Fence) {
	name := topic(engine.TopicJournal)
	cfg := kafka.Config{Brokers: brokers, App: name[:len(name)-len(".journal")], Instance: "m", Shards: envShards, Slots: 3,
		TransactionTimeout: 2 * time.Second, HeartbeatInterval: 50 * time.Millisecond, Dial: cut.dial}
	c := open(t, cfg)
	g, err := c.Group()
	check(t, err)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for ch := range g.Changes() {
			ch.Done()
		}
	}()
	t.Cleanup(func() {
		check(t, g.Leave(context.Background()))
		<-gone
	})
	var ok bool
	for f, ok = g.Fence(); !ok; f, ok = g.Fence() {
		time.Sleep(time.Millisecond)
	}
	w, err := c.Committer(t.Context())
	check(t, err)
	t.Cleanup(w.Close)
	p.Committer, p.History, p.Group = w, c.History(), g
	return p, f
}

func numbered(source string, f engine.Fence, i int) *engine.Transaction {
	value := fmt.Appendf(nil, "%d", i)
	tx := &engine.Transaction{Fence: f, Offsets: []engine.Position{{
		TopicPartition: engine.TopicPartition{Topic: source, Partition: 0}, Offset: int64(i), LeaderEpoch: -1}}}
	for p := range int32(envShards) {
		tx.Records = append(tx.Records, engine.OutRecord{Topic: engine.TopicJournal, Partition: p, Value: value})
	}
	return tx
}

// checkTruth is checkSaid for a test that must have seen what is known and what is not.
func checkTruth(t *testing.T, journal, source string, h engine.History, said []error) {
	t.Helper()
	if committed, unknown := checkSaid(t, journal, source, h, said); committed == 0 || unknown == 0 {
		t.Error("the test does not see both what is known and what is not")
	}
}

// checkSaid compares what was said of each transaction with every partition it wrote to and the offset.
func checkSaid(t *testing.T, journal, source string, h engine.History, said []error) (committed, unknown int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var first []string
	for p := range int32(envShards) {
		var got []string
		check(t, h.Read(ctx, engine.TopicPartition{Topic: journal, Partition: p}, engine.StartOfPartition, engine.EndOfPartition, func(r *engine.Record) error {
			got = append(got, string(r.Value))
			return nil
		}))
		if p == 0 {
			first = got
		} else if !slices.Equal(got, first) {
			t.Errorf("partition %d has %v, partition 0 %v", p, got, first)
		}
	}
	var want int64 = -1
	for i, err := range said {
		value := fmt.Sprint(i)
		at := slices.Index(first, value)
		again := at >= 0 && slices.Contains(first[at+1:], value)
		definite := errors.Is(err, engine.ErrAborted) || errors.Is(err, engine.ErrFenced)
		switch {
		case again:
			t.Errorf("transaction %d is there twice", i)
		case err == nil && at < 0:
			t.Errorf("transaction %d was committed and is not there", i)
		case definite && at >= 0:
			t.Errorf("transaction %d is there, and Commit said: %v", i, err)
		case err == nil:
			committed++
		case !definite:
			unknown++
		}
		if at >= 0 {
			want = int64(i)
		}
	}
	offsets, err := h.Committed(ctx, []engine.TopicPartition{{Topic: source, Partition: 0}})
	check(t, err)
	if got := offsets[engine.TopicPartition{Topic: source, Partition: 0}]; got != want {
		t.Errorf("the offset is %d, the last transaction there is %d", got, want)
	}
	t.Logf("%d of %d committed, %d unknown", committed, len(said), unknown)
	return committed, unknown
}
