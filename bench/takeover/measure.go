package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/engine"
)

const app, source = "takeover", "events"

// bench is one run.
type bench struct {
	o              *options
	dir, addr, bin string
	all            []*instance
	adm            *kadm.Client
	peer           *peer
	skipped        string // what was left out, and why

	fromKafka, onDisk starts

	killed, stopped, stoppedAll []float64 // ms after the session's end, after the process's end, after the signal
	fence                       map[string][]float64
	restored                    []float64 // leads a second and core from the state topic
	wall                        []float64 // leads a second on all cores
	fromDisk, fromDiskKilled    []float64 // ms from the start of the process until both shards are live
	diskRestore                 []float64 // ms of it that a shard took
}

func (m *bench) measure(ctx context.Context) error {
	one, err := m.instance("one", 1)
	if err != nil {
		return err
	}
	two, err := m.instance("two", 1)
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(m.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		return err
	}
	defer cl.Close()
	m.adm = kadm.NewClient(cl)
	if _, err := m.adm.CreateTopic(ctx, shards, 1, map[string]*string{"retention.ms": kadm.StringPtr("-1")}, source); err != nil {
		return err
	}
	if m.peer, err = m.newPeer(ctx); err != nil {
		return err
	}
	if err := m.fill(ctx, cl, one); err != nil {
		return fmt.Errorf("filling the shards: %w", err)
	}
	if m.peer != nil {
		if err := m.fillPeer(ctx, m.peer); err != nil {
			return fmt.Errorf("filling Kafka Streams: %w", err)
		}
	}
	if err := m.disk(ctx, one); err != nil {
		return fmt.Errorf("restarting from the local disk: %w", err)
	}
	if err := m.save(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var load sync.WaitGroup
	load.Go(func() { m.load(ctx, cl) })
	defer load.Wait()
	defer cancel()
	if err := m.cold(ctx, one, m.peer); err != nil {
		return fmt.Errorf("starting alone: %w", err)
	}
	if err := m.save(ctx); err != nil {
		return err
	}
	return m.moves(ctx, one, two)
}

// moves loads standbys and has them take over.
func (m *bench) moves(ctx context.Context, one, two *instance) error {
	for rep := range m.o.reps {
		if err := m.restore(ctx, one, two, rep); err != nil {
			return fmt.Errorf("restoring from the state topic: %w", err)
		}
	}
	if err := m.save(ctx); err != nil {
		return err
	}
	for rep := range 2 * m.o.reps {
		from, to := one, two
		if rep%4 >= 2 {
			from, to = two, one
		}
		if err := m.takeOver(ctx, from, to, rep%2 == 0); err != nil {
			return fmt.Errorf("taking over: %w", err)
		}
	}
	return m.save(ctx)
}

// lead is an id of a shard.
func lead(shard int32, n int) string { return fmt.Sprintf("lead-%d-%d", shard, n) }

// fill makes leads: one event for each.
func (m *bench) fill(ctx context.Context, cl *kgo.Client, one *instance) error {
	fmt.Fprintf(os.Stderr, "filling %d shards with %d leads each\n", shards, m.o.leads)
	var failed error
	var mu sync.Mutex
	n := [shards]int{}
	for i := 0; n[0] < m.o.leads || n[1] < m.o.leads; i++ {
		id := lead(0, i)
		s := engine.ShardOf([]byte(id), shards)
		if n[s] >= m.o.leads {
			continue
		}
		n[s]++
		cl.Produce(ctx, m.event(id, s), func(_ *kgo.Record, err error) {
			mu.Lock()
			failed = errors.Join(failed, err)
			mu.Unlock()
		})
	}
	if err := errors.Join(cl.Flush(ctx), failed); err != nil {
		return err
	}
	if err := one.start(m.bin); err != nil {
		return err
	}
	// That no lead is dirty any more says that all are in the state topic.
	if err := m.await(ctx, "all leads to be checkpointed", 20*time.Minute, func() bool {
		v := one.status(ctx)
		if v == nil || !v.Ready || v.Owned != shards {
			return false
		}
		for _, x := range v.Shards {
			if x.Lag > 0 || x.Dirty > 0 || x.Epoch == 0 {
				return false
			}
		}
		return true
	}, one.proc); err != nil {
		return err
	}
	one.end(syscall.SIGTERM)
	return nil
}

func (m *bench) event(id string, shard int32) *kgo.Record {
	now := time.Now()
	return &kgo.Record{Topic: source, Partition: shard, Key: []byte(id), Timestamp: now,
		Value: fmt.Appendf(nil, `{"type":"page","userId":%q,"messageId":"%s-%d","timestamp":%q}`, id, id, now.UnixNano(),
			now.UTC().Format("2006-01-02T15:04:05.000Z"))}
}

// load writes events until ctx ends.
func (m *bench) load(ctx context.Context, cl *kgo.Client) {
	every := time.NewTicker(10 * time.Millisecond)
	defer every.Stop()
	for i := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		for range max(1, m.o.rate/100) {
			i += 7919
			id := lead(0, i%m.o.leads)
			cl.Produce(ctx, m.event(id, engine.ShardOf([]byte(id), shards)), nil)
		}
	}
}

// disk starts one instance alone on its own disk, after a stop in order and after a kill.
func (m *bench) disk(ctx context.Context, one *instance) error {
	for rep := range 2 * m.o.reps {
		if err := one.start(m.bin); err != nil {
			return err
		}
		at, err := m.live(ctx, one, one.started, shards)
		if err != nil {
			return err
		}
		ms := at.Sub(one.started).Seconds() * 1000
		for _, l := range one.said("shard is live", one.started) {
			if v, err := strconv.ParseFloat(l.fields["restore_ms"], 64); err == nil {
				m.diskRestore = append(m.diskRestore, v)
			}
		}
		if rep%2 == 0 {
			m.fromDisk = append(m.fromDisk, ms)
			one.end(syscall.SIGKILL)
			time.Sleep(time.Second)
			continue
		}
		m.fromDiskKilled = append(m.fromDiskKilled, ms)
		one.end(syscall.SIGTERM)
	}
	return nil
}

// restore has two, whose directory is empty, load what it is to follow from the state topic.
func (m *bench) restore(ctx context.Context, one, two *instance, rep int) error {
	if rep == 0 {
		if err := one.start(m.bin); err != nil {
			return err
		}
		if _, err := m.live(ctx, one, one.started, shards); err != nil {
			return err
		}
	}
	two.end(syscall.SIGTERM)
	if err := m.settled(ctx, one); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(two.dir, "data")); err != nil {
		return err
	}
	if err := two.start(m.bin); err != nil {
		return err
	}
	var began, ended time.Time
	var before time.Duration
	if err := m.await(ctx, "the state topic to be loaded", 10*time.Minute, func() bool {
		if began.IsZero() {
			if l := two.said("standing by", two.started); len(l) > 0 {
				began, before = l[0].at, two.proc.cpu()
			}
			return false
		}
		if l := two.said("restored from the state topic", two.started); len(l) > 0 {
			ended = l[0].at
			records, _ := strconv.ParseFloat(l[0].fields["records"], 64)
			m.wall = append(m.wall, records/ended.Sub(began).Seconds())
			m.restored = append(m.restored, records/max(0.01, (two.proc.cpu()-before).Seconds()))
			return true
		}
		return false
	}, two.proc); err != nil {
		return err
	}
	return m.settled(ctx, one, two)
}

// takeOver ends one instance and sees how long its shard stands still.
func (m *bench) takeOver(ctx context.Context, from, to *instance, kill bool) error {
	if err := m.settled(ctx, from, to); err != nil {
		return err
	}
	time.Sleep(3 * time.Second) // until both follow in calm
	sig := os.Signal(syscall.SIGTERM)
	if kill {
		sig = syscall.SIGKILL
	}
	sent, gone := from.end(sig)
	at, err := m.live(ctx, to, sent, 1)
	if err != nil {
		return err
	}
	if kill {
		m.killed = append(m.killed, at.Sub(sent.Add(m.o.session)).Seconds()*1000)
	} else {
		m.stopped = append(m.stopped, at.Sub(gone).Seconds()*1000)
		m.stoppedAll = append(m.stoppedAll, at.Sub(sent).Seconds()*1000)
	}
	for _, l := range to.said("shard is live", sent) {
		for _, name := range parts {
			if v, err := strconv.ParseFloat(l.fields[name], 64); err == nil {
				m.fence[name] = append(m.fence[name], v)
			}
		}
	}
	return from.start(m.bin)
}

// parts are those of a shard's arrival, as the log names them.
var parts = []string{"standby_ms", "before_ms", "offsets_ms", "redo_ms", "settle_ms", "fence_ms", "install_ms"}

// live waits until an instance has said so many times that a shard is live, and returns when it said the last.
func (m *bench) live(ctx context.Context, i *instance, since time.Time, n int) (at time.Time, err error) {
	err = m.await(ctx, i.name+" to have live shards", 5*time.Minute, func() bool {
		l := i.said("shard is live", since)
		if len(l) < n {
			return false
		}
		at = l[n-1].at
		return true
	}, i.proc)
	return at, err
}

// settled waits until the shards are spread evenly and each is followed by all others.
func (m *bench) settled(ctx context.Context, all ...*instance) error {
	var by []*process
	for _, i := range all {
		by = append(by, i.proc)
	}
	return m.await(ctx, "the shards to be spread and followed", 10*time.Minute, func() bool {
		for _, i := range all {
			v := i.status(ctx)
			if v == nil || !v.Ready || v.Owned*len(all) != shards || len(v.Standbys) != shards-v.Owned {
				return false
			}
			for _, s := range v.Standbys {
				if s.State != "ready" {
					return false
				}
			}
		}
		return true
	}, by...)
}

// await waits until something is, for as long as the programs that are to bring it about run.
func (m *bench) await(ctx context.Context, what string, atMost time.Duration, is func() bool, by ...*process) error {
	for deadline := time.Now().Add(atMost); !is(); {
		for _, p := range by {
			select {
			case <-p.gone:
				return fmt.Errorf("a program ended while waiting for %s", what)
			default:
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %s for %s", atMost, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
