package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// start is how one program came up alone, in ms from the start of its process.
type start struct {
	ready float64 // until it says that all shards are there
	going float64 // until events of every shard that came after the start of the measurement are committed
	cpu   float64 // s of CPU time until then
}

// starts are those of both programs, by repetition.
type starts struct{ ours, theirs []start }

// cold has leadstream and Kafka Streams start in turns, first without anything on disk, so that both restore the same
// leads from what they have in Kafka, then on what that has left on disk. Events come meanwhile.
func (m *bench) cold(ctx context.Context, one *instance, p *peer) error {
	for rep := range m.o.reps {
		for _, emptied := range []bool{true, false} {
			into := &m.onDisk
			if emptied {
				into = &m.fromKafka
			}
			s, err := m.coldLeadstream(ctx, one, emptied)
			if err != nil {
				return err
			}
			into.ours = append(into.ours, s)
			fmt.Fprintf(os.Stderr, "%d/%d emptied %t: leadstream %.0f ms, CPU %.1f s\n", rep+1, m.o.reps, emptied, s.going, s.cpu)
			if p == nil {
				continue
			}
			if s, err = m.coldPeer(ctx, p, emptied); err != nil {
				return fmt.Errorf("the other program: %w: %s", err, p.lastWords())
			}
			into.theirs = append(into.theirs, s)
			fmt.Fprintf(os.Stderr, "%d/%d emptied %t: Kafka Streams %.0f ms, CPU %.1f s\n", rep+1, m.o.reps, emptied, s.going, s.cpu)
		}
	}
	return nil
}

func (m *bench) coldLeadstream(ctx context.Context, one *instance, emptied bool) (start, error) {
	if emptied {
		if err := os.RemoveAll(filepath.Join(one.dir, "data")); err != nil {
			return start{}, err
		}
	}
	if err := m.alone(ctx, app); err != nil {
		return start{}, err
	}
	from := m.offsets(ctx, app)
	if err := one.start(m.bin); err != nil {
		return start{}, err
	}
	defer one.end(syscall.SIGTERM)
	return m.came(ctx, app, from, one.proc, func() (time.Time, bool) {
		l := one.said("shard is live", one.proc.started)
		if len(l) < shards {
			return time.Time{}, false
		}
		return l[shards-1].at, true
	})
}

func (m *bench) coldPeer(ctx context.Context, p *peer, emptied bool) (start, error) {
	if emptied {
		if err := os.RemoveAll(p.state()); err != nil {
			return start{}, err
		}
	}
	if err := m.alone(ctx, peerApp); err != nil {
		return start{}, err
	}
	from := m.offsets(ctx, peerApp)
	if err := p.start(); err != nil {
		return start{}, err
	}
	defer p.proc.end(syscall.SIGTERM)
	return m.came(ctx, peerApp, from, p.proc, p.running)
}

// came waits for a program to be ready by its own word, and to have gone on by its group's.
func (m *bench) came(ctx context.Context, group string, from [shards]int64, p *process, ready func() (time.Time, bool)) (s start, err error) {
	going, err := m.moved(ctx, group, from, p)
	if err != nil {
		return s, err
	}
	s.cpu = p.cpu().Seconds()
	s.going = going.Sub(p.started).Seconds() * 1000
	return s, m.await(ctx, group+" to be ready", 10*time.Minute, func() bool {
		at, ok := ready()
		s.ready = at.Sub(p.started).Seconds() * 1000
		return ok
	}, p)
}

// table has both side by side.
func (s starts) table(w *strings.Builder, what string) {
	if len(s.ours) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s, median (least to most) of %d:\n\n| | leadstream | Kafka Streams, exactly once v2 | leadstream : Kafka Streams |\n| --- | --- | --- | --- |\n", what, len(s.ours))
	row := func(name, verb string, of func(start) float64) {
		var ours, theirs, ratio []float64
		for i, x := range s.ours {
			ours = append(ours, of(x))
			if i < len(s.theirs) {
				theirs = append(theirs, of(s.theirs[i]))
				ratio = append(ratio, of(x)/of(s.theirs[i]))
			}
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", name, cell(verb, ours), cell(verb, theirs), cell("%.2f", ratio))
	}
	row("all shards are there, by its own word, ms after its process was started", "%.0f", func(x start) float64 { return x.ready })
	row("events of all shards are committed again, ms after", "%.0f", func(x start) float64 { return x.going })
	row("CPU time until then, s", "%.1f", func(x start) float64 { return x.cpu })
}
