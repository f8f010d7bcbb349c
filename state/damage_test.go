package state

import (
	"strings"
	"testing"

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
