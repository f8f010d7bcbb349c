package connectortest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
)

// Inputs is the suite of engine.Inputs.
func Inputs(t *testing.T, fresh func(testing.TB) Env) {
	runAll(t, fresh, []test{
		{"EmptyPartitionsAreReported", emptyReported},
		{"OrderAndContinuity", orderAndContinuity},
		{"PositionPassesMarkers", passesMarkers},
		{"ExactRestart", exactRestart},
		{"MissingRecordsAreAGap", missingIsGap},
		{"PollEndsWithItsContext", pollEnds},
		{"RecordsLastUntilTheyAreFreed", lastUntilFreed},
		{"CloseTwice", func(t *testing.T, e Env) {
			in := e.Open(t, "a").Inputs
			in.Close()
			in.Close()
		}},
	})
}

// follower polls until it has what a test waits for, checking what holds for every fetch.
type follower struct {
	t    testing.TB
	in   engine.Inputs
	max  int
	next map[engine.TopicPartition]int64
	last map[engine.TopicPartition]engine.Fetch
	got  map[engine.TopicPartition][]string
	offs map[engine.TopicPartition][]int64
}

func follow(t testing.TB, in engine.Inputs, maxRecords int) *follower {
	return &follower{t: t, in: in, max: maxRecords, next: map[engine.TopicPartition]int64{}, last: map[engine.TopicPartition]engine.Fetch{},
		got: map[engine.TopicPartition][]string{}, offs: map[engine.TopicPartition][]int64{}}
}

// until polls until done says so.
func (f *follower) until(what string, done func() bool) {
	f.t.Helper()
	ctx := within(f.t)
	for !done() {
		fetches, err := f.in.Poll(ctx, f.max)
		if err != nil {
			f.t.Fatalf("polling for %s: %v", what, err)
		}
		if fetches == nil {
			f.t.Fatalf("polling for %s: nothing came within %v; have %v", what, limit, f.got)
		}
		f.take(fetches)
	}
}

func (f *follower) take(fetches []engine.Fetch) {
	f.t.Helper()
	n := 0
	for _, x := range fetches {
		n += len(x.Records)
		if want, seen := f.next[x.TopicPartition]; seen && x.From != want {
			f.t.Fatalf("%v: From is %d, Next of the fetch before was %d", x.TopicPartition, x.From, want)
		}
		pos := x.From
		for _, r := range x.Records {
			if r.Offset < pos {
				f.t.Fatalf("%v: offset %d at position %d", x.TopicPartition, r.Offset, pos)
			}
			pos = r.Offset + 1
			f.got[x.TopicPartition] = append(f.got[x.TopicPartition], string(r.Value))
			f.offs[x.TopicPartition] = append(f.offs[x.TopicPartition], r.Offset)
		}
		if x.Next < pos || x.End < x.Next {
			f.t.Fatalf("%v: position %d, Next %d, End %d", x.TopicPartition, pos, x.Next, x.End)
		}
		f.next[x.TopicPartition] = x.Next
		if x.Free != nil {
			x.Free(x.Records)
		}
		x.Records, x.Free = nil, nil
		f.last[x.TopicPartition] = x
	}
	if n > f.max {
		f.t.Fatalf("%d records in a poll of at most %d", n, f.max)
	}
}

func (f *follower) has(tp engine.TopicPartition, n int) func() bool {
	return func() bool { return len(f.got[tp]) >= n }
}

func emptyReported(t *testing.T, e Env) {
	in := e.Open(t, "a").Inputs
	defer in.Close()
	e.Produce(t, 1, "one")
	parts := []engine.TopicPartition{at(e.Source, 0), at(e.Source, 1), at(e.Topic(engine.TopicInbox), 0)}
	var starts []engine.Start
	for _, tp := range parts {
		starts = append(starts, start(tp.Topic, tp.Partition))
	}
	must(t, in.Add(within(t), starts))
	fetches, err := in.Poll(within(t), 10)
	must(t, err)
	for i, tp := range parts {
		j := slices.IndexFunc(fetches, func(f engine.Fetch) bool { return f.TopicPartition == tp })
		if j < 0 {
			t.Fatalf("%v is not in the first poll", tp)
		}
		if f := fetches[j]; f.From != 0 || i != 1 && (f.Next != 0 || f.End != 0) || i == 1 && f.End != 1 {
			t.Errorf("%v: from %d, next %d, end %d", tp, f.From, f.Next, f.End)
		}
	}
}

func orderAndContinuity(t *testing.T, e Env) {
	in := e.Open(t, "a").Inputs
	defer in.Close()
	e.Produce(t, 0, values(0, 500)...)
	must(t, in.Add(within(t), []engine.Start{start(e.Source, 0), start(e.Source, 1)}))
	f := follow(t, in, 7)
	f.until("the first 500", f.has(at(e.Source, 0), 500))
	e.Produce(t, 1, values(0, 100)...)
	e.Produce(t, 0, values(500, 100)...)
	f.until("600", f.has(at(e.Source, 0), 600))
	f.until("100", f.has(at(e.Source, 1), 100))
	if !slices.Equal(f.got[at(e.Source, 0)], values(0, 600)) || !slices.Equal(f.got[at(e.Source, 1)], values(0, 100)) {
		t.Errorf("not in order: %v", f.got)
	}
}

func passesMarkers(t *testing.T, e Env) {
	in := e.Open(t, "a").Inputs
	defer in.Close()
	tp := at(e.Source, 0)
	must(t, in.Add(within(t), []engine.Start{start(e.Source, 0)}))
	f := follow(t, in, 100)
	e.ProduceIn(t, e.Source, 0, true, "a", "b")
	e.ProduceIn(t, e.Source, 0, false, "aborted")
	e.ProduceIn(t, e.Source, 0, true, "c")
	e.ProduceIn(t, e.Source, 0, false, "aborted too")
	e.Produce(t, 1, "elsewhere")
	// Two records, a marker, an aborted record, its marker, one record, its marker, and the last two.
	f.until("the end behind the last marker", func() bool { return f.next[tp] == 9 && f.last[tp].End == 9 })
	if want := []string{"a", "b", "c"}; !slices.Equal(f.got[tp], want) {
		t.Errorf("got %v, want %v", f.got[tp], want)
	}
}

func exactRestart(t *testing.T, e Env) {
	in := e.Open(t, "a").Inputs
	defer in.Close()
	e.Produce(t, 0, values(0, 50)...)
	tp := at(e.Source, 0)
	must(t, in.Add(within(t), []engine.Start{start(e.Source, 0)}))
	f := follow(t, in, 20)
	f.until("20", f.has(tp, 20))
	for _, from := range []int64{20, 0, 49, 50, 7} {
		in.Remove([]engine.TopicPartition{tp})
		must(t, in.Add(within(t), []engine.Start{{TopicPartition: tp, Offset: from}}))
		f := follow(t, in, 1000)
		f.until("the rest", func() bool { return f.next[tp] == 50 })
		if !slices.Equal(f.got[tp], values(int(from), 50-int(from))) {
			t.Fatalf("from %d: got %v", from, f.got[tp])
		}
	}
	in.Remove([]engine.TopicPartition{tp})
	e.Produce(t, 0, "unseen")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if fetches, err := in.Poll(ctx, 10); err != nil || len(fetches) > 0 {
		t.Errorf("a removed partition brought %v, %v", fetches, err)
	}
}

func missingIsGap(t *testing.T, e Env) {
	p := e.Open(t, "a")
	defer p.Inputs.Close()
	e.Produce(t, 0, values(0, 20)...)
	tp := at(e.Source, 0)
	must(t, p.History.Cut(within(t), tp, 10))
	for _, from := range []int64{9, 21} {
		if err := p.Inputs.Add(within(t), []engine.Start{{TopicPartition: tp, Offset: from}}); !errors.Is(err, engine.ErrGap) {
			t.Errorf("adding at %d of [10, 20): %v", from, err)
		}
	}
	must(t, p.Inputs.Add(within(t), []engine.Start{start(e.Source, 0)}))
	f := follow(t, p.Inputs, 100)
	f.until("what is left", f.has(tp, 10))
	if f.offs[tp][0] != 10 {
		t.Errorf("the first offset is %d, want 10", f.offs[tp][0])
	}
}

// lastUntilFreed keeps what it polls for a while, as an engine that is behind does, and frees it in another order, when others were
// read into the memory of some.
func lastUntilFreed(t *testing.T, e Env) {
	in := e.Open(t, "a").Inputs
	defer in.Close()
	must(t, in.Add(within(t), []engine.Start{start(e.Source, 0)}))
	value := func(i int64) string { return fmt.Sprintf("%d %s", i, strings.Repeat(fmt.Sprint("value ", i), 20)) }
	var kept []engine.Fetch
	check := func() {
		for _, f := range kept {
			for _, r := range f.Records {
				if string(r.Value) != value(r.Offset) {
					t.Fatalf("record %d is %.40q, want %.40q", r.Offset, r.Value, value(r.Offset))
				}
			}
		}
	}
	for round := range int64(12) {
		var batch []string
		for i := range int64(50) {
			batch = append(batch, value(round*50+i))
		}
		e.Produce(t, 0, batch...)
		for next := round * 50; next < round*50+50; {
			fetches, err := in.Poll(within(t), 7)
			must(t, err)
			for _, f := range fetches {
				next = f.Next
				kept = append(kept, f)
			}
		}
		check()
		for i := 0; i < len(kept); i += 2 { // some, among them parts of a batch
			if f := kept[i]; f.Free != nil {
				f.Free(f.Records)
			}
			kept = slices.Delete(kept, i, i+1)
		}
		check()
	}
}

func pollEnds(t *testing.T, e Env) {
	in := e.Open(t, "a").Inputs
	defer in.Close()
	must(t, in.Add(within(t), []engine.Start{start(e.Source, 0)}))
	f := follow(t, in, 10)
	f.until("the empty report", func() bool { return len(f.last) == 1 })
	for range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(5*time.Millisecond, cancel)
		if fetches, err := in.Poll(ctx, 10); fetches != nil || err != nil {
			t.Fatalf("cancelled poll: %v, %v", fetches, err)
		}
		if fetches, err := in.Poll(ctx, 10); fetches != nil || err != nil {
			t.Fatalf("poll with an ended context: %v, %v", fetches, err)
		}
	}
	e.Produce(t, 0, "after")
	f.until("the record after", f.has(at(e.Source, 0), 1))
}
