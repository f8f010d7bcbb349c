package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"
)

// TestMetricsAreGoodStyle holds what /metrics says against the checks of promtool, and for what an operator needs to see
// from the start.
func TestMetricsAreGoodStyle(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(testRules), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := embeddedService(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	s.log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{service: s, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.run(ctx) }()
	defer r.stop()
	r.get("/readyz", http.StatusOK)
	text := r.get("/metrics", http.StatusOK)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "leadstream_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, name := range []string{
		"leadstream_engine_events_total", "leadstream_engine_outputs_total", "leadstream_engine_lag_records", "leadstream_engine_epoch_seconds",
		"leadstream_engine_commit_seconds", "leadstream_engine_deadletters_total", "leadstream_engine_events_late_total",
		"leadstream_engine_events_duplicate_total", "leadstream_engine_cache_hits_total", "leadstream_engine_dirty_leads",
		"leadstream_engine_redo_age_seconds", "leadstream_engine_timers", "leadstream_state_", "leadstream_kafka_",
	} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("/metrics has no %s", name)
		}
	}
}
