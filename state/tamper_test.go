package state

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestTampered flips a bit of one file of a store, or tears the file, wherever that is. The store is
// refused, says when it is read that it is damaged, or is as it was after some write: it never mixes moments, as it
// would if part of its history were taken for the whole.
func TestTampered(t *testing.T) {
	lives, tries := 6, 120
	if testing.Short() {
		lives, tries = 2, 60
	}
	refused := 0
	for seed := range uint64(lives) {
		rng := rand.New(rand.NewPCG(seed, 11))
		mem := vfs.NewMem()
		w := &writer{t: t, rng: rng, history: []string{render(contents{Entities: map[string]string{}}, contents{Entities: map[string]string{}})}, c: &crasher{}}
		for i := range w.shards {
			w.shards[i] = emptyModel()
		}
		w.s = openAt(t, options(mem))
		for range 60 + rng.IntN(60) {
			w.step()
		}
		if err := w.s.Close(); err != nil { // it flushes nothing: what was last written is in the log alone
			t.Fatal(err)
		}
		all := listed(t, mem)
		for range tries {
			fs := cloned(t, mem)
			path := all[rng.IntN(len(all))]
			how := tamper(t, fs, path, rng)
			got, err := reread(fs)
			switch {
			case errors.Is(err, ErrCorrupt), errors.Is(err, ErrOtherOwner), errors.Is(err, ErrNewerFormat):
				refused++
			case err != nil:
				t.Errorf("seed %d, %s %s: %v", seed, how, path, err)
			case !slices.Contains(w.history, got):
				t.Errorf("seed %d, %s %s: taken for whole, and the store was never so", seed, how, path)
			}
		}
	}
	t.Logf("%d refused", refused)
	if refused == 0 {
		t.Error("nothing was refused")
	}
}

func emptyModel() model { return model{entities: map[string][]byte{}, due: map[string]int64{}} }

// listed are the files of a store that are not empty.
func listed(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	var all []string
	for _, dir := range []string{"data", fs.PathJoin("data", storeDir)} {
		names, err := fs.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		for _, name := range names {
			path := fs.PathJoin(dir, name)
			if info, err := fs.Stat(path); err == nil && !info.IsDir() && info.Size() > 0 {
				all = append(all, path)
			}
		}
	}
	return all
}

// tamper changes one file.
func tamper(t *testing.T, fs vfs.FS, path string, rng *rand.Rand) (how string) {
	t.Helper()
	b := content(t, fs, path)
	at := rng.IntN(len(b))
	if rng.IntN(2) == 0 {
		b[at] ^= 1 << rng.IntN(8)
		how = "flipped"
	} else {
		b, how = b[:at], "torn"
	}
	if err := writeSynced(fs, path, b); err != nil {
		t.Fatal(err)
	}
	return how
}

// reread opens a store and reads all of it.
func reread(fs vfs.FS) (string, error) {
	s, err := Open(options(fs))
	if err != nil {
		return "", err
	}
	var all []contents
	for shard := range int32(2) {
		var c contents
		if c, err = readAll(s, shard); err != nil {
			break
		}
		all = append(all, c)
	}
	if cerr := s.Close(); err == nil && s.failure.failed() == nil {
		err = cerr
	}
	return render(all...), err
}

// readAll is read that returns what is wrong.
func readAll(s *Store, shard int32) (c contents, err error) {
	c.Entities = map[string]string{}
	if c.Meta, c.HasMeta, err = s.Meta(shard); err != nil {
		return c, err
	}
	if err := s.Each(shard, "", func(id string, value []byte) (bool, error) {
		c.Entities[id] = string(value)
		return true, nil
	}); err != nil {
		return c, err
	}
	c.Hints, err = s.Hints(shard, Hint{Due: math.MinInt64}, math.MaxInt64, math.MaxInt)
	return c, err
}
