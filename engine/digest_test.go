package engine_test

import (
	"bytes"
	"encoding/hex"
	"log/slog"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/state/lead"
)

// TestJournalOfFormat1 reads a record that has neither digest nor anything else that came later.
func TestJournalOfFormat1(t *testing.T) {
	old := engine.EncodeJournal1(t, &engine.JournalRecord{Version: 1, Epoch: 4, Writer: "a", Slots: 2, Redo: 3, Sent: []int64{1, 2},
		Parts: []engine.JournalPart{{Topic: "web", Partition: 1, Next: 7}}, Ranges: []engine.JournalRange{{From: 3, Next: 7, Count: 4}}})
	j, err := engine.DecodeJournal(old)
	if err != nil {
		t.Fatal(err)
	}
	if j.Epoch != 4 || j.Writer != "a" || j.Redo != 3 || j.Digested || len(j.Parts) != 1 || j.Parts[0].Next != 7 || j.Ranges[0].Count != 4 {
		t.Errorf("read %+v from %s", j, hex.EncodeToString(old))
	}
}

// crooked counts every event of one lead twice when it is decoded a second time: what recovery does again is not what was done.
type crooked struct {
	engine.Decoder
	bend *bool
}

func (c crooked) Decode(r *engine.Record, wall int64, ev *lead.Event) error {
	err := c.Decoder.Decode(r, wall, ev)
	if err == nil && *c.bend {
		ev.Type = lead.Identify
	}
	return err
}

// TestDivergenceIsSeen does epochs again in another way than at first: the store is not trusted and the log says so.
func TestDivergenceIsSeen(t *testing.T) {
	r := newRig(t, 1)
	bend := false
	for i, src := range r.sources {
		r.sources[i].NewDecoder = func() engine.Decoder { return crooked{src.NewDecoder(), &bend} }
	}
	dir := t.TempDir()
	p := r.start("first", dir, nil)
	r.produce(1, 20, 300)
	r.settle(p)
	p.stop(t)
	r.tune = func(c *engine.Config) { c.CheckpointInterval, c.MaxEpochRecords = time.Hour, 20 }
	p = r.start("first", dir, nil)
	r.produce(2, 20, 300)
	r.settle(p)
	p.kill(t)
	bend = true
	var logged bytes.Buffer
	r.tune = func(c *engine.Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) }
	p = r.start("second", dir, nil)
	r.settle(p)
	p.stop(t)
	if !strings.Contains(logged.String(), "does not lead to what was journaled") {
		t.Error("nothing was noticed")
	}
}

// TestDigestOfAnErasureAgain erases an id twice. Whether the first erasure was done with by then, and is forgotten, depends
// on when leads are written, which a standby does at other times than the owner: it is no divergence. Anything else is.
func TestDigestOfAnErasureAgain(t *testing.T) {
	ev := mustRules(t, testRules).NewEvaluator()
	gone := func(at int64, requests string) *lead.Lead {
		l := &lead.Lead{ID: "ann"}
		ev.Bury(l, at, requests)
		return l
	}
	if a, b := engine.DigestOf(gone(7, "second")), engine.DigestOf(gone(7, "first\x00second")); a != b {
		t.Errorf("digests %016x and %016x", a, b)
	}
	if a, b := engine.DigestOf(gone(7, "second")), engine.DigestOf(gone(8, "second")); a == b {
		t.Errorf("another time of the erasure gives the same digest %016x", a)
	}
}
