package state

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// writes is the file system as Pebble sees it: a write that fails fails the store, there and then, and
// doesn't return. Pebble has no way to go on without it either, but several ways to end, according to the
// file: it calls Fatalf, it panics, it panics with a lock in a state that the runtime ends the
// process for, or it tries again for ever.
//
// What Pebble may fail in and go on is not here: reading, linking, removing.
type writes struct {
	vfs.FS
	l *logger
}

// check ends in failure if err is one.
func (w writes) check(err error, action, path string) {
	if err != nil {
		w.l.fatal(fmt.Errorf("%s %q: %w", action, path, err))
	}
}

// Create implements vfs.FS.
func (w writes) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.Create(name, category)
	w.check(err, "creating", name)
	return writtenFile{f, w, name}, nil
}

// OpenReadWrite implements vfs.FS.
func (w writes) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := w.FS.OpenReadWrite(name, category, opts...)
	w.check(err, "opening", name)
	return writtenFile{f, w, name}, nil
}

// ReuseForWrite implements vfs.FS.
func (w writes) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.ReuseForWrite(old, name, category)
	w.check(err, "creating", name)
	return writtenFile{f, w, name}, nil
}

// OpenDir implements vfs.FS.
func (w writes) OpenDir(name string) (vfs.File, error) {
	f, err := w.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return writtenFile{f, w, name}, nil
}

// Unwrap implements vfs.FS.
func (w writes) Unwrap() vfs.FS { return w.FS }

type writtenFile struct {
	vfs.File
	w    writes
	name string
}

// Write implements vfs.File.
func (f writtenFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.w.check(err, "writing", f.name)
	return n, nil
}

// WriteAt implements vfs.File.
func (f writtenFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	f.w.check(err, "writing", f.name)
	return n, nil
}

// Sync implements vfs.File.
func (f writtenFile) Sync() error {
	f.w.check(f.File.Sync(), "syncing", f.name)
	return nil
}

// SyncData implements vfs.File.
func (f writtenFile) SyncData() error {
	f.w.check(f.File.SyncData(), "syncing", f.name)
	return nil
}

// SyncTo implements vfs.File.
func (f writtenFile) SyncTo(length int64) (bool, error) {
	full, err := f.File.SyncTo(length)
	f.w.check(err, "syncing", f.name)
	return full, nil
}
