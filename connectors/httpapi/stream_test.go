package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"
)

// subscribe opens a stream, waiting for the server to have found its place.
func subscribe(t *testing.T, s *Server, query string) *eventSource {
	t.Helper()
	e := &eventSource{t: t, url: s.URL() + routeStream + query}
	for {
		err := e.open(t.Context())
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "stream-unavailable") {
			t.Fatal(err)
		}
	}
	t.Cleanup(e.close)
	if _, dispatched, ok := e.block(); !ok || dispatched { // retry and the greeting
		t.Fatal("no greeting")
	}
	if _, dispatched, ok := e.block(); !ok || dispatched || e.lastID == "" {
		t.Fatal("no id at the start")
	}
	return e
}

func TestStreamLive(t *testing.T) {
	s, feed := start(t, nil)
	e := subscribe(t, s, "")
	feed.stage(1, "ann", "mql", 1)
	feed.put(1, 0, "bob", `{"type":"handoff","lead":"bob","stage":"sql"}`)
	got := map[string]string{}
	for range 2 {
		m := e.mustNext()
		got[m.kind] = m.data
	}
	if !strings.Contains(got["stage.changed"], "ann") || !strings.Contains(got["handoff"], "bob") {
		t.Fatalf("got %v", got)
	}
}

func TestStreamFilters(t *testing.T) {
	for query, want := range map[string]string{
		"type=handoff&from=earliest":                                  "4",
		"type=handoff,stage.changed&stage=sql&from=earliest":          "24",
		"lead=ann&lead=bob%2Cx&from=earliest":                         "13",
		"stage=mql&type=stage.changed&lead=bob,x&from=earliest":       "3",
		"stage=mql&type=stage.changed&lead=nobody&from=earliest":      "",
		"type=stage.changed&type=handoff&stage=mql,sql&from=earliest": "1234",
	} {
		s, feed := start(t, nil)
		feed.stage(0, "ann", "mql", 1)
		feed.stage(0, "cleo", "sql", 2)
		feed.stage(0, "bob,x", "mql", 3)
		feed.put(0, 0, "cleo", `{"type":"handoff","lead":"cleo","stage":"sql","n":4}`)
		e := subscribe(t, s, "?"+query)
		// What passes every filter comes last in the partition, as the end to wait for.
		kind, id, stage := "handoff", "ann", "sql"
		if strings.Contains(query, "stage=mql") {
			kind, stage = "stage.changed", "mql"
		}
		if strings.Contains(query, "lead=bob") {
			id = "bob,x"
		}
		if strings.Contains(query, "nobody") {
			id = "nobody"
		}
		feed.put(0, 0, id, fmt.Sprintf(`{"type":%q,"lead":%q,"to":%q,"n":9}`, kind, id, stage))
		got := ""
		for {
			n := number(t, e.mustNext())
			if n == 9 {
				break
			}
			got += fmt.Sprint(n)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
}

func number(t *testing.T, m message) int {
	t.Helper()
	var doc struct{ N int }
	if err := json.Unmarshal([]byte(m.data), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.N
}

// TestResume cuts a client off again and again, at any byte, while events come, and expects each event
// of each partition once, in order. The window is so small that it resumes from memory and from the topics.
func TestResume(t *testing.T) {
	const events = 2000
	s, feed := start(t, func(c *Config) { c.WindowEvents = 40 })
	e := subscribe(t, s, "")
	random := rand.New(rand.NewPCG(1, 2))
	go func() {
		for n := range events {
			feed.stage(int32(n%2), "ann", "mql", n)
		}
	}()
	next := [2]int{0, 1}
	for seen := 0; seen < events; {
		for range random.IntN(30) {
			m, ok := e.next()
			if !ok {
				break // Cut for being slow: it resumes like any other.
			}
			n := number(t, m)
			if next[n%2] != n {
				t.Fatalf("event %d after %d", n, next[n%2]-2)
			}
			next[n%2] += 2
			if seen++; seen == events {
				break
			}
		}
		if seen == events {
			break
		}
		e.close()
		if err := e.open(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	feed.stage(0, "ann", "mql", events)
	if n := number(t, e.mustNext()); n != events {
		t.Fatalf("event %d after the last one", n)
	}
}

// TestResumeBeforeFirstEvent: a client that is cut off before its first event misses none.
func TestResumeBeforeFirstEvent(t *testing.T) {
	s, feed := start(t, nil)
	e := subscribe(t, s, "")
	e.close()
	feed.stage(0, "ann", "mql", 1)
	if err := e.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := number(t, e.mustNext()); n != 1 {
		t.Fatalf("event %d", n)
	}
}

// TestResumeAtAnotherServer: the id means the same everywhere, also when markers, which the other
// server's window begins behind, lie between.
func TestResumeAtAnotherServer(t *testing.T) {
	s, feed := start(t, nil)
	e := subscribe(t, s, "")
	feed.stage(0, "ann", "mql", 1)
	e.mustNext()
	e.close()
	other, _ := start(t, func(c *Config) { c.Feed = feed })
	feed.stage(0, "ann", "mql", 2)
	again := &eventSource{t: t, url: other.URL() + routeStream + "?from=" + e.lastID}
	for again.open(t.Context()) != nil {
	}
	defer again.close()
	if n := number(t, again.mustNext()); n != 2 {
		t.Fatalf("event %d", n)
	}
}

func TestHeartbeatMovesTheID(t *testing.T) {
	s, feed := start(t, func(c *Config) { c.Heartbeat = 5 * time.Millisecond })
	e := subscribe(t, s, "?lead=nobody")
	first := e.lastID
	feed.stage(0, "ann", "mql", 1)
	for e.lastID == first {
		if _, dispatched, ok := e.block(); !ok || dispatched {
			t.Fatalf("dispatched %v, open %v", dispatched, ok)
		}
	}
	if e.comments[len(e.comments)-1] != "heartbeat" {
		t.Fatalf("comments %q", e.comments)
	}
}

// TestStreamOutlivesReadTimeout: the bound on reading a request is none on the stream that answers it.
func TestStreamOutlivesReadTimeout(t *testing.T) {
	s, feed := start(t, func(c *Config) { c.readTimeout, c.Heartbeat = 30*time.Millisecond, 10*time.Millisecond })
	e := subscribe(t, s, "")
	for range 10 {
		if _, _, ok := e.block(); !ok {
			t.Fatalf("stream ended: %q", e.comments)
		}
	}
	feed.stage(0, "ann", "mql", 1)
	e.mustNext()
}

// TestSlowClient does not read while far more events come than window and socket buffers hold.
func TestSlowClient(t *testing.T) {
	const events, size = 64, 256 << 10
	s, feed := start(t, func(c *Config) { c.WindowEvents, c.WriteTimeout = 4, time.Minute })
	e := subscribe(t, s, "")
	pad := strings.Repeat("x", size)
	for n := range events {
		feed.put(0, 0, "ann", fmt.Sprintf(`{"type":"stage.changed","lead":"ann","to":"mql","pad":%q,"n":%d}`, pad, n))
	}
	waitForTail(t, s, feed)
	next := 0
	for {
		m, ok := e.next()
		if !ok {
			break
		}
		if n := number(t, m); n != next {
			t.Fatalf("event %d, want %d", n, next)
		}
		next++
	}
	if last := e.comments[len(e.comments)-1]; !strings.HasPrefix(last, "too slow") || next == events {
		t.Fatalf("after %d events: %q", next, last)
	}
	e.close()
	if err := e.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	for ; next < events; next++ {
		if n := number(t, e.mustNext()); n != next {
			t.Fatalf("event %d, want %d", n, next)
		}
	}
}

// waitForTail returns when the window's end is the feed's.
func waitForTail(t *testing.T, s *Server, feed *memFeed) {
	t.Helper()
	for {
		_, end, err := feed.Bounds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s.hub.mu.Lock()
		reached, changed := s.hub.end != nil && s.hub.end.Reached(end), s.hub.changed
		s.hub.mu.Unlock()
		if reached {
			return
		}
		select {
		case <-changed:
		case <-time.After(time.Millisecond): // Markers move the end without a word.
		}
	}
}

func TestStoppingSaysSo(t *testing.T) {
	feed := newMemFeed(1)
	ctx, cancel := context.WithCancel(t.Context())
	var e *eventSource
	t.Run("running", func(t *testing.T) {
		s, _ := start(t, func(c *Config) { c.Feed = feed })
		// Not the subtest's context, which ends before the server stops.
		e = &eventSource{t: t, url: s.URL() + routeStream}
		for e.open(ctx) != nil {
		}
	})
	defer cancel()
	defer e.close()
	if _, ok := e.next(); ok {
		t.Fatal("an event out of nothing")
	}
	if last := e.comments[len(e.comments)-1]; !strings.HasPrefix(last, "the server is stopping") {
		t.Fatalf("comments %q", e.comments)
	}
}

func TestStreamBounds(t *testing.T) {
	s, _ := start(t, func(c *Config) { c.MaxSubscribers = 1 })
	subscribe(t, s, "")
	code, header, body := get(t, "GET", s.URL()+routeStream)
	if code != http.StatusServiceUnavailable || !strings.Contains(body, "too-many-subscribers") || header.Get("Retry-After") == "" {
		t.Fatalf("%d %s", code, body)
	}
}

func TestStreamRefusals(t *testing.T) {
	s, feed := start(t, func(c *Config) { c.WindowEvents = 1 })
	first := subscribe(t, s, "").lastID
	for n := range 5 {
		feed.stage(0, "ann", "mql", n)
	}
	waitForTail(t, s, feed)
	feed.mu.Lock()
	feed.oldest[0][0] = 4
	feed.mu.Unlock()
	other := Position{{0, 0}, {0, 0}}.encode(Layout{Generation: 8})
	for _, c := range []struct {
		query, id string
		code      int
		want      string
	}{
		{"?from=" + first, "", 410, "events-gone"},
		{"?from=latest", first, 410, "events-gone"},
		{"", other, 410, "events-gone"},
		{"", "rubbish!", 400, "bad-event-id"},
		{"?from=AAAA", "", 400, "bad-event-id"},
		{"?type=lead.seen", "", 400, "stage.changed, handoff, lead.merged"},
		{"?state=mql", "", 400, "parameters are"},
		{"?" + strings.Repeat("lead=x&", 1001), "", 400, "at most 1000"},
	} {
		code, _, body := get(t, "GET", s.URL()+routeStream+c.query, "Last-Event-ID", c.id)
		if code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%.30s %s: %d %s, want %d with %s", c.query, c.id, code, body, c.code, c.want)
		}
	}
}

// TestTailFailures: what breaks the tail reader costs subscribers nothing, unless events are gone.
func TestTailFailures(t *testing.T) {
	s, feed := start(t, func(c *Config) { c.tailRetry = time.Millisecond })
	e := subscribe(t, s, "")
	fail := func(err error) {
		feed.mu.Lock()
		feed.fail = err
		feed.mu.Unlock()
	}
	fail(fmt.Errorf("broker is away"))
	feed.stage(0, "ann", "mql", 1)
	feed.stage(0, "ann", "mql", 2)
	for want := 1; want <= 2; want++ {
		if n := number(t, e.mustNext()); n != want {
			t.Fatalf("event %d, want %d", n, want)
		}
	}
	fail(ErrOutOfRange)
	feed.stage(0, "ann", "mql", 3)
	if m, ok := e.next(); ok {
		t.Fatalf("event %v from behind a gap", m)
	}
	if last := e.comments[len(e.comments)-1]; !strings.HasPrefix(last, "too slow") {
		t.Fatalf("comments %q", e.comments)
	}
}
