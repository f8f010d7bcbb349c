package kafka_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"leadstream/bench/broker"
	"leadstream/connectors/connectortest"
	"leadstream/connectors/kafka"
	"leadstream/engine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuiteEmbedded(t *testing.T) {
	b := embedded(t)
	connectortest.Run(t, func(t testing.TB) connectortest.Env { return env(t, b.Addresses()) })
}

func TestSuiteRealBroker(t *testing.T) {
	b := broker.Shared(t)
	connectortest.Run(t, func(t testing.TB) connectortest.Env { return env(t, []string{b.Addr()}) })
}

func embedded(t testing.TB) *kafka.Broker {
	b, err := kafka.StartEmbedded(kafka.Embedded{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// apps makes names, so that tests on one broker do not meet.
var apps atomic.Int32

const envShards = 4

func env(t testing.TB, brokers []string) connectortest.Env {
	app := fmt.Sprintf("app%d-%d", time.Now().UnixNano(), apps.Add(1))
	source := app + ".source"
	createTopic(t, brokers, source, 2, nil)
	config := func(instance string) kafka.Config {
		return kafka.Config{Brokers: brokers, App: app, Instance: instance, Shards: envShards, Slots: 3,
			HeartbeatInterval: 50 * time.Millisecond, FetchMaxWait: 100 * time.Millisecond}
	}
	c := open(t, config("setup"))
	if _, err := c.EnsureTopics(t.Context(), []string{source}); err != nil {
		t.Fatal(err)
	}
	plain := client(t, brokers)
	return connectortest.Env{
		Source: source, Topic: c.TopicName, Shards: envShards,
		Open: func(t testing.TB, instance string) connectortest.Process { return process(t, config(instance)) },
		Produce: func(t testing.TB, partition int32, values ...string) {
			check(t, plain.ProduceSync(t.Context(), records(source, partition, values)...).FirstErr())
		},
		ProduceIn: func(t testing.TB, topic string, partition int32, commit bool, values ...string) {
			p := client(t, brokers, kgo.TransactionalID(fmt.Sprint(app, "-stranger-", apps.Add(1))))
			defer p.Close()
			check(t, p.BeginTransaction())
			check(t, p.ProduceSync(t.Context(), records(topic, partition, values)...).FirstErr())
			check(t, p.EndTransaction(t.Context(), kgo.TransactionEndTry(commit)))
			// The markers are written after the end was answered; taking the id again waits for them.
			q := client(t, brokers, kgo.TransactionalID(p.OptValue(kgo.TransactionalID).(string)))
			defer q.Close()
			_, _, err := q.ProducerID(t.Context())
			check(t, err)
		},
		LeaveOpen: func(t testing.TB, instance string, slot int, topic string, partition int32) {
			p := client(t, brokers, kgo.TransactionalID(fmt.Sprintf("%s-%s-%d", app, instance, slot)))
			check(t, p.BeginTransaction())
			check(t, p.ProduceSync(t.Context(), records(topic, partition, []string{"open"})...).FirstErr())
		},
	}
}

func process(t testing.TB, cfg kafka.Config) connectortest.Process {
	c := open(t, cfg)
	g, err := c.Group()
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // a test that wants to leave in order has done so
		_ = g.Leave(ctx)
	})
	in, err := c.Inputs()
	check(t, err)
	t.Cleanup(in.Close)
	w, err := c.Committer(t.Context())
	check(t, err)
	t.Cleanup(w.Close)
	return connectortest.Process{Group: g, Inputs: in, Committer: w, History: c.History()}
}

func open(t testing.TB, cfg kafka.Config) *kafka.Cluster {
	t.Helper()
	c, err := kafka.Open(t.Context(), cfg)
	check(t, err)
	t.Cleanup(c.Close)
	return c
}

func client(t testing.TB, brokers []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	opts = append(opts, kgo.SeedBrokers(brokers...), kgo.ProducerLinger(0), kgo.MetadataMinAge(10*time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	cl, err := kgo.NewClient(opts...)
	check(t, err)
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t testing.TB, brokers []string, name string, partitions int32, configs map[string]*string) {
	t.Helper()
	_, err := kadm.NewClient(client(t, brokers)).CreateTopic(t.Context(), partitions, 1, configs, name)
	check(t, err)
}

func records(topic string, partition int32, values []string) []*kgo.Record {
	rs := make([]*kgo.Record, len(values))
	for i, v := range values {
		rs[i] = &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v)}
	}
	return rs
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var _ = []any{engine.Inputs((*kafka.Inputs)(nil)), engine.Group((*kafka.Group)(nil)),
	engine.Committer((*kafka.Committer)(nil)), engine.History((*kafka.History)(nil))}
