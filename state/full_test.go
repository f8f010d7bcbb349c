package state

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"
)

// fullDisk refuses what needs space in files whose path has the word, while on.
type fullDisk struct {
	on    atomic.Bool
	word  string
	syncs bool          // What needs no space fails too.
	errno syscall.Errno // 0 is ENOSPC.
}

func (d *fullDisk) MaybeError(op errorfs.Op) error {
	if !d.on.Load() || !strings.Contains(op.Path, d.word) {
		return nil
	}
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpLink, errorfs.OpMkdirAll, errorfs.OpFilePreallocate, errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpReuseForWrite:
		return d.error()
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		if d.syncs {
			return d.error()
		}
	}
	return nil
}

func (d *fullDisk) error() error {
	if d.errno != 0 {
		return d.errno
	}
	return syscall.ENOSPC
}

func (d *fullDisk) String() string { return "disk full" }

// TestDiskFull fills the disk for one kind of file after another: the owner is told, nobody waits for
// ever, and what is on disk is a state that was.
func TestDiskFull(t *testing.T) {
	for _, word := range []string{".log", ".sst", "MANIFEST", ""} {
		t.Run("files="+word, func(t *testing.T) {
			mem := vfs.NewCrashableMem()
			disk := &fullDisk{word: word}
			told := make(chan error, 2)
			o := options(errorfs.Wrap(mem, disk))
			o.OnFatal = func(err error) { told <- err }
			s := openAt(t, o)

			var history []string
			write := func(i int) error {
				id := fmt.Sprintf("lead-%03d", i%100)
				history = append(history, fmt.Sprintf("epoch %d", i))
				return s.Checkpoint(0, []Entity{{ID: id, Value: append(encoded(id, uint64(i), lead.Never), make([]byte, 1000)...), Due: lead.Never, OldDue: lead.Never}}, Meta{Epoch: uint64(i)})
			}
			i := 0
			for ; i < 200; i++ {
				if err := write(i); err != nil {
					t.Fatal(err)
				}
			}
			disk.on.Store(true)
			var err error
			for ; err == nil && i < 100_000; i++ {
				err = write(i)
			}
			isFull(t, err)
			isFull(t, <-told)
			for name, f := range map[string]func() error{
				"Checkpoint": func() error { return write(i) },
				"Meta":       func() error { _, _, err := s.Meta(0); return err },
				"Get":        func() error { _, _, err := s.Get(0, "lead-001", nil); return err },
				"Each":       func() error { return s.Each(0, "", nil) },
				"Hints":      func() error { _, err := s.Hints(0, Hint{}, 9, 9); return err },
				"AddHints":   func() error { return s.AddHints(0, nil) },
				"Drop":       func() error { return s.Drop(0) },
				"Load":       func() error { _, err := s.Load(0); return err },
				"Shards":     func() error { _, err := s.Shards(); return err },
				"Flush":      s.Flush,
				"Close":      s.Close,
			} {
				if err := f(); !errors.Is(err, ErrFailed) {
					t.Errorf("%s after the failure: %v", name, err)
				}
			}
			if len(told) > 0 {
				t.Errorf("told twice: %v", <-told)
			}

			// The process ends, somebody makes room, and it starts again.
			left := openAt(t, options(mem.CrashClone(vfs.CrashCloneCfg{})))
			got := read(t, left, 0)
			if int(got.Meta.Epoch) >= len(history) || len(got.Entities) != min(100, int(got.Meta.Epoch)+1) && got.HasMeta {
				t.Errorf("after a restart: epoch %d with %d entities", got.Meta.Epoch, len(got.Entities))
			}
			for id, value := range got.Entities {
				if epoch, err := lead.EncodedEpoch([]byte(value)); err != nil || epoch > got.Meta.Epoch || epoch+100 <= got.Meta.Epoch {
					t.Errorf("entity %s has epoch %d (%v), its shard %d", id, epoch, err, got.Meta.Epoch)
				}
			}
			checkpoint(t, left, 0, Meta{Epoch: 1 << 20})
		})
	}
}

func isFull(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ErrFailed) || !errors.Is(err, ErrNoSpace) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("error %v, want ErrFailed and ErrNoSpace on one line", err)
	}
}

// TestBrokenDisk fails every sync: the process is told that, and not that the disk is full.
func TestBrokenDisk(t *testing.T) {
	disk := &fullDisk{word: "none", errno: syscall.EIO, syncs: true}
	told := make(chan error, 1)
	o := options(errorfs.Wrap(vfs.NewMem(), disk))
	o.OnFatal = func(err error) { told <- err }
	s := openAt(t, o)
	checkpoint(t, s, 0, Meta{}, entity("lead-1", 1, 3, lead.Never))
	disk.word = ".log"
	disk.on.Store(true)
	for _, err := range []error{s.Flush(), <-told} {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) || errors.Is(err, ErrNoSpace) || !strings.Contains(err.Error(), ".log") {
			t.Errorf("error %v, want ErrFailed and EIO, naming the file", err)
		}
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.Collector())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	failed := false
	for _, f := range families {
		failed = failed || f.GetName() == "leadstream_state_failed" && f.GetMetric()[0].GetGauge().GetValue() == 1
	}
	if !failed || len(families) < 2 {
		t.Errorf("metrics of a failed store: %v", families)
	}
}

func TestDiskFullAtOpen(t *testing.T) {
	mem := vfs.NewMem()
	disk := &fullDisk{}
	disk.on.Store(true)
	o := options(errorfs.Wrap(mem, disk))
	if _, err := Open(o); !errors.Is(err, ErrNoSpace) {
		t.Fatalf("a new directory: %v", err)
	}
	disk.on.Store(false)
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint(t, s, 0, Meta{Epoch: 5}, entity("a", 1, lead.Never, lead.Never))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"", ".log", ".sst", "MANIFEST", "OPTIONS"} {
		disk := &fullDisk{word: word} // Its own: goroutines left behind still ask theirs.
		disk.on.Store(true)
		clone := errorfs.Wrap(cloned(t, mem), disk)
		s, err := Open(options(clone))
		if err == nil { // Pebble had no need of such a file.
			err = s.Close()
		}
		if err != nil && !errors.Is(err, ErrNoSpace) {
			t.Errorf("no room for %q: %v", word, err)
		}
	}
}

// cloned copies a file system without its locks.
func cloned(t *testing.T, from vfs.FS) *vfs.MemFS {
	t.Helper()
	to := vfs.NewMem()
	if ok, err := vfs.Clone(from, to, "data", "data", vfs.CloneSync); err != nil || !ok {
		t.Fatalf("cloning: %v, %v", ok, err)
	}
	return to
}

// TestDiskFullWhileLoading fails the load, not the store: room is made by removing what it wrote.
func TestDiskFullWhileLoading(t *testing.T) {
	for _, word := range []string{"entities-", "timers-", ".sst", "load"} {
		disk := &fullDisk{word: word}
		s := openAt(t, options(errorfs.Wrap(vfs.NewMem(), disk)))
		s.loadBytes = 1 << 10
		checkpoint(t, s, 1, Meta{Epoch: 3}, entity("a", 1, 5, lead.Never))
		before := read(t, s, 1)
		l := load(t, s, 0)
		disk.on.Store(true)
		var err error
		for i := 0; i < 100 && err == nil; i++ {
			err = l.Add(fmt.Sprint("lead", i), make([]byte, 100), int64(i))
		}
		if finish := l.Finish(Meta{Epoch: 1}); !errors.Is(finish, ErrNoSpace) || errors.Is(finish, ErrFailed) {
			t.Errorf("no room for %q: %v", word, finish)
		}
		disk.on.Store(false)
		if got := read(t, s, 0); got.HasMeta || len(got.Entities)+len(got.Hints) > 0 {
			t.Errorf("no room for %q: left %+v", word, got)
		}
		if got := read(t, s, 1); got.Meta.Epoch != before.Meta.Epoch || len(got.Entities) != 1 {
			t.Errorf("no room for %q: another shard has %+v", word, got)
		}
		if err := load(t, s, 0).Finish(Meta{Epoch: 2}); err != nil {
			t.Errorf("after room was made: %v", err)
		}
	}
}
