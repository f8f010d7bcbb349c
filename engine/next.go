package engine

import (
	"context"
	"fmt"
	"time"
)

// next waits for the next thing to happen and takes it in; false when ctx has ended. Of several that wait already,
// while the loop was at work, an outcome goes before new input, and none is taken at random: a simulated run
// repeats.
func (e *Engine) next(ctx context.Context, in <-chan []Fetch, tick <-chan time.Time) (bool, error) {
	select {
	case <-ctx.Done():
		return false, nil
	case err := <-e.failed:
		return true, err
	default:
	}
	select {
	case ch, ok := <-e.cfg.Group.Changes():
		return true, e.changed(ch, ok)
	default:
	}
	select {
	case d := <-e.decided:
		return true, e.decide(d)
	default:
	}
	select {
	case ep := <-e.stored:
		e.wasStored(ep)
		return true, nil
	default:
	}
	select {
	case r := <-e.restored:
		return true, e.install(r)
	default:
	}
	select {
	case f := <-e.followed:
		e.heard(f)
		return true, nil
	default:
	}
	select {
	case f := <-in:
		e.distribute(f)
		return true, nil
	default:
	}
	select {
	case <-ctx.Done():
		return false, nil
	case err := <-e.failed:
		return true, err
	case ch, ok := <-e.cfg.Group.Changes():
		return true, e.changed(ch, ok)
	case d := <-e.decided:
		return true, e.decide(d)
	case ep := <-e.stored:
		e.wasStored(ep)
	case r := <-e.restored:
		return true, e.install(r)
	case f := <-e.followed:
		e.heard(f)
	case f := <-in:
		e.distribute(f)
	case <-tick:
	}
	return true, nil
}

// changed is change, for what came out of the group's channel.
func (e *Engine) changed(ch Change, ok bool) error {
	if !ok {
		return fmt.Errorf("the group ended: another process may use this instance name: %w", ErrFenced)
	}
	return e.change(ch)
}
