package main

import (
	"os"
	"strings"
	"testing"
)

func TestStartsTable(t *testing.T) {
	var w strings.Builder
	starts{}.table(&w, "Nothing")
	if w.Len() > 0 {
		t.Errorf("of no start: %s", w.String())
	}
	starts{ours: []start{{100, 200, 1}, {300, 400, 2}, {200, 300, 3}}, theirs: []start{{1000, 2000, 10}}}.table(&w, "From Kafka")
	for _, line := range []string{
		"From Kafka, median (least to most) of 3:",
		"| all shards are there, by its own word, ms after its process was started | 200 (100 to 300) | 1000 | 0.10 |",
		"| events of all shards are committed again, ms after | 300 (200 to 400) | 2000 | 0.10 |",
		"| CPU time until then, s | 2.0 (1.0 to 3.0) | 10.0 | 0.10 |",
	} {
		if !strings.Contains(w.String(), line) {
			t.Errorf("no %q in\n%s", line, w.String())
		}
	}
	w.Reset()
	starts{ours: []start{{100, 200, 1}}}.table(&w, "Alone")
	if !strings.Contains(w.String(), "| 100 | - | - |") {
		t.Errorf("without Kafka Streams: %s", w.String())
	}
}

func TestRunning(t *testing.T) {
	p := &peer{dir: t.TempDir()}
	if _, ok := p.running(); ok {
		t.Error("it runs and has no log")
	}
	for _, x := range []struct {
		log  string
		want int64
	}{
		{"S 5 REBALANCING\nR 6 20000\nP 7 1\n", 0}, {"S 5 REBALANCING\nnoise\nS 8 RUNNING\nS 9 PENDING_SHUTDOWN\nS 10 RUNNING\n", 8},
	} {
		if err := os.WriteFile(p.log(), []byte(x.log), 0o600); err != nil {
			t.Fatal(err)
		}
		if at, ok := p.running(); ok != (x.want > 0) || ok && at.UnixMilli() != x.want {
			t.Errorf("%q: %v, %t", x.log, at, ok)
		}
	}
}

func TestParse(t *testing.T) {
	full, err := parse([]string{"-form", "full"})
	if err != nil || full.reps != 5 || full.leads != 1_000_000 || !strings.HasSuffix(full.out, "-takeover.md") {
		t.Errorf("%+v, %v", full, err)
	}
	if _, err := parse([]string{"-form", "x"}); err == nil {
		t.Error("form x was accepted")
	}
}
