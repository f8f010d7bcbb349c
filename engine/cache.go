package engine

import (
	"math"
	"sync"
	"sync/atomic"

	"leadstream/state/lead"
)

// entry is a cached lead with its versions.
//
// No epoch changes a lead in place. spec is the newest version: the committed one, one in flight, or
// one of the epoch being applied (its Epoch tells which). Only the shard's goroutine touches spec;
// readers load committed. Commit stores a version there; abort sets spec back to it.
type entry struct {
	id        string
	committed atomic.Pointer[lead.Lead]
	spec      *lead.Lead

	// dirtySince is the first committed epoch whose changes are not written yet, 0 if none. An entry is
	// queued while it waits in the shard's dirty list, storing counts its versions
	// on their way to both the topic and the store.
	dirtySince uint64
	// storedDue is the timer hint that the store holds for the lead, lead.Never if none.
	storedDue int64

	grave *lead.Lead // the version that is in the shard's graves, or was

	timer timer // in the shard's heap while timer.pos >= 0

	// Kept narrow: there is one for each lead in memory.
	size    int32 // bytes counted for the committed version
	slot    int32 // index in cache.ring, -1 once it is not in the cache any more
	storing int32
	queued  bool
	laid    bool // the committed version is gone, and laid
	made    bool // this process made spec, in the epoch that spec names; else it was read from the store
	used    bool // touched since the eviction hand last passed
}

// evictable says that the entry is nowhere but in the store's words: committed, written and unchanged. What is gone
// stays until it is laid; Due tells.
func (e *entry) evictable() bool {
	return !e.queued && e.storing == 0 && e.dirtySince == 0 && e.spec != nil && e.spec == e.committed.Load() && (!e.spec.Gone || e.spec.Due != noTime)
}

// cache holds a shard's leads. Only the shard's goroutine changes it; mu is held for the moment of an
// insert or a delete, so that readers on other goroutines may look up.
type cache struct {
	mu    sync.RWMutex
	byID  map[string]*entry
	ring  []*entry // for the eviction hand
	hand  int
	bytes int64
}

func newCache() *cache { return &cache{byID: make(map[string]*entry)} }

// get is for the shard's goroutine.
func (c *cache) get(id []byte) *entry { return c.byID[string(id)] }

// read is for other goroutines: the committed version, nil if it is not cached.
func (c *cache) read(id string) *lead.Lead {
	c.mu.RLock()
	e := c.byID[id]
	c.mu.RUnlock()
	if e == nil {
		return nil
	}
	return e.committed.Load()
}

func (c *cache) insert(e *entry) {
	e.slot = int32(len(c.ring))
	c.ring = append(c.ring, e)
	c.mu.Lock()
	c.byID[e.id] = e
	c.mu.Unlock()
	c.bytes += int64(e.size)
}

func (c *cache) remove(e *entry) {
	last := c.ring[len(c.ring)-1]
	c.ring[e.slot] = last
	last.slot, e.slot = e.slot, -1 // in this order: they may be the same
	c.ring[len(c.ring)-1] = nil    // else it keeps a lead that is gone
	c.ring = c.ring[:len(c.ring)-1]
	c.mu.Lock()
	delete(c.byID, e.id)
	c.mu.Unlock()
	c.bytes -= int64(e.size)
}

// entryOverhead is what an entry costs besides its lead: itself, its map cell and its ring slot.
const entryOverhead = 192

func (c *cache) resize(e *entry, l *lead.Lead) {
	n := int32(min(l.Size()+entryOverhead, math.MaxInt32))
	c.bytes += int64(n) - int64(e.size)
	e.size = n
}

// shrink evicts entries that were not used since the hand last passed until the cache holds at most
// limit bytes, or the hand has gone round twice. It calls gone for each.
func (c *cache) shrink(limit int64, gone func(*entry)) (evicted int) {
	for steps := 2 * len(c.ring); c.bytes > limit && steps > 0 && len(c.ring) > 0; steps-- {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		e := c.ring[c.hand]
		if e.used || !e.evictable() {
			e.used = false
			c.hand++
			continue
		}
		gone(e)
		c.remove(e)
		evicted++
	}
	return evicted
}
