package tape

import (
	"os"
	"testing"

	"leadstream/engine"
	"leadstream/rules"
)

// TestPartitionsAreEquallyFar says that no partition runs ahead of the others, and that everything is given once and in order.
func TestPartitionsAreEquallyFar(t *testing.T) {
	const events = 50_000
	parts, err := Record(events, 1000)
	if err != nil {
		t.Fatal(err)
	}
	tp := New(parts, Options{})
	var starts []engine.Start
	for p := range int32(Shards) {
		starts = append(starts, engine.Start{TopicPartition: engine.TopicPartition{Topic: sourceName, Partition: p}})
	}
	if err := tp.Add(t.Context(), starts); err != nil {
		t.Fatal(err)
	}
	if first, err := tp.Poll(t.Context(), 100); err != nil || len(first) != Shards {
		t.Fatalf("%d fetches say where the partitions begin, %v", len(first), err)
	}
	var next [Shards]int64
	for given := 0; given < events; {
		fetches, err := tp.Poll(t.Context(), 7000)
		if err != nil {
			t.Fatal(err)
		}
		now := 0
		for _, f := range fetches {
			if f.From != next[f.Partition] || f.Next != f.From+int64(len(f.Records)) || f.Records[0].Offset != f.From {
				t.Fatalf("partition %d goes on at %d, %d records to %d, after %d", f.Partition, f.From, len(f.Records), f.Next, next[f.Partition])
			}
			next[f.Partition] = f.Next
			now += len(f.Records)
		}
		if given += now; now > 7000+Shards {
			t.Errorf("%d events at once", now)
		}
		for p, at := range next {
			if want := float64(len(parts[p])) * float64(min(given, events)) / events; float64(at) < want-Shards-1 || float64(at) > want+Shards+1 {
				t.Errorf("partition %d is at %d after %d of %d events, want %.0f", p, at, given, events, want)
			}
		}
	}
}

func TestRun(t *testing.T) {
	const events = 5000
	text, err := os.ReadFile("../e2e/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Parse(rules.File{Name: "rules.yaml", Src: text})
	if err != nil {
		t.Fatal(err)
	}
	parts, err := Record(events, 500)
	if err != nil {
		t.Fatal(err)
	}
	var done int64
	tp := New(parts, Options{Step: true, Committed: func(n int64) {
		if n < done {
			t.Errorf("%d events done after %d", n, done)
		}
		done = n
	}})
	if err := Run(t.Context(), tp, set, t.TempDir(), 64<<20); err != nil {
		t.Fatal(err)
	}
	if done != events || tp.States.Load() == 0 || tp.Commits.Load() == 0 {
		t.Errorf("%d events done, %d leads written in %d transactions", done, tp.States.Load(), tp.Commits.Load())
	}
}
