package state

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// crash is a file system as a power cut left it, in the middle of some write.
type crash struct {
	fs *vfs.MemFS
	// Of the states written so far, the store must be in one of durable to started.
	durable, started int
	percent          int
}

// crasher wraps a file system and, at random moments before a write, takes what a power cut would leave.
type crasher struct {
	fs      *vfs.MemFS
	mu      sync.Mutex
	rng     *rand.Rand
	crashes []crash

	durable, started atomic.Int64
}

func (c *crasher) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	one := 20 // Of so many writes is cut: opening what is left takes milliseconds.
	if strings.HasSuffix(op.Path, ".log") {
		one = 6
	}
	if c.rng.IntN(one) != 0 {
		return nil
	}
	x := crash{durable: int(c.durable.Load()), percent: []int{0, 30, 50, 70, 100}[c.rng.IntN(5)]}
	x.fs = c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: x.percent, RNG: c.rng})
	x.started = int(c.started.Load())
	c.crashes = append(c.crashes, x)
	return nil
}

func (c *crasher) String() string { return "power cuts" }

// plainReuse renames and opens by itself: MemFS.ReuseForWrite takes a read lock twice, which CrashClone, waiting
// for the write lock in between, turns into a deadlock.
type plainReuse struct{ vfs.FS }

func (fs plainReuse) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := fs.Rename(old, name); err != nil {
		return nil, err
	}
	return fs.OpenReadWrite(name, category)
}

// TestPowerCut cuts the power in the middle of writes and opens what is left: the store must be as it was
// after some write, not before the last that was durable. The states compared are whole: both shards,
// entities, hints and meta, so nothing may come from different moments.
func TestPowerCut(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { powerCuts(t, seed) })
	}
}

func powerCuts(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	mem := vfs.NewCrashableMem()
	c := &crasher{fs: mem, rng: rand.New(rand.NewPCG(seed, 2))}
	w := &writer{t: t, rng: rng, history: []string{render(contents{Entities: map[string]string{}}, contents{Entities: map[string]string{}})}, c: c}
	for i := range w.shards {
		w.shards[i] = model{entities: map[string][]byte{}, due: map[string]int64{}}
	}
	w.s = openAt(t, options(plainReuse{errorfs.Wrap(mem, c)}))
	for range 120 {
		w.step()
	}
	if err := w.s.Close(); err != nil { // Compactions write, too.
		t.Fatal(err)
	}
	if len(c.crashes) < 10 {
		t.Fatalf("only %d power cuts", len(c.crashes))
	}
	for i, x := range c.crashes {
		s, err := Open(options(x.fs))
		if err != nil {
			t.Fatalf("cut %d, %d%% of unsynced data kept, between states %d and %d: %v", i, x.percent, x.durable, x.started, err)
		}
		got, found := render(read(t, s, 0), read(t, s, 1)), false
		for k := x.durable; k <= x.started; k++ {
			found = found || w.history[k] == got
		}
		if !found {
			t.Errorf("cut %d, %d%% of unsynced data kept: no state between %d and %d was\n%.2000s", i, x.percent, x.durable, x.started, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func render(shards ...contents) string { return fmt.Sprintf("%+v", shards) }

// model is what a shard should hold.
type model struct {
	meta     Meta
	has      bool
	entities map[string][]byte
	due      map[string]int64
}

func (m *model) contents() contents {
	c := contents{Meta: m.meta, HasMeta: m.has, Entities: map[string]string{}}
	for id, v := range m.entities {
		c.Entities[id] = string(v)
		if m.due[id] != lead.Never {
			c.Hints = append(c.Hints, Hint{m.due[id], id})
		}
	}
	sortHints(c.Hints)
	return c
}

// writer writes random changes to a store and keeps the states they lead to.
type writer struct {
	t       *testing.T
	rng     *rand.Rand
	s       *Store
	c       *crasher
	shards  [2]model
	history []string
	epoch   uint64
}

// expect records the state that the next write leads to, before it starts.
func (w *writer) expect() {
	w.history = append(w.history, render(w.shards[0].contents(), w.shards[1].contents()))
	w.c.started.Store(int64(len(w.history) - 1))
}

// synced says that everything written so far is durable.
func (w *writer) synced() { w.c.durable.Store(int64(len(w.history) - 1)) }

func (w *writer) step() {
	shard := int32(w.rng.IntN(2))
	m := &w.shards[shard]
	var err error
	switch n := w.rng.IntN(100); {
	case n < 2:
		*m = model{entities: map[string][]byte{}, due: map[string]int64{}}
		w.expect()
		if err = w.s.Drop(shard); err == nil {
			w.synced()
		}
	case n < 5:
		err = w.load(shard, m)
	case n < 9:
		if err = w.s.Flush(); err == nil {
			w.synced()
		}
	case n < 15:
		err = w.s.db.Flush()
	default:
		ents := w.change(m)
		w.expect()
		err = w.s.Checkpoint(shard, ents, m.meta)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// change changes some entities of a shard and its meta.
func (w *writer) change(m *model) []Entity {
	w.epoch++
	m.meta, m.has = Meta{Epoch: w.epoch, Redo: w.epoch / 2, Extra: fmt.Append(nil, "extra", w.epoch)}, true
	var ents []Entity
	for range w.rng.IntN(30) {
		e := Entity{ID: fmt.Sprintf("lead-%02d", w.rng.IntN(60)), Due: lead.Never, OldDue: lead.Never}
		if old, ok := m.due[e.ID]; ok {
			e.OldDue = old
		}
		delete(m.entities, e.ID)
		delete(m.due, e.ID)
		if w.rng.IntN(5) > 0 {
			if w.rng.IntN(4) > 0 {
				e.Due = w.rng.Int64N(1000)
			}
			e.Value = encoded(e.ID, w.epoch, e.Due)
			e.Value = append(e.Value, make([]byte, w.rng.IntN(2000))...)
			m.entities[e.ID], m.due[e.ID] = e.Value, e.Due
		}
		ents = append(ents, e)
	}
	return ents
}

// load writes a shard anew: it is gone, then it is there.
func (w *writer) load(shard int32, m *model) error {
	*m = model{entities: map[string][]byte{}, due: map[string]int64{}}
	w.expect()
	l, err := w.s.Load(shard)
	if err != nil {
		return err
	}
	w.synced()
	for _, e := range w.change(m) {
		if err := l.Add(e.ID, e.Value, e.Due); err != nil {
			return err
		}
	}
	w.expect()
	if err := l.Finish(m.meta); err != nil {
		return err
	}
	w.synced()
	return nil
}
