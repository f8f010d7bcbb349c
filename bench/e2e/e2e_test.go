package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFigures(t *testing.T) {
	at := time.Unix(1000, 0)
	d := &drained{}
	d.figures([]sample{
		{at, 0, time.Second}, // starting
		{at.Add(time.Second), 100, 3 * time.Second},
		{at.Add(2 * time.Second), 600, 4 * time.Second},
		{at.Add(4 * time.Second), 1100, 4500 * time.Millisecond},
	})
	for _, f := range []struct {
		name      string
		got, want float64
	}{
		{"CPU per event", d.cpuPerEvent, 1500}, {"warm", d.warmCPU, 1000}, // us: 1.5 s for 1000 events, 0.5 s for 500
		{"rate", d.rate, 1000. / 3}, {"warm rate", d.warmRate, 250},
	} {
		if f.got != f.want {
			t.Errorf("%s: %v, want %v", f.name, f.got, f.want)
		}
	}
}

func TestSpread(t *testing.T) {
	for want, s := range map[string]spread{"": nil, "2.0": {2}, "2.0 (1.0 to 9.0)": {9, 1, 2}, "2.5 (1.0 to 9.0)": {3, 9, 1, 2}} {
		if got := s.format("%.1f"); got != want {
			t.Errorf("%v: %q, want %q", s, got, want)
		}
	}
}

func TestHandScan(t *testing.T) {
	const event = `{"type":"track","messageId":"m-1","timestamp":"1970-01-01T00:00:00.007Z","userId":"u","event":"Docs Viewed"}`
	other := handScan([]byte(event)) - handScan([]byte(`{"messageId":"m-1"}`))
	if other != 7+1+11 { // the time, and the lengths of user and name
		t.Errorf("found %d", other)
	}
}

func TestOptions(t *testing.T) {
	for _, args := range [][]string{{"-form", "x"}, {"-only", "x"}, {"-rates", "x"}, {"-parts", "x"}, {"-events", "1"}, {"more"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
	full, err := parseOptions([]string{"-form", "full"})
	if err != nil || full.events != 6_000_000 || full.reps != 5 || len(full.rates) != 4 || len(full.parts) != len(parts) || len(full.contenders) != len(contenders)-2 {
		t.Errorf("full: %+v, %v", full, err)
	}
}

func TestDraining(t *testing.T) {
	full, err := parseOptions([]string{"-form", "full"})
	if err != nil || slices.Contains(full.draining(), throughName) || len(full.draining()) != len(full.contenders)-1 {
		t.Errorf("full: %v, %v", full.draining(), err)
	}
	named, err := parseOptions([]string{"-only", throughName})
	if err != nil || !slices.Equal(named.draining(), []string{throughName}) {
		t.Errorf("named: %v, %v", named.draining(), err)
	}
}

func TestEagerRules(t *testing.T) {
	if got := strings.Count(eagerRules(), "add: 5}"); got != 6 {
		t.Errorf("%d lines add 5", got)
	}
	if !strings.Contains(eagerRules(), "signal: unsubscribed, add: -25}") {
		t.Error("unsubscribing does not take 25 points")
	}
}
