package httpapi

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
)

// Position is a place in the output topics: for each topic of the Layout, in its order, the next offset
// to read of each partition.
type Position [][]int64

// positionVersion is the first byte of an event id, for formats to come.
const positionVersion = 1

// Clone returns a copy that shares nothing.
func (p Position) Clone() Position {
	c := make(Position, len(p))
	for i, offsets := range p {
		c[i] = slices.Clone(offsets)
	}
	return c
}

// Reached reports whether p is at or past q in every partition.
func (p Position) Reached(q Position) bool {
	for i, offsets := range q {
		for n, offset := range offsets {
			if p[i][n] < offset {
				return false
			}
		}
	}
	return true
}

// encode returns the event id of p: version, generation, then for every topic its partition count and
// offsets as varints, in URL-safe base64. It is opaque to clients, but holds nothing secret.
func (p Position) encode(l Layout) string {
	buf := make([]byte, 0, 64)
	buf = append(buf, positionVersion)
	buf = binary.BigEndian.AppendUint32(buf, l.Generation)
	for _, offsets := range p {
		buf = binary.AppendUvarint(buf, uint64(len(offsets)))
		for _, offset := range offsets {
			buf = binary.AppendUvarint(buf, uint64(offset))
		}
	}
	return base64.RawURLEncoding.EncodeToString(buf)
}

// parsePosition reads an event id. errBadPosition: it is none of ours; errRecreated: it is from before
// the topics were created anew.
func parsePosition(id string, l Layout) (Position, error) {
	buf, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(buf) < 5 || buf[0] != positionVersion {
		return nil, errBadPosition
	}
	if binary.BigEndian.Uint32(buf[1:]) != l.Generation {
		return nil, errRecreated
	}
	buf = buf[5:]
	next := func() (int64, bool) {
		v, n := binary.Uvarint(buf)
		if n <= 0 || v > math.MaxInt64 {
			return 0, false
		}
		buf = buf[n:]
		return int64(v), true
	}
	p := make(Position, len(l.Topics))
	for i, topic := range l.Topics {
		count, ok := next()
		if !ok || count != int64(topic.Partitions) {
			return nil, errBadPosition
		}
		p[i] = make([]int64, topic.Partitions)
		for n := range p[i] {
			if p[i][n], ok = next(); !ok {
				return nil, errBadPosition
			}
		}
	}
	if len(buf) != 0 {
		return nil, errBadPosition
	}
	return p, nil
}
