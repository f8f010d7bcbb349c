package state

import (
	"errors"

	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2"
)

// Meta is what the store knows about a shard as a whole. It is of the same moment as the shard's entities.
type Meta struct {
	// Epoch is the shard's last epoch that was checkpointed; Redo the epoch from which recovery redoes.
	Epoch, Redo uint64
	// Extra is the engine's own.
	Extra []byte
}

// Entity is one entity to checkpoint.
type Entity struct {
	// ID is never empty.
	ID string
	// Value is the encoded entity, with its epoch; nil deletes it.
	Value []byte
	// Due is the armed timer in Value, OldDue the one in the version stored before; lead.Never is none.
	// The timer hint moves from one to the other in the same batch.
	Due, OldDue int64
}

// Meta returns what was checkpointed last for a shard, false if the store has nothing of it. It is ErrCorrupt if what
// was checkpointed before has gone missing.
func (s *Store) Meta(shard int32) (Meta, bool, error) {
	m, _, ok, err := s.meta(shard)
	return m, ok, wrap(err, "reading meta of shard %d", shard)
}

// Get appends an entity's value to buf[:0]; false means that the store doesn't have it.
func (s *Store) Get(shard int32, id string, buf []byte) (value []byte, ok bool, err error) {
	value = buf[:0]
	ok, err = s.look(shard, id, func(v []byte) error {
		value = append(value, v...)
		return nil
	})
	return value, ok, err
}

// Lead returns an entity decoded; nil means that the store doesn't have it.
func (s *Store) Lead(shard int32, id string) (*lead.Lead, error) {
	var l *lead.Lead
	_, err := s.look(shard, id, func(v []byte) error {
		l = new(lead.Lead)
		return lead.Decode(v, l)
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// look calls fn with an entity's value, which is valid during the call, if the store has it.
func (s *Store) look(shard int32, id string, fn func(value []byte) error) (ok bool, err error) {
	if err := s.failure.failed(); err != nil {
		return false, err
	}
	f := s.filterOf(shard)
	if f.absent(id, lead.HashString(id)) {
		s.counts.filtered.Add(1)
		if checks {
			s.mustLack(shard, id)
		}
		return false, nil
	}
	key := make([]byte, 0, 64)
	ok, err = s.view(appendEntityKey(key, shard, id), fn)
	if err == nil && !ok {
		s.missed(shard, f)
	}
	return ok, wrap(err, "reading an entity of shard %d", shard)
}

// get appends the value of a key to buf[:0].
func (s *Store) get(key, buf []byte) (value []byte, ok bool, err error) {
	value = buf[:0]
	ok, err = s.view(key, func(v []byte) error {
		value = append(value, v...)
		return nil
	})
	return value, ok, err
}

// view calls fn with the value of a key, which is valid during the call, if there is one.
func (s *Store) view(key []byte, fn func(value []byte) error) (ok bool, err error) {
	if err := s.failure.failed(); err != nil {
		return false, err
	}
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, classify(err)
	}
	err = fn(value)
	return true, errors.Join(err, classify(closer.Close()))
}

// Checkpoint writes entities, their timer hints and the shard's meta as one: a crash leaves all of it or
// nothing. It does not wait for the disk, so a crash may take the last checkpoints, newest first.
func (s *Store) Checkpoint(shard int32, ents []Entity, m Meta) error {
	if s.isLoading(shard) {
		return wrap(errors.New("a load is under way"), "checkpointing shard %d", shard)
	}
	size := prefixLen + len(m.Extra) + 64
	for i := range ents {
		size += len(ents[i].ID) + len(ents[i].Value) + 64
	}
	b := s.db.NewBatchWithSize(size)
	var key []byte
	for i := range ents {
		e := &ents[i]
		if e.ID == "" {
			panic("bug: checkpoint of an entity without id")
		}
		var err error
		key = appendEntityKey(key[:0], shard, e.ID)
		if e.Value == nil {
			err = b.Delete(key, nil)
		} else {
			err = b.Set(key, e.Value, nil)
		}
		if err == nil {
			key, err = moveHint(b, key, shard, e)
		}
		if err != nil {
			return wrap(classify(err), "checkpointing shard %d", shard)
		}
	}
	w, err := s.appendWitness(b, shard, m)
	if err != nil {
		return wrap(err, "checkpointing shard %d", shard)
	}
	if err := b.Set(appendPrefix(key[:0], kindMeta, shard), encodeMeta(m, w), nil); err != nil {
		return wrap(classify(err), "checkpointing shard %d", shard)
	}
	n := b.Len()
	s.willHave(shard, ents) // before anybody can read them
	if err := s.commit(b, pebble.NoSync); err != nil {
		return wrap(err, "checkpointing shard %d", shard)
	}
	s.setWitness(shard, w)
	s.counts.entities.Add(uint64(len(ents)))
	s.counts.bytes.Add(uint64(n))
	return nil
}

// moveHint replaces the hint of the stored version by that of the new one. A hint that stays is written
// again: AddHints and RemoveHints don't have to be right for timers to be.
func moveHint(b *pebble.Batch, key []byte, shard int32, e *Entity) ([]byte, error) {
	if e.OldDue != lead.Never && e.OldDue != e.Due {
		key = appendTimerKey(key[:0], shard, e.OldDue, e.ID)
		// Hints have no value. Telling Pebble so lets it compact the spent ones away early, which
		// would otherwise pile up in front of the next to fire.
		if err := b.DeleteSized(key, 0, nil); err != nil {
			return key, err
		}
	}
	if e.Due == lead.Never || e.Value == nil {
		return key, nil
	}
	key = appendTimerKey(key[:0], shard, e.Due, e.ID)
	return key, b.Set(key, nil, nil)
}

// commit writes a batch, which is the store's from then on.
func (s *Store) commit(b *pebble.Batch, o *pebble.WriteOptions) error {
	return s.failure.guard(func() error { return errors.Join(b.Commit(o), b.Close()) })
}

// Each calls fn for the shard's entities in ascending order of id, beginning with fromID or the one after
// it, until fn returns false or an error, which Each returns. It sees the shard as it is at the call. The value is
// valid during the call of fn.
func (s *Store) Each(shard int32, fromID string, fn func(id string, value []byte) (more bool, err error)) error {
	lower, upper := bounds(kindEntity, shard)
	lower = append(lower, fromID...)
	return s.scan(lower, upper, func(key, value []byte) (bool, error) {
		return fn(string(key[prefixLen:]), value)
	})
}

// scan calls fn for what is in [lower, upper), in order. Errors of the store name no key: it may hold an id.
func (s *Store) scan(lower, upper []byte, fn func(key, value []byte) (more bool, err error)) error {
	if err := s.failure.failed(); err != nil {
		return err
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return wrap(classify(err), "reading state store")
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(wrap(classify(err), "reading state store"), closeIter(it))
		}
		more, err := fn(it.Key(), value)
		if err != nil {
			return errors.Join(err, closeIter(it))
		}
		if !more {
			break
		}
	}
	return wrap(classify(it.Close()), "reading state store")
}

// closeIter closes an iterator whose error, if any, has been seen.
func closeIter(it *pebble.Iterator) error {
	if it.Error() != nil {
		_ = it.Close() // It returns that error again.
		return nil
	}
	return classify(it.Close())
}

// Shards returns the shards that the store has a state of, ascending.
func (s *Store) Shards() ([]int32, error) {
	var shards []int32
	err := s.scan([]byte{kindMeta}, []byte{kindMeta + 1}, func(key, _ []byte) (bool, error) {
		shard, err := keyShard(key)
		shards = append(shards, shard)
		return true, err
	})
	return shards, wrap(err, "listing shards")
}
