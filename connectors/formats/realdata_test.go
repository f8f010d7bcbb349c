package formats

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/state/lead"
)

var errUnreadable = errors.New("jane@example.com can't be read")

// dataDir finds the shared data sets, which are not part of the project.
func dataDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("LEADSTREAM_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the real data sets are not here (LEADSTREAM_DATA or %s): %v", dir, err)
	}
	return dir
}

// specEvents returns the third-party events in the Segment spec.
func specEvents(t testing.TB) []json.RawMessage {
	t.Helper()
	f, err := os.Open(filepath.Join(dataDir(t), "segment_spec", "rudder_transformer_events.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var events []json.RawMessage
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var line struct{ Event json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		events = append(events, line.Event)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return events
}

// expected says in the plainest way what should become of a message.
func expected(t *testing.T, doc []byte) (reason, id string, at int64) {
	t.Helper()
	m := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	for camel, snake := range map[string]string{"userId": "user_id", "anonymousId": "anonymous_id", "messageId": "message_id"} {
		if m[camel] == nil || m[camel] == "" {
			m[camel] = m[snake]
		}
	}
	typ, _ := m["type"].(string)
	typ = strings.ToLower(typ)
	if !strings.Contains(" track identify page screen group alias ", " "+typ+" ") || typ == "" {
		return ReasonUnknownType, "", 0
	}
	ids := []string{"userId", "anonymousId", "messageId"}
	switch typ {
	case "group":
		ids = append(ids, "groupId")
	case "alias":
		ids = append(ids, "previousId")
	}
	got := map[string]string{}
	for _, name := range ids {
		switch v := m[name].(type) {
		case nil:
		case string:
			got[name] = v
		case json.Number:
			if strings.ContainsAny(v.String(), ".eE") {
				return ReasonBadID, "", 0
			}
			got[name] = v.String()
		default:
			return ReasonBadID, "", 0
		}
	}
	id = got["userId"]
	if id == "" {
		id = got["anonymousId"]
	}
	if typ == "alias" {
		id = got["previousId"]
	}
	if id == "" {
		return ReasonNoID, "", 0
	}
	return "", id, expectedTime(m)
}

func expectedTime(m map[string]any) int64 {
	read := func(name string) (time.Time, bool) {
		if n, ok := m[name].(json.Number); ok {
			ms, err := n.Int64()
			return time.UnixMilli(ms), err == nil
		}
		text, _ := m[name].(string)
		for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02T15:04:05", time.DateOnly, "2006-01-02 15:04:05Z07:00"} {
			if at, err := time.Parse(layout, strings.ToUpper(text)); err == nil {
				return at, true
			}
		}
		return time.Time{}, false
	}
	if v := m["timestamp"]; v != nil && v != "" {
		if at, ok := read("timestamp"); ok && at.UnixMilli() <= stamp+300_000 {
			return at.UnixMilli()
		}
		return stamp
	}
	original, a := read("originalTimestamp")
	sent, b := read("sentAt")
	received, c := read("receivedAt")
	if !a || !b || !c {
		return stamp
	}
	at := received.UnixMilli() - (sent.UnixMilli() - original.UnixMilli())
	if at > stamp+300_000 {
		return stamp
	}
	return at
}

func TestRealMessages(t *testing.T) {
	types := map[lead.Type]int{}
	reasons := map[string]int{}
	d := decoderOf(t, Config{})
	events := specEvents(t)
	for _, doc := range events {
		reason, id, at := expected(t, doc)
		var ev lead.Event
		err := d.Decode(&engine.Record{Timestamp: stamp, Value: doc}, wall, &ev)
		if reason != "" {
			if err == nil {
				t.Fatalf("%s: read, want a dead letter %s", doc, reason)
			}
			checkLetter(t, err, reason)
			reasons[reason]++
			continue
		}
		if err != nil || string(ev.RoutingID) != id || ev.Time != at {
			t.Fatalf("%s:\n got id %q time %d, %v\nwant id %q time %d", doc, ev.RoutingID, ev.Time, err, id, at)
		}
		types[ev.Type]++
	}
	t.Logf("%d events: %v, dead letters %v", len(events), types, reasons)
	if len(events) < 2500 || types[lead.Track] < 1000 || types[lead.Identify] < 500 || types[lead.Page] < 100 || reasons[ReasonNoID] < 100 {
		t.Error("that is not the data set this test was written for")
	}
}

func TestRealCaptures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(dataDir(t), "captures", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var capture struct {
			Body struct{ Batch []json.RawMessage }
		}
		if err := json.Unmarshal(text, &capture); err != nil {
			t.Fatal(err)
		}
		var counters Counters
		d := decoderOf(t, Config{Counters: &counters})
		for _, doc := range capture.Body.Batch {
			var ev lead.Event
			if err := d.Decode(&engine.Record{Timestamp: stamp, Value: doc}, wall, &ev); err != nil {
				t.Fatalf("%s: %v", filepath.Base(file), err)
			}
			if id := string(ev.RoutingID); id != "lead-42" && id != "anon-1" && id != "anon-2" {
				t.Errorf("%s: routed by %q", filepath.Base(file), id)
			}
			if ev.MessageHash == 0 {
				t.Errorf("%s: no message id", filepath.Base(file))
			}
			n++
		}
		if counters.NoTimes.Load() != 0 {
			t.Errorf("%s: %d events without a readable time", filepath.Base(file), counters.NoTimes.Load())
		}
	}
	if n < 15 {
		t.Errorf("only %d captured events", n)
	}
}
