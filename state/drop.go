package state

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// Drop removes everything of a shard, its meta included, durably and as one: after a crash the shard is
// there as it was or not at all. Dropping a shard that isn't there does nothing.
func (s *Store) Drop(shard int32) error {
	if s.isLoading(shard) {
		return wrap(errors.New("a load is under way"), "dropping shard %d", shard)
	}
	return wrap(s.drop(shard), "dropping shard %d", shard)
}

func (s *Store) drop(shard int32) error {
	some, err := s.hasAny(shard)
	if err != nil {
		return err
	}
	if !some {
		s.forgetIDs(shard)
		return nil
	}
	b := s.db.NewBatch()
	err = errors.Join(b.Delete(appendPrefix(nil, kindMeta, shard), nil), b.Delete(appendPrefix(nil, kindWitness, shard), nil))
	for _, kind := range shardKinds {
		lower, upper := bounds(kind, shard)
		err = errors.Join(err, b.DeleteRange(lower, upper, nil))
	}
	if err != nil {
		return errors.Join(classify(err), b.Close())
	}
	if err := s.commit(b, pebble.Sync); err != nil {
		return err
	}
	s.forgetWitness(shard)
	s.forgetIDs(shard)
	s.counts.dropped.Add(1)
	// The batch is what removes: excising three ranges one after another could leave a meta without
	// entities behind. It is done all the same, now that nothing is there to be seen, to have the space
	// back at once and to have no range tombstones that would keep a later load out of the lowest level.
	for _, kind := range shardKinds {
		lower, upper := bounds(kind, shard)
		span := pebble.KeyRange{Start: lower, End: upper}
		if err := s.failure.guard(func() error { return s.db.Excise(context.Background(), span) }); err != nil {
			return err
		}
	}
	return nil
}

// hasAny tells whether there is anything of a shard: its meta, or what only a bug would leave without it.
func (s *Store) hasAny(shard int32) (bool, error) {
	_, some, err := s.get(appendPrefix(nil, kindMeta, shard), nil)
	for _, kind := range shardKinds {
		if some || err != nil {
			break
		}
		lower, upper := bounds(kind, shard)
		err = s.scan(lower, upper, func(_, _ []byte) (bool, error) { some = true; return false, nil })
	}
	return some, err
}

func (s *Store) isLoading(shard int32) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.loading[shard]
}

// setLoading marks a shard as being loaded, or not; false if it is so already.
func (s *Store) setLoading(shard int32, on bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loading[shard] == on {
		return false
	}
	if on {
		s.loading[shard] = true
	} else {
		delete(s.loading, shard)
	}
	return true
}
