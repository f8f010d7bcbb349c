package engine

import "slices"

// leadBytes is about what a lead of a few events takes, and about what a new version of a lead takes beside the one before.
const leadBytes = 1 << 10

const (
	minDirty   = 1000 // with fewer, hot leads would be written in every epoch
	minTouched = 1000 // with fewer, an epoch would cost more than what it does
)

// divide gives each shard and standby of this process its share of the cache.
func (e *Engine) divide() {
	share := e.cfg.CacheBytes / int64(max(1, len(e.live)+len(e.standbys)))
	e.cacheShare.Store(share)
	for _, s := range e.live {
		s.maxTouched = max(minTouched, int(share/leadBytes/4))
	}
}

// dirtyLimit is how many leads of a shard may wait to be written. They can't be evicted, so they must not need more than
// the shard's share of the cache.
func (e *Engine) dirtyLimit() int {
	return min(e.cfg.DirtyLimit, max(minDirty, int(e.cacheShare.Load()/leadBytes)))
}

// unwritten says that a shard has more changed leads than may wait to be written.
func (e *Engine) unwritten() bool {
	limit := e.dirtyLimit()
	for _, s := range e.live {
		if s.dirty.len() > limit {
			return true
		}
	}
	return false
}

// evict keeps the caches within their budget. The cache counts committed versions: room for those of the epochs that are open and
// in flight is kept free, half of the budget at most.
func (e *Engine) evict(busy []*shard) {
	share := e.cacheShare.Load()
	for _, s := range busy {
		limit := max(share/2, share-int64(e.uncommitted(s))*leadBytes)
		n := s.cache.shrink(limit, func(x *entry) { s.timers.release(x, x.storedDue) })
		e.m.evicted.Add(float64(n))
	}
}

// uncommitted is how many versions of leads a shard has that are not committed.
func (e *Engine) uncommitted(s *shard) int {
	n := 0
	if s.ep != nil {
		n = len(s.ep.touched)
	}
	if f := e.loop.flight; f != nil {
		if i := slices.Index(f.shards, s); i >= 0 {
			n += len(f.parts[i].touched)
		}
	}
	return n
}
