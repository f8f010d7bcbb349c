package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"sync"
	"testing"

	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// files returns Pebble's files whose names contain part.
func files(t testing.TB, fs vfs.FS, part string) []string {
	t.Helper()
	dir := fs.PathJoin("data", storeDir)
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range names {
		if strings.Contains(name, part) && !strings.HasPrefix(name, "marker") {
			found = append(found, fs.PathJoin(dir, name))
		}
	}
	if len(found) == 0 {
		t.Fatalf("no file %q among %q", part, names)
	}
	return found
}

func remove(t testing.TB, fs vfs.FS, part string) {
	t.Helper()
	for _, path := range files(t, fs, part) {
		if err := fs.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// overwrite flips a bit of every file whose name contains part.
func overwrite(t testing.TB, fs vfs.FS, part string, offset int64) {
	t.Helper()
	for _, path := range files(t, fs, part) {
		flip(t, fs, path, offset)
	}
}

func flip(t testing.TB, fs vfs.FS, path string, offset int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, offset); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b, offset); err != nil {
		t.Fatal(err)
	}
}

// damaged makes a store with everything in tables, or, if unsynced, with everything in the log, and returns
// its files and its contents.
func damaged(t *testing.T, flush bool) (*vfs.MemFS, contents) {
	t.Helper()
	mem := vfs.NewMem()
	s, err := Open(options(mem))
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(20) {
		var ents []Entity
		for j := range 10 {
			ents = append(ents, entity(fmt.Sprintf("lead-%d-%d", i, j), i, int64(j), lead.Never))
		}
		checkpoint(t, s, 0, Meta{Epoch: i}, ents...)
	}
	if flush {
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	want := read(t, s, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return mem, want
}

// tryRead reads all of shard 0, by Each and Hints and then by Get. What is returned is what could be read
// without an error.
func tryRead(s *Store, ids map[string]string) (contents, error) {
	c := contents{Entities: map[string]string{}}
	var err error
	if c.Meta, c.HasMeta, err = s.Meta(0); err != nil {
		return c, err
	}
	for id := range ids {
		if value, ok, err := s.Get(0, id, nil); err != nil {
			return c, err
		} else if ok {
			c.Entities[id] = string(value)
		}
	}
	n := 0
	if err = s.Each(0, "", func(string, []byte) (bool, error) { n++; return true, nil }); err != nil {
		return c, err
	}
	if n != len(c.Entities) {
		return c, fmt.Errorf("%d entities by Each, %d by Get", n, len(c.Entities))
	}
	c.Hints, err = s.Hints(0, Hint{Due: math.MinInt64}, math.MaxInt64, math.MaxInt)
	return c, err
}

// TestDamagedTable flips a bit at many places of a table. Opening or reading says so and names the file, or, where
// the bit means nothing, all is read as it was.
func TestDamagedTable(t *testing.T) {
	mem, want := damaged(t, true)
	path := files(t, mem, ".sst")[0]
	info, err := mem.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for offset := int64(0); offset < info.Size(); offset += 1 + info.Size()/150 {
		fs := cloned(t, mem)
		flip(t, fs, path, offset)
		s, err := Open(options(fs))
		if err == nil {
			var got contents
			got, err = tryRead(s, want.Entities)
			if err == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("a bit flipped at %d of %s: wrong data and no error", offset, path)
			}
			if err := s.Close(); err != nil && s.failure.failed() == nil {
				t.Errorf("a bit flipped at %d of %s: closing: %v", offset, path, err)
			}
		}
		if err == nil {
			continue
		}
		found++
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), fs.PathBase(path)) ||
			!strings.Contains(err.Error(), "remove the directory") || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "lead-") {
			t.Errorf("a bit flipped at %d of %s: error %q", offset, path, err)
		}
	}
	if found < 50 {
		t.Errorf("only %d flipped bits were found", found)
	}
}

// TestDamageFoundByCompaction: nobody reads what is damaged, so nobody gets an error; the owner must be told. Who is in
// the midst of reading something else gets to an end.
func TestDamageFoundByCompaction(t *testing.T) {
	mem, _ := damaged(t, true)
	path := files(t, mem, ".sst")[0]
	flip(t, mem, path, 100)
	told := make(chan error, 1)
	var log lockedBuffer
	o := options(mem)
	o.OnFatal = func(err error) { told <- err }
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := openAt(t, o)
	checkpoint(t, s, 0, Meta{}, entity("lead-0-5", 30, lead.Never, 5))
	checkpoint(t, s, 1, Meta{}, entity("lead-other", 30, lead.Never, lead.Never))
	var err error
	if read := s.Each(1, "", func(string, []byte) (bool, error) {
		err = s.failure.guard(func() error {
			return errors.Join(s.db.Flush(), s.db.Compact(t.Context(), []byte{0}, []byte{0xff}, false))
		})
		return true, nil
	}); read != nil {
		t.Error(read)
	}
	for _, err := range []error{err, <-told} {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), mem.PathBase(path)) {
			t.Errorf("error %v, want ErrFailed and ErrCorrupt, naming the file", err)
		}
	}
	if text := log.String(); !strings.Contains(text, "damaged") || strings.Contains(text, "lead-") {
		t.Errorf("logged:\n%s", text)
	}
	if n := s.counts.corruptions.Load(); n == 0 {
		t.Error("not counted")
	}
}

// lockedBuffer is a log that goroutines left behind may still write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestTruncatedTable(t *testing.T) {
	mem, want := damaged(t, true)
	path := files(t, mem, ".sst")[0]
	whole := content(t, mem, path)
	for _, size := range []int{0, 1, 50, len(whole) / 2, len(whole) - 1} {
		fs := cloned(t, mem)
		if err := writeSynced(fs, path, whole[:size]); err != nil {
			t.Fatal(err)
		}
		s, err := Open(options(fs))
		if err == nil {
			_, err = tryRead(s, want.Entities)
			_ = s.Close()
		}
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), fs.PathBase(path)) {
			t.Errorf("%d of %d bytes left of %s: %v", size, len(whole), path, err)
		}
	}
}

// TestDamagedLog flips bits of the log: it is refused, or read up to there.
func TestDamagedLog(t *testing.T) {
	mem, want := damaged(t, false)
	path := files(t, mem, ".log")[0]
	size := len(content(t, mem, path))
	refused := 0
	for offset := 0; offset < size; offset += 1 + size/150 {
		fs := cloned(t, mem)
		flip(t, fs, path, int64(offset))
		s, err := Open(options(fs))
		if err != nil {
			refused++
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("a bit flipped at %d of %s: %v", offset, path, err)
			}
			continue
		}
		got, err := tryRead(s, want.Entities)
		if err != nil {
			t.Errorf("a bit flipped at %d of %s: %v", offset, path, err)
		}
		if n := len(got.Entities); got.HasMeta && n != 10*int(got.Meta.Epoch+1) || !got.HasMeta && n > 0 {
			t.Errorf("a bit flipped at %d of %s: epoch %d with %d entities", offset, path, got.Meta.Epoch, n)
		}
		for id, value := range got.Entities {
			if value != want.Entities[id] {
				t.Errorf("a bit flipped at %d of %s: wrong value of %s", offset, path, id)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d of 150 refused", refused)
}

func content(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
