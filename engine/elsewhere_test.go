package engine

import (
	"errors"
	"fmt"
	"testing"

	"leadstream/state/lead"
)

// TestElsewhereNamesTheLead: an id here whose lead is on another process's shard. Who follows the answer must ask there for
// the lead: that process does not know where the id went.
func TestElsewhereNamesTheLead(t *testing.T) {
	of := func(shard int32, prefix string) string {
		for i := 0; ; i++ {
			if id := fmt.Sprint(prefix, i); ShardOf([]byte(id), 2) == shard {
				return id
			}
		}
	}
	device, user := of(0, "device-"), of(1, "user-")
	s := &shard{id: 0, cache: newCache()}
	x := &entry{id: device}
	x.committed.Store(&lead.Lead{ID: device, Node: lead.Node{Forward: user}})
	s.cache.insert(x)
	e := &Engine{cfg: Config{Shards: 2}, live: map[int32]*shard{0: s}}
	_, err := e.Lead(t.Context(), device, 0)
	if where, ok := errors.AsType[*ElsewhereError](err); !ok || where.Shard != 1 || where.ID != user {
		t.Errorf("the lead of %s: %+v", device, err)
	}
	_, err = e.Lead(t.Context(), user, 0)
	if where, ok := errors.AsType[*ElsewhereError](err); !ok || where.Shard != 1 || where.ID != user {
		t.Errorf("the lead %s: %+v", user, err)
	}
}
