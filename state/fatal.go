package state

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// failure is the end of a store that can't go on. Pebble reports such an end by calling Logger.Fatalf
// with its locks held, and relies on it not to return; its own answer is to exit on the spot. Ours is
// to tell the owner, who ends the process in order, to leave Pebble's goroutine waiting where it is, and to begin
// nothing in Pebble any more. Errors of writing don't even get that far: see writes.go.
type failure struct {
	tell func(error) // Options.OnFatal, may be nil.
	once sync.Once
	dead chan struct{}
	err  error // Set before dead is closed.
}

func newFailure(tell func(error)) *failure {
	return &failure{tell: tell, dead: make(chan struct{})}
}

// fail records the first reason and tells the owner. It returns at once: its callers hold locks that the
// owner's reaction may need.
func (f *failure) fail(cause error) {
	f.once.Do(func() {
		f.err = fmt.Errorf("%w: %w", ErrFailed, cause)
		close(f.dead)
		if f.tell != nil {
			go f.tell(f.err) // Ends when the owner's function does.
		}
	})
}

// failed returns why the store has failed, nil if it hasn't.
func (f *failure) failed() error {
	select {
	case <-f.dead:
		return f.err
	default:
		return nil
	}
}

// guard runs fn, which calls into Pebble, and returns its error or, if the store fails first, that. fn then
// stays behind in Pebble, so it must own everything it uses. Without this, the caller of a write to a
// full disk would be the one that waits for ever.
func (f *failure) guard(fn func() error) error {
	if err := f.failed(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- fn() }() // Ends with fn, or never if the store has failed inside it.
	select {
	case err := <-done:
		return classify(err)
	case <-f.dead:
		return f.err
	}
}

// logger gives Pebble's messages to slog.
type logger struct {
	log     *slog.Logger
	failure *failure
	repeats atomic.Int64 // of what has failed in the background
}

// Infof logs at debug level: Pebble narrates its housekeeping there.
func (l *logger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("pebble", "message", fmt.Sprintf(format, args...))
	}
}

// Errorf logs at error level.
func (l *logger) Errorf(format string, args ...any) {
	l.log.Error("pebble", "message", fmt.Sprintf(format, args...))
}

// Fatalf fails the store and never returns.
func (l *logger) Fatalf(format string, args ...any) {
	// The error itself is among the arguments; formatted, it could not be classified.
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			l.fatal(err)
		}
	}
	l.fatal(fmt.Errorf(format, args...))
}

func (l *logger) fatal(err error) {
	l.failure.fail(classify(err))
	select {}
}

// background fails the store for a flush, a compaction or a look at a table that has failed. Pebble repeats those at
// once and for ever, and takes writes until its memory is full. A file that is damaged does not get better by that,
// so the first failure is the last that counts, and the rest are slowed down. To wait here for ever would stop
// readers as well: a compaction says so with the lock of the whole store held, and a reader needs that when it is the last to
// leave a version of the store behind.
func (l *logger) background(err error) {
	l.failure.fail(classify(err))
	time.Sleep(min(time.Millisecond<<min(l.repeats.Add(1), 10), time.Second))
}

// listener counts and logs what Pebble reports about itself.
func (l *logger) listener(c *counters) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: l.background,
		// The error that goes with it reaches whoever read the block.
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			c.corruptions.Add(1)
			l.log.Error("state store file is damaged", "path", info.Path)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			c.stalls.Add(1)
			l.log.Warn("state store holds back writes", "reason", info.Reason)
		},
		DiskSlow: func(info pebble.DiskSlowInfo) {
			c.slow.Add(1)
			l.log.Warn("state store waits for its disk", "path", info.Path, "duration", info.Duration)
		},
		LowDiskSpace: func(info pebble.LowDiskSpaceInfo) {
			l.log.Warn("disk of the state store is nearly full", "available_bytes", info.AvailBytes, "total_bytes", info.TotalBytes)
		},
	}
}
