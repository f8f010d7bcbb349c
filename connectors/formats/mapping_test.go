package formats

import (
	"encoding/base64"
	"strings"
	"testing"

	"leadstream/engine"
	"leadstream/state/lead"
)

func TestMapping(t *testing.T) {
	c := Config{Mapping: &Mapping{
		Type: "kind", UserID: "customer.id", AnonymousID: "customer.cookie", MessageID: "id", Timestamp: "at", TimestampUnit: "s",
		Event: "what.name", Channel: "const:app", Properties: ".", Context: "env", Traits: "customer.pro\\.file", Category: "nothing.here",
	}}
	const doc = ` {"kind":"Track","id":7,"at":1795284000.123,"customer":{"id":"c1","cookie":null,"pro.file":{"size":3}},"what":{"name":"Paid"},"env":{"ip":"x"}}`
	var ev lead.Event
	if err := decoderOf(t, c).Decode(&engine.Record{Timestamp: stamp, Value: []byte(doc + "\n")}, wall, &ev); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct{ name, got, want string }{
		{"type", ev.Type.String(), "track"}, {"name", ev.Name, "Paid"}, {"routing id", string(ev.RoutingID), "c1"}, {"message", string(ev.MessageID), "7"},
		{"channel", string(ev.Channel), "app"}, {"context", string(ev.Context), `{"ip":"x"}`}, {"traits", string(ev.Traits), `{"size":3}`},
		{"category", string(ev.Category), ""}, {"properties", string(ev.Properties), strings.TrimSpace(doc)},
	} {
		if f.got != f.want {
			t.Errorf("%s is %q, want %q", f.name, f.got, f.want)
		}
	}
	if want := stamp - 3_600_000 + 123; ev.Time != want {
		t.Errorf("time is %d, want %d", ev.Time, want)
	}
	var again lead.Event
	if err := decoderOf(t, c).Decode(&engine.Record{Timestamp: stamp, Value: []byte(`{"kind":"page","customer":{"id":"c2"}}`)}, wall, &again); err != nil {
		t.Fatal(err)
	}
	if again.Time != stamp || again.MessageID != nil || again.Traits != nil {
		t.Errorf("fields that are not there: %+v", again)
	}
}

func TestMappingDeadLetters(t *testing.T) {
	c := Config{Mapping: &Mapping{Type: "const:track", UserID: "a.b", Event: "const:x"}}
	for doc, reason := range map[string]string{
		`{"a":{"b":[1]}}`: ReasonBadID,
		`{"a":"b"}`:       ReasonNoID,
		`{}`:              ReasonNoID,
		`[]`:              ReasonNotObject,
		`{"a":{"b":1}`:    ReasonNotJSON,
	} {
		var ev lead.Event
		checkLetter(t, decoderOf(t, c).Decode(&engine.Record{Value: []byte(doc)}, wall, &ev), reason)
	}
}

func TestTimestampUnits(t *testing.T) {
	for unit, text := range map[string]string{"s": "1795284000.123", "": "1795284000123", "ms": "1795284000123.9", "us": "1795284000123456", "ns": "1795284000123456789"} {
		c := Config{Mapping: &Mapping{Type: "const:track", UserID: "u", Timestamp: "t", TimestampUnit: unit}}
		var ev lead.Event
		if err := decoderOf(t, c).Decode(&engine.Record{Timestamp: stamp, Value: []byte(`{"u":1,"t":` + text + `}`)}, wall, &ev); err != nil {
			t.Fatal(err)
		}
		if ev.Time != 1795284000123 {
			t.Errorf("%s %q: %d", text, unit, ev.Time)
		}
	}
}

func TestCloudEvents(t *testing.T) {
	const message = `{"type":"track","event":"E","userId":"u"}`
	binary := []engine.Header{{Key: "content-type", Value: []byte("application/json")}, {Key: "ce_specversion", Value: []byte("1.0")},
		{Key: "ce_id", Value: []byte("i1")}, {Key: "CE_source", Value: []byte("/shop")}, {Key: "ce_time", Value: []byte("2026-11-21T18:00:00Z")}}
	structured := []engine.Header{{Key: "Content-Type", Value: []byte("application/cloudevents+json; charset=UTF-8")}}
	envelope := func(members string) string {
		return `{"specversion":"1.0","id":"i1","source":"/shop","type":"t","time":"2026-11-21T18:00:00Z"` + members + `}`
	}
	const hour = 3_600_000
	for _, test := range []struct {
		name, value string
		headers     []engine.Header
		message     string
		time        int64
		reason      string
	}{
		{"structured", envelope(`,"data":` + message), structured, "/shop/i1", stamp - hour, ""},
		{"structured without header", envelope(`,"data":` + message), nil, "/shop/i1", stamp - hour, ""},
		{"base64", envelope(`,"data_base64":"` + base64.StdEncoding.EncodeToString([]byte(message)) + `"`), structured, "/shop/i1", stamp - hour, ""},
		{"binary", message, binary, "/shop/i1", stamp - hour, ""},
		{"own id and time", `{"type":"track","userId":"u","event":"E","messageId":"m","timestamp":"2026-11-21T17:00:00Z"}`, binary, "m", stamp - 2*hour, ""},
		{"no attributes", `{"specversion":"1.0","data":` + message + `}`, nil, "", stamp, ""},
		{"no data", envelope(""), structured, "", 0, ReasonBadEnvelope},
		{"data is text", envelope(`,"data":"x"`), structured, "", 0, ReasonBadEnvelope},
		{"bad base64", envelope(`,"data_base64":"%"`), structured, "", 0, ReasonBadEnvelope},
		{"no envelope", message, nil, "", 0, ReasonBadEnvelope},
		{"broken envelope", `{"specversion":`, nil, "", 0, ReasonNotJSON},
		{"broken data in base64", envelope(`,"data_base64":"e30x"`), nil, "", 0, ReasonNotJSON},
		{"batch", "[]", []engine.Header{{Key: "content-type", Value: []byte("application/cloudevents-batch+json")}}, "", 0, ReasonBadEnvelope},
		{"binary text", "x", []engine.Header{{Key: "content-type", Value: []byte("text/plain")}, {Key: "ce_specversion", Value: []byte("1.0")}}, "", 0, ReasonBadEnvelope},
	} {
		t.Run(test.name, func(t *testing.T) {
			var ev lead.Event
			r := engine.Record{Timestamp: stamp, Value: []byte(test.value), Headers: test.headers}
			err := decoderOf(t, Config{CloudEvents: true}).Decode(&r, wall, &ev)
			if test.reason != "" {
				checkLetter(t, err, test.reason)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(ev.MessageID) != test.message || ev.Time != test.time || ev.Name != "E" || string(ev.UserID) != "u" {
				t.Errorf("message %q at %d: %+v", ev.MessageID, ev.Time, ev)
			}
		})
	}
}

func TestCloudEventsMapping(t *testing.T) {
	c := Config{CloudEvents: true, Mapping: &Mapping{Type: "const:track", Event: "ce:type", UserID: "ce:subject", MessageID: "ce:id", Timestamp: "ce:time", Properties: "."}}
	for name, r := range map[string]engine.Record{
		"structured": {Value: []byte(`{"specversion":"1.0","id":"i","source":"s","type":"invoice.paid","subject":"u","time":"2026-11-21T18:00:00Z","data":{"x":1}}`)},
		"binary": {Value: []byte(`{"x":1}`), Headers: []engine.Header{{Key: "ce_specversion", Value: []byte("1.0")}, {Key: "ce_id", Value: []byte("i")},
			{Key: "ce_type", Value: []byte("invoice.paid")}, {Key: "ce_subject", Value: []byte("u")}, {Key: "ce_time", Value: []byte("2026-11-21T18:00:00Z")}}},
	} {
		t.Run(name, func(t *testing.T) {
			r.Timestamp = stamp
			var ev lead.Event
			if err := decoderOf(t, c).Decode(&r, wall, &ev); err != nil {
				t.Fatal(err)
			}
			if ev.Name != "invoice.paid" || string(ev.RoutingID) != "u" || string(ev.MessageID) != "i" || string(ev.Properties) != `{"x":1}` || ev.Time != stamp-3_600_000 {
				t.Errorf("%+v", ev)
			}
		})
	}
}

// reversed is an Encoding that needs no other format's code to be tested with.
type reversed struct{}

func (reversed) JSON(value []byte) ([]byte, error) {
	if value[0] == '!' {
		return nil, errUnreadable
	}
	text := make([]byte, 0, len(value))
	for i := len(value) - 1; i >= 0; i-- {
		text = append(text, value[i])
	}
	return text, nil
}

func TestEncoding(t *testing.T) {
	d := decoderOf(t, Config{NewEncoding: func() Encoding { return reversed{} }})
	text, err := reversed{}.JSON([]byte(`{"type":"track","userId":"u"}`))
	if err != nil {
		t.Fatal(err)
	}
	var ev lead.Event
	if err := d.Decode(&engine.Record{Value: text}, wall, &ev); err != nil || string(ev.UserID) != "u" {
		t.Errorf("%v %+v", err, ev)
	}
	if text := checkLetter(t, d.Decode(&engine.Record{Value: []byte("!jane")}, wall, &ev), ReasonNotReadable); strings.Contains(text, "jane") {
		t.Errorf("%q shows content", text)
	}
}
