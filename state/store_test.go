package state

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func options(fs vfs.FS) Options {
	return Options{
		Dir: "data", App: "app", ClusterID: "cluster", Instance: "i1", FS: fs,
		CacheBytes: 1 << 20, MemTableBytes: minMemTableBytes,
	}
}

// openMem opens a store on an in-memory file system, closed at the test's end.
func openMem(t testing.TB) *Store {
	t.Helper()
	return openAt(t, options(vfs.NewMem()))
}

func openAt(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil && s.failure.failed() == nil {
			t.Error(err)
		}
	})
	return s
}

// encoded is a lead's value.
func encoded(id string, epoch uint64, due int64) []byte {
	return lead.AppendEncode(nil, &lead.Lead{ID: id, Epoch: epoch, Due: due})
}

func checkpoint(t testing.TB, s *Store, shard int32, m Meta, ents ...Entity) {
	t.Helper()
	if err := s.Checkpoint(shard, ents, m); err != nil {
		t.Fatal(err)
	}
}

func entity(id string, epoch uint64, due, oldDue int64) Entity {
	return Entity{ID: id, Value: encoded(id, epoch, due), Due: due, OldDue: oldDue}
}

// contents is everything a store has of a shard.
type contents struct {
	Meta     Meta
	HasMeta  bool
	Entities map[string]string
	Hints    []Hint
}

func read(t testing.TB, s *Store, shard int32) contents {
	t.Helper()
	c := contents{Entities: map[string]string{}}
	var err error
	if c.Meta, c.HasMeta, err = s.Meta(shard); err != nil {
		t.Fatal(err)
	}
	last := ""
	err = s.Each(shard, "", func(id string, value []byte) (bool, error) {
		if id <= last {
			t.Errorf("%q comes after %q", id, last)
		}
		last = id
		c.Entities[id] = string(value)
		got, ok, err := s.Get(shard, id, nil)
		if err != nil || !ok || !bytes.Equal(got, value) {
			t.Errorf("Get(%q) = %x, %v, %v; Each has %x", id, got, ok, err, value)
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Hints, err = s.Hints(shard, Hint{Due: math.MinInt64}, math.MaxInt64, math.MaxInt); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCheckpointAndRead(t *testing.T) {
	s := openMem(t)
	if _, ok, err := s.Meta(3); ok || err != nil {
		t.Fatalf("meta of a new store: %v, %v", ok, err)
	}
	m := Meta{Epoch: 7, Redo: 5, Extra: []byte("extra")}
	checkpoint(t, s, 3, m, entity("a", 7, 100, lead.Never), entity("b", 7, lead.Never, lead.Never))
	checkpoint(t, s, 4, Meta{Epoch: 1}, entity("a", 1, 50, lead.Never))
	want := contents{
		Meta: m, HasMeta: true,
		Entities: map[string]string{"a": string(encoded("a", 7, 100)), "b": string(encoded("b", 7, lead.Never))},
		Hints:    []Hint{{100, "a"}},
	}
	if got := read(t, s, 3); !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v\nwant %+v", got, want)
	}
	// Later, earlier, gone: the hint follows; a deleted entity takes its hint along.
	checkpoint(t, s, 3, m, entity("a", 8, 200, 100), entity("b", 8, 150, lead.Never))
	if got := read(t, s, 3).Hints; !reflect.DeepEqual(got, []Hint{{150, "b"}, {200, "a"}}) {
		t.Fatalf("hints %v", got)
	}
	checkpoint(t, s, 3, Meta{Epoch: 9}, Entity{ID: "a", Due: lead.Never, OldDue: 200}, entity("b", 9, 150, 150))
	got := read(t, s, 3)
	if _, ok := got.Entities["a"]; ok || !reflect.DeepEqual(got.Hints, []Hint{{150, "b"}}) || got.Meta.Epoch != 9 {
		t.Fatalf("after deleting: %+v", got)
	}
	if value, ok, err := s.Get(3, "a", []byte("buffer")); ok || err != nil || len(value) != 0 {
		t.Fatalf("a deleted entity: %q, %v, %v", value, ok, err)
	}
	if shards, err := s.Shards(); err != nil || !slices.Equal(shards, []int32{3, 4}) {
		t.Fatalf("shards %v, %v", shards, err)
	}
}

func TestEachFromAndStop(t *testing.T) {
	s := openMem(t)
	checkpoint(t, s, 1, Meta{}, entity("a", 1, lead.Never, lead.Never), entity("b", 1, lead.Never, lead.Never),
		entity("c\x00", 1, lead.Never, lead.Never), entity("\xff\xff", 1, lead.Never, lead.Never))
	checkpoint(t, s, 2, Meta{}, entity("z", 1, lead.Never, lead.Never))
	boom := errors.New("boom")
	for _, c := range []struct {
		from string
		stop int
		err  error
		want string
	}{
		{"", 9, nil, "a b c\x00 \xff\xff"},
		{"b", 9, nil, "b c\x00 \xff\xff"},
		{"b\x00", 9, nil, "c\x00 \xff\xff"},
		{"", 2, nil, "a b"},
		{"", 2, boom, "a b"},
		{"\xff\xff\xff", 9, nil, ""},
	} {
		var ids []string
		err := s.Each(1, c.from, func(id string, _ []byte) (bool, error) {
			ids = append(ids, id)
			if len(ids) == c.stop {
				return false, c.err
			}
			return true, nil
		})
		if got := strings.Join(ids, " "); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("from %q, stop at %d: %q, %v", c.from, c.stop, got, err)
		}
	}
}

func TestDrop(t *testing.T) {
	s := openMem(t)
	for shard := range int32(3) {
		for i := range 500 {
			id := fmt.Sprintf("lead-%d-%d", shard, i)
			checkpoint(t, s, shard, Meta{Epoch: uint64(i)}, entity(id, 1, int64(i), lead.Never))
		}
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	checkpoint(t, s, 1, Meta{Epoch: 501}, entity("in the memtable", 1, 3, lead.Never))
	before := []contents{read(t, s, 0), {}, read(t, s, 2)}
	for range 2 {
		if err := s.Drop(1); err != nil {
			t.Fatal(err)
		}
		if got := read(t, s, 1); got.HasMeta || len(got.Entities)+len(got.Hints) != 0 {
			t.Fatalf("left of a dropped shard: %+v", got)
		}
	}
	for _, shard := range []int32{0, 2} {
		if got := read(t, s, shard); !reflect.DeepEqual(got, before[shard]) {
			t.Fatalf("dropping shard 1 changed shard %d", shard)
		}
	}
	checkpoint(t, s, 1, Meta{Epoch: 1}, entity("back", 1, lead.Never, lead.Never))
	if got := read(t, s, 1); len(got.Entities) != 1 {
		t.Fatalf("after coming back: %+v", got)
	}
}

func TestReopen(t *testing.T) {
	o := options(nil)
	o.Dir = t.TempDir()
	// Stores that other tests made fail go on trying.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("leadstream/state.(*logger).background"))
	var want contents
	for i := range 3 {
		s, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			if got := read(t, s, 0); !reflect.DeepEqual(got, want) {
				t.Fatalf("opened again: %+v\nwant %+v", got, want)
			}
		}
		checkpoint(t, s, 0, Meta{Epoch: uint64(i)}, entity(fmt.Sprint("lead", i), uint64(i), int64(i), lead.Never))
		want = read(t, s, 0)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatalf("closing twice: %v", err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	write := func(content string) func(*testing.T, vfs.FS) {
		return func(t *testing.T, fs vfs.FS) {
			if err := writeSynced(fs, "data/"+identityFile, []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		damage func(*testing.T, vfs.FS)
		change func(*Options)
		want   error
		says   []string
	}{
		"other app":     {change: func(o *Options) { o.App = "other" }, want: ErrOtherOwner, says: []string{`"app"`, `"other"`, "directory of its own"}},
		"other cluster": {change: func(o *Options) { o.ClusterID = "prod" }, want: ErrOtherOwner, says: []string{`"cluster"`, `"prod"`}},
		"newer format":  {damage: write(`{"format":99,"app":"app","cluster_id":"cluster"}`), want: ErrNewerFormat, says: []string{"99", "run the newer version"}},
		"no format":     {damage: write(`{}`), want: ErrCorrupt, says: []string{"remove the directory"}},
		"no JSON":       {damage: write("\x00\x00"), want: ErrCorrupt, says: []string{identityFile, "remove the directory"}},
		"identity gone": {damage: func(t *testing.T, fs vfs.FS) {
			if err := fs.Remove("data/" + identityFile); err != nil {
				t.Fatal(err)
			}
		}, want: ErrCorrupt, says: []string{identityFile}},
		"manifest damaged": {damage: func(t *testing.T, fs vfs.FS) { overwrite(t, fs, "MANIFEST-", 20) }, want: ErrCorrupt, says: []string{"remove the directory"}},
		"manifest gone":    {damage: func(t *testing.T, fs vfs.FS) { remove(t, fs, "MANIFEST-") }, want: ErrCorrupt, says: []string{"remove the directory"}},
		"table gone":       {damage: func(t *testing.T, fs vfs.FS) { remove(t, fs, ".sst") }, want: ErrCorrupt, says: []string{"sstable", "remove the directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s, err := Open(options(fs))
			if err != nil {
				t.Fatal(err)
			}
			checkpoint(t, s, 0, Meta{}, entity("a", 1, 1, lead.Never))
			if err := errors.Join(s.db.Flush(), s.Close()); err != nil {
				t.Fatal(err)
			}
			if c.damage != nil {
				c.damage(t, fs)
			}
			o := options(fs)
			if c.change != nil {
				c.change(&o)
			}
			s, err = Open(o)
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			for _, word := range append(c.says, `opening state store "data"`) {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q doesn't say %q", err, word)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
		})
	}
}

func TestOpenLocked(t *testing.T) {
	mem := options(vfs.NewMem())
	disk := options(nil)
	disk.Dir = t.TempDir()
	for _, o := range []Options{mem, disk} {
		s := openAt(t, o)
		if _, err := Open(o); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "stop it or give this one another directory") {
			t.Errorf("a second Open: %v", err)
		}
		checkpoint(t, s, 0, Meta{}, entity("a", 1, 1, lead.Never))
	}
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := Open(Options{CacheBytes: 5, MemTableBytes: -1, FS: vfs.NewMem()})
	if err == nil {
		t.Fatal("opened")
	}
	for _, word := range []string{"no directory", "no application", "cache of 5", "memtable of -1"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q doesn't say %q", err, word)
		}
	}
}

func TestCollector(t *testing.T) {
	s := openMem(t)
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(s.Collector()); err != nil {
		t.Fatal(err)
	}
	checkpoint(t, s, 0, Meta{}, entity("a", 1, 1, lead.Never))
	families, err := registry.Gather()
	if err != nil || len(families) != len(metrics)+1 {
		t.Fatalf("%d metrics, %v; want %d", len(families), err, len(metrics)+1)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "leadstream_state_") || f.GetHelp() == "" {
			t.Errorf("metric %q: %q", f.GetName(), f.GetHelp())
		}
		if f.GetName() == "leadstream_state_checkpointed_entities_total" && f.GetMetric()[0].GetCounter().GetValue() != 1 {
			t.Errorf("%v", f)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if families, err := registry.Gather(); err != nil || len(families) != 0 {
		t.Fatalf("after Close: %d metrics, %v", len(families), err)
	}
}

func TestLead(t *testing.T) {
	s := openMem(t)
	checkpoint(t, s, 2, Meta{}, entity("a", 3, 7, lead.Never), Entity{ID: "odd", Value: []byte("no lead"), Due: lead.Never, OldDue: lead.Never})
	if l, err := s.Lead(2, "a"); err != nil || l == nil || l.ID != "a" || l.Epoch != 3 || l.Due != 7 {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := s.Lead(2, "b"); l != nil || err != nil {
		t.Errorf("of one that is not there: %+v, %v", l, err)
	}
	if l, err := s.Lead(2, "odd"); l != nil || !errors.Is(err, lead.ErrMalformed) || strings.Contains(err.Error(), "odd") {
		t.Errorf("of what is no lead: %+v, %v", l, err)
	}
}
