package engine

import (
	"context"
	"errors"
	"fmt"
)

// Drain says how an application is brought to rest; see Config.Drain.
type Drain struct {
	// Moved is the application that is to take this one's place: once at rest no process of this one starts again. "" lets
	// them, also if an earlier drain did not.
	Moved string
}

// frozen are clock readings under which time stands still and nothing falls due.
func (s *shard) frozen(wall int64) clockInput {
	c := clockInput{wall: max(wall, s.st.wall), cap: s.st.tick, base: noTime, floors: make([]int64, len(s.st.parts))}
	for i := range c.floors {
		c.floors[i] = noTime
	}
	return c
}

// starts are where a shard's inputs are to be read from.
func (e *Engine) starts(s *shard) []Start {
	starts := make([]Start, 0, len(s.st.parts))
	for _, p := range s.st.parts {
		if e.cfg.Drain == nil || p.source == nil && p.Topic == e.cfg.topic(TopicInbox) {
			starts = append(starts, Start{p.TopicPartition, p.next})
		}
	}
	return starts
}

// atRest says that a draining process has all shards and nothing is left to apply in any of them.
func (e *Engine) atRest(ctx context.Context) (bool, error) {
	lp := &e.loop
	if len(e.live) != int(e.cfg.Shards) || lp.cur != nil || lp.flight != nil {
		return false, nil
	}
	for _, id := range e.liveIDs() {
		s := e.live[id]
		if len(s.queue) > 0 || s.st.oldRules != nil || s.wantsSwitch() || s.st.parts[0].next == StartOfPartition {
			return false, nil
		}
	}
	// What was sent in the last transactions may not have come yet.
	for _, id := range e.liveIDs() {
		p := &e.live[id].st.parts[0]
		err := e.cfg.History.Read(ctx, p.TopicPartition, p.next, EndOfPartition, func(*Record) error { return errEnough })
		if errors.Is(err, errEnough) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("looking for what is left in the inbox of shard %d: %w", id, err)
		}
	}
	return true, nil
}

// retire ends a drain: every lead is written, and the journals say what is to come.
func (e *Engine) retire() error {
	if err := e.stop(); err != nil {
		return err
	}
	return e.giveUp()
}

// giveUp writes a last epoch of each shard which says who takes the application's place.
func (e *Engine) giveUp() error {
	for id := range e.cfg.Shards {
		s := e.live[id]
		if s == nil { // a commit of stop failed, or the group took the shard
			return fmt.Errorf("bringing shard %d to rest: it was lost before its last epoch; run the command again: %w", id, ErrAborted)
		}
		s.moved = e.cfg.Drain.Moved
		fence, ok := e.cfg.Group.Fence()
		if !ok {
			return fmt.Errorf("bringing shard %d to rest: the group has gone on without this process: %w", id, ErrFenced)
		}
		e.loop.cur = &epoch{opened: e.cfg.Clock(), fence: fence}
		s.beginIdle(s.frozen(s.st.wall))
		e.loop.cur.add(s)
		if err := e.finish(nil); err != nil {
			return err
		}
		if e.live[id] == nil {
			return fmt.Errorf("bringing shard %d to rest: its last epoch was not committed; run the command again: %w", id, ErrAborted)
		}
	}
	return nil
}
