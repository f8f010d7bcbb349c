package kafka

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"

	"leadstream/engine"
)

// TestWatch changes topics while they are watched.
func TestWatch(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*testing.T, *Broker, *kadm.Client)
		says   string
	}{
		{"nothing", nil, ""},
		{"a source is deleted", func(t *testing.T, _ *Broker, adm *kadm.Client) { drop(t, adm, "there") }, `topic "there" was deleted while`},
		{"the journal is deleted", func(t *testing.T, _ *Broker, adm *kadm.Client) { drop(t, adm, "app.journal") }, `topic "app.journal" was deleted while`},
		{"a source is made anew", func(t *testing.T, b *Broker, adm *kadm.Client) {
			drop(t, adm, "there")
			must(t, b.cluster.CreateTopic("there", 1, nil))
		}, `topic "there" was deleted`},
		{"the inbox gets more partitions", func(t *testing.T, _ *Broker, adm *kadm.Client) {
			_, err := adm.UpdatePartitions(t.Context(), 3, "app.inbox")
			must(t, err)
		}, `topic "app.inbox" had 2 partitions and has 3`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := startEmbedded(t, Embedded{Topics: map[string]int32{"there": 1}})
			var logged bytes.Buffer
			reg := prometheus.NewRegistry()
			c := openAt(t, b.Addresses(), func(c *Config) {
				c.WatchInterval, c.Metrics = 5*time.Millisecond, reg
				c.Logger = slog.New(slog.NewTextHandler(&logged, nil))
			})
			_, err := c.EnsureTopics(t.Context(), []string{"there"})
			must(t, err)
			w := topicWatch{c: c, names: []string{"app.journal", "app.inbox", "there"}, own: 2, seen: map[string]kadm.TopicDetail{}, missing: map[string]bool{}}
			must(t, w.look(t.Context()))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tt.change == nil {
				cancel()
				must(t, c.Watch(ctx, []string{"there"}, nil))
				return
			}
			done := make(chan error, 1)
			go func() { done <- c.Watch(ctx, []string{"there"}, nil) }()
			tt.change(t, b, kadm.NewClient(c.admin))
			// Whoever has seen the topic before says so; Watch may only have begun after it.
			for deadline := time.Now().Add(30 * time.Second); err == nil && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				err = w.look(t.Context()) // the client remembers answers for a while
			}
			if !errors.Is(err, engine.ErrDisagree) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
			if !strings.Contains(tt.says, "while") {
				return
			}
			if err := <-done; !errors.Is(err, engine.ErrDisagree) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v", err)
			}
			if n := counted(t, reg, "leadstream_kafka_topics_changed_total"); n != 1 || !strings.Contains(logged.String(), "a topic is not what it was") {
				t.Errorf("counted %v, logged %s", n, logged.String())
			}
		})
	}
}

func drop(t *testing.T, adm *kadm.Client, topic string) {
	t.Helper()
	_, err := adm.DeleteTopic(t.Context(), topic)
	must(t, err)
}

// counted is the value of a counter.
func counted(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	all, err := reg.Gather()
	must(t, err)
	for _, f := range all {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
