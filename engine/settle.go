package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/vmihailenco/msgpack/v5"

	"leadstream/state"
	"leadstream/state/lead"
)

// A standby writes to its process's store what the owner has written to the state topic, so that the store's redo
// point is never later than the topic's. A lead that was changed again since is written as it is now: the
// store is then ahead of the topic with this lead. Whoever restores from the store must know of those, because redo may
// not come past them: a timer that the stored version has behind it is not there to fire. So they are listed in the store.

// settle writes leads whose changes up to the topic's redo point are not in the store yet, as j, the shard's last record
// in the journal, says. It lays what is gone and laid in the topic too. What is not waits in the shard's graves: should
// this standby take over, it lays it there.
func (e *Engine) settle(s *shard, j *JournalRecord) error {
	var again []*entry
	redo := j.Redo
	for s.dirty.len() > 0 && s.dirty.oldest() <= redo {
		taken := s.take(e.cfg.SliceLeads, e.cfg.SliceBytes, redo)
		upTo := redo
		if s.dirty.len() > 0 {
			upTo = min(redo, s.dirty.oldest()-1)
		}
		for _, x := range taken {
			delete(s.ahead, x.entry.id)
			x.entry.storing--
			if x.version.Epoch > redo {
				x.entry.queued, x.entry.dirtySince = true, redo+1
				again = append(again, x.entry)
				s.setAhead(x.entry.id, x.version.Epoch)
			}
		}
		if err := e.storeAlone(s, &slice{shard: s, entries: taken}, upTo); err != nil {
			return err
		}
		for _, x := range taken {
			if !x.entry.queued {
				s.bury(x.entry)
			}
		}
	}
	if len(again) > 0 {
		s.dirty = dirtyList{q: append(again, s.dirty.q[s.dirty.from:]...)}
	}
	maps.DeleteFunc(s.ahead, func(_ string, epoch uint64) bool { return epoch <= redo })
	laid := &slice{shard: s}
	laid.entries, laid.bars = s.lay(1<<30, func(v *lead.Lead) bool { return v.Epoch <= redo && (j.Unlaid == 0 || v.Epoch < j.Unlaid) })
	if len(laid.entries) == 0 && redo <= s.storedRedo+metaEvery {
		return nil
	}
	if err := e.storeAlone(s, laid, redo); err != nil {
		return err
	}
	for i := range laid.entries {
		x := &laid.entries[i]
		x.entry.storing--
		delete(s.unlaid, x.entry)
		s.laid(x)
	}
	s.barsDone(laid.bars, true)
	return nil
}

// metaEvery is by how many epochs the redo point of a standby's store may be behind while there is nothing to write.
const metaEvery = 256

// storeAlone writes a slice to the store, and to no topic.
func (e *Engine) storeAlone(s *shard, sl *slice, redo uint64) error {
	records := sl.records()
	sl.encode(records)
	if err := e.cfg.Store.Checkpoint(s.id, sl.entities(records), state.Meta{Epoch: s.done.epoch, Redo: redo, Extra: s.encodeAhead(nil)}); err != nil {
		return fmt.Errorf("writing a checkpoint of standby %d: %w", s.id, err)
	}
	s.storedRedo = redo
	return nil
}

func (s *shard) setAhead(id string, epoch uint64) {
	if s.ahead == nil {
		s.ahead = map[string]uint64{}
	}
	s.ahead[id] = epoch
}

// encodeAhead lists the leads that the store is ahead with, but for those that a slice is about to write to both.
func (s *shard) encodeAhead(sl *slice) []byte {
	if len(s.ahead) == 0 {
		return nil
	}
	left := maps.Clone(s.ahead)
	if sl != nil {
		for _, x := range sl.entries {
			delete(left, x.entry.id)
		}
	}
	b, err := msgpack.Marshal(slices.Sorted(maps.Keys(left)))
	if err != nil {
		panic("bug: encoding ids: " + err.Error())
	}
	return b
}

// readAhead takes in the leads that the store is ahead with: they count as changed after its redo point.
func (s *shard) readAhead(m state.Meta) error {
	s.storedRedo = m.Redo
	if len(m.Extra) == 0 {
		return nil
	}
	var ids []string
	if err := msgpack.Unmarshal(m.Extra, &ids); err != nil {
		return fmt.Errorf("reading which leads of shard %d are ahead: %w", s.id, err)
	}
	for _, id := range ids {
		e, err := s.load([]byte(id))
		if err != nil {
			return err
		}
		if e != nil {
			s.dirty.push(e, m.Redo+1)
			s.setAhead(id, e.spec.Epoch)
		}
	}
	return nil
}
