package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"leadstream/connectors/httpapi"
	"leadstream/connectors/kafka"
	"leadstream/state"
)

const testRules = `
signals:
  demo: {match: 'event.name == "Demo Requested"'}
scores:
  engagement:
    half_life: 7d
    lines:
      - {id: demo, signal: demo, add: 30}
stages: [visitor, lead, mql]
transitions:
  - {from: visitor, to: lead, when: 'score.engagement >= 20', reason: engaged}
  - {from: lead, to: mql, when: 'score.engagement >= 50', reason: hot}
`

// embeddedService starts a service with a broker inside, both kept in dir.
func embeddedService(t *testing.T, dir string) (*service, error) {
	t.Helper()
	c := defaultConfig()
	c.App, c.Instance, c.Shards = "test", "one", 2
	c.Embedded = embeddedConfig{Enabled: true, DataDir: filepath.Join(dir, "broker")}
	c.DataDir = filepath.Join(dir, "data")
	c.Rules = []string{filepath.Join(dir, "rules.yaml")}
	c.HTTP.Listen = "127.0.0.1:0"
	source := defaultSource()
	source.Name, source.Topic = "web", "events"
	c.Sources = []sourceConfig{source}
	if err := os.WriteFile(c.Rules[0], []byte(testRules), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t.Context(), &c, slog.New(slog.DiscardHandler))
}

// running is a service that runs until stop.
type running struct {
	*service
	t      *testing.T
	cancel context.CancelFunc
	done   chan error
}

func runService(t *testing.T, dir string) *running {
	t.Helper()
	s, err := embeddedService(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{service: s, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.run(ctx) }()
	return r
}

// stop ends the service in order.
func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	if err := <-r.done; err != nil {
		r.t.Fatalf("run: %v", err)
	}
}

// send writes one demo request of a lead.
func (r *running) send(lead, message string, at time.Time) {
	r.t.Helper()
	producer, err := r.cluster.Producer()
	if err != nil {
		r.t.Fatal(err)
	}
	defer producer.Close()
	producer.Send(r.t.Context(), "events", []byte(lead), fmt.Appendf(nil,
		`{"type":"track","userId":%q,"messageId":%q,"event":"Demo Requested","timestamp":%q}`, lead, message, at.UTC().Format(time.RFC3339Nano)))
	if err := producer.Flush(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// get asks the API until it answers with the code: shards take a moment to come alive.
func (r *running) get(path string, code int) string {
	r.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		resp, err := client.Get(r.api.URL() + path)
		if err != nil {
			r.t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			r.t.Fatal(err)
		}
		if resp.StatusCode == code {
			return string(body)
		}
		if err := sleepUntil(r.t.Context(), time.Now().Add(5*time.Millisecond)); err != nil {
			r.t.Fatalf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
}

// next returns the first event of the stream after an event id.
func (r *running) next(from string) (data, id string) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.api.URL()+"/v1/events/stream?from="+from, nil)
		if err != nil {
			r.t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			r.t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			continue
		}
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if text, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id = text
			}
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return text, id
			}
		}
		r.t.Fatal("the stream ended")
	}
}

// TestService sends events to a service, reads what it says of them, and starts it again from its disk.
func TestService(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	r := runService(t, dir)
	r.get("/readyz", http.StatusOK)
	r.send("ann", "m1", time.Now())
	data, id := r.next("earliest")
	var first output
	if err := json.Unmarshal([]byte(data), &first); err != nil || first.Lead != "ann" || first.To != "lead" || first.Reason != "engaged" {
		t.Fatalf("%v: %s", err, data)
	}
	var view httpapi.LeadView
	if err := json.Unmarshal([]byte(r.get("/v1/leads/ann", http.StatusOK)), &view); err != nil {
		t.Fatal(err)
	}
	if view.Stage != "lead" || view.Events != 1 || view.Scores["engagement"] < 29 || len(view.Ledger) != 1 || view.Ledger[0].Line != "demo" {
		t.Errorf("lead %+v", view)
	}
	r.get("/v1/leads/bob", http.StatusNotFound)
	metrics := r.get("/metrics", http.StatusOK)
	for _, name := range []string{"leadstream_engine_events_total 1", "leadstream_state_", "leadstream_kafka_", "leadstream_httpapi_", "go_goroutines"} {
		if !strings.Contains(metrics, name) {
			t.Errorf("no %s in the metrics", name)
		}
	}
	var out bytes.Buffer
	p := program{out: &out, err: io.Discard, sys: testSystem(nil)}
	if err := p.run(t.Context(), []string{"status", "--server", r.api.URL()}); err != nil || !strings.Contains(out.String(), "test") {
		t.Errorf("status: %v\n%s", err, out.String())
	}
	r.stop()

	r = runService(t, dir)
	r.send("ann", "m1", time.Now()) // Sent twice.
	r.send("ann", "m2", time.Now())
	data, _ = r.next(id)
	var second output
	if err := json.Unmarshal([]byte(data), &second); err != nil || second.From != "lead" || second.To != "mql" {
		t.Fatalf("%v: %s", err, data)
	}
	r.stop()
}

// TestStartRefuses: each mistake has its exit code, and leaves nothing open.
func TestStartRefuses(t *testing.T) {
	defer goleak.VerifyNone(t)
	broker, err := kafka.StartEmbedded(kafka.Embedded{Topics: map[string]int32{"events": 2}})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	locked := t.TempDir()
	store, err := state.Open(state.Options{Dir: locked, App: "leadstream", ClusterID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	other := t.TempDir()
	theirs, err := state.Open(state.Options{Dir: other, App: "another", ClusterID: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, topic, listen, dir, rules string
		code                            int
		want                            string
	}{
		{"a missing topic", "nowhere", "127.0.0.1:0", "data", testRules, exitCluster, `source topic "nowhere" does not exist`},
		{"a locked directory", "events", "127.0.0.1:0", locked, testRules, exitDataDir, "in use"},
		{"another's directory", "events", "127.0.0.1:0", other, testRules, exitDataDir, "another"},
		{"a taken port", "events", taken.Addr().String(), "data", testRules, exitHTTP, "in use"},
		{"bad rules", "events", "127.0.0.1:0", "data", "stages: [a]\nstage: b\n", exitConfig, "r.yaml:2:1"},
	} {
		file := write(t, "c.yaml", fmt.Sprintf("brokers: [%q]\nsources: [{topic: %s}]\nrules: [r.yaml]\ndata_dir: %s\nhttp: {listen: %q}\n",
			broker.Addresses()[0], c.topic, c.dir, c.listen), "r.yaml", c.rules)
		_, errOut, code := command(t, "run", "--config", file)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: exit code %d, want %d with %q:\n%s", c.name, code, c.code, c.want, errOut)
		}
	}
}

// TestDemo runs the whole demo as fast as it goes.
func TestDemo(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Setenv("TMPDIR", t.TempDir())
	out, errOut, code := command(t, "demo", "--speed", "max", "--once", "--listen", "127.0.0.1:0")
	if code != exitOK || errOut != "" {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	for _, want := range []string{"curl http://127.0.0.1:", "demo.transitions", "visitor -> lead", "HAND-OFF", "by time alone", "leads changed:"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestDemoGoesOn: what the demo keeps is run on with, after journal and inbox have been cut.
func TestDemoGoesOn(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := filepath.Join(t.TempDir(), "kept")
	if _, errOut, code := command(t, "demo", "--speed", "max", "--once", "--listen", "127.0.0.1:0", "--keep", dir); code != exitOK {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	if _, errOut, code := command(t, "demo", "--keep", dir); code != exitUsage || !strings.Contains(errOut, "not empty") {
		t.Errorf("demo in what was kept: exit code %d: %s", code, errOut)
	}
	c, err := loadConfig(filepath.Join(dir, "leadstream.yaml"), testSystem(nil))
	if err != nil {
		t.Fatal(err)
	}
	c.Embedded.Port, c.HTTP.Listen = 0, "127.0.0.1:0"
	s, err := start(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{service: s, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.run(ctx) }()
	r.get("/readyz", http.StatusOK)
	r.get("/v1/leads/u-100208", http.StatusOK)
	r.stop()
}

// TestDemoStops: a signal in the middle of the sample ends the demo in order.
func TestDemoStops(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watched{want: " -> ", found: cancel}
	p := program{out: out, err: io.Discard, sys: testSystem(nil)}
	err := p.run(ctx, []string{"demo", "--speed", "20", "--listen", "127.0.0.1:0"})
	if err != nil {
		t.Errorf("%v", err)
	}
	if !strings.Contains(out.String(), "leads changed:") {
		t.Errorf("no summary in\n%s", out.String())
	}
}

// watched calls found when something is written that contains want.
type watched struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	want  string
	found func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if bytes.Contains(p, []byte(w.want)) {
		w.found()
	}
	return w.buf.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
