package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// A damaged or torn log or table is refused by Pebble, or read up to the damage. Its manifest is read up to the
// damage as well: the tables that later entries speak of are then missing, while the log that was begun after them is
// read in full. What comes out is a shard with a hole: the newest checkpoints on top of a state without those before.
//
// So every shard has a witness, a key of its own: of which epoch it was made or loaded, and how many checkpoints there
// were since, to which each checkpoint's batch adds one by a merge: it can't know more than is there. The meta in
// the same batch says what it should be. Whatever is missing before a meta makes the two differ.
type witness struct {
	base  uint64 // 1 + that epoch; 0 if it is missing
	count uint64
}

const witnessLen = 16

func newWitness(m Meta) witness { return witness{base: 1 + m.Epoch} }

func (w witness) append(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, w.base), w.count)
}

func decodeWitness(b []byte) (witness, error) {
	if len(b) != witnessLen {
		return witness{}, fmt.Errorf("%w: witness of %d bytes; %s", ErrCorrupt, len(b), removeHint)
	}
	return witness{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, nil
}

// oneMore is what a checkpoint merges in.
var oneMore = witness{count: 1}

// merger adds up witnesses, the only keys that are merged.
var merger = &pebble.Merger{
	Name: "leadstream.witness",
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		m := new(witnessMerger)
		return m, m.MergeNewer(value)
	},
}

type witnessMerger struct{ sum witness }

func (m *witnessMerger) MergeNewer(value []byte) error {
	w, err := decodeWitness(value)
	m.sum = witness{m.sum.base | w.base, m.sum.count + w.count} // one of them has a base at most
	return err
}

func (m *witnessMerger) MergeOlder(value []byte) error { return m.MergeNewer(value) }

func (m *witnessMerger) Finish(bool) ([]byte, io.Closer, error) {
	return m.sum.append(nil), nil, nil
}

// appendWitness adds to a checkpoint's batch what bears witness of it, and returns what its meta is to say.
func (s *Store) appendWitness(b *pebble.Batch, shard int32, m Meta) (witness, error) {
	s.mu.RLock()
	w, ok := s.witnesses[shard]
	s.mu.RUnlock()
	var err error
	if !ok {
		if _, w, ok, err = s.meta(shard); err != nil {
			return w, err
		}
	}
	key := appendPrefix(nil, kindWitness, shard)
	if !ok {
		w = newWitness(m)
		return w, classify(b.Set(key, w.append(nil), nil))
	}
	w.count++
	return w, classify(b.Merge(key, oneMore.append(nil), nil))
}

// setWitness remembers the witness of what was committed.
func (s *Store) setWitness(shard int32, w witness) {
	s.mu.Lock()
	s.witnesses[shard] = w
	s.mu.Unlock()
}

func (s *Store) forgetWitness(shard int32) {
	s.mu.Lock()
	delete(s.witnesses, shard)
	s.mu.Unlock()
}

// meta reads a shard's meta and compares what it says with the witness.
func (s *Store) meta(shard int32) (m Meta, w witness, ok bool, err error) {
	value, ok, err := s.get(appendPrefix(nil, kindMeta, shard), nil)
	if err != nil || !ok {
		return m, w, false, err
	}
	if m, w, err = decodeMeta(value); err != nil {
		return m, w, false, err
	}
	if value, _, err = s.get(appendPrefix(nil, kindWitness, shard), nil); err != nil {
		return m, w, false, err
	}
	if found, err := decodeWitness(value); err != nil || found != w {
		return m, w, false, fmt.Errorf("%w: checkpoints before the last one are missing; %s", ErrCorrupt, removeHint)
	}
	return m, w, true, nil
}

// verify looks whether every shard is there as a whole.
func (s *Store) verify() error {
	shards, err := s.Shards()
	if err != nil {
		return err
	}
	var wrong []error
	for _, shard := range shards {
		_, _, err := s.Meta(shard)
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}
