package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"leadstream/connectors/importer"
)

// copyEvents reads the files into the sink, and says every now and then how far it is.
func copyEvents(ctx context.Context, say io.Writer, m importer.Mapping, files []string, to eventSink) (importer.Stats, error) {
	var written atomic.Int64
	stop := showProgress(say, &written, progressEvery(say))
	defer stop()
	var sinkErr error
	stats, err := importer.Run(ctx, m, files, func(key, value []byte, at int64) error {
		if sinkErr = to.write(ctx, key, value, at); sinkErr != nil {
			return sinkErr
		}
		written.Add(1)
		return nil
	})
	if err != nil && sinkErr == nil && ctx.Err() == nil { // what is left is about the files
		mark := errIncomplete
		if errors.Is(err, importer.ErrMapping) {
			mark = errConfig
		}
		err = fmt.Errorf("%w: %w", mark, err)
	}
	if sinkErr == nil && ctx.Err() == nil {
		err = errors.Join(err, to.flush(ctx))
	}
	return stats, err
}

// progressEvery is how often to say how far an import is: often on a terminal, where each line replaces the
// last, and seldom in a log.
func progressEvery(w io.Writer) time.Duration {
	if file, ok := w.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return time.Second
		}
	}
	return 30 * time.Second
}

// showProgress writes a line now and then until the function it returns was called.
func showProgress(w io.Writer, written *atomic.Int64, every time.Duration) (stop func()) {
	done := make(chan struct{})
	var showing sync.WaitGroup
	showing.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		began, shown := time.Now(), false
		begin, end := "", "\n"
		if every == time.Second {
			begin, end = "\r\x1b[K", ""
		}
		for {
			select {
			case <-tick.C:
				n := written.Load()
				fmt.Fprintf(w, "%s%d events, %.0f a second%s", begin, n, float64(n)/time.Since(began).Seconds(), end)
				shown = true
			case <-done:
				if shown {
					fmt.Fprint(w, begin)
				}
				return
			}
		}
	})
	return func() { close(done); showing.Wait() }
}

// writeImport says what became of the lines.
func writeImport(w io.Writer, s *importer.Stats) {
	for _, f := range s.Faults {
		fmt.Fprintln(w, f)
	}
	if more := s.Bad - len(s.Faults); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
	span := ""
	if s.Events > 0 {
		day := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.DateOnly) }
		span = fmt.Sprintf(" from %s to %s", day(s.First), day(s.Last))
	}
	fmt.Fprintf(w, "files: %d, lines left out: %d, events: %d%s\n", s.Files, s.Bad, s.Events, span)
}
