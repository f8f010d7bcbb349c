package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Pebble takes a manifest for read when it comes to a record that is not whole: after a power cut the last one may not be.
// A flipped bit in the middle, or a file cut short, therefore has it forget tables and go on with the logs written
// after them: a store with a hole in its past, which nothing tells from a whole one. So each time that Pebble has synced a manifest,
// its length and checksum are written to a file beside it, and compared when the store is opened. That file is never
// synced: after a power cut it may be absent or say less, never more than is durable.

const (
	manifestPrefix = "MANIFEST-" // what Pebble calls them
	sumSuffix      = ".sum"
	sumLen         = 8 + 4 + 4 // length, checksum of the manifest, checksum of both
)

// manifestFile is a manifest that Pebble writes.
type manifestFile struct {
	vfs.File
	w    writes
	path string // of its sum
	len  uint64
	crc  uint32
}

// Write implements vfs.File.
func (f *manifestFile) Write(p []byte) (int, error) {
	f.len += uint64(len(p)) // a write that fails ends the store
	f.crc = crc32.Update(f.crc, castagnoli, p)
	return f.File.Write(p)
}

// Sync implements vfs.File.
func (f *manifestFile) Sync() error {
	if err := f.File.Sync(); err != nil {
		return err
	}
	sum, err := f.w.FS.OpenReadWrite(f.path, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = sum.WriteAt(encodeSum(f.len, f.crc), 0)
		err = errors.Join(err, sum.Close())
	}
	f.w.check(err, "writing", f.path)
	return nil
}

// summed begins to keep the sum of a manifest that is about to be written.
func (w writes) summed(f vfs.File, name string) vfs.File {
	path := w.sumPath(name)
	sum, err := w.FS.Create(path, vfs.WriteCategoryUnspecified) // what an earlier one of the name has left goes
	if err == nil {
		err = sum.Close()
	}
	w.check(err, "creating", path)
	return &manifestFile{File: f, w: w, path: path}
}

// sumPath is beside Pebble's directory, not in it.
func (w writes) sumPath(manifest string) string {
	return w.FS.PathJoin(w.FS.PathDir(w.FS.PathDir(manifest)), w.FS.PathBase(manifest)+sumSuffix)
}

// Remove implements vfs.FS.
func (w writes) Remove(name string) error {
	if strings.HasPrefix(w.FS.PathBase(name), manifestPrefix) {
		_ = w.FS.Remove(w.sumPath(name)) // one that is left over says nothing of another manifest
	}
	return w.FS.Remove(name)
}

func encodeSum(length uint64, crc uint32) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, sumLen), length)
	b = binary.BigEndian.AppendUint32(b, crc)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// checkManifest compares the manifest that Pebble is about to read with its sum. One without a sum, or with one that is
// damaged itself, is believed.
func (s *Store) checkManifest() error {
	found, err := pebble.Peek(s.fs.PathJoin(s.dir, storeDir), s.fs)
	if err != nil || !found.Exists {
		return nil // Pebble says what is wrong.
	}
	path := found.ManifestFilename
	sum, err := readFile(s.fs, s.fs.PathJoin(s.dir, s.fs.PathBase(path)+sumSuffix), sumLen)
	if err != nil || len(sum) != sumLen || binary.BigEndian.Uint32(sum[12:]) != crc32.Checksum(sum[:12], castagnoli) {
		return nil
	}
	length, crc := binary.BigEndian.Uint64(sum), binary.BigEndian.Uint32(sum[8:])
	f, err := s.fs.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return classify(err)
	}
	h := crc32.New(castagnoli)
	n, err := io.Copy(h, io.LimitReader(f, int64(length)))
	if err := errors.Join(err, f.Close()); err != nil {
		return classify(err)
	}
	switch {
	case uint64(n) < length:
		return fmt.Errorf("%w: %s has %d bytes of %d; %s", ErrCorrupt, path, n, length, removeHint)
	case h.Sum32() != crc:
		return fmt.Errorf("%w: %s is not what was written; %s", ErrCorrupt, path, removeHint)
	}
	return nil
}

// readFile returns at most n bytes of a file; none if there is no such file.
func readFile(fsys vfs.FS, path string, n int64) ([]byte, error) {
	f, err := fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, n))
	return b, errors.Join(err, f.Close())
}
