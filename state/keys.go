package state

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Keys begin with a kind and a shard, so that a shard's entries of a kind are one range:
//
//	kind  shard     rest                 value
//	'e'   uint32    entity id            the entity as its codec encodes it
//	'm'   uint32                         epoch, redo point and what the engine adds: see encodeMeta
//	'r'   uint32    reserved: the rank index, (score slot, log2(value)+t/h, lead id)
//	't'   uint32    due time, entity id  empty: a timer hint
//	'w'   uint32                         what bears witness of the shard's checkpoints: see witness
//
// Numbers are big endian; the due time has its sign bit flipped. So bytes order as the numbers do. A kind
// that is added later is in formats without a change of number if older programs can ignore it.
const (
	kindEntity  = 'e'
	kindMeta    = 'm'
	kindRank    = 'r'
	kindTimer   = 't'
	kindWitness = 'w'
)

// shardKinds are the kinds a shard has ranges of, besides its one meta key and its one witness.
var shardKinds = [...]byte{kindEntity, kindRank, kindTimer}

const (
	prefixLen = 1 + 4
	dueLen    = 8
	signBit   = 1 << 63
)

func appendPrefix(dst []byte, kind byte, shard int32) []byte {
	if shard < 0 {
		panic(fmt.Sprintf("bug: shard %d", shard))
	}
	return binary.BigEndian.AppendUint32(append(dst, kind), uint32(shard))
}

// bounds returns the range of a shard's keys of a kind: [lower, upper).
func bounds(kind byte, shard int32) (lower, upper []byte) {
	// The largest shard is MaxInt32, so the number after it always fits.
	return appendPrefix(nil, kind, shard), binary.BigEndian.AppendUint32([]byte{kind}, uint32(shard)+1)
}

func appendEntityKey(dst []byte, shard int32, id string) []byte {
	return append(appendPrefix(dst, kindEntity, shard), id...)
}

func appendTimerKey(dst []byte, shard int32, due int64, id string) []byte {
	return append(appendDue(appendPrefix(dst, kindTimer, shard), due), id...)
}

func appendDue(dst []byte, due int64) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(due)^signBit)
}

// timerKeyHint is the inverse of appendTimerKey.
func timerKeyHint(key []byte) (Hint, error) {
	if len(key) <= prefixLen+dueLen {
		return Hint{}, fmt.Errorf("%w: timer key of %d bytes; %s", ErrCorrupt, len(key), removeHint)
	}
	due := int64(binary.BigEndian.Uint64(key[prefixLen:]) ^ signBit)
	return Hint{Due: due, ID: string(key[prefixLen+dueLen:])}, nil
}

// keyShard is the shard of a key of any kind.
func keyShard(key []byte) (int32, error) {
	if len(key) < prefixLen || key[1] > math.MaxInt8 {
		return 0, fmt.Errorf("%w: key of %d bytes without a shard; %s", ErrCorrupt, len(key), removeHint)
	}
	return int32(binary.BigEndian.Uint32(key[1:])), nil
}

// encodeMeta writes a version, the witness, two varints and what the engine wants to find again.
func encodeMeta(m Meta, w witness) []byte {
	b := w.append([]byte{metaVersion})
	b = binary.AppendUvarint(b, m.Epoch)
	b = binary.AppendUvarint(b, m.Redo)
	return append(b, m.Extra...)
}

const metaVersion = 1

func decodeMeta(b []byte) (m Meta, w witness, err error) {
	bad := fmt.Errorf("%w: shard meta of %d bytes; %s", ErrCorrupt, len(b), removeHint)
	if len(b) < 1+witnessLen || b[0] != metaVersion {
		return m, w, bad
	}
	if w, err = decodeWitness(b[1 : 1+witnessLen]); err != nil {
		return m, w, err
	}
	rest := b[1+witnessLen:]
	for _, field := range []*uint64{&m.Epoch, &m.Redo} {
		v, n := binary.Uvarint(rest)
		if n <= 0 {
			return Meta{}, w, bad
		}
		*field, rest = v, rest[n:]
	}
	if len(rest) > 0 {
		m.Extra = append([]byte(nil), rest...)
	}
	return m, w, nil
}
