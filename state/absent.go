package state

import (
	"maps"

	"leadstream/state/lead"
)

// filterOf returns a shard's filter. One that is not there yet knows of nothing that was written before.
func (s *Store) filterOf(shard int32) *idFilter {
	if f := (*s.filters.Load())[shard]; f != nil {
		return f
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := (*s.filters.Load())[shard]
	if f == nil {
		f = s.filterMemory.newFilter(extent{})
		s.putFilter(shard, f)
	}
	return f
}

// setFilter makes f the filter of a shard.
func (s *Store) setFilter(shard int32, f *idFilter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := (*s.filters.Load())[shard]; old != nil {
		old.retire()
	}
	s.putFilter(shard, f)
}

func (s *Store) putFilter(shard int32, f *idFilter) {
	all := maps.Clone(*s.filters.Load())
	if all == nil {
		all = make(map[int32]*idFilter)
	}
	all[shard] = f
	s.filters.Store(&all)
}

// forgetIDs is for a shard that has nothing, so its new filter speaks for all of it.
func (s *Store) forgetIDs(shard int32) {
	s.setFilter(shard, s.filterMemory.newFilter(extent{whole: true}))
}

// willHave tells the filter of entities that are about to be written.
func (s *Store) willHave(shard int32, ents []Entity) {
	hashes := make([]uint64, 0, len(ents))
	for i := range ents {
		if ents[i].Value != nil {
			hashes = append(hashes, lead.HashString(ents[i].ID))
		}
	}
	s.filterOf(shard).add(hashes...)
}

// lacks says that a shard has no such id; false is no answer.
func (s *Store) lacks(shard int32, id string) bool {
	return s.filterOf(shard).absent(id, lead.HashString(id))
}

// A store that was opened with data has filters that speak for nothing, and a scan of ten million entities takes seconds. So a
// look in vain pays for a part of the scan, about as much as it costs itself: a start waits for nothing, a shard that
// gets no new leads is not scanned, and where there are many the scan is soon done.
const (
	missesPerScan  = 128
	entitiesAtOnce = 1024
)

// missed counts a look in vain, and goes on with the scan when it is time.
func (s *Store) missed(shard int32, f *idFilter) {
	s.counts.missed.Add(1)
	if f.seen.Load().whole || f.misses.Add(1)%missesPerScan != 0 || !f.scanning.TryLock() {
		return
	}
	defer f.scanning.Unlock()
	s.scanSome(shard, f, entitiesAtOnce)
}

// scanSome adds up to `most` of a shard's entities that the filter doesn't speak for. A scan that fails changes nothing: what is
// wrong with the store, whoever needs the entity finds out.
func (s *Store) scanSome(shard int32, f *idFilter, most int) {
	x := f.seen.Load()
	if x.whole {
		return
	}
	lower, upper := bounds(kindEntity, shard)
	if x.to != "" {
		lower = append(append(lower, x.to...), 0) // the key that follows
	}
	hashes := make([]uint64, 0, most)
	next := extent{to: x.to}
	err := s.scan(lower, upper, func(key, _ []byte) (bool, error) {
		hashes = append(hashes, lead.HashID(key[prefixLen:]))
		if len(hashes) < most {
			return true, nil
		}
		next.to = string(key[prefixLen:])
		return false, nil
	})
	if err != nil {
		return
	}
	next.whole = len(hashes) < most
	f.add(hashes...)
	f.seen.Store(&next)
	s.counts.scanned.Add(uint64(len(hashes)))
}

// mustLack looks whether what a filter says to be absent is. Two looks in turn: an entity may be written, or its shard be
// dropped, between one and the other.
func (s *Store) mustLack(shard int32, id string) {
	key := appendEntityKey(nil, shard, id)
	for range 2 {
		if _, ok, err := s.get(key, nil); err != nil || !ok || !s.lacks(shard, id) {
			return
		}
	}
	panic("bug: a filter says that an entity is absent which is there")
}
