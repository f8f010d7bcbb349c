package connectortest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"leadstream/engine"
)

// History is the suite of engine.History.
func History(t *testing.T, fresh func(testing.TB) Env) {
	runAll(t, fresh, []test{
		{"ReadOfRanges", readRanges},
		{"ReadToMarkers", readToMarkers},
		{"ReadWaitsForTheUndecided", readWaits},
		{"ReadStops", readStops},
		{"CutAndGaps", cutAndGaps},
		{"ReadOfTheLast", readLast},
		{"Follow", followTopic},
		{"CommittedOfNothing", func(t *testing.T, e Env) {
			got, err := e.Open(t, "a").History.Committed(within(t), []engine.TopicPartition{at(e.Source, 0)})
			if err != nil || len(got) != 0 {
				t.Errorf("%v, %v", got, err)
			}
		}},
	})
}

func readRanges(t *testing.T, e Env) {
	h := e.Open(t, "a").History
	tp := at(e.Source, 0)
	if got := all(t, h, tp); len(got) != 0 {
		t.Errorf("an empty partition has %v", got)
	}
	e.Produce(t, 0, values(0, 100)...)
	for _, r := range [][2]int64{{0, 100}, {0, 0}, {10, 20}, {99, 100}, {100, 100}} {
		if got := read(t, h, tp, r[0], r[1]); !slices.Equal(got, values(int(r[0]), int(r[1]-r[0]))) {
			t.Errorf("%v: %v", r, got)
		}
	}
	if got := all(t, h, tp); !slices.Equal(got, values(0, 100)) {
		t.Errorf("all: %v", got)
	}
	// What fn was given may be kept.
	var kept []*engine.Record
	must(t, h.Read(within(t), tp, 0, 100, func(r *engine.Record) error {
		kept = append(kept, r)
		return nil
	}))
	for i, r := range kept {
		if r.Offset != int64(i) || string(r.Value) != values(i, 1)[0] || r.Timestamp <= 0 {
			t.Fatalf("kept record %d is %+v", i, r)
		}
	}
}

func readLast(t *testing.T, e Env) {
	h := e.Open(t, "a").History
	tp := at(e.Topic(engine.TopicJournal), 0)
	last := func() []string { return read(t, h, tp, engine.LastOfPartition, engine.EndOfPartition) }
	if got := last(); len(got) != 0 {
		t.Errorf("an empty partition ends with %v", got)
	}
	e.ProduceIn(t, tp.Topic, 0, true, values(0, 3000)...)
	if got := last(); len(got) == 0 || len(got) > 100 || got[len(got)-1] != values(2999, 1)[0] {
		t.Errorf("the last of 3000 is in %d records", len(got))
	}
	for range 3 {
		e.ProduceIn(t, tp.Topic, 0, false, values(0, 10)...) // behind the last, and nothing
	}
	if got := last(); len(got) == 0 || got[len(got)-1] != values(2999, 1)[0] {
		t.Errorf("the last is not found behind aborted transactions: %d records", len(got))
	}
}

func readToMarkers(t *testing.T, e Env) {
	h := e.Open(t, "a").History
	tp := at(e.Topic(engine.TopicJournal), 0)
	e.ProduceIn(t, tp.Topic, 0, false, "aborted")
	if got := all(t, h, tp); len(got) != 0 {
		t.Errorf("only aborted: %v", got)
	}
	e.ProduceIn(t, tp.Topic, 0, true, "a", "b")
	e.ProduceIn(t, tp.Topic, 0, false, "aborted", "aborted")
	for _, to := range []int64{engine.EndOfPartition, engine.CommittedEnd, 8} {
		if got := read(t, h, tp, engine.StartOfPartition, to); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("to %d: %v", to, got)
		}
	}
	if got := read(t, h, tp, 4, 8); len(got) != 0 {
		t.Errorf("behind the last committed record: %v", got)
	}
}

func readWaits(t *testing.T, e Env) {
	if e.LeaveOpen == nil {
		t.Skip("no transaction can be left open")
	}
	p, _ := joined(t, e, "a")
	journal := at(e.Topic(engine.TopicJournal), 0)
	e.LeaveOpen(t, "gone", 0, journal.Topic, journal.Partition)
	read := make(chan error, 1)
	go func() {
		read <- p.History.Read(within(t), journal, engine.StartOfPartition, engine.EndOfPartition, func(r *engine.Record) error {
			return errors.New("there is nothing committed")
		})
	}()
	select {
	case err := <-read:
		t.Fatalf("read to the end, past a transaction that is not decided: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	must(t, p.Committer.FenceWriter(within(t), "gone", 1))
	must(t, <-read)
}

func readStops(t *testing.T, e Env) {
	h := e.Open(t, "a").History
	tp := at(e.Source, 0)
	e.Produce(t, 0, values(0, 10)...)
	enough := errors.New("enough")
	n := 0
	err := h.Read(within(t), tp, 0, 10, func(*engine.Record) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 3 {
		t.Errorf("after %d records: %v", n, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := h.Read(ctx, tp, 0, 10, func(*engine.Record) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("read with an ended context: %v", err)
	}
}

func cutAndGaps(t *testing.T, e Env) {
	h := e.Open(t, "a").History
	tp := at(e.Topic(engine.TopicJournal), 0)
	e.ProduceIn(t, tp.Topic, 0, true, values(0, 10)...)
	e.ProduceIn(t, tp.Topic, 0, true, values(10, 10)...)
	none := func(*engine.Record) error { return nil }
	if err := h.Read(within(t), tp, 0, 1000, none); !errors.Is(err, engine.ErrGap) {
		t.Errorf("read behind the end: %v", err)
	}
	for range 2 {
		must(t, h.Cut(within(t), tp, 11))
	}
	must(t, h.Cut(within(t), tp, 5))
	if got := all(t, h, tp); !slices.Equal(got, values(10, 10)) {
		t.Errorf("after the cut: %v", got)
	}
	if err := h.Read(within(t), tp, 10, engine.EndOfPartition, none); !errors.Is(err, engine.ErrGap) {
		t.Errorf("read of what was cut: %v", err)
	}
	must(t, h.Cut(within(t), tp, 22))
	if got := all(t, h, tp); len(got) != 0 {
		t.Errorf("after cutting all: %v", got)
	}
}

func followTopic(t *testing.T, e Env) {
	h := e.Open(t, "a").History
	journal := e.Topic(engine.TopicJournal)
	e.ProduceIn(t, journal, 0, true, "before")
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	type seen struct {
		partition int32
		value     string
	}
	got := make(chan seen, 1000)
	ended := make(chan error, 1)
	go func() {
		ended <- h.Follow(ctx, journal, func() time.Duration { return 0 }, func(p int32, r *engine.Record) { got <- seen{p, string(r.Value)} })
	}()
	// When it began to follow can't be known: write until it is seen.
	for first := false; !first; {
		e.ProduceIn(t, journal, 1, true, "ping")
		select {
		case s := <-got:
			first = s == seen{1, "ping"}
			if !first {
				t.Fatalf("saw %v", s)
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
	e.ProduceIn(t, journal, 0, false, "aborted")
	e.ProduceIn(t, journal, 0, true, "after")
	for {
		s := <-got
		if s == (seen{1, "ping"}) {
			continue
		}
		if s != (seen{0, "after"}) {
			t.Errorf("saw %v", s)
		}
		break
	}
	cancel()
	must(t, <-ended)
}
