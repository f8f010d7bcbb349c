package engine_test

import (
	"slices"
	"testing"

	"leadstream/engine"
)

// TestDeadLetterOwnsItsMemory: a dead letter is written when its record's memory is somebody else's again.
func TestDeadLetterOwnsItsMemory(t *testing.T) {
	r := newRig(t, 1)
	p := r.start("a", t.TempDir(), nil)
	r.log.AppendRecord(engine.TopicPartition{Topic: "web"}, engine.Record{Key: []byte("key"), Value: []byte("no event"), Timestamp: r.clock(),
		Headers: []engine.Header{{Key: "trace", Value: []byte("4711")}}})
	dead := func() []engine.Record { return r.log.Output(engine.TopicDeadletter) }
	eventually(t, "the dead letter", func() bool { return len(dead()) == 1 })
	p.stop(t)
	d := dead()[0]
	if string(d.Key) != "key" || string(d.Value) != "no event" || !slices.ContainsFunc(d.Headers, func(h engine.Header) bool {
		return h.Key == "trace" && string(h.Value) == "4711"
	}) {
		t.Errorf("it is %q: %q with %q", d.Key, d.Value, d.Headers)
	}
}
