package state

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// filtered walks a store through its life and compares what it says of every id with a map.
type filtered struct {
	t      *testing.T
	rng    *rand.Rand
	fs     *vfs.MemFS
	s      *Store
	shards [2]map[string]bool
	epoch  uint64
}

func (w *filtered) open() {
	o := options(w.fs)
	o.FilterBytes = 256 // next to nothing: what has no room tells less and less, and never anything wrong
	var err error
	if w.s, err = Open(o); err != nil {
		w.t.Fatal(err)
	}
	for i := range w.shards {
		w.shards[i] = map[string]bool{}
		err := w.s.Each(int32(i), "", func(id string, _ []byte) (bool, error) {
			w.shards[i][id] = true
			return true, nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

const filteredIDs = 1000

func (w *filtered) id() string { return fmt.Sprint("lead-", w.rng.IntN(filteredIDs)) }

func (w *filtered) step() {
	shard := int32(w.rng.IntN(len(w.shards)))
	has := w.shards[shard]
	w.epoch++
	switch n := w.rng.IntN(100); {
	case n < 2:
		if err := w.s.Drop(shard); err != nil {
			w.t.Fatal(err)
		}
		clear(has)
	case n < 5:
		w.load(shard)
	case n < 8:
		if err := w.s.Close(); err != nil {
			w.t.Fatal(err)
		}
		w.open()
	case n < 12: // the newest writes may be gone
		fs := w.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: w.rng.IntN(101), RNG: w.rng})
		if err := w.s.Close(); err != nil {
			w.t.Fatal(err)
		}
		w.fs = fs
		w.open()
	case n < 40:
		w.s.scanSome(shard, w.s.filterOf(shard), 1+w.rng.IntN(100))
	default:
		var ents []Entity
		for range w.rng.IntN(60) {
			e := Entity{ID: w.id(), Due: lead.Never, OldDue: lead.Never}
			delete(has, e.ID)
			if w.rng.IntN(5) > 0 {
				e.Value, has[e.ID] = encoded(e.ID, w.epoch, lead.Never), true
			}
			ents = append(ents, e)
		}
		checkpoint(w.t, w.s, shard, Meta{Epoch: w.epoch}, ents...)
	}
}

// load loads a shard anew, or gives that up.
func (w *filtered) load(shard int32) {
	l := load(w.t, w.s, shard)
	has := w.shards[shard]
	clear(has)
	ids := map[string]bool{}
	for range w.rng.IntN(200) {
		id := w.id()
		value := encoded(id, w.epoch, lead.Never)
		if ids[id] = w.rng.IntN(5) > 0; !ids[id] {
			value = nil
		}
		if err := l.Add(id, value, lead.Never); err != nil {
			w.t.Fatal(err)
		}
	}
	if w.rng.IntN(3) == 0 {
		l.Abort()
		return
	}
	if err := l.Finish(Meta{Epoch: w.epoch}); err != nil {
		w.t.Fatal(err)
	}
	maps.DeleteFunc(ids, func(_ string, there bool) bool { return !there })
	maps.Copy(has, ids)
}

// check asks for every id there could be, and for none.
func (w *filtered) check() {
	for shard, has := range w.shards {
		for i := range filteredIDs {
			id := fmt.Sprint("lead-", i)
			if _, ok, err := w.s.Get(int32(shard), id, nil); ok != has[id] || err != nil {
				w.t.Fatalf("Get(%d, %q) = %v, %v; want %v", shard, id, ok, err, has[id])
			}
		}
		if _, ok, err := w.s.Get(int32(shard), "", nil); ok || err != nil {
			w.t.Fatalf("Get of no id: %v, %v", ok, err)
		}
	}
}

// TestFilterAgainstModel: whatever happens to a store, what is there is found and what isn't is not.
func TestFilterAgainstModel(t *testing.T) {
	seeds := uint64(3)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			w := &filtered{t: t, rng: rand.New(rand.NewPCG(seed, 0)), fs: vfs.NewCrashableMem()}
			w.open()
			answers := uint64(0)
			for range 40 {
				for range 8 {
					w.step()
				}
				before := w.s.counts.filtered.Load()
				w.check()
				answers += w.s.counts.filtered.Load() - before
			}
			if err := w.s.Close(); err != nil {
				t.Fatal(err)
			}
			if answers < 1000 {
				t.Errorf("the filters knew of %d ids only that they are absent", answers)
			}
		})
	}
}

// TestFilterTells: few that are absent are taken for present, in few bits, until the limit is reached; then
// it stays within that.
func TestFilterTells(t *testing.T) {
	const ids = 50_000
	for _, c := range []struct{ limit, most, wrong int }{
		{1 << 30, ids * 60 / 8, ids / 40},
		{ids, ids + firstBlocks*blockBytes, ids / 4}, // 8 bits an id
	} {
		var used atomic.Int64
		m := &filterMemory{int64(c.limit), &used}
		f := m.newFilter(extent{whole: true})
		for i := range ids {
			f.add(lead.HashString(fmt.Sprint("in-", i)), lead.HashString(fmt.Sprint("in-", i/2))) // again
		}
		wrong := 0
		for i := range ids {
			if id := fmt.Sprint("in-", i); f.absent(id, lead.HashString(id)) {
				t.Fatalf("limit %d: %s is there", c.limit, id)
			}
			if id := fmt.Sprint("out-", i); !f.absent(id, lead.HashString(id)) {
				wrong++
			}
		}
		if n := used.Load(); n > int64(c.most) || wrong > c.wrong {
			t.Errorf("limit %d: %d bytes, %d of %d wrong", c.limit, n, wrong, ids)
		}
		f.retire()
		f.add(1, 2, 3)
		if n := used.Load(); n != 0 {
			t.Errorf("limit %d: %d bytes are left", c.limit, n)
		}
	}
}

// TestFilterComesToKnowAStore: looks in vain pay for the scan of a store that was opened with data.
func TestFilterComesToKnowAStore(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, options(fs))
	for batch := range 5 {
		var ents []Entity
		for i := range 1000 {
			ents = append(ents, entity(fmt.Sprintf("lead-%d-%d", batch, i), 1, lead.Never, lead.Never))
		}
		checkpoint(t, s, 7, Meta{Epoch: uint64(batch)}, ents...)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, options(fs))
	for i := range 6 * missesPerScan {
		if _, ok, err := s.Get(7, fmt.Sprint("z-", i), nil); ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if got := s.counts.scanned.Load(); got != 5000 || s.counts.missed.Load() < 5*missesPerScan {
		t.Fatalf("scanned %d of 5000 after %d looks in vain", got, s.counts.missed.Load())
	}
	if s.counts.filtered.Load() == 0 || !s.filterOf(7).seen.Load().whole {
		t.Fatal("the filter is not whole")
	}
	if n := len(read(t, s, 7).Entities); n != 5000 {
		t.Fatalf("%d entities", n)
	}
}

// TestFilterBesideWrites: what a checkpoint has written is found at once, by whoever asks, while the store of before is
// scanned.
func TestFilterBesideWrites(t *testing.T) {
	fs := vfs.NewMem()
	s := openAt(t, options(fs))
	id := func(i int64) string { return fmt.Sprint("lead-", i) }
	write := func(from, to int64) {
		var ents []Entity
		for i := from; i < to; i++ {
			ents = append(ents, entity(id(i), 1, lead.Never, lead.Never))
		}
		checkpoint(t, s, 0, Meta{}, ents...)
	}
	write(0, 5000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, options(fs))
	var written atomic.Int64
	written.Store(5000)
	var readers sync.WaitGroup
	for r := range 3 {
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(r), 3))
			for last := false; !last; {
				n := written.Load()
				last = n == 9000
				for range 20 {
					if _, ok, err := s.Get(0, id(rng.Int64N(n)), nil); !ok || err != nil {
						t.Errorf("not found below %d: %v", n, err)
						return
					}
					if _, ok, err := s.Get(0, fmt.Sprint("none-", rng.Int()), nil); ok || err != nil {
						t.Errorf("found, or %v", err)
						return
					}
				}
			}
		})
	}
	for i := int64(5000); i < 9000; i += 10 {
		write(i, i+10)
		written.Store(i + 10)
	}
	readers.Wait()
}
