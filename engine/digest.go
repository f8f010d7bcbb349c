package engine

import (
	"fmt"

	"leadstream/state/lead"
)

// digestEvery is after how many epochs of a shard a journal record carries a digest. Tests lower it.
var digestEvery = uint64(32)

// digest sums up the leads that an epoch touched, as it left them, and where the shard's time came to. The order of
// the leads does not matter: an epoch applies them in one order, and redo need not remember it. Who waits for a node to be
// laid is left out: those of before are forgotten once it is, and when that is depends on when leads are written.
func digest(epoch uint64, tick int64, changed []touched) uint64 {
	sum := fnv(fnvBasis, []byte(fmt.Sprint(epoch, tick, len(changed))))
	var buf []byte
	for _, t := range changed {
		l := t.lead
		if l.Gone {
			nobody := *l
			nobody.UserID = ""
			l = &nobody
		}
		buf = lead.AppendEncode(buf[:0], l)
		sum += fnv(fnvBasis, buf)
	}
	return sum
}

// FNV-1a of 64 bits.
const (
	fnvBasis = uint64(14695981039346656037)
	fnvPrime = uint64(1099511628211)
)

func fnv(h uint64, b []byte) uint64 {
	for _, c := range b {
		h = (h ^ uint64(c)) * fnvPrime
	}
	return h
}

// checkDigest compares what redo made of an epoch with what its writer did. It says nothing where it can't know: the
// writer was of another version, or leads are stored as of this epoch or later, so that not all of it was done again.
func (s *shard) checkDigest(j *JournalRecord, ep *shardEpoch) error {
	if !j.Digested || j.Logic != s.cfg.Logic || j.Epoch <= s.storedTo {
		return nil
	}
	if got := digest(j.Epoch, j.TickEnd, ep.touched); got != j.Digest {
		return fmt.Errorf("epoch %d of shard %d, done again, gives leads with digest %016x, %q journaled %016x: %w",
			j.Epoch, s.id, got, j.Writer, j.Digest, ErrDiverged)
	}
	return nil
}
