package state

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var writeFormat = flag.Bool("write-format", false, "write testdata/format<N>, a store of the newest format, if there is none yet")

// formatOptions are those that the stores in testdata were made with.
func formatOptions(dir string) Options {
	return Options{Dir: dir, App: "app", ClusterID: "cluster", Instance: "testdata", CacheBytes: 1 << 20, MemTableBytes: minMemTableBytes}
}

// fillFormat writes what the stores in testdata hold: a loaded shard in tables, a checkpointed one in the
// log, and one that was dropped. The values are no leads: those have versions and golden files of their own.
func fillFormat(t *testing.T, s *Store) {
	l := load(t, s, 1)
	for i := range 20 {
		if err := l.Add(fmt.Sprintf("lead-%02d", i), fmt.Append(nil, "loaded ", i), int64(100+i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Finish(Meta{Epoch: 3, Redo: 2, Extra: []byte("loaded")}); err != nil {
		t.Fatal(err)
	}
	checkpoint(t, s, 1, Meta{Epoch: 4, Redo: 3}, Entity{ID: "lead-07", Value: []byte("checkpointed"), Due: lead.Never, OldDue: 107}, Entity{ID: "lead-08", Due: lead.Never, OldDue: 108})
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	checkpoint(t, s, 2, Meta{Epoch: 9}, Entity{ID: "dropped", Value: []byte("dropped"), Due: 5, OldDue: lead.Never})
	if err := s.Drop(2); err != nil {
		t.Fatal(err)
	}
	checkpoint(t, s, 7, Meta{Epoch: 1, Extra: []byte("log")}, Entity{ID: "ü", Value: []byte("in the log"), Due: -5, OldDue: lead.Never})
	if err := s.AddHints(7, []Hint{{-6, "ü"}}); err != nil {
		t.Fatal(err)
	}
}

// TestFormats opens a copy of a store that each format's program wrote.
func TestFormats(t *testing.T) {
	if *writeFormat {
		dir := fmt.Sprintf("testdata/format%d", currentFormat())
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		s, err := Open(formatOptions(dir))
		if err != nil {
			t.Fatal(err)
		}
		fillFormat(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	fresh := openAt(t, options(vfs.NewMem()))
	fillFormat(t, fresh)
	for format := 1; format <= currentFormat(); format++ {
		dir := filepath.Join(t.TempDir(), "store")
		if err := os.CopyFS(dir, os.DirFS(fmt.Sprintf("testdata/format%d", format))); err != nil {
			t.Fatal(err)
		}
		s := openAt(t, formatOptions(dir))
		if shards, err := s.Shards(); err != nil || !reflect.DeepEqual(shards, []int32{1, 7}) {
			t.Fatalf("format %d: shards %v, %v", format, shards, err)
		}
		for _, shard := range []int32{1, 2, 7} {
			if got, want := read(t, s, shard), read(t, fresh, shard); !reflect.DeepEqual(got, want) {
				t.Errorf("format %d: shard %d has %q\nwant %q", format, shard, fmt.Sprint(got), fmt.Sprint(want))
			}
		}
		if got := s.db.FormatMajorVersion(); got != formats[currentFormat()-1].pebble {
			t.Errorf("format %d: Pebble's is %d, pinned to %d", format, got, formats[currentFormat()-1].pebble)
		}
	}
}

// TestUpgrade invents a next format.
func TestUpgrade(t *testing.T) {
	old := formats
	defer func() { formats = old }()
	mem := vfs.NewMem()
	s, err := Open(options(mem))
	if err != nil {
		t.Fatal(err)
	}
	checkpoint(t, s, 0, Meta{Epoch: 1}, entity("a", 1, lead.Never, lead.Never))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	runs, fail := 0, errors.New("power cut")
	formats = append(old[:len(old):len(old)], format{pebble: old[len(old)-1].pebble, upgrade: func(s *Store) error {
		runs++
		m, ok, err := s.Meta(0)
		if err != nil || !ok {
			return fmt.Errorf("no meta: %w", err)
		}
		m.Epoch = 100
		return errors.Join(s.Checkpoint(0, nil, m), fail)
	}})
	if _, err := Open(options(mem)); !errors.Is(err, fail) || !strings.Contains(err.Error(), "upgrading from format") {
		t.Fatalf("an upgrade that fails: %v", err)
	}
	fail = nil
	for range 2 {
		s, err := Open(options(mem))
		if err != nil {
			t.Fatal(err)
		}
		if m, _, err := s.Meta(0); err != nil || m.Epoch != 100 {
			t.Fatalf("after the upgrade: %+v, %v", m, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if runs != 2 {
		t.Fatalf("the upgrade ran %d times, want once in vain and once", runs)
	}

	formats = old
	if _, err := Open(options(mem)); !errors.Is(err, ErrNewerFormat) {
		t.Fatalf("a downgrade: %v", err)
	}
	var id identity
	if err := json.Unmarshal(content(t, mem, "data/"+identityFile), &id); err != nil || id != (identity{len(old) + 1, "app", "cluster", "i1"}) {
		t.Fatalf("%+v, %v", id, err)
	}
}
