package micro

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/bench/tape"
	"leadstream/state"
	"leadstream/state/lead"
)

// BenchmarkStore writes what a process that works through a backlog writes: slices of each shard's leads in turn, Zipf-distributed,
// a part of them new, after a look in vain for each of those. One op is one write. The CPU time is that of the whole process,
// until the store is closed.
func BenchmarkStore(b *testing.B) {
	for _, c := range []struct{ leads, slice int }{{200_000, 500}, {2_000_000, 500}} {
		b.Run(fmt.Sprintf("leads=%d/slice=%d", c.leads, c.slice), func(b *testing.B) {
			values := values(b)
			began := cpuTime(b)
			store := openStore(b, b.TempDir())
			for shard := range int32(tape.Shards) {
				if err := store.Drop(shard); err != nil { // as of a shard that begins
					b.Fatal(err)
				}
			}
			rng := rand.New(rand.NewPCG(1, 2))
			zipf := rand.NewZipf(rng, 1.1, 10, uint64(c.leads-1))
			due := map[string]int64{}
			buf := make([]byte, 0, 4096)
			news := 0
			epoch := uint64(0)
			for n := 0; n < b.N; {
				shard := int32(epoch % tape.Shards)
				epoch++
				ents := make([]state.Entity, 0, c.slice)
				in := map[string]bool{}
				for len(ents) < c.slice {
					id := "lead-" + strconv.FormatUint(zipf.Uint64()*tape.Shards+uint64(shard), 10)
					if in[id] {
						n++
						continue
					}
					in[id] = true
					old, ok := due[id]
					if !ok {
						old = lead.Never
						news++
						if _, ok, err := store.Get(shard, id, buf); ok || err != nil {
							b.Fatal(ok, err)
						}
					}
					e := state.Entity{ID: id, Value: values[rng.IntN(len(values))], OldDue: old, Due: lead.Never}
					if rng.IntN(2) == 0 {
						e.Due = tape.Start + rng.Int64N(1e9)
					}
					due[id] = e.Due
					ents = append(ents, e)
				}
				n += len(ents)
				if err := store.Checkpoint(shard, ents, state.Meta{Epoch: epoch, Redo: epoch}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(metric(b, store, "leadstream_state_missed_total")/float64(max(news, 1)), "looks/new")
			written := metric(b, store, "leadstream_state_table_written_bytes_total") + metric(b, store, "leadstream_state_wal_written_bytes_total")
			if err := store.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64((cpuTime(b)-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
			b.ReportMetric(written/float64(b.N), "disk-B/op")
		})
	}
}

// values are leads as they are stored, of one event to two hundred.
func values(b *testing.B) (all [][]byte) {
	b.Helper()
	for _, events := range []int{1, 1, 2, 3, 5, 8, 13, 30, 100, 200} {
		all = append(all, lead.AppendEncode(nil, grown(b, events)))
	}
	return all
}

func openStore(b *testing.B, dir string) *state.Store {
	b.Helper()
	store, err := state.Open(state.Options{Dir: dir, App: tape.App})
	if err != nil {
		b.Fatal(err)
	}
	return store
}

// metric is the value of one of the store's metrics.
func metric(b *testing.B, store *state.Store, name string) float64 {
	b.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(store.Collector())
	all, err := reg.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range all {
		if m.GetName() == name {
			x := m.GetMetric()[0]
			return x.GetCounter().GetValue() + x.GetGauge().GetValue()
		}
	}
	b.Fatalf("there is no metric %s", name)
	return 0
}

// BenchmarkStoreOpened looks in vain into a store that was opened with data: what a process does that comes back, at first by
// the store's tables, later by filters that it has filled on the way.
func BenchmarkStoreOpened(b *testing.B) {
	dir := b.TempDir()
	store := openStore(b, dir)
	const leads = 1_000_000
	values := values(b)
	ld, err := store.Load(0)
	if err != nil {
		b.Fatal(err)
	}
	for i := range leads {
		if err := ld.Add("lead-"+strconv.Itoa(i), values[i%len(values)], lead.Never); err != nil {
			b.Fatal(err)
		}
	}
	if err := ld.Finish(state.Meta{}); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(metric(b, store, "leadstream_state_filter_bytes")/leads, "filter-B/lead")
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	for _, each := range []int{1000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint("misses=", each), func(b *testing.B) {
			for b.Loop() {
				store := openStore(b, dir)
				began := cpuTime(b)
				for i := range each {
					if _, ok, err := store.Get(0, "lead-"+strconv.Itoa(i)+"x", nil); ok || err != nil {
						b.Fatal(ok, err)
					}
				}
				b.ReportMetric(float64((cpuTime(b)-began).Nanoseconds())/float64(each), "cpu-ns/miss")
				b.ReportMetric(metric(b, store, "leadstream_state_filter_scanned_entities_total")/leads, "scanned")
				if err := store.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
