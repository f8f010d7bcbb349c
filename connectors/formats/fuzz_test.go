package formats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"leadstream/engine"
	"leadstream/state/lead"
)

// No record may do worse than become a dead letter with a known reason, the same each time; and what
// becomes an event must be one.
func FuzzDecode(f *testing.F) {
	for _, doc := range []string{
		`{"type":"track","userId":"u","event":"E","timestamp":"2026-11-21T18:00:00Z","messageId":"m","properties":{"a":[1,{"b":null}]}}`,
		`{"type":"alias","previousId":"p","userId":7}`, `{"action":"Page","anonymous_id":"a","name":"\ud83d"}`,
		`{"type":"group","userId":"u","groupId":-0,"traits":{}}`, `{"specversion":"1.0","id":"i","data":{"type":"track","userId":"u"}}`,
		`{"type":"track","userId":"u","originalTimestamp":1,"sentAt":2,"receivedAt":3}`, "", "{", `[[[[`, "{\"type\":\"track\",\"userId\":\"\xff\"}",
	} {
		f.Add([]byte(doc), stamp, wall)
	}
	configs := []Config{
		{}, {CloudEvents: true},
		{Mapping: &Mapping{Type: "type", UserID: "userId", AnonymousID: "properties.id", Timestamp: "timestamp", Event: "properties.a", Properties: ".", Traits: "traits"}},
	}
	f.Fuzz(func(t *testing.T, value []byte, recordTime, clock int64) {
		if clock < 0 || clock > 1<<52 {
			return
		}
		for _, c := range configs {
			decoder := decoderOf(t, c)
			var first, second lead.Event
			r := engine.Record{Timestamp: recordTime, Value: bytes.Clone(value)}
			err := decoder.Decode(&r, clock, &first)
			again := decoder.Decode(&r, clock, &second)
			if !bytes.Equal(r.Value, value) {
				t.Fatal("the record was changed")
			}
			if err != nil {
				var l *engine.DeadLetter
				if !errors.As(err, &l) || !slices.Contains(Reasons(), l.Reason) || again == nil || again.Error() != err.Error() {
					t.Fatalf("%v, then %v", err, again)
				}
				continue
			}
			if again != nil || first.Time != second.Time || first.MessageHash != second.MessageHash {
				t.Fatalf("decoded twice: %+v, %+v", first, second)
			}
			checkEvent(t, &first, clock)
			// A record's memory is written to when it was applied: the decoder may need nothing of it for the next.
			said := fmt.Sprintf("%+v", first)
			for i := range r.Value {
				r.Value[i] = 0xDB
			}
			r.Value = bytes.Clone(value)
			if err := decoder.Decode(&r, clock, &second); err != nil || fmt.Sprintf("%+v", second) != said {
				t.Fatalf("decoded after the record before was overwritten: %+v, %v, before %s", second, err, said)
			}
		}
	})
}

func checkEvent(t *testing.T, ev *lead.Event, clock int64) {
	t.Helper()
	if ev.Type.String() == "" || len(ev.RoutingID) == 0 || len(ev.RoutingID) > MaxIDBytes {
		t.Fatalf("no event: %+v", ev)
	}
	if ev.Time < 0 || ev.Time > clock+DefaultMaxFuture.Milliseconds() {
		t.Fatalf("time %d at %d", ev.Time, clock)
	}
	if (ev.MessageHash == 0) != (len(ev.MessageID) == 0) {
		t.Fatalf("message %q has hash %d", ev.MessageID, ev.MessageHash)
	}
	for _, o := range []lead.Object{ev.Properties, ev.Context, ev.Traits} {
		if o != nil && (o[0] != '{' || !json.Valid(o)) {
			t.Fatalf("%q is no object", o)
		}
	}
}

// typical is an event of the kind that the benchmarks of the whole engine use: 207 bytes.
var typical = []byte(`{"type":"track","messageId":"m-00000000000001a2b3","timestamp":"2026-11-21T18:53:41.770Z","userId":"lead-0000421337",` +
	`"event":"Pricing Viewed","properties":{"url":"/pricing/team","ms":12345,"plan":"team-12"}}`)

func BenchmarkDecode(b *testing.B) {
	if len(typical) != 207 {
		b.Fatalf("%d bytes", len(typical))
	}
	d := decoderOf(b, Config{})
	r := engine.Record{Timestamp: stamp, Value: typical}
	var ev lead.Event
	b.SetBytes(int64(len(typical)))
	b.ReportAllocs()
	for b.Loop() {
		if d.Decode(&r, wall, &ev) != nil {
			b.Fatal("not read")
		}
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	d := decoderOf(t, Config{})
	r := engine.Record{Timestamp: stamp, Value: typical}
	var ev lead.Event
	if n := testing.AllocsPerRun(100, func() {
		if d.Decode(&r, wall, &ev) != nil {
			t.Fatal("not read")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
