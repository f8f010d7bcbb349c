package state

import (
	"context"
	"errors"
	"fmt"
	"math"

	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Loader fills a shard with entities in any order, from its state topic: much faster than checkpoints
// would, and without their work for compactions. It sorts in 48 MiB of memory and, beyond that, in
// files; then it writes sorted tables and hands all of them to Pebble at once. Until Finish returns, the shard has
// nothing. A Loader is used from one goroutine.
type Loader struct {
	s     *Store
	shard int32
	dir   string

	entities sorter
	added    record // Reused by Add.
	tables   []string
	count    uint64
	err      error
	ended    bool
}

// tableBytes is about the size of the tables that a Loader writes, before compression: what Pebble itself
// would make of them in the lowest level.
const tableBytes = 64 << 20

// Load begins to load a shard. What the store had of it is dropped. Every Load needs a Finish or an Abort;
// until then the shard can't be checkpointed or dropped.
func (s *Store) Load(shard int32) (*Loader, error) {
	if !s.setLoading(shard, true) {
		return nil, fmt.Errorf("loading shard %d: a load is under way", shard)
	}
	l := &Loader{s: s, shard: shard, dir: s.fs.PathJoin(s.dir, loadDir, fmt.Sprintf("%d", shard))}
	l.entities = l.sorter("entities", s.loadBytes)
	err := s.drop(shard)
	if err == nil {
		err = classify(errors.Join(s.fs.RemoveAll(l.dir), s.fs.MkdirAll(l.dir, 0o755)))
	}
	if err != nil {
		s.setLoading(shard, false)
		return nil, wrap(err, "loading shard %d", shard)
	}
	return l, nil
}

func (l *Loader) sorter(name string, budget int) sorter {
	return sorter{fs: l.s.fs, prefix: l.s.fs.PathJoin(l.dir, name+"-"), budget: budget}
}

// Add adds a version of an entity, with its armed timer or lead.Never; a nil value is a tombstone. Of
// several versions the last is kept: versions come in the order of the topic, which is that of their
// epochs. Add keeps nothing of value. After an error only Abort is left to do.
func (l *Loader) Add(id string, value []byte, due int64) error {
	if l.err == nil {
		l.err = l.add(id, value, due)
	}
	return wrap(l.err, "loading shard %d", l.shard)
}

func (l *Loader) add(id string, value []byte, due int64) error {
	if id == "" {
		return errors.New("an entity has no id")
	}
	if len(id)+len(value) > math.MaxInt32/4 {
		return fmt.Errorf("an entity has %d bytes", len(id)+len(value))
	}
	r := &l.added
	r.key = append(r.key[:0], id...)
	r.value, r.due, r.tombstone = value, due, value == nil
	return l.entities.add(r)
}

// Finish makes what was added the shard's state, with m: all of it or, after a crash or an error, nothing. It
// is durable when Finish returns. The Loader has ended then, in any case.
func (l *Loader) Finish(m Meta) error {
	if l.ended {
		panic("bug: Finish of a load that has ended")
	}
	if l.err == nil {
		l.err = l.finish(m)
	}
	err := l.err
	if cleanup := l.end(); err == nil {
		err = cleanup
	}
	return wrap(err, "loading shard %d", l.shard)
}

// Abort ends the load; the shard stays empty. After Finish it does nothing.
func (l *Loader) Abort() {
	if !l.ended {
		_ = l.end() // Open removes what is left.
	}
}

func (l *Loader) end() error {
	l.ended = true
	l.entities = sorter{}
	err := classify(l.s.fs.RemoveAll(l.dir))
	l.s.setLoading(l.shard, false)
	return err
}

func (l *Loader) finish(m Meta) error {
	timers := l.sorter("timers", l.s.loadBytes/2)
	entities := tableWriter{l: l, kind: kindEntity}
	filter := l.s.filterMemory.newFilter(extent{whole: true})
	defer func() {
		if filter != nil {
			filter.retire()
		}
	}()
	var hint record
	err := l.entities.each(func(r *record) error {
		if r.tombstone {
			return nil
		}
		l.count++
		filter.add(lead.HashID(r.key))
		if r.due != lead.Never {
			hint.key = append(appendDue(hint.key[:0], r.due), r.key...)
			if err := timers.add(&hint); err != nil {
				return err
			}
		}
		return entities.add(r)
	})
	if err := errors.Join(err, entities.close()); err != nil {
		return err
	}
	l.entities = sorter{} // Its memory is not needed any more.
	hints := tableWriter{l: l, kind: kindTimer}
	err = timers.each(hints.add)
	if err := errors.Join(err, hints.close()); err != nil {
		return err
	}
	w := newWitness(m)
	meta, wit := tableWriter{l: l, kind: kindMeta}, tableWriter{l: l, kind: kindWitness}
	err = errors.Join(meta.add(&record{value: encodeMeta(m, w)}), meta.close(), wit.add(&record{value: w.append(nil)}), wit.close())
	if err != nil {
		return err
	}
	if err := classify(syncDir(l.s.fs, l.dir)); err != nil {
		return err
	}
	l.s.setFilter(l.shard, filter) // before anybody can read them
	filter = nil
	// One ingestion is one change to the store: the meta arrives with all that it describes.
	if err := l.s.failure.guard(func() error { return l.s.db.Ingest(context.Background(), l.tables) }); err != nil {
		return err
	}
	l.s.setWitness(l.shard, w)
	l.s.counts.loads.Add(1)
	l.s.counts.loaded.Add(l.count)
	return nil
}

// tableWriter writes sorted records of one kind to tables. A table never has two kinds: it would span all
// other shards' keys between them.
type tableWriter struct {
	l    *Loader
	kind byte
	w    *sstable.Writer
	size int
	key  []byte
}

func (t *tableWriter) add(r *record) error {
	if t.w != nil && t.size >= tableBytes {
		if err := t.close(); err != nil {
			return err
		}
	}
	if t.w == nil {
		if err := t.open(); err != nil {
			return err
		}
	}
	t.key = append(appendPrefix(t.key[:0], t.kind, t.l.shard), r.key...)
	t.size += len(t.key) + len(r.value)
	return classify(t.w.Set(t.key, r.value))
}

func (t *tableWriter) open() error {
	s := t.l.s
	path := s.fs.PathJoin(t.l.dir, fmt.Sprintf("%06d.sst", len(t.l.tables)))
	f, err := s.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return classify(err)
	}
	t.l.tables = append(t.l.tables, path)
	lowest := len(s.options.Levels) - 1
	options := s.options.MakeWriterOptions(lowest, s.db.FormatMajorVersion().MaxTableFormat())
	t.w, t.size = sstable.NewWriter(objstorageprovider.NewFileWritable(f), options), 0
	return nil
}

// close finishes the present table, synced.
func (t *tableWriter) close() error {
	if t.w == nil {
		return nil
	}
	w := t.w
	t.w = nil
	return classify(w.Close())
}
