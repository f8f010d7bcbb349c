package engine_test

import (
	"fmt"
	"strings"
	"testing"

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
