package main

import (
	"testing"
	"time"

	"leadstream/bench/workload"
)

// TestTouched compares the leads and their parts of the window with the events as they are produced.
func TestTouched(t *testing.T) {
	p := newPace("t", []phase{{liveRate, workload.ByZipf}}, 3*time.Second, 3*time.Second, time.Unix(1000, 0))
	got, err := p.touched(1, 3)
	if err != nil {
		t.Fatal(err)
	}
	load, err := p.load(1)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]uint{}
	for i := range 4 * liveRate {
		key, _, _, ok := load.Next(nil)
		if !ok {
			t.Fatalf("only %d events", i)
		}
		if second := i / liveRate; second > 0 { // the first one settles
			want[string(key)] |= 1 << (second - 1)
		}
	}
	if len(got) != len(want) || len(got) < 1000 {
		t.Fatalf("%d leads, want %d", len(got), len(want))
	}
	for id, in := range want {
		if got[id] != in {
			t.Errorf("%s: %b, want %b", id, got[id], in)
		}
	}
}

func TestWritesOf(t *testing.T) {
	touched := map[string]uint{"busy": 0b111, "busier": 0b111, "unwritten": 0b111, "gone": 0b001, "late": 0b110}
	times := map[string]int{"busy": 3, "busier": 5, "gone": 1, "late": 2, "of before": 4}
	want := writes{leads: 5, records: 15, busy: 3, busyRecords: 8, least: 0, enough: 2}
	if got := writesOf(touched, times, 3); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	delete(touched, "unwritten")
	if got := writesOf(touched, times, 3); got.least != 3 || got.perBusy() != 4 || got.enoughPercent() != 100 {
		t.Errorf("%+v", got)
	}
	if got := writesOf(nil, nil, 3); got != (writes{}) || got.perLead() != 0 || got.perBusy() != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}

func TestGrew(t *testing.T) {
	r := run{app: "run007"}
	from := map[string]int64{"run007.state": 10, "live007": 5, "__transaction_state": 100, "other": 1}
	to := map[string]int64{"run007.state": 110, "run007.journal": 20, "run007.transitions": 3, "run007.inbox": 4, "live007": 1000,
		"__transaction_state": 130, "__consumer_offsets": 7, "other": 2}
	if got, want := grew(r, stateTopic(contenderNamed(leadstreamName), r), from, to), (written{all: 127, state: 100, journal: 20, outputs: 3, broker: 37}); got != want {
		t.Errorf("leadstream: %+v, want %+v", got, want)
	}
	to = map[string]int64{"run007-leads-changelog": 50, "run007.transitions": 3}
	if got, want := grew(r, stateTopic(contenderNamed(streamsALOS), r), nil, to), (written{all: 53, state: 50, outputs: 3}); got != want {
		t.Errorf("Kafka Streams: %+v, want %+v", got, want)
	}
}
