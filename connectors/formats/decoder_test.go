package formats

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/state/lead"
)

const (
	stamp = int64(1_795_287_600_000) // 2026-11-21T19:00:00Z
	wall  = stamp + 1000
)

func decoderOf(t testing.TB, c Config) engine.Decoder {
	t.Helper()
	newDecoder, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return newDecoder()
}

// checkLetter wants a dead letter with the reason and returns its text.
func checkLetter(t *testing.T, err error, reason string) string {
	t.Helper()
	var l *engine.DeadLetter
	if !errors.As(err, &l) {
		t.Fatalf("got %v, want a dead letter %s", err, reason)
	}
	if l.Reason != reason {
		t.Fatalf("got %v, want %s", err, reason)
	}
	return l.Error()
}

func TestDecodeMessage(t *testing.T) {
	var ev lead.Event
	r := engine.Record{Timestamp: stamp, Value: []byte(` {"type":"page","messageId":"m1","userId":"u1","anonymousId":17,` +
		`"timestamp":"2026-11-21T18:59:59.5Z","name":"Pricing","category":"Marketing","channel":"web","groupId":"g1","previousId":"p",` +
		`"properties":{"path":"/pricing"},"context":{"ip":"203.0.113.9"},"traits":{"a":1}} `)}
	if err := decoderOf(t, Config{}).Decode(&r, wall, &ev); err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct{ name, got, want string }{
		{"type", ev.Type.String(), "page"}, {"name", ev.Name, "Pricing"}, {"routing id", string(ev.RoutingID), "u1"},
		{"user id", string(ev.UserID), "u1"}, {"anonymous id", string(ev.AnonymousID), "17"}, {"message id", string(ev.MessageID), "m1"},
		{"category", string(ev.Category), "Marketing"}, {"channel", string(ev.Channel), "web"},
		{"properties", string(ev.Properties), `{"path":"/pricing"}`}, {"context", string(ev.Context), `{"ip":"203.0.113.9"}`},
		{"traits", string(ev.Traits), `{"a":1}`}, {"group id of a page", string(ev.GroupID), ""}, {"previous id of a page", string(ev.PreviousID), ""},
	} {
		if f.got != f.want {
			t.Errorf("%s is %q, want %q", f.name, f.got, f.want)
		}
	}
	if ev.Time != stamp-500 || ev.MessageHash != lead.HashString("m1") {
		t.Errorf("time %d, hash %d", ev.Time, ev.MessageHash)
	}
}

func TestRoutingID(t *testing.T) {
	for _, test := range []struct{ name, doc, want, reason string }{
		{"user", `{"type":"track","userId":"u","anonymousId":"a"}`, "u", ""},
		{"anonymous", `{"type":"track","anonymousId":"a"}`, "a", ""},
		{"empty user", `{"type":"track","userId":"","anonymousId":"a"}`, "a", ""},
		{"null user", `{"type":"track","userId":null,"anonymousId":"a"}`, "a", ""},
		{"integer", `{"type":"track","userId":12345678901234567890}`, "12345678901234567890", ""},
		{"negative integer", `{"type":"track","userId":-1}`, "-1", ""},
		{"zero", `{"type":"track","userId":0}`, "0", ""},
		{"negative zero", `{"type":"track","userId":-0}`, "0", ""},
		{"escaped", `{"type":"track","userId":"a\u0062\n"}`, "ab\n", ""},
		{"invalid utf-8", "{\"type\":\"track\",\"userId\":\"a\xff\"}", "a\ufffd", ""},
		{"snake case", `{"type":"track","user_id":"u"}`, "u", ""},
		{"camel case first", `{"type":"track","user_id":"x","userId":"u"}`, "u", ""},
		{"snake case where camel case is null", `{"type":"track","user_id":"x","userId":null}`, "x", ""},
		{"last of two", `{"type":"track","userId":"old","userId":"u"}`, "u", ""},
		{"escaped name", `{"type":"track","user\u0049d":"u"}`, "u", ""},
		{"alias", `{"type":"alias","previousId":"p","userId":"u"}`, "p", ""},
		{"alias without target", `{"type":"alias","previousId":"p"}`, "p", ""},
		{"alias without previous id", `{"type":"alias","userId":"u"}`, "", ReasonNoID},
		{"none", `{"type":"track"}`, "", ReasonNoID},
		{"inner id", `{"type":"track","properties":{"userId":"u"}}`, "", ReasonNoID},
		{"both empty", `{"type":"track","userId":"","anonymousId":null}`, "", ReasonNoID},
		{"fraction", `{"type":"track","userId":1.5}`, "", ReasonBadID},
		{"whole fraction", `{"type":"track","userId":1.0}`, "", ReasonBadID},
		{"exponent", `{"type":"track","userId":1e3}`, "", ReasonBadID},
		{"boolean", `{"type":"track","userId":false}`, "", ReasonBadID},
		{"list", `{"type":"track","userId":["u"]}`, "", ReasonBadID},
		{"object", `{"type":"track","userId":{"id":"u"}}`, "", ReasonBadID},
		{"bad anonymous beside good user", `{"type":"track","userId":"u","anonymousId":true}`, "", ReasonBadID},
		{"bad message id", `{"type":"track","userId":"u","messageId":{}}`, "", ReasonBadID},
		{"bad group", `{"type":"group","userId":"u","groupId":[]}`, "", ReasonBadID},
		{"bad group of a track", `{"type":"track","userId":"u","groupId":[]}`, "u", ""},
		{"longest", `{"type":"track","userId":"` + strings.Repeat("x", MaxIDBytes) + `"}`, strings.Repeat("x", MaxIDBytes), ""},
		{"too long", `{"type":"track","userId":"` + strings.Repeat("x", MaxIDBytes+1) + `"}`, "", ReasonBadID},
		{"too long number", `{"type":"track","userId":` + strings.Repeat("1", MaxIDBytes+1) + `}`, "", ReasonBadID},
	} {
		t.Run(test.name, func(t *testing.T) {
			var ev lead.Event
			err := decoderOf(t, Config{}).Decode(&engine.Record{Value: []byte(test.doc)}, wall, &ev)
			if test.reason != "" {
				checkLetter(t, err, test.reason)
				return
			}
			if err != nil || string(ev.RoutingID) != test.want {
				t.Fatalf("got %q, %v; want %q", ev.RoutingID, err, test.want)
			}
		})
	}
}

func TestTypesAndNames(t *testing.T) {
	for _, test := range []struct {
		doc  string
		typ  lead.Type
		name string
	}{
		{`{"type":"track","event":"E","name":"N","userId":"u"}`, lead.Track, "E"},
		{`{"type":"TRACK","event":"E","userId":"u"}`, lead.Track, "E"},
		{`{"type":"Page","event":"E","name":"N","userId":"u"}`, lead.Page, "N"},
		{`{"type":"screen","name":"N","userId":"u"}`, lead.Screen, "N"},
		{`{"type":"identify","event":"E","name":"N","userId":"u"}`, lead.Identify, ""},
		{`{"type":"group","name":"N","userId":"u"}`, lead.Group, ""},
		{`{"action":"track","event":"Email Opened","userId":"u"}`, lead.Track, "Email Opened"},
		{`{"type":null,"action":"Track","event":"E","userId":"u"}`, lead.Track, "E"},
		{`{"type":"page","action":"track","event":"E","userId":"u"}`, lead.Page, ""},
		{`{"type":"track","event":7,"userId":"u"}`, lead.Track, ""},
		{`{"type":"track","userId":"u"}`, lead.Track, ""},
		{`{"type":"trac\u212a","userId":"u"}`, 0, ""}, // the Kelvin sign is no k
		{`{"type":"click","userId":"u"}`, 0, ""},
		{`{"type":"","userId":"u"}`, 0, ""},
		{`{"type":1,"userId":"u"}`, 0, ""},
		{`{"event":"E","userId":"u"}`, 0, ""},
	} {
		var ev lead.Event
		err := decoderOf(t, Config{}).Decode(&engine.Record{Value: []byte(test.doc)}, wall, &ev)
		if test.typ == 0 {
			checkLetter(t, err, ReasonUnknownType)
			continue
		}
		if err != nil || ev.Type != test.typ || ev.Name != test.name {
			t.Errorf("%s: %v %q %v", test.doc, ev.Type, ev.Name, err)
		}
	}
}

func TestBadRecords(t *testing.T) {
	secret := "jane@example.com"
	for _, test := range []struct {
		name   string
		value  []byte
		reason string
	}{
		{"tombstone", nil, ReasonEmpty},
		{"empty", []byte{}, ReasonEmpty},
		{"spaces", []byte("  "), ReasonNotJSON},
		{"broken", []byte(`{"type":"track","userId":"` + secret), ReasonNotJSON},
		{"NaN", []byte(`{"type":"track","userId":"` + secret + `","properties":{"v":NaN}}`), ReasonNotJSON},
		{"infinity", []byte(`{"type":"track","userId":"` + secret + `","properties":{"v":-Infinity}}`), ReasonNotJSON},
		{"two documents", []byte(`{"type":"track","userId":"u"}{}`), ReasonNotJSON},
		{"a list", []byte(`[{"type":"track","userId":"` + secret + `"}]`), ReasonNotObject},
		{"a string", []byte(`"` + secret + `"`), ReasonNotObject},
		{"binary", []byte{0, 1, 2, 0xff}, ReasonNotJSON},
		{"deep", []byte(`{"type":"track","userId":"u","properties":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}`), ReasonTooDeep},
		{"too large", append([]byte(`{"type":"track","userId":"u"`), append(bytes.Repeat([]byte{' '}, DefaultMaxBytes), '}')...), ReasonTooLarge},
		{"unknown type", []byte(`{"type":"` + secret + `","userId":"u"}`), ReasonUnknownType},
		{"a batch", []byte(`{"batch":[{"type":"track","userId":"u"}]}`), ReasonUnknownType},
	} {
		t.Run(test.name, func(t *testing.T) {
			ev := lead.Event{Name: "of the event before"}
			text := checkLetter(t, decoderOf(t, Config{}).Decode(&engine.Record{Value: test.value}, wall, &ev), test.reason)
			if strings.Contains(text, secret) {
				t.Errorf("%q shows content", text)
			}
			if ev.Name != "" || ev.RoutingID != nil {
				t.Errorf("something is left in the event: %+v", ev)
			}
		})
	}
}

func TestOddButGoodRecords(t *testing.T) {
	for _, test := range []struct{ name, doc string }{
		{"1 MB property", `{"type":"track","userId":"u","properties":{"x":"` + strings.Repeat("y", 1_000_000) + `"}}`},
		{"properties are text", `{"type":"track","userId":"u","properties":"x"}`},
		{"properties are null", `{"type":"track","userId":"u","properties":null}`},
		{"context is a list", `{"type":"track","userId":"u","context":[1]}`},
		{"infinite number", `{"type":"track","userId":"u","properties":{"v":1e999}}`},
		{"deep, at the limit", `{"type":"track","userId":"u","x":` + strings.Repeat("[", 127) + strings.Repeat("]", 127) + `}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			var ev lead.Event
			if err := decoderOf(t, Config{}).Decode(&engine.Record{Value: []byte(test.doc), Timestamp: stamp}, wall, &ev); err != nil {
				t.Fatal(err)
			}
			if string(ev.RoutingID) != "u" || ev.Context != nil || ev.Time != stamp {
				t.Errorf("%+v", ev)
			}
		})
	}
}

func TestEventTime(t *testing.T) {
	ago := func(d time.Duration) int64 { return stamp - d.Milliseconds() }
	const skewed = `"originalTimestamp":"2026-11-21T10:00:00Z","sentAt":"2026-11-21T10:00:07.250Z","receivedAt":"2026-11-21T18:50:00Z"`
	for _, test := range []struct {
		name, members   string
		stamp, wall     int64
		want            int64
		future, missing uint64
	}{
		{"ISO", `"timestamp":"2026-11-21T18:00:00.123456Z"`, stamp, wall, ago(time.Hour) + 123, 0, 0},
		{"number", `"timestamp":1795284000123.9`, stamp, wall, ago(time.Hour) + 123, 0, 0},
		{"1970", `"timestamp":"1970-01-01T00:00:00Z"`, stamp, wall, 0, 0, 0},
		{"1970 as number", `"timestamp":0`, stamp, wall, 0, 0, 0},
		{"before 1970", `"timestamp":"0001-01-01T00:00:00Z"`, stamp, wall, stamp, 0, 1},
		{"negative", `"timestamp":-1`, stamp, wall, stamp, 0, 1},
		{"2099", `"timestamp":"2099-01-01T00:00:00Z"`, stamp, wall, stamp, 1, 0},
		{"absurd", `"timestamp":1e300`, stamp, wall, stamp, 0, 1},
		{"infinite", `"timestamp":1e999`, stamp, wall, stamp, 0, 1},
		{"future at the limit", `"timestamp":"2026-11-21T19:05:00.000Z"`, stamp, wall, stamp + 300_000, 0, 0},
		{"future past the limit", `"timestamp":"2026-11-21T19:05:00.001Z"`, stamp, wall, stamp, 1, 0},
		{"stamp ahead of the wall", `"timestamp":"2026-11-21T19:00:00Z"`, stamp + 3_600_000, wall, stamp, 0, 0},
		{"no time, stamp ahead of the wall", `"x":1`, stamp + 3_600_000, wall, wall, 0, 1},
		{"no time, no stamp", `"x":1`, -1, wall, wall, 0, 1},
		{"no time", `"x":1`, stamp, wall, stamp, 0, 1},
		{"unreadable", `"timestamp":"yesterday",` + skewed, stamp, wall, stamp, 0, 1},
		{"wrong type", `"timestamp":{},` + skewed, stamp, wall, stamp, 0, 1},
		{"skew", skewed, stamp, wall, ago(10*time.Minute) - 7250, 0, 0},
		{"skew beside null", `"timestamp":null,` + skewed, stamp, wall, ago(10*time.Minute) - 7250, 0, 0},
		{"timestamp wins over skew", `"timestamp":"2026-11-21T18:00:00Z",` + skewed, stamp, wall, ago(time.Hour), 0, 0},
		{"original alone", `"originalTimestamp":"2026-11-21T10:00:00Z"`, stamp, wall, stamp, 0, 1},
		{"original and sent", `"originalTimestamp":"2026-11-21T10:00:00Z","sentAt":"2026-11-21T10:00:00Z"`, stamp, wall, stamp, 0, 1},
		{"skew with snake case", `"original_timestamp":"2026-11-21T18:00:00Z","sent_at":"2026-11-21T18:00:00Z","received_at":"2026-11-21T18:00:01Z"`,
			stamp, wall, ago(time.Hour) + 1000, 0, 0},
		{"skew to before 1970", `"originalTimestamp":"1970-01-01","sentAt":"2026-11-21","receivedAt":"1980-01-01"`, stamp, wall, stamp, 0, 1},
		{"skew into the future", `"originalTimestamp":"2099-01-01","sentAt":"2026-11-21","receivedAt":"2026-11-21"`, stamp, wall, stamp, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var counters Counters
			d := decoderOf(t, Config{Counters: &counters})
			var ev lead.Event
			r := engine.Record{Timestamp: test.stamp, Value: []byte(`{"type":"track","userId":"u",` + test.members + `}`)}
			if err := d.Decode(&r, test.wall, &ev); err != nil {
				t.Fatal(err)
			}
			if ev.Time != test.want {
				t.Errorf("time is %d, want %d", ev.Time, test.want)
			}
			if f, m := counters.FutureTimes.Load(), counters.NoTimes.Load(); f != test.future || m != test.missing {
				t.Errorf("counted %d in the future and %d without, want %d and %d", f, m, test.future, test.missing)
			}
		})
	}
}

func TestNamesAreBounded(t *testing.T) {
	d := decoderOf(t, Config{MaxNames: 2}).(*decoder)
	for _, name := range []string{"a", "b", "c", "a", "c"} {
		if got := d.intern([]byte(name)); got != name {
			t.Errorf("%q became %q", name, got)
		}
	}
	if len(d.names) != 2 {
		t.Errorf("%d names are remembered", len(d.names))
	}
}

func TestConfigFaults(t *testing.T) {
	_, err := New(Config{MaxBytes: -1, MaxNames: -1, Mapping: &Mapping{Type: "const:click", Event: "a..b", TimestampUnit: "h", Traits: "ce:x"}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"max_bytes", "max_names", "mapping type", "mapping event", "timestamp_unit", "neither user_id", "mapping traits"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}
