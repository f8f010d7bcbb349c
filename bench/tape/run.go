package tape

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/connectors/formats"
	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state"
)

// Run plays the tape to an engine with metrics and a store of its own in dir, which begins with no state, writes changed leads
// within a second and stops in order when the last event is committed. memory is the budget in bytes, shared out as leadstream does.
func Run(ctx context.Context, t *Tape, set *rules.Set, dir string, memory int64) (err error) {
	newDecoder, err := formats.New(formats.Config{})
	if err != nil {
		return fmt.Errorf("making a decoder: %w", err)
	}
	store, err := state.Open(state.Options{Dir: dir, App: App}.Within(memory))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	e, err := engine.New(engine.Config{
		App: App, Shards: Shards, Sources: []engine.SourceConfig{{Name: sourceName, Topic: sourceName, NewDecoder: newDecoder}},
		SourcePartitions: map[string]int32{sourceName: Shards}, Rules: set, Logic: App, CheckpointInterval: time.Second,
		CacheBytes: memory / 2, Clock: t.now, Registerer: prometheus.NewRegistry(),
		Inputs: t, Group: t, Committer: t, History: t, Store: store,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the last event, or with ctx
		select {
		case <-t.done:
		case <-ctx.Done():
		}
		cancel()
	}()
	return e.Run(ctx)
}
