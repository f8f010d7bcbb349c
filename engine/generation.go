package engine

import (
	"context"
	"errors"
	"fmt"
)

// sameCount compares the number of shards with that of a shard's last epoch. With another one an id would be looked for on a
// shard that knows nothing of it.
func (e *Engine) sameCount(id int32, last *JournalRecord) error {
	if last.Shards != 0 && last.Shards != e.cfg.Shards {
		return fmt.Errorf("application %q has %d shards, as the journal of shard %d says, and %d are configured: set shards: %d, or run `leadstream reshard` to have another number: %w",
			e.cfg.App, last.Shards, id, e.cfg.Shards, last.Shards, ErrDisagree)
	}
	return nil
}

// sameShards is sameCount, and refuses an application that was given up for another.
func (e *Engine) sameShards(id int32, last *JournalRecord) error {
	if err := e.sameCount(id, last); err != nil {
		return err
	}
	if last.Moved != "" && e.cfg.Drain == nil {
		return fmt.Errorf("application %q was given up for %q by `leadstream reshard`: configure that one with its number of shards; if the command did not come to its end, run it again, or take it back with --cancel: %w",
			e.cfg.App, last.Moved, ErrDisagree)
	}
	return nil
}

// noState refuses to begin a shard anew whose state topic is not empty.
func (e *Engine) noState(ctx context.Context, id int32) error {
	tp := TopicPartition{e.cfg.topic(TopicState), id}
	err := e.cfg.History.Read(ctx, tp, StartOfPartition, CommittedEnd, func(*Record) error { return errEnough })
	switch {
	case errors.Is(err, errEnough):
		return fmt.Errorf("there are leads in %s/%d, but shard %d has no journal: the journal topic was deleted, or a restore did not come to its end; delete the application's topics and restore again, or start a new application name: %w",
			tp.Topic, id, id, ErrDisagree)
	case err != nil:
		return fmt.Errorf("looking into the state topic of shard %d: %w", id, err)
	}
	return nil
}
