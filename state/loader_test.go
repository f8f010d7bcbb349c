package state

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func load(t testing.TB, s *Store, shard int32) *Loader {
	t.Helper()
	l, err := s.Load(shard)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestLoadAgainstModel loads versions and tombstones in random order, in memory and through 1 to many
// runs, into a new shard and over an old one, and compares with a map.
func TestLoadAgainstModel(t *testing.T) {
	for _, budget := range []int{defaultLoadBytes, 64 << 10, 2 << 10, 1} {
		t.Run(fmt.Sprint("budget=", budget), func(t *testing.T) {
			s := openMem(t)
			s.loadBytes = budget
			for round := range uint64(3) {
				rng := rand.New(rand.NewPCG(round, uint64(budget)))
				want := contents{Meta: Meta{Epoch: round, Redo: 2, Extra: []byte("x")}, HasMeta: true, Entities: map[string]string{}}
				due := map[string]int64{}
				l := load(t, s, 1)
				for e := range uint64(1500) {
					id := fmt.Sprintf("u-%04d", rng.IntN(400))
					if rng.IntN(8) == 0 {
						if err := l.Add(id, nil, lead.Never); err != nil {
							t.Fatal(err)
						}
						delete(want.Entities, id)
						delete(due, id)
						continue
					}
					d := rng.Int64N(1000)
					if rng.IntN(3) == 0 {
						d = lead.Never
					}
					value := encoded(id, e, d)
					if err := l.Add(id, value, d); err != nil {
						t.Fatal(err)
					}
					want.Entities[id], due[id] = string(value), d
					clear(value) // Nothing of it may be kept.
				}
				for id, d := range due {
					if d != lead.Never {
						want.Hints = append(want.Hints, Hint{d, id})
					}
				}
				sortHints(want.Hints)
				if got := read(t, s, 1); got.HasMeta || len(got.Entities) > 0 {
					t.Fatal("an unfinished load can be seen")
				}
				if err := s.Checkpoint(1, nil, Meta{}); err == nil {
					t.Fatal("checkpointed while loading")
				}
				if s.AddHints(1, []Hint{{1, "a"}}) == nil || s.Drop(1) == nil {
					t.Fatal("added a hint or dropped while loading")
				}
				if _, err := s.Load(1); err == nil {
					t.Fatal("loaded twice at once")
				}
				if err := l.Finish(want.Meta); err != nil {
					t.Fatal(err)
				}
				l.Abort()
				if got := read(t, s, 1); !reflect.DeepEqual(got, want) {
					t.Fatalf("round %d: %d entities and %d hints with meta %+v; want %d, %d, %+v",
						round, len(got.Entities), len(got.Hints), got.Meta, len(want.Entities), len(want.Hints), want.Meta)
				}
				// What comes after a load is newer than it.
				first := slices.Sorted(maps.Keys(want.Entities))[0]
				checkpoint(t, s, 1, Meta{Epoch: 100}, entity(first, 2000, 77, due[first]))
				if got := read(t, s, 1); got.Entities[first] != string(encoded(first, 2000, 77)) || got.Meta.Epoch != 100 {
					t.Fatal("a checkpoint after a load is hidden by it")
				}
			}
			if names, err := s.fs.List(s.fs.PathJoin(s.dir, loadDir)); err != nil || len(names) > 0 {
				t.Fatalf("left behind: %q, %v", names, err)
			}
		})
	}
}

func sortHints(hints []Hint) {
	slices.SortFunc(hints, func(a, b Hint) int {
		return cmp.Or(cmp.Compare(a.Due, b.Due), cmp.Compare(a.ID, b.ID))
	})
}

func TestLoadOfNothing(t *testing.T) {
	s := openMem(t)
	checkpoint(t, s, 0, Meta{Epoch: 1}, entity("a", 1, 5, lead.Never))
	if err := load(t, s, 0).Finish(Meta{Epoch: 9}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, 0); got.Meta.Epoch != 9 || len(got.Entities)+len(got.Hints) > 0 {
		t.Fatalf("%+v", got)
	}
}

func TestAbort(t *testing.T) {
	s := openMem(t)
	s.loadBytes = 1
	checkpoint(t, s, 0, Meta{Epoch: 1}, entity("a", 1, 5, lead.Never))
	l := load(t, s, 0)
	for i := range 10 {
		if err := l.Add(fmt.Sprint(i), []byte{1}, 3); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Add("", nil, 0); err == nil {
		t.Fatal("added without id")
	}
	if err := l.Finish(Meta{}); err == nil {
		t.Fatal("finished after an error")
	}
	l.Abort()
	if got := read(t, s, 0); got.HasMeta || len(got.Entities)+len(got.Hints) > 0 {
		t.Fatalf("after a failed load: %+v", got)
	}
	checkpoint(t, s, 0, Meta{Epoch: 2})
}

// TestLoadGoesToTheLowestLevel keeps compactions from rewriting what was loaded, also over a shard that
// was there before.
func TestLoadGoesToTheLowestLevel(t *testing.T) {
	const small = 8 << 10 // Metas and tombstones in tables of their own, until they are compacted.
	s := openMem(t)
	for range 2 {
		l := load(t, s, 0)
		for i := range 2000 {
			if err := l.Add(fmt.Sprint("lead", i), encoded("lead", 1, int64(i)), int64(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Finish(Meta{}); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
		m := s.db.Metrics()
		total := m.Total()
		if above := total.TablesSize - m.Levels[len(m.Levels)-1].TablesSize; total.TablesSize < 40<<10 || above > small {
			t.Fatalf("%d of %d bytes are above the lowest level:\n%s", above, total.TablesSize, m)
		}
	}
	if err := s.Drop(0); err != nil {
		t.Fatal(err)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	m := s.db.Metrics()
	if total := m.Total(); total.TablesSize > small {
		t.Fatalf("%d bytes are left of a dropped shard:\n%s", total.TablesSize, m)
	}
}

func TestDamagedRunIsFound(t *testing.T) {
	s := openMem(t)
	s.loadBytes = 4 << 10
	for offset, size := int64(0), int64(1); offset < size; offset += 7 {
		l := load(t, s, 0)
		for i := range 60 {
			if err := l.Add(fmt.Sprint("lead", i), make([]byte, 100), lead.Never); err != nil {
				t.Fatal(err)
			}
		}
		info, err := s.fs.Stat(l.entities.runs[0])
		if err != nil {
			t.Fatal(err)
		}
		size = info.Size()
		flip(t, s.fs, l.entities.runs[0], offset)
		if err := l.Finish(Meta{}); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("a bit flipped at %d was not noticed: %v", offset, err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	const leads = 1 << 20
	for _, budget := range []int{1 << 30, defaultLoadBytes} {
		b.Run(fmt.Sprintf("leads=%d/bytes=300/budget=%dMiB", leads, budget>>20), func(b *testing.B) {
			o := options(vfs.Default)
			o.Dir = b.TempDir()
			o.MemTableBytes = 0
			s := openAt(b, o)
			s.loadBytes = budget
			rng := rand.New(rand.NewPCG(1, 2))
			text := make([]byte, 1<<20) // Values are pieces of it: no compression flatters the result.
			for i := range text {
				text[i] = byte(rng.Uint32())
			}
			for b.Loop() {
				l := load(b, s, 0)
				for i := range uint32(leads) {
					id := fmt.Appendf(nil, "u-%08d", i*2654435761%leads) // A permutation, as leads is a power of two.
					due := lead.Never
					if i%2 == 0 {
						due = int64(i) * 7919
					}
					at := i % (1<<20 - 300)
					if err := l.Add(string(id), text[at:at+300], due); err != nil {
						b.Fatal(err)
					}
				}
				if err := l.Finish(Meta{}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(leads)*float64(b.N)/b.Elapsed().Seconds(), "leads/s")
		})
	}
}
