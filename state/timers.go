package state

import (
	"errors"
	"math"

	"leadstream/state/lead"

	"github.com/cockroachdb/pebble/v2"
)

// Hint says that an entity may have a timer that is due at Due. Only the entity knows: it fires only if
// the entity says so, and hints that are out of date do no harm but cost a look.
//
// There is a hint for the armed timer of every stored entity: Checkpoint writes it with the entity, and what is
// stored is the only thing that removes it or replaces it by a later one. Else a crash between the two
// would lose a timer.
type Hint struct {
	Due int64
	ID  string
}

// AddHints writes hints ahead of the checkpoint of their entities: useful where a timer has moved earlier. They
// are removed by RemoveHints once they have turned out to be out of date.
func (s *Store) AddHints(shard int32, hints []Hint) error {
	if s.isLoading(shard) {
		return wrap(errors.New("a load is under way"), "adding timer hints of shard %d", shard)
	}
	b := s.db.NewBatch()
	var key []byte
	for _, h := range hints {
		key = appendTimerKey(key[:0], shard, h.Due, h.ID)
		if err := b.Set(key, nil, nil); err != nil {
			return wrap(classify(err), "adding timer hints of shard %d", shard)
		}
	}
	return wrap(s.commit(b, pebble.NoSync), "adding timer hints of shard %d", shard)
}

// RemoveHints removes those of the hints that are out of date: the stored entity is gone or armed for another
// time. It returns how many. Hints that the stored version needs stay, whatever a newer version in
// memory says: only the checkpoint of that one may remove them.
func (s *Store) RemoveHints(shard int32, hints []Hint) (int, error) {
	b := s.db.NewBatch()
	var key, value []byte
	removed := 0
	for _, h := range hints {
		var ok bool
		var err error
		if value, ok, err = s.Get(shard, h.ID, value); err != nil {
			return 0, errors.Join(err, b.Close())
		}
		if ok {
			// An unreadable entity keeps its hint: whoever fires it finds out.
			if due, err := lead.EncodedDue(value); err != nil || due == h.Due {
				continue
			}
		}
		key = appendTimerKey(key[:0], shard, h.Due, h.ID)
		if err := b.DeleteSized(key, 0, nil); err != nil {
			return 0, errors.Join(wrap(classify(err), "removing timer hints of shard %d", shard), b.Close())
		}
		removed++
	}
	return removed, wrap(s.commit(b, pebble.NoSync), "removing timer hints of shard %d", shard)
}

// Hints returns at most limit hints in ascending order of (Due, ID): those after `after`, strictly, with Due <= to.
// All of a shard's are after Hint{Due: math.MinInt64}.
func (s *Store) Hints(shard int32, after Hint, to int64, limit int) ([]Hint, error) {
	if limit <= 0 || to < after.Due {
		return nil, nil
	}
	// The key that follows a key at once is that key and a zero byte.
	lower := append(appendTimerKey(nil, shard, after.Due, after.ID), 0)
	_, upper := bounds(kindTimer, shard)
	if to < math.MaxInt64 {
		upper = appendTimerKey(nil, shard, to+1, "")
	}
	var hints []Hint
	err := s.scan(lower, upper, func(key, _ []byte) (bool, error) {
		h, err := timerKeyHint(key)
		hints = append(hints, h)
		return len(hints) < limit, err
	})
	return hints, wrap(err, "reading timer hints of shard %d", shard)
}
