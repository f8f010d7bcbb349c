package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

// testClient keeps no connections, so that none outlives a test.
var testClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// testNow is the wall clock of the servers under test.
var testNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type fakeLeads map[string]error

func (f fakeLeads) Account(_ context.Context, id string, at int64) (*AccountView, error) {
	if id != "acme/eu" {
		return nil, ErrNotFound
	}
	return &AccountView{ID: id, Stage: "hot", AsOf: Time(at), Members: []Member{{Lead: "ann", Role: "user"}}}, nil
}

func (f fakeLeads) Lead(_ context.Context, id string, at int64) (*LeadView, error) {
	if err, ok := f[id]; ok {
		return nil, err
	}
	return &LeadView{ID: id, Stage: "mql", AsOf: Time(at), Scores: map[string]float64{"engagement": 12.5}, Ledger: []Contribution{}}, nil
}

type fakeEngine struct{ why string }

func (f fakeEngine) Ready() (bool, string) { return f.why == "", f.why }
func (f fakeEngine) Status() StatusView {
	return StatusView{App: "app", Instance: "a<b", Ready: f.why == "", Shards: []ShardView{{Shard: 1, State: "live"}}}
}

// start runs a server until the test ends.
func start(t *testing.T, change func(*Config)) (*Server, *memFeed) {
	t.Helper()
	feed := newMemFeed(2)
	cfg := Config{Listen: "127.0.0.1:0", Leads: fakeLeads{}, Engine: fakeEngine{}, Feed: feed,
		Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return testNow }}
	if change != nil {
		change(&cfg)
	}
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return s, feed
}

// get returns status, headers and body of a request.
func get(t *testing.T, method, url string, headers ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := testClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

func TestAccount(t *testing.T) {
	s, _ := start(t, func(c *Config) { c.Leads = fakeLeads{} })
	for path, want := range map[string]string{
		url.PathEscape("acme/eu"): `200 "id": "acme/eu"`, "acme%2Feu?at=86400000": `200 "as_of": "1970-01-02T00:00:00.000Z"`,
		"acme%2Feu?at=yesterday": "400 bad-parameter", "nobody": "404 account-not-found", strings.Repeat("x", 5000): "404 account-not-found",
	} {
		code, _, body := get(t, "GET", s.URL()+"/v1/accounts/"+path)
		if wantCode, wantText, _ := strings.Cut(want, " "); fmt.Sprint(code) != wantCode || !strings.Contains(body, wantText) {
			t.Errorf("%.20s: %d %s, want %s", path, code, body, want)
		}
	}
}

func TestLead(t *testing.T) {
	s, _ := start(t, func(c *Config) {
		c.Leads = fakeLeads{
			"gone":  fmt.Errorf("shard 3: %w", ErrNotFound),
			"away":  &ElsewhereError{Shard: 3, Instance: "b", URL: "http://10.0.0.2:8080"},
			"moved": &ElsewhereError{Shard: 3, Lead: "u-1", Instance: "b"},
			"later": ErrNotOwned,
			"sick":  io.ErrUnexpectedEOF,
		}
	})
	for _, c := range []struct {
		path string
		code int
		want string
	}{
		{"ann", 200, `"as_of": "2026-03-01T12:00:00.000Z"`},
		{"ann?at=2026-04-01T00:00:00Z", 200, `"as_of": "2026-04-01T00:00:00.000Z"`},
		{"ann?at=86400000", 200, `"as_of": "1970-01-02T00:00:00.000Z"`},
		{"ann?at=yesterday", 400, "bad-parameter"},
		{"ann?at=-5", 400, "bad-parameter"},
		{url.PathEscape("a/b c%?"), 200, `"id": "a/b c%?"`},
		{"gone", 404, "lead-not-found"},
		{strings.Repeat("x", 5000), 404, "lead-not-found"},
		{"away", 421, `"shard":3,"owner":"b","url":"http://10.0.0.2:8080"`},
		{"moved", 421, `"shard":3,"lead":"u-1","owner":"b"`},
		{"later", 421, "lead-elsewhere"},
		{"sick", 500, "internal"},
	} {
		code, header, body := get(t, "GET", s.URL()+"/v1/leads/"+c.path)
		if code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%.20s: %d %s, want %d with %s", c.path, code, body, c.code, c.want)
		}
		if code >= 400 {
			var p Problem
			if err := json.Unmarshal([]byte(body), &p); err != nil || p.Status != code || header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%.20s: no problem document: %s", c.path, body)
			}
		}
	}
	if _, _, body := get(t, "GET", s.URL()+"/v1/leads/ann"); !strings.Contains(body, `"next_change_at": null`) {
		t.Errorf("no null for a lead that never changes: %s", body)
	}
}

func TestPlainRoutes(t *testing.T) {
	s, _ := start(t, nil)
	sick, _ := start(t, func(c *Config) { c.Engine = fakeEngine{why: "shards 1, 2 are loading"} })
	for _, c := range []struct {
		method, url string
		code        int
		want        string
	}{
		{"GET", s.URL() + "/healthz", 200, "ok"},
		{"GET", s.URL() + "/readyz", 200, "ready"},
		{"GET", sick.URL() + "/healthz", 200, "ok"},
		{"GET", sick.URL() + "/readyz", 503, "shards 1, 2 are loading"},
		{"GET", s.URL() + "/v1/status", 200, `"instance": "a\u003cb"`},
		{"GET", s.URL() + "/", 200, "instance a&lt;b"},
		{"GET", s.URL() + "/nope", 404, "no-such-route"},
		{"GET", s.URL() + "/v1/leads/", 404, "no-such-route"},
		{"POST", s.URL() + "/v1/leads/ann", 405, "method-not-allowed"},
		{"DELETE", s.URL() + "/nope", 405, "method-not-allowed"},
		{"HEAD", s.URL() + "/healthz", 200, ""},
		{"HEAD", s.URL() + "/v1/events/stream", 405, ""},
		{"GET", s.URL() + "/metrics", 200, `leadstream_httpapi_stream_closed_total{reason="slow"} 0`},
		{"GET", s.URL() + "/metrics", 200, `leadstream_httpapi_requests_total{code="200",route="/v1/leads/{id}"} 0`},
		{"GET", s.URL() + "/metrics", 200, `leadstream_httpapi_requests_total{code="405",route="/v1/leads/{id}"} 1`},
	} {
		code, header, body := get(t, c.method, c.url)
		if code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %d %s, want %d with %s", c.method, c.url, code, body, c.code, c.want)
		}
		if code == 405 && header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.url)
		}
	}
}

func TestWhoMayAsk(t *testing.T) {
	read, readHash := NewToken()
	ops, opsHash := NewToken()
	both, bothHash := NewToken()
	tokens, err := ParseTokens([]byte("# tokens\n" + readHash + "\n\n" + opsHash + " ops scraper\n" + bothHash + " read,ops admin laptop\n"))
	if err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, func(c *Config) { c.Tokens = tokens })
	open, _ := start(t, nil)
	for _, c := range []struct {
		server     *Server
		path       string
		auth, host string
		code       int
	}{
		{s, "/v1/leads/a", "Bearer " + read, "", 200},
		{s, "/v1/leads/a", "bearer  " + both, "example.com", 200},
		{s, "/v1/leads/a", "Bearer " + ops, "", 403},
		{s, "/v1/leads/a", "Bearer " + readHash, "", 401},
		{s, "/v1/leads/a", "Bearer ", "", 401},
		{s, "/v1/leads/a", "Basic " + read, "", 401},
		{s, "/v1/leads/a", "", "", 401},
		{s, "/v1/events/stream", "", "", 401},
		{s, "/metrics", "Bearer " + ops, "", 200},
		{s, "/metrics", "Bearer " + read, "", 403},
		{s, "/v1/status", "Bearer " + both, "", 200},
		{s, "/", "Bearer " + ops, "", 200},
		{s, "/", "", "", 401},
		{s, "/nope", "", "", 401},
		{s, "/healthz", "", "", 200},
		{s, "/readyz", "", "", 200},
		{open, "/v1/leads/a", "", "localhost:8080", 200},
		{open, "/v1/leads/a", "", "[::1]:80", 200},
		{open, "/v1/leads/a", "", "127.0.0.1", 200},
		{open, "/v1/leads/a", "", "evil.example:8080", 403},
		{open, "/healthz", "", "evil.example", 403},
	} {
		headers := []string{"Authorization", c.auth}
		if c.host != "" {
			headers = append(headers, "Host", c.host)
		}
		code, header, body := get(t, "GET", c.server.URL()+c.path, headers...)
		if code != c.code {
			t.Errorf("%s with %.12s at %s: %d, want %d: %s", c.path, c.auth, c.host, code, c.code, body)
		}
		if (code == 401) != (header.Get("WWW-Authenticate") != "") {
			t.Errorf("%s: WWW-Authenticate %q with %d", c.path, header.Get("WWW-Authenticate"), code)
		}
	}
}

func TestParseTokensNamesEveryMistake(t *testing.T) {
	_, hash := NewToken()
	_, err := ParseTokens([]byte("ls_secret\n" + hash + " admin\n\n" + hash[:60] + "\n"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"line 1:", "line 2:", "line 4:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
	if strings.Contains(err.Error(), "ls_secret") || strings.Contains(err.Error(), hash[:8]) {
		t.Errorf("the error repeats a secret: %q", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	_, hash := NewToken()
	tokens, err := ParseTokens([]byte(hash))
	if err != nil {
		t.Fatal(err)
	}
	base := Config{Leads: fakeLeads{}, Engine: fakeEngine{}, Feed: newMemFeed(1), Log: slog.New(slog.DiscardHandler), Now: time.Now}
	for _, c := range []struct {
		listen string
		tokens Tokens
		ok     bool
	}{
		{"127.0.0.1:0", nil, true},
		{"localhost:0", nil, true},
		{"0.0.0.0:0", nil, false},
		{":0", nil, false},
		{"0.0.0.0:0", tokens, true},
		{"example.com:0", nil, false},
		{"127.0.0.1", nil, false},
	} {
		cfg := base
		cfg.Listen, cfg.Tokens, cfg.Registry = c.listen, c.tokens, prometheus.NewRegistry()
		s, err := Open(cfg)
		if (err == nil) != c.ok {
			t.Errorf("%s with %d tokens: %v", c.listen, len(c.tokens), err)
		}
		if err == nil {
			s.Close()
		}
	}
}
