package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"leadstream/engine"
)

// Write copies a snapshot into dir, which must be empty or missing. m is filled in but for its files. say hears of each shard.
// It returns the manifest as written.
func Write(ctx context.Context, dir string, m Manifest, x *engine.Snapshot, say func(shard int32, entities uint64)) (*Manifest, error) {
	m.Format = format
	put := func(name string, each func(add func(*engine.Record) error) error) (uint64, error) {
		w, err := create(filepath.Join(dir, name), name)
		if err != nil {
			return 0, err
		}
		err = each(w.add)
		f, cerr := w.close()
		m.Files = append(m.Files, f)
		return f.Records, errors.Join(err, cerr)
	}
	for s := range m.Shards {
		n, err := put(shardFile(s, kindState), func(add func(*engine.Record) error) error {
			return x.Entities(s, func(id string, value []byte) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return add(&engine.Record{Key: []byte(id), Value: value})
			})
		})
		if err != nil {
			return nil, err
		}
		if _, err := put(shardFile(s, kindInbox), func(add func(*engine.Record) error) error { return x.Inbox(ctx, s, add) }); err != nil {
			return nil, err
		}
		if _, err := put(shardFile(s, kindAudit), func(add func(*engine.Record) error) error { return x.Audit(ctx, s, add) }); err != nil {
			return nil, err
		}
		_, err = put(shardFile(s, kindJournal), func(add func(*engine.Record) error) error {
			j := x.Journal(s)
			if j == nil {
				return nil
			}
			v, err := j.Encode()
			if err != nil {
				return err
			}
			return add(&engine.Record{Value: v})
		})
		if err != nil {
			return nil, err
		}
		if say != nil {
			say(s, n)
		}
	}
	if _, err := put(rulesFile, func(add func(*engine.Record) error) error { return x.RuleSets(ctx, add) }); err != nil {
		return nil, err
	}
	b, err := m.encode()
	if err != nil {
		return nil, err
	}
	return &m, seal(dir, b)
}

// Prepare makes dir, or sees that it is empty.
func Prepare(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the backup's directory: %w", err)
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("making the backup's directory: %w", err)
	}
	if len(there) > 0 {
		return fmt.Errorf("directory %q is not empty: name a new one, or remove what is in it", dir)
	}
	return nil
}

// seal writes the manifest: whole or not at all.
func seal(dir string, content []byte) error {
	tmp := filepath.Join(dir, manifestFile+".tmp")
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, filepath.Join(dir, manifestFile))
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("writing the manifest: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Dir is a complete backup.
type Dir struct {
	Manifest
	// Journals are what each shard begins with; nil for one that nothing was ever committed for.
	Journals []*engine.JournalRecord
	dir      string
}

// Open reads the manifest and checks every file to its end.
func Open(ctx context.Context, dir string) (*Dir, error) {
	m, err := load(dir)
	if err != nil {
		return nil, err
	}
	d := &Dir{Manifest: *m, dir: dir, Journals: make([]*engine.JournalRecord, m.Shards)}
	for s := range m.Shards {
		err := d.each(ctx, shardFile(s, kindJournal), func(r *engine.Record) error {
			if d.Journals[s] != nil {
				return fmt.Errorf("a second record: %w", ErrDamaged)
			}
			if d.Journals[s], err = engine.DecodeJournal(r.Value); err != nil {
				return err
			}
			return d.checkJournal(s)
		})
		if err != nil {
			return nil, err
		}
		if err := d.checkShard(ctx, s); err != nil {
			return nil, err
		}
	}
	if err := d.Rules(ctx, func(*engine.Record) error { return nil }); err != nil {
		return nil, err
	}
	return d, nil
}

// checkJournal compares a shard's record with the manifest.
func (d *Dir) checkJournal(s int32) error {
	j := d.Journals[s]
	if j.Shards != d.Shards || j.Redo != j.Epoch || len(j.Parts) == 0 || j.Parts[0].Topic != engine.TopicName(d.App, engine.TopicInbox) || j.Parts[0].Partition != s {
		return fmt.Errorf("the record of shard %d is not that of a copy of %d shards: %w", s, d.Shards, ErrDamaged)
	}
	for _, p := range j.Parts[1:] {
		if p.Next >= 0 && !slices.ContainsFunc(d.Positions, func(x Position) bool { return x.Topic == p.Topic && x.Partition == p.Partition && x.Offset == p.Next }) {
			return fmt.Errorf("shard %d was at offset %d of %s/%d, which the manifest does not say: %w", s, p.Next, p.Topic, p.Partition, ErrDamaged)
		}
	}
	return nil
}

// checkShard reads a shard's other files.
func (d *Dir) checkShard(ctx context.Context, s int32) error {
	epoch, before := uint64(0), ""
	if j := d.Journals[s]; j != nil {
		epoch = j.Epoch
	}
	err := d.State(ctx, s, func(r *engine.Record) error {
		id := string(r.Key)
		if id <= before {
			return fmt.Errorf("its key does not come after the one before: %w", ErrDamaged)
		}
		before = id
		return engine.CheckEntity(id, r.Value, epoch)
	})
	if err != nil {
		return err
	}
	nothing := func(*engine.Record) error { return nil }
	return errors.Join(d.Inbox(ctx, s, nothing), d.Audit(ctx, s, nothing))
}

// State calls fn with the entities of a shard, by ascending key.
func (d *Dir) State(ctx context.Context, shard int32, fn func(*engine.Record) error) error {
	return d.each(ctx, shardFile(shard, kindState), fn)
}

// Inbox calls fn with what is still in a shard's inbox.
func (d *Dir) Inbox(ctx context.Context, shard int32, fn func(*engine.Record) error) error {
	return d.each(ctx, shardFile(shard, kindInbox), fn)
}

// Audit calls fn with a shard's audit records.
func (d *Dir) Audit(ctx context.Context, shard int32, fn func(*engine.Record) error) error {
	return d.each(ctx, shardFile(shard, kindAudit), fn)
}

// Rules calls fn with the records of the rules topic.
func (d *Dir) Rules(ctx context.Context, fn func(*engine.Record) error) error {
	return d.each(ctx, rulesFile, fn)
}

func (d *Dir) each(ctx context.Context, name string, fn func(*engine.Record) error) error {
	f, err := os.Open(filepath.Join(d.dir, name))
	if err != nil {
		return fmt.Errorf("reading a backup: %w", err)
	}
	n := 0
	err = read(f, d.file(name), func(r *engine.Record) error {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		return fn(r)
	})
	return errors.Join(err, f.Close())
}

// Undrained counts what is in the inboxes.
func (d *Dir) Undrained() (n uint64) {
	for s := range d.Shards {
		n += d.file(shardFile(s, kindInbox)).Records
	}
	return n
}
