//go:build !race && !invariants

package micro

import (
	"runtime"
	"testing"

	"leadstream/bench/tape"
)

// Most that the whole engine may allocate for an event, checkpoints, journal, outputs and the store included. They are counts,
// not times: who raises one of them says why. Self-checks allocate, so make test runs this once more without
// them. Half of both is new leads: one event in eight has one here.
const (
	maxAllocs = 1.50
	maxBytes  = 480
)

// TestAllocationsPerEvent runs the whole engine over recorded events, each poll after the commit of the one before.
func TestAllocationsPerEvent(t *testing.T) {
	const events = 300_000
	tp := tape.New(records(t, events, 200_000), tape.Options{Step: true})
	set, dir := ruleSet(t), t.TempDir()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	runEngine(t, tp, set, dir)
	runtime.ReadMemStats(&after)
	allocs := float64(after.Mallocs-before.Mallocs) / events
	bytes := float64(after.TotalAlloc-before.TotalAlloc) / events
	t.Logf("%.3f allocations and %.0f bytes per event; %d epochs, %.2f checkpoints per event", allocs, bytes,
		tp.Commits.Load(), float64(tp.States.Load())/events)
	if allocs > maxAllocs || bytes > maxBytes {
		t.Errorf("%.3f allocations and %.0f bytes per event, at most %v and %v", allocs, bytes, maxAllocs, maxBytes)
	}
	if tp.States.Load() < events/20 {
		t.Errorf("only %d leads were checkpointed", tp.States.Load())
	}
}
