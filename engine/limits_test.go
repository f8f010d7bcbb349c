package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
)

// TestTooLargeToForward sends an event that can't go through the inbox: it is a dead letter, and those
// before and after it are applied.
func TestTooLargeToForward(t *testing.T) {
	r := newRig(t, 4)
	r.parts = map[string]int32{"web": 4, "mail": 1}
	r.tune = func(c *engine.Config) { c.MaxRecordBytes = 2000 }
	id := "somebody"
	elsewhere := (engine.ShardOf([]byte(id), 4) + 1) % 4
	for i, pad := range []int{10, 3000, 10} {
		v := fmt.Sprintf(`{"userId":%q,"messageId":"m%d","timestamp":%d,"type":"page","properties":{"x":%q}}`, id, i, base, strings.Repeat("x", pad))
		r.log.Append("web", elsewhere, nil, []byte(v), base)
	}
	p := r.start("a", t.TempDir(), nil)
	r.settle(p)
	view, err := p.engine.Lead(t.Context(), id, base)
	if err != nil || view.Events != 2 {
		t.Errorf("lead %+v: %v, want 2 events", view, err)
	}
	p.stop(t)
	dead := r.log.Output(engine.TopicDeadletter)
	if len(dead) != 1 || len(dead[0].Value) > 2000 || !strings.HasPrefix(string(dead[0].Value), `{"userId":"somebody","messageId":"m1"`) {
		t.Fatalf("dead letters: %v", dead)
	}
	headers := map[string]string{}
	for _, h := range dead[0].Headers {
		headers[h.Key] = string(h.Value)
	}
	if headers["__streams.errors.exception"] != "too_large" || headers["__streams.errors.offset"] != "1" || headers["__streams.errors.topic"] != "web" {
		t.Errorf("headers %v", headers)
	}
}

// TestChangedLeadsAreBounded changes more leads than a small cache may hold, with hours until they are due to be written: they are
// written sooner.
func TestChangedLeadsAreBounded(t *testing.T) {
	r := newRig(t, 1)
	r.tune = func(c *engine.Config) { c.CacheBytes, c.CheckpointInterval, c.MaxPoll = 1<<16, time.Hour, 200 }
	r.produce(1, 5000, 6000)
	p := r.start("a", t.TempDir(), nil)
	r.settle(p)
	eventually(t, "leads to be written", func() bool { return p.engine.Status().Shards[0].DirtyLeads <= 1000 })
	if n := len(r.log.Records(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicState)})); n < 1000 {
		t.Errorf("%d leads were written", n)
	}
	p.stop(t)
}
