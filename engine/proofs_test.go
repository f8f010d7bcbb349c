package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/state"
	"leadstream/state/lead"
)

// idle is an engine on a rig that does not run.
func (r *rig) idle() *engine.Engine {
	r.t.Helper()
	st, err := state.Open(state.Options{Dir: r.t.TempDir(), App: "app", ClusterID: "c", Instance: "x"})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = st.Close() })
	c := r.log.Client("x")
	e, err := engine.New(engine.Config{App: "app", Shards: r.shards, Sources: []engine.SourceConfig{enginetest.Source("web", "web", false)},
		SourcePartitions: r.parts, Rules: r.set, Clock: r.clock, Inputs: c, Group: c, Committer: c, History: c, Store: st})
	if err != nil {
		r.t.Fatal(err)
	}
	return e
}

// TestFenceIsOfTheBeginning has a generation begin while an epoch is open: the epoch's input was read under the one before, so it
// is sent under that, and refused. Under the new one it would be accepted, whoever has its shards by then.
func TestFenceIsOfTheBeginning(t *testing.T) {
	r := newRig(t, 2)
	e := r.idle()
	opened, sent, err := engine.FenceOfAnEpoch(e, func() { r.log.Client("y") })
	if err != nil || opened.Generation == 0 || sent != opened {
		t.Errorf("opened under %v, sent under %v: %v", opened, sent, err)
	}
	if opened, sent, _ = engine.FenceOfAnEpoch(e, func() {}); opened != sent || opened.Generation < 2 {
		t.Errorf("afterwards opened under %v, sent under %v: the test tests nothing", opened, sent)
	}
}

// TestUnlessMovedOn: what a journal says is believed over the cluster only as long as nobody else adds to it.
func TestUnlessMovedOn(t *testing.T) {
	r, _ := filled(t)
	all := r.log.Records(engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicJournal)})
	j, err := engine.DecodeJournal(all[len(all)-1].Value)
	if err != nil || j.Epoch < 2 {
		t.Fatalf("the journal ends with %+v, %v", j, err)
	}
	e, last := r.idle(), j.Epoch
	wrong := fmt.Errorf("offset 3, not 4: %w", engine.ErrDisagree)
	other := errors.New("no answer")
	for _, tt := range []struct {
		name    string
		epoch   uint64
		err     error
		stays   bool
		nothing bool
	}{
		{"no error", last, nil, true, true},
		{"an error of another kind", last - 1, other, true, false},
		{"the journal is as it was", last, wrong, true, false},
		{"the journal has gone on", last - 1, wrong, false, false},
		{"the journal was empty and is not", 0, wrong, false, false},
	} {
		err := engine.UnlessMovedOn(e, 0, tt.epoch, tt.err)
		if tt.nothing != (err == nil) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err != nil && tt.stays != errors.Is(err, tt.err) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestSilentShardIsWaitedFor: a process that has just started can't tell a shard that has nothing to say from one that is being restored and
// has a backlog to forward. It fires no timers before it has heard of it, or has waited as long as it may.
func TestSilentShardIsWaitedFor(t *testing.T) {
	for _, tt := range []struct {
		said bool
		at   int64
		want int64
	}{
		{false, 0, engine.NoTime},
		{false, 60_000, engine.NoTime},
		{false, 60_001, lead.Never},
		{true, 0, lead.Never},
	} {
		if got := engine.Silent(tt.said, tt.at, 60_000); got != tt.want {
			t.Errorf("heard of it %t, %d ms after the start: limited to %d, want %d", tt.said, tt.at, got, tt.want)
		}
	}
}

// TestFencedOnce: shards that came together share the fencing of the writers they had, unless it failed.
func TestFencedOnce(t *testing.T) {
	for _, tt := range []struct {
		fail, calls, failed int
	}{
		{0, 2, 0},
		{1, 4, 1}, // the first shard's first writer is not fenced; each of the two after it does that itself
	} {
		if calls, failed := engine.FencedFor(newRig(t, 3).idle(), 3, tt.fail, "one", "two"); calls != tt.calls || failed != tt.failed {
			t.Errorf("%d fail: %d calls, %d failed; want %d and %d", tt.fail, calls, failed, tt.calls, tt.failed)
		}
	}
}

// TestRulesOfANewerProgram: the leads were brought under a rule set that this version can't read. Guessing what it meant would give
// wrong scores.
func TestRulesOfANewerProgram(t *testing.T) {
	r, _ := filled(t)
	version := r.set.Version()
	tp := engine.TopicPartition{Topic: engine.TopicName("app", engine.TopicRules)}
	recs := r.log.Records(tp)
	r.log.Truncate(tp, 0)
	for _, x := range recs {
		if string(x.Key) == version {
			x.Value = []byte("a language of later")
		}
		r.log.Append(tp.Topic, 0, x.Key, x.Value, base)
	}
	r.set = mustRules(t, strings.Replace(testRules, "< 20'", "< 25'", 1))
	logs, reg := r.watch()
	says(t, r.ends(t.TempDir()), engine.ErrDisagree, version, "newer")
	if n := value(t, reg, "leadstream_engine_rules_refused_total"); n == 0 {
		t.Error("it was not counted")
	}
	if logs.count("can't be read by this version") == 0 {
		t.Errorf("it was not logged")
	}
}

// TestJournalOfANewerProgram: what a newer program has journaled is not guessed at.
func TestJournalOfANewerProgram(t *testing.T) {
	_, err := engine.DecodeJournal(engine.EncodeJournal1(t, &engine.JournalRecord{Version: 99, Epoch: 4}))
	says(t, err, engine.ErrDisagree, "99", "use the newer program")
}

// TestRetentionMargin lets retention come near to what redo would need: the gauge says how near, and a warning comes before it is gone.
func TestRetentionMargin(t *testing.T) {
	defer engine.LookAtMargins(2 * time.Millisecond)()
	r, dir := filled(t)
	logs, reg := r.watch()
	tune := r.tune
	r.tune = func(c *engine.Config) {
		tune(c)
		c.CheckpointInterval = time.Hour
	}
	tp := engine.TopicPartition{Topic: "web", Partition: 2}
	redo, _ := r.log.End(tp)
	p := r.start("a", dir, nil)
	r.settle(p)
	r.produce(2, 40, 600)
	r.settle(p)
	const gauge, warning = "leadstream_engine_retention_margin_records", "retention is about to delete"
	eventually(t, "the gauge", func() bool { return value(t, reg, gauge) > 0 })
	if n := logs.count(warning); n != 0 {
		t.Errorf("warned %d times while nothing was deleted", n)
	}
	if err := r.log.Reader().Cut(t.Context(), tp, redo-3); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a warning", func() bool { return logs.count(warning) == 1 })
	if !strings.Contains(logs.text(), fmt.Sprintf("topic=web partition=2 log_start=%d redo_from=%d", redo-3, redo)) {
		t.Errorf("the log does not say what is needed: %s", logs.text())
	}
	p.stop(t)
}

// TestRulesBeforeAnything applies rules while a shard has not read its first record: it has no offsets to commit, so it can commit nothing.
func TestRulesBeforeAnything(t *testing.T) {
	other := mustRules(t, strings.Replace(testRules, "< 20'", "< 25'", 1))
	before, after, err := engine.DueForRules(newRig(t, 1).idle(), other)
	if err != nil || before || !after {
		t.Errorf("due before it has read anything: %t, after: %t, %v", before, after, err)
	}
}
