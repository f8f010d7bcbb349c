package state

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// lived makes a store that has had loads, checkpoints and flushes, and returns what shard 0 held after each step.
func lived(t *testing.T) (*vfs.MemFS, []contents) {
	t.Helper()
	mem := vfs.NewMem()
	s, err := Open(options(mem))
	if err != nil {
		t.Fatal(err)
	}
	var past []contents
	note := func() { past = append(past, read(t, s, 0)) }
	note()
	epoch := uint64(0)
	step := func() {
		for range 5 {
			epoch++
			var ents []Entity
			for j := range 10 {
				ents = append(ents, entity(fmt.Sprintf("lead-%d", (int(epoch)*7+j)%50), epoch, int64(epoch), lead.Never))
			}
			checkpoint(t, s, 0, Meta{Epoch: epoch, Redo: epoch}, ents...)
			note()
			checkpoint(t, s, 1, Meta{Epoch: epoch, Redo: epoch}, ents...)
		}
	}
	flush := func() {
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	step()
	flush()
	step()
	l := load(t, s, 0)
	note()
	for i := range 60 {
		epoch++
		if err := l.Add(fmt.Sprintf("lead-%d", i), encoded(fmt.Sprintf("lead-%d", i), epoch, int64(epoch)), int64(epoch)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Finish(Meta{Epoch: epoch, Redo: epoch}); err != nil {
		t.Fatal(err)
	}
	note()
	step()
	flush()
	step()
	crashed := cloned(t, mem)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return crashed, past
}

// TestDamagedManifest flips bits of the manifest and tears it. Pebble reads it up to there, and opens a store with a hole
// where it can; what comes out of ours is a state that the shard was in, or an error.
func TestDamagedManifest(t *testing.T) {
	mem, past := lived(t)
	path := files(t, mem, "MANIFEST")[0]
	whole := content(t, mem, path)
	holes, places := 0, 100
	if testing.Short() {
		places = 25
	}
	for offset := 0; offset < len(whole); offset += 1 + len(whole)/places {
		for _, tear := range []bool{false, true} {
			fs := cloned(t, mem)
			if tear {
				if err := writeSynced(fs, path, whole[:offset]); err != nil {
					t.Fatal(err)
				}
			} else {
				flip(t, fs, path, int64(offset))
			}
			s, err := Open(options(fs))
			if err != nil {
				if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "remove the directory") {
					t.Errorf("damaged at %d: %v", offset, err)
				}
				if strings.Contains(err.Error(), "checkpoints before the last one are missing") {
					holes++
				}
				continue
			}
			got, err := tryRead(s, past[len(past)-1].Entities)
			if err == nil && !slices.ContainsFunc(past, func(p contents) bool { return reflect.DeepEqual(p, got) }) {
				t.Errorf("damaged at %d: epoch %d, in no state that the shard was in", offset, got.Meta.Epoch)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if holes == 0 {
		t.Error("no damage has made a hole")
	}
}
