//go:build invariants

package engine

import (
	"bytes"

	"leadstream/state/lead"
)

// watching are the versions that this epoch's were forked from, and what they encoded to then: versions share memory,
// and none may change when the next does.
type watching struct {
	leads   []*lead.Lead
	encoded [][]byte
}

func (s *shard) watch(l *lead.Lead) {
	w := &s.watching
	w.leads, w.encoded = append(w.leads, l), append(w.encoded, lead.AppendEncode(nil, l))
}

// checkEpoch looks at what an epoch leaves behind: besides what it watches, that no lead is due before its hint comes up.
func (s *shard) checkEpoch() {
	for _, t := range s.ep.touched {
		e, l := t.entry, t.lead
		if !l.Gone && l.Due != lead.Never && e.spec == l && (e.timer.pos < 0 || e.timer.due > l.Due) {
			panic("bug: a lead has no hint for when it is due")
		}
	}
	w := &s.watching
	for i, l := range w.leads {
		if !bytes.Equal(w.encoded[i], lead.AppendEncode(nil, l)) {
			panic("bug: a new version of a lead changed the one before")
		}
	}
	*w = watching{}
}
