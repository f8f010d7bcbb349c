package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"leadstream/bench/peers"
)

// peerApp is the application id of the Kafka Streams program, and its group.
const peerApp = "takeover-streams"

// peerHeap is its heap, in GiB: with one it ran out of memory over two million leads.
const peerHeap = 4

// peer is the Kafka Streams program with its directory. It reads the same topic and keeps a state of its own for every
// lead, so what it restores is the same leads.
type peer struct {
	dir, classes, addr string
	proc               *process
}

// newPeer builds the program and makes its output topic; nil where it can't be built.
func (m *bench) newPeer(ctx context.Context) (*peer, error) {
	if why := peers.Missing(); why != "" {
		m.skipped = "Kafka Streams: " + why
		return nil, nil //nolint:nilnil // without the peer the rest is measured all the same
	}
	p := &peer{dir: filepath.Join(m.dir, "streams"), addr: m.addr}
	var err error
	if p.classes, err = peers.KafkaStreams(ctx); err != nil {
		return nil, err
	}
	_, err = m.adm.CreateTopic(ctx, shards, 1, nil, peerApp+".transitions")
	return p, errors.Join(err, os.MkdirAll(p.dir, 0o755))
}

// start starts it, exactly once as leadstream, with a thread for each shard.
func (p *peer) start() error {
	s := peers.Streams{ClassPath: p.classes, Broker: p.addr, In: source, Out: peerApp + ".transitions", App: peerApp, StateDir: p.state(),
		Heap:     peerHeap,
		Settings: []string{"STREAMS_PROCESSING_GUARANTEE=exactly_once_v2", "STREAMS_CONSUMER_SESSION_TIMEOUT_MS=6000"}}
	if err := os.RemoveAll(p.log()); err != nil {
		return err
	}
	var err error
	p.proc, err = startProcess(s.Command(context.Background()), p.log())
	return err
}

func (p *peer) state() string { return filepath.Join(p.dir, "state") }
func (p *peer) log() string   { return filepath.Join(p.dir, "log") }

// running says when all its stores were restored.
func (p *peer) running() (at time.Time, ok bool) {
	f, err := os.Open(p.log())
	if err != nil {
		return at, false
	}
	defer func() { _ = f.Close() }() // it was read
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var unix int64
		var state string
		if n, err := fmt.Sscanf(lines.Text(), "S %d %s", &unix, &state); err == nil && n == 2 && state == "RUNNING" {
			return time.UnixMilli(unix), true
		}
	}
	return at, false
}

// offsets are the positions that a group has committed in the source.
func (m *bench) offsets(ctx context.Context, group string) (at [shards]int64) {
	found, err := m.adm.FetchOffsets(ctx, group)
	if err != nil {
		return at // the group may not be there yet
	}
	found.Each(func(o kadm.OffsetResponse) {
		if o.Topic == source && o.Partition < shards {
			at[o.Partition] = o.At
		}
	})
	return at
}

// moved waits until a program's group has committed events of every shard beyond some positions.
func (m *bench) moved(ctx context.Context, group string, from [shards]int64, p *process) (at time.Time, err error) {
	err = m.await(ctx, group+" to go on in every shard", 10*time.Minute, func() bool {
		now := m.offsets(ctx, group)
		for i := range now {
			if now[i] <= from[i] {
				return false
			}
		}
		at = time.Now()
		return true
	}, p)
	return at, err
}

// alone waits until nobody is in a group: who starts before would wait for the session of who has left without a word, as
// Kafka Streams does.
func (m *bench) alone(ctx context.Context, group string) error {
	return m.await(ctx, "nobody to be in "+group, time.Minute, func() bool {
		found, err := m.adm.DescribeGroups(ctx, group)
		return err == nil && (found[group].State == "Empty" || found[group].State == "Dead")
	})
}

// fillPeer has it read what leadstream has read.
func (m *bench) fillPeer(ctx context.Context, p *peer) error {
	fmt.Fprintln(os.Stderr, "filling Kafka Streams")
	ends, err := m.adm.ListEndOffsets(ctx, source)
	if err != nil {
		return err
	}
	var last [shards]int64
	ends.Each(func(e kadm.ListedOffset) { last[e.Partition] = e.Offset - 1 })
	if err := p.start(); err != nil {
		return err
	}
	if _, err := m.moved(ctx, peerApp, last, p.proc); err != nil {
		return fmt.Errorf("%w: %s", err, p.lastWords())
	}
	p.proc.end(syscall.SIGTERM)
	return nil
}

func (p *peer) lastWords() string {
	text, err := os.ReadFile(p.log())
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-1500):]))
}
