package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"leadstream/engine"
)

func someRecords(n int) []engine.Record {
	rng := rand.New(rand.NewPCG(1, 1))
	var out []engine.Record
	for i := range n {
		r := engine.Record{Offset: int64(i), Key: fmt.Appendf(nil, "key-%06d", i), Value: bytes.Repeat([]byte{byte(i)}, rng.IntN(900)), Timestamp: rng.Int64N(1 << 41)}
		if i%7 == 0 {
			r.Key = nil
		}
		if i%3 == 0 {
			r.Headers = []engine.Header{{Key: "o", Value: []byte{1, 2}}, {Key: "", Value: nil}}
		}
		out = append(out, r)
	}
	return out
}

func writeFile(t testing.TB, dir, name string, recs []engine.Record) File {
	t.Helper()
	w, err := create(filepath.Join(dir, name), name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range recs {
		if err := w.add(&recs[i]); err != nil {
			t.Fatal(err)
		}
	}
	f, err := w.close()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func readAll(r io.Reader, f File) (out []engine.Record, err error) {
	err = read(r, f, func(r *engine.Record) error { out = append(out, *r); return nil })
	return out, err
}

func TestRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 5000} {
		dir, recs := t.TempDir(), someRecords(n)
		f := writeFile(t, dir, "shard-0000.state", recs)
		b, err := os.ReadFile(filepath.Join(dir, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if f.Records != uint64(n) || f.Bytes != int64(len(b)) {
			t.Fatalf("%+v of %d records in %d bytes", f, n, len(b))
		}
		got, err := readAll(bytes.NewReader(b), f)
		if err != nil || !reflect.DeepEqual(got, recs) {
			t.Fatalf("%d records came back as %d: %v", n, len(got), err)
		}
	}
}

// TestDamage cuts a file off at every byte, changes every byte, and adds to it: each is found, named by file and offset.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	f := writeFile(t, dir, "shard-0003.inbox", someRecords(6))
	b, err := os.ReadFile(filepath.Join(dir, f.Name))
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, b []byte) {
		t.Helper()
		_, err := readAll(bytes.NewReader(b), f)
		if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
			t.Fatalf("%s: %v", what, err)
		}
		if !strings.Contains(err.Error(), `"shard-0003.inbox"`) {
			t.Fatalf("%s: it does not name the file: %v", what, err)
		}
	}
	for n := range b {
		check(fmt.Sprintf("cut off at %d", n), b[:n])
		c := bytes.Clone(b)
		c[n] ^= 1 << (n % 8)
		check(fmt.Sprintf("byte %d changed", n), c)
	}
	check("something added", append(bytes.Clone(b), 0))
	other := f
	other.SHA256 = strings.Repeat("0", 64)
	if _, err := readAll(bytes.NewReader(b), other); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "sum") {
		t.Fatalf("another sum: %v", err)
	}
}

func manifestOf(shards int32) Manifest {
	m := Manifest{Format: format, App: "app", Shards: shards, Positions: []Position{{Topic: "web", Offset: 7, Before: []Trace{{At: 1, Sum: 2}}}}}
	for _, n := range fileNames(shards) {
		m.Files = append(m.Files, File{Name: n})
	}
	return m
}

func TestManifest(t *testing.T) {
	m := manifestOf(3)
	b, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := parse(b)
	if err != nil || !reflect.DeepEqual(*got, m) {
		t.Fatalf("it came back as %+v: %v", got, err)
	}
	for n := range b {
		if _, err := parse(b[:n]); n < len(b)-1 && !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut off at %d: %v", n, err)
		}
		c := bytes.Clone(b)
		c[n] ^= 1
		if x, err := parse(c); err == nil && !reflect.DeepEqual(*x, m) {
			t.Fatalf("byte %d changed: it is believed", n)
		}
	}
	for what, change := range map[string]func(m *Manifest){
		"a file less":       func(m *Manifest) { m.Files = m.Files[1:] },
		"a file twice":      func(m *Manifest) { m.Files = append(m.Files, m.Files[0]) },
		"a foreign file":    func(m *Manifest) { m.Files = append(m.Files, File{Name: "../../etc/passwd"}) },
		"no shards":         func(m *Manifest) { m.Shards = 0 },
		"no application":    func(m *Manifest) { m.App = "" },
		"a bad position":    func(m *Manifest) { m.Positions[0].Offset = -1 },
		"another partition": func(m *Manifest) { m.Positions[0].Partition = -4 },
	} {
		m := manifestOf(2)
		change(&m)
		b, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	m.Format = format + 1
	if b, err = m.encode(); err != nil {
		t.Fatal(err)
	}
	if _, err := parse(b); !errors.Is(err, ErrNewer) {
		t.Errorf("a newer format: %v", err)
	}
}

func TestIncomplete(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(t.Context(), dir); !errors.Is(err, ErrIncomplete) {
		t.Fatalf("no manifest: %v", err)
	}
	if err := Prepare(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Prepare(dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Fatalf("a directory with something in it: %v", err)
	}
}

// FuzzRead reads what may be anything: an error or records, never a panic.
func FuzzRead(f *testing.F) {
	dir := f.TempDir()
	file := writeFile(f, dir, "rules", someRecords(20))
	b, err := os.ReadFile(filepath.Join(dir, file.Name))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(magic))
	f.Add(append([]byte(magic), 255, 255, 255, 255, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		var n uint64
		err := read(bytes.NewReader(b), file, func(*engine.Record) error { n++; return nil })
		if err == nil && n != file.Records {
			t.Fatalf("%d records of %d, and no error", n, file.Records)
		}
		// A block's content, whatever its sum.
		for rest := b; len(rest) > 0; {
			var r engine.Record
			next, err := decode(rest, &r)
			if err != nil {
				break
			}
			if len(next) >= len(rest) {
				t.Fatal("it does not go on")
			}
			rest = next
		}
	})
}

// FuzzManifest parses what may be anything.
func FuzzManifest(f *testing.F) {
	m := manifestOf(2)
	b, err := m.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"sha256":"","manifest":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b)
		if err == nil && (m.Shards < 1 || len(m.Files) != len(fileNames(m.Shards))) {
			t.Fatalf("%+v", m)
		}
	})
}
