package main

import (
	"testing"

	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

// TestMaxFuture reads an event that is 2 s later than its record under rule sets that say how much is too much. 0s is not the
// same as to say nothing.
func TestMaxFuture(t *testing.T) {
	const record = 1_000_000
	for text, want := range map[string]int64{
		"":                       record + 2000,
		"max_future: 1m\n":       record + 2000,
		"max_future: 2s\n":       record + 2000,
		"max_future: 1999ms\n":   record,
		"max_future: 0s\n":       record,
		"max_future: 1s999ms1\n": 0, // a mistake
	} {
		set, err := rules.Parse(rules.File{Name: "rules", Src: []byte(text + "stages: [a]\n")})
		if want == 0 {
			if err == nil {
				t.Errorf("%q was accepted", text)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		sources, err := engineSources([]sourceConfig{{Name: "web", Topic: "web"}})
		if err != nil {
			t.Fatal(err)
		}
		var ev lead.Event
		r := engine.Record{Timestamp: record, Value: []byte(`{"type": "track", "event": "x", "userId": "u", "timestamp": 1002000}`)}
		d := sources[0].NewDecoder()
		d.LimitFuture(set.MaxFuture())
		if err := d.Decode(&r, record+10_000, &ev); err != nil {
			t.Fatal(err)
		}
		if ev.Time != want {
			t.Errorf("%q: the event is at %d, want %d", text, ev.Time, want)
		}
	}
}
