package workload

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

func generate(t *testing.T, c Config) []Event {
	t.Helper()
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	var all []Event
	for {
		e, ok := g.Next()
		if !ok {
			return all
		}
		all = append(all, e)
	}
}

type segment struct {
	Type, MessageID, UserID, AnonymousID, Event string
	Timestamp                                   time.Time
	Traits                                      struct {
		Email     string
		Employees float64
	}
	Properties map[string]any
}

func TestPeopleBehave(t *testing.T) {
	const month = 30 * 24 * time.Hour
	events := generate(t, Config{Seed: 1, Leads: 400, Start: start, Duration: month})
	seen := map[string]int{}
	ids := map[string]bool{}
	known := map[string]string{} // user id to anonymous id
	last := start
	for _, e := range events {
		var m segment
		if err := json.Unmarshal(e.Value, &m); err != nil {
			t.Fatalf("%s: %v", e.Value, err)
		}
		if e.Time < last || e.Time >= start+month.Milliseconds() || m.Timestamp.UnixMilli() != e.Time {
			t.Fatalf("%s arrives at %d, after %d", e.Value, e.Time, last)
		}
		last = e.Time
		if ids[m.MessageID] {
			t.Fatalf("message id %s is used twice", m.MessageID)
		}
		ids[m.MessageID] = true
		key := m.UserID
		if key == "" {
			key = m.AnonymousID
		}
		if key != string(e.Key) {
			t.Fatalf("%s has the key %q", e.Value, e.Key)
		}
		if m.UserID != "" {
			if before, ok := known[m.UserID]; ok && before != m.AnonymousID {
				t.Fatalf("%s has two browsers", m.UserID)
			}
			known[m.UserID] = m.AnonymousID
		}
		if m.Type == "identify" && !strings.HasSuffix(m.Traits.Email, ".example") {
			t.Fatalf("%q may belong to somebody", m.Traits.Email)
		}
		seen[m.Type]++
		seen[m.Event]++
	}
	for _, what := range []string{
		"page", "identify", "Email Delivered", "Email Opened", "Email Link Clicked", "Email Verified", "Content Downloaded",
		"Webinar Registered", "Webinar Attended", "Demo Requested", "Sales Accepted", "Sales Rejected", "Unsubscribed",
	} {
		if seen[what] == 0 {
			t.Errorf("nobody made a %q", what)
		}
	}
	if n := len(known); n < 100 || n > 300 {
		t.Errorf("%d of 400 people are known", n)
	}
}

func TestTheSeedDecides(t *testing.T) {
	digest := func(c Config) string {
		h := sha256.New()
		for _, e := range generate(t, c) {
			h.Write(e.Key)
			h.Write(e.Value)
		}
		return hex.EncodeToString(h.Sum(nil)[:8])
	}
	c := Config{Seed: 1, Leads: 50, Start: start, Duration: 10 * 24 * time.Hour, Late: 0.05, Duplicates: 0.05}
	one := digest(c)
	if again := digest(c); again != one {
		t.Errorf("the same seed gave %s and %s", one, again)
	}
	c.Seed = 2
	if other := digest(c); other == one {
		t.Error("another seed gave the same events")
	}
}

func TestLateAndDuplicates(t *testing.T) {
	events := generate(t, Config{Seed: 3, Leads: 100, Start: start, Duration: 20 * 24 * time.Hour, Late: 0.2, Duplicates: 0.1})
	late, twice, ids := 0, 0, map[string]bool{}
	for _, e := range events {
		var m segment
		if err := json.Unmarshal(e.Value, &m); err != nil {
			t.Fatal(err)
		}
		if d := e.Time - m.Timestamp.UnixMilli(); d < 0 || d > 6*hour {
			t.Fatalf("an event arrives after %d ms", d)
		} else if d > 0 && !ids[m.MessageID] {
			late++
		}
		if ids[m.MessageID] {
			twice++
		}
		ids[m.MessageID] = true
	}
	if share := float64(late) / float64(len(ids)); share < 0.15 || share > 0.25 {
		t.Errorf("%v are late", share)
	}
	if share := float64(twice) / float64(len(ids)); share < 0.06 || share > 0.14 {
		t.Errorf("%v come twice", share)
	}
}

func TestLoad(t *testing.T) {
	c := LoadConfig{Seed: 1, Events: 50_000, Start: start, Span: time.Hour}
	l, err := NewLoad(c)
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewLoad(c)
	if err != nil {
		t.Fatal(err)
	}
	names, hottest, last := map[string]int{}, 0, int64(0)
	for i := range c.Events {
		key, value, at, ok := l.Next(nil)
		if !ok {
			t.Fatalf("it ends after %d", i)
		}
		_, same, _, _ := again.Next([]byte("x"))
		if !bytes.Equal(value, same[1:]) {
			t.Fatal("the same seed gave other events")
		}
		if len(value) != LoadEventBytes {
			t.Fatalf("%s has %d bytes", value, len(value))
		}
		if i%100 == 0 {
			var m segment
			if err := json.Unmarshal(value, &m); err != nil {
				t.Fatalf("%s: %v", value, err)
			}
			if m.Type != "track" || m.UserID != string(key) || m.Timestamp.UnixMilli() != at || at < last {
				t.Fatalf("%s with key %s at %d", value, key, at)
			}
			names[m.Event]++
			last = at
		}
		if string(key) == "lead-0000000000" {
			hottest++
		}
	}
	if _, _, _, ok := l.Next(nil); ok {
		t.Error("it goes on for ever")
	}
	if len(names) != len(LoadNames) {
		t.Errorf("%d names", len(names))
	}
	if share := float64(hottest) / float64(c.Events); share < 0.12 || share > 0.14 {
		t.Errorf("the hottest lead has %v of all events", share)
	}
}

func TestFaults(t *testing.T) {
	if _, err := New(Config{Late: 2, Duplicates: -1}); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("got %v, want four faults", err)
	}
	if _, err := NewLoad(LoadConfig{Events: -1, Leads: -1, Zipf: 1, Span: -1}); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("got %v, want four faults", err)
	}
}

func BenchmarkLoad(b *testing.B) {
	l, err := NewLoad(LoadConfig{Seed: 1, Events: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, LoadEventBytes)
	b.ReportAllocs()
	for b.Loop() {
		l.Next(buf)
	}
}

func TestLoadSpreads(t *testing.T) {
	count := func(s Spread) map[string]int {
		l, err := NewLoad(LoadConfig{Seed: 1, Events: 20_000, Leads: 1000, Spread: s, Start: start})
		if err != nil {
			t.Fatal(err)
		}
		of := map[string]int{}
		for {
			key, _, _, ok := l.Next(nil)
			if !ok {
				return of
			}
			of[string(key)]++
		}
	}
	if of := count(OneEach); len(of) != 1000 || of["lead-0000000999"] != 20 {
		t.Errorf("one each: %d leads, the last with %d events", len(of), of["lead-0000000999"])
	}
	if of := count(Evenly); len(of) != 1000 || of["lead-0000000000"] > 60 {
		t.Errorf("evenly: %d leads, the first with %d events", len(of), of["lead-0000000000"])
	}
	if of := count(HalfToOne); of[HotLead] != 10_000 || of["lead-0000000000"] < 1000 {
		t.Errorf("half to one: %d events, the next has %d", of[HotLead], of["lead-0000000000"])
	}
}
