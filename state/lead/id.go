package lead

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/cespare/xxhash/v2"
)

// HashID returns a 64-bit hash of an id. It is never 0, which stands for "no id".
func HashID(id []byte) uint64 {
	if h := xxhash.Sum64(id); h != 0 {
		return h
	}
	return 1
}

// HashString is HashID of a string.
func HashString(id string) uint64 {
	if h := xxhash.Sum64String(id); h != 0 {
		return h
	}
	return 1
}

// OutputID returns the id of a lead's seq-th output: 32 hexadecimal digits that depend on nothing else,
// so that an output made again by a replay has the same id.
func OutputID(leadID string, incarnation uint32, seq uint64) string {
	// The length comes first so that no two triples are hashed as the same bytes.
	b := make([]byte, 0, len(leadID)+20)
	b = binary.BigEndian.AppendUint64(b, uint64(len(leadID)))
	b = append(b, leadID...)
	b = binary.BigEndian.AppendUint32(b, incarnation)
	b = binary.BigEndian.AppendUint64(b, seq)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}
