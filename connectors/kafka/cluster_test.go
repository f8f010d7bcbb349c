package kafka

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"leadstream/engine"
)

func startEmbedded(t *testing.T, e Embedded) *Broker {
	t.Helper()
	b, err := StartEmbedded(e)
	must(t, err)
	t.Cleanup(b.Close)
	return b
}

func openAt(t *testing.T, brokers []string, change func(*Config)) *Cluster {
	t.Helper()
	cfg := Config{Brokers: brokers, App: "app", Instance: "a", Shards: 2, Slots: 2, HeartbeatInterval: 50 * time.Millisecond}
	if change != nil {
		change(&cfg)
	}
	c, err := Open(t.Context(), cfg)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestOpenUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	closed := l.Addr().String()
	l.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	for _, addr := range []string{closed, silent.Addr().String()} {
		_, err := Open(t.Context(), Config{Brokers: []string{addr}, App: "app", Instance: "a", ConnectTimeout: 300 * time.Millisecond})
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "check that") {
			t.Errorf("%s: %v", addr, err)
		}
	}
	// One that answers is enough.
	b := startEmbedded(t, Embedded{})
	openAt(t, append([]string{closed}, b.Addresses()...), nil)
}

func TestOpenTooOld(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.MaxVersions(kversion.V2_3_0()))
	must(t, err)
	defer cluster.Close()
	_, err = Open(t.Context(), Config{Brokers: cluster.ListenAddrs(), App: "app", Instance: "a"})
	if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "Kafka 2.8") {
		t.Errorf("got %v", err)
	}
}

// Clusters below transaction version 2 need offsets announced, and know no implicit ones.
func TestOldTransactions(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.MaxVersions(kversion.V3_6_0()), kfake.SeedTopics(1, "source"))
	must(t, err)
	t.Cleanup(cluster.Close)
	c := openAt(t, cluster.ListenAddrs(), func(c *Config) { c.ReplicationFactor = 1 })
	if c.txnV2 {
		t.Fatal("the cluster is taken for a newer one")
	}
	f := newFaultyOn(t, &Broker{cluster: cluster}, c)
	for _, v := range []string{"a", "b", "c", "d", "e"} {
		must(t, f.commit(v))
	}
	good := f.fence
	f.fence.Generation++
	if err := f.commit("x"); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("a wrong generation: %v", err)
	}
	f.fence = good
	must(t, f.commit("f"))
	if got := f.journal(); got != "abcdef" {
		t.Errorf("the journal has %q", got)
	}
}

func TestClusterIDAndPartitions(t *testing.T) {
	b := startEmbedded(t, Embedded{Topics: map[string]int32{"source": 3}})
	c := openAt(t, b.Addresses(), nil)
	if c.ClusterID() == "" {
		t.Error("no cluster id")
	}
	n, err := c.Partitions(t.Context(), "source")
	if n != 3 || err != nil {
		t.Errorf("source has %d partitions, %v", n, err)
	}
	_, err = kadm.NewClient(c.admin).CreatePartitions(t.Context(), 2, "source")
	must(t, err)
	for n == 3 {
		n, err = c.Partitions(t.Context(), "source")
		must(t, err)
	}
	if n != 5 {
		t.Errorf("source has %d partitions after adding 2", n)
	}
	if _, err := c.Partitions(t.Context(), "none"); err == nil || !strings.Contains(err.Error(), `"none"`) {
		t.Errorf("a missing topic: %v", err)
	}
}

func TestEnsureTopicsCreates(t *testing.T) {
	b := startEmbedded(t, Embedded{Topics: map[string]int32{"s1": 1, "s2": 7}})
	c := openAt(t, b.Addresses(), func(c *Config) {
		c.Shards = 3
		c.Topics = map[string]TopicConfig{"transitions": {Configs: map[string]string{"retention.ms": "1000"}}}
	})
	for range 2 { // the second time they are there
		counts, err := c.EnsureTopics(t.Context(), []string{"s1", "s2"})
		if err != nil || len(counts) != 2 || counts["s1"] != 1 || counts["s2"] != 7 {
			t.Fatalf("got %v, %v", counts, err)
		}
	}
	for topic, want := range map[engine.Topic]map[string]string{
		engine.TopicJournal:     {"message.timestamp.type": "LogAppendTime", "retention.ms": "-1", "cleanup.policy": "delete"},
		engine.TopicInbox:       {"message.timestamp.type": "CreateTime", "retention.ms": "-1", "max.message.bytes": "1114112"},
		engine.TopicState:       {"cleanup.policy": "compact", "delete.retention.ms": "86400000"},
		engine.TopicRules:       {"cleanup.policy": "compact"},
		engine.TopicTransitions: {"retention.ms": "1000", "cleanup.policy": "delete"},
		engine.TopicHandoffs:    {"retention.ms": "604800000"},
	} {
		info := b.cluster.TopicInfo(c.TopicName(topic))
		wantParts := int32(3)
		if topic == engine.TopicRules {
			wantParts = 1
		}
		n, err := c.Partitions(t.Context(), c.TopicName(topic))
		if info == nil || err != nil || n != wantParts {
			t.Errorf("%v has %d partitions, want %d (%v)", topic, n, wantParts, err)
		}
		have := settingsOf(t, c, topic)
		for k, v := range want {
			if have[k] != v {
				t.Errorf("%v: %s is %q, want %q", topic, k, have[k], v)
			}
		}
	}
}

func settingsOf(t *testing.T, c *Cluster, topic engine.Topic) map[string]string {
	t.Helper()
	rs, err := kadm.NewClient(c.admin).DescribeTopicConfigs(t.Context(), c.TopicName(topic))
	must(t, err)
	m := map[string]string{}
	for _, k := range rs[0].Configs {
		m[k.Key] = k.MaybeValue()
	}
	return m
}

func TestEnsureTopicsNamesWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		name    string
		topic   string
		parts   int32
		configs map[string]string
		want    string
	}{
		{"partitions", "app.inbox", 5, map[string]string{"retention.ms": "-1", "max.message.bytes": "2000000"}, `"app.inbox" has 5 partitions, expected 2`},
		{"rules partitions", "app.rules", 2, map[string]string{"cleanup.policy": "compact", "max.message.bytes": "2000000"}, `"app.rules" has 2 partitions, expected 1`},
		{"state not compacted", "app.state", 2, map[string]string{"max.message.bytes": "2000000"}, `"app.state" has cleanup.policy=delete, expected compact`},
		{"state also deleted", "app.state", 2, map[string]string{"cleanup.policy": "compact,delete", "max.message.bytes": "2000000"}, `"app.state" has cleanup.policy=compact,delete, expected compact`},
		{"state forgets early", "app.state", 2, map[string]string{"cleanup.policy": "compact", "max.message.bytes": "2000000", "delete.retention.ms": "5"}, `has delete.retention.ms=5, expected 86400000`},
		{"small records", "app.deadletter", 2, nil, `"app.deadletter" has max.message.bytes=1048588, expected 1114112`},
		{"journal compacted", "app.journal", 2, map[string]string{"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime", "retention.ms": "-1", "max.message.bytes": "2000000"}, `"app.journal" has cleanup.policy=compact, expected delete`},
		{"journal time", "app.journal", 2, map[string]string{"retention.ms": "-1", "max.message.bytes": "2000000"}, `"app.journal" has message.timestamp.type=CreateTime, expected LogAppendTime`},
		{"inbox retention", "app.inbox", 2, map[string]string{"max.message.bytes": "2000000"}, `"app.inbox" has retention.ms=604800000, expected -1`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := startEmbedded(t, Embedded{})
			must(t, b.cluster.CreateTopic(tt.topic, tt.parts, tt.configs))
			_, err := openAt(t, b.Addresses(), nil).EnsureTopics(t.Context(), nil)
			if !errors.Is(err, ErrTopic) || !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), "expected") != 1 {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

func TestEnsureTopicsSources(t *testing.T) {
	b := startEmbedded(t, Embedded{Topics: map[string]int32{"there": 1}})
	must(t, b.cluster.CreateTopic("compacted", 1, map[string]string{"cleanup.policy": "compact"}))
	var logged bytes.Buffer
	c := openAt(t, b.Addresses(), func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	_, err := c.EnsureTopics(t.Context(), []string{"there", "missing1", "missing2", "app.inbox"})
	for _, want := range []string{`"missing1" does not exist`, `"missing2" does not exist`, `"app.inbox" is one of the application's own`} {
		if !errors.Is(err, ErrTopic) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if b.cluster.TopicInfo("app.journal") != nil {
		t.Error("topics were created though a source is missing")
	}
	_, err = c.EnsureTopics(t.Context(), []string{"there", "compacted"})
	must(t, err)
	before := c.TopicIDs()["there"]
	_, err = kadm.NewClient(c.admin).DeleteTopic(t.Context(), "there")
	must(t, err)
	must(t, b.cluster.CreateTopic("there", 1, nil))
	_, err = openAt(t, b.Addresses(), nil).EnsureTopics(t.Context(), []string{"there"})
	must(t, err)
	again := openAt(t, b.Addresses(), nil)
	_, err = again.EnsureTopics(t.Context(), []string{"there"})
	must(t, err)
	if ids := again.TopicIDs(); len(before) != 16 || len(ids["there"]) != 16 || ids["there"] == before || len(ids["app.inbox"]) != 16 {
		t.Errorf("topic ids are %x, before the source was made anew %x", ids, before)
	}
	if n := strings.Count(logged.String(), "source topic is compacted"); n != 1 || !strings.Contains(logged.String(), "topic=compacted") {
		t.Errorf("warned %d times: %s", n, logged.String())
	}
}

// Several instances start at once.
func TestEnsureTopicsTogether(t *testing.T) {
	b := startEmbedded(t, Embedded{})
	errs := make(chan error)
	for _, name := range []string{"a", "b", "c"} {
		c := openAt(t, b.Addresses(), func(c *Config) { c.Instance = name })
		go func() {
			_, err := c.EnsureTopics(context.Background(), nil)
			errs <- err
		}()
	}
	for range 3 {
		must(t, <-errs)
	}
}

func TestMetricsAreThereFromTheStart(t *testing.T) {
	b := startEmbedded(t, Embedded{})
	reg := prometheus.NewPedanticRegistry()
	openAt(t, b.Addresses(), func(c *Config) { c.Metrics = reg })
	families, err := reg.Gather()
	must(t, err)
	have := map[string]int{}
	for _, f := range families {
		have[f.GetName()] = len(f.GetMetric())
	}
	for name, series := range map[string]int{"leadstream_kafka_commit_seconds": 3, "leadstream_kafka_aborts_total": 6,
		"leadstream_kafka_out_bytes_total": 1, "leadstream_kafka_in_bytes_total": 1, "leadstream_kafka_fetches_total": 1,
		"leadstream_kafka_ownership_changes_total": 4, "leadstream_kafka_group_generation": 1} {
		if have[name] != series {
			t.Errorf("%s has %d series, want %d", name, have[name], series)
		}
	}
	if _, err := Open(t.Context(), Config{Brokers: b.Addresses(), App: "app", Instance: "b", Metrics: reg}); err == nil {
		t.Error("registered the same metrics twice")
	}
}

// What an embedded broker with a directory acknowledged is there after a restart, and work goes on.
func TestEmbeddedKeepsItsData(t *testing.T) {
	dir := t.TempDir()
	want := ""
	for _, v := range []string{"a", "b", "c"} {
		func() {
			b, err := StartEmbedded(Embedded{Dir: dir, SyncWrites: true, Topics: map[string]int32{"source": 1}})
			must(t, err)
			defer b.Close()
			c, err := Open(t.Context(), Config{Brokers: b.Addresses(), App: "app", Instance: "a", Shards: 2, Slots: 2, HeartbeatInterval: 50 * time.Millisecond})
			must(t, err)
			defer c.Close()
			f, end := commitOn(t, b, c)
			defer end()
			must(t, f.commit(v))
			want += v
			if got := f.journal(); got != want {
				t.Errorf("the journal has %q, want %q", got, want)
			}
		}()
	}
}

// Everything runs on a virtual network in virtual time, as simulations need.
func TestEmbeddedInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network kfake.VirtualNetwork
		b, err := StartEmbedded(Embedded{Listen: network.Listen, Topics: map[string]int32{"source": 1}})
		must(t, err)
		defer b.Close()
		c, err := Open(t.Context(), Config{Brokers: b.Addresses(), App: "app", Instance: "a", Shards: 2, Slots: 2, Dial: network.DialContext})
		must(t, err)
		defer c.Close()
		f, end := commitOn(t, b, c)
		defer end()
		must(t, f.commit("a"))
		time.Sleep(time.Hour)
		must(t, f.commit("b"))
		if got := f.journal(); got != "ab" {
			t.Errorf("the journal has %q", got)
		}
	})
}

func TestEmbeddedPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	if _, err := StartEmbedded(Embedded{Port: l.Addr().(*net.TCPAddr).Port}); err == nil || !strings.Contains(err.Error(), "embedded broker") {
		t.Errorf("got %v", err)
	}
}

// produce writes a record outside of any transaction.
func produce(t *testing.T, brokers []string, r *kgo.Record) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	must(t, err)
	defer cl.Close()
	must(t, cl.ProduceSync(t.Context(), r).FirstErr())
}
