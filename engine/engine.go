package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"leadstream/rules"
	"leadstream/state"
	"leadstream/state/lead"
)

// Engine runs the shards that its group gives it.
type Engine struct {
	cfg     Config
	log     *slog.Logger
	m       *metrics
	sources map[string]*SourceConfig // by topic
	writer  string
	slots   int

	// mu guards what readers on other goroutines see; a shard's leads have their own lock.
	mu       sync.RWMutex
	live     map[int32]*shard
	standbys map[int32]*standby
	plan     *Plan          // the group's last one
	loaded   []atomic.Int64 // by shard: records of the state topic, by the last restoration
	ruleSets map[lead.RuleSetID]*rules.Set
	// pastRules are those that were in force as far as this process knows, the present one included.
	pastRules map[lead.RuleSetID]bool
	status    Status

	needs      atomic.Pointer[[]need]
	cacheShare atomic.Int64 // bytes of the cache that a shard or standby may have
	// active is the rule set that shards are to switch to; fileKnown that the rules topic names this process's files.
	active    atomic.Pointer[rules.Set]
	fileKnown atomic.Bool
	started   bool  // the loop runs; readRules belongs to watchRules
	rulesNext int64 // where readRules goes on
	// partitions are the sources' numbers of partitions, guarded by mu; grown says that a shard may not have all of its own.
	partitions map[string]int32
	grown      atomic.Bool

	// Channels between Run's loop and the goroutines it starts.
	polled    chan []Fetch
	pollCmds  chan pollCmd
	pending   atomic.Int32 // commands waiting for the poller
	interrupt atomic.Pointer[context.CancelFunc]
	commits   chan *epoch
	decided   chan decision
	store     chan *epoch
	stored    chan *epoch
	followed  chan followed
	restored  chan restoration
	cuts      chan cutRequest
	failed    chan error

	beforeStore func() // tests: a slow store

	loop loop
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Engine, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	e := newEngine(cfg)
	e.writer, e.slots = cfg.Committer.Writer()
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(&shardCollector{e})
	}
	return e, nil
}

// newEngine makes an Engine that knows its rules and sources.
func newEngine(cfg Config) *Engine {
	e := &Engine{
		cfg: cfg, log: cfg.Logger, m: newMetrics(cfg.Registerer),
		sources:  make(map[string]*SourceConfig, len(cfg.Sources)),
		live:     make(map[int32]*shard),
		standbys: make(map[int32]*standby), loaded: make([]atomic.Int64, cfg.Shards),
		ruleSets: map[lead.RuleSetID]*rules.Set{cfg.Rules.ID(): cfg.Rules}, pastRules: map[lead.RuleSetID]bool{cfg.Rules.ID(): true},
		polled: make(chan []Fetch), pollCmds: make(chan pollCmd),
		commits: make(chan *epoch), decided: make(chan decision, 1),
		store: make(chan *epoch, 4), stored: make(chan *epoch, 8),
		followed: make(chan followed, 256), restored: make(chan restoration),
		cuts: make(chan cutRequest, 1), failed: make(chan error, 8),
	}
	e.active.Store(cfg.Rules)
	e.rulesNext, e.partitions = StartOfPartition, maps.Clone(cfg.SourcePartitions)
	for i := range cfg.Sources {
		e.sources[cfg.Sources[i].Topic] = &cfg.Sources[i]
	}
	return e
}

// Run works until ctx ends, then decides what is open, checkpoints everything, leaves the group and
// returns nil. It returns an error when it can't go on: what was not committed is as if it had not
// happened. It may be called once.
func (e *Engine) Run(ctx context.Context) error {
	// Stop order: the loop first, which decides epochs and empties the store's queue; then the poller
	// and the followers, by cancel; then the committer and the storer, by closing their channels.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	if err := e.readRules(ctx); err != nil {
		if ctx.Err() != nil { // told to stop before it began
			return e.leave(work)
		}
		return err
	}
	e.started = true
	var readers, writers sync.WaitGroup
	readers.Go(func() { e.watchRules(work) })
	readers.Go(func() { e.pollLoop(work) })
	readers.Go(func() { e.follow(work) })
	readers.Go(func() { e.cutLoop(work) })
	readers.Go(func() { e.marginLoop(work) })
	writers.Go(func() { e.commitLoop(work) })
	writers.Go(func() { e.storeLoop() })

	err := e.runLoop(ctx, work)

	l := newLaps()
	cancel()
	e.loop.restores.Wait()
	readers.Wait()
	close(e.commits)
	close(e.store)
	for range e.stored { // storeLoop closes it
	}
	writers.Wait()
	l.lap("end_ms")
	defer func() { l.lap("leave_ms"); e.log.Info("out of the group", l.attrs...) }()
	if lerr := e.leave(context.WithoutCancel(ctx)); err == nil && lerr != nil && !errors.Is(lerr, context.DeadlineExceeded) {
		err = fmt.Errorf("leaving the group: %w", lerr)
	}
	return err
}

// leave gives up all shards. The group hands them over as one last change, which nobody else waits for
// any more.
func (e *Engine) leave(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	left := make(chan struct{})
	var drain sync.WaitGroup
	drain.Go(func() {
		for {
			select {
			case ch, ok := <-e.cfg.Group.Changes():
				if !ok {
					return
				}
				ch.Done()
			case <-left:
				return
			}
		}
	})
	err := e.cfg.Group.Leave(ctx)
	close(left)
	drain.Wait()
	return err
}

// fail reports an error that ends Run.
func (e *Engine) fail(err error) {
	select {
	case e.failed <- err:
	default: // one is enough
	}
}

// pollCmd changes what the poller reads. done is closed when nothing of the removed partitions is on its
// way any more; what is added is read as soon as the cluster answers.
type pollCmd struct {
	remove []TopicPartition
	add    []Start
	done   chan struct{}
}

// pollLoop is the only caller of Inputs. It ends with ctx.
func (e *Engine) pollLoop(ctx context.Context) {
	var wanted []Start // to be added
	for tries := 0; ctx.Err() == nil; {
		fetches, err := e.pollOnce(ctx, &wanted)
		if err != nil {
			tries++
			if errors.Is(err, ErrGap) || errors.Is(err, ErrDisagree) || len(wanted) == 0 {
				e.fail(fmt.Errorf("reading: %w", err))
				e.pollNothing(ctx)
				return
			}
			if tries%50 == 1 {
				e.log.Warn("the cluster does not say where to read; asking again", "tries", tries, "error", err)
			}
		} else {
			tries = 0
		}
		out := e.polled
		if len(fetches) == 0 {
			out = nil
		}
		var retry <-chan time.Time
		if err != nil {
			retry = time.After(min(time.Duration(tries)*20*time.Millisecond, time.Second))
		}
		for out != nil || retry != nil || e.pending.Load() > 0 {
			select {
			case out <- fetches:
				out = nil
			case <-retry:
				retry = nil
			case c := <-e.pollCmds:
				e.pending.Add(-1)
				fetches = without(fetches, c.remove)
				if len(fetches) == 0 {
					out = nil
				}
				e.cfg.Inputs.Remove(c.remove)
				wanted = slices.DeleteFunc(wanted, func(s Start) bool { return slices.Contains(c.remove, s.TopicPartition) })
				wanted = append(wanted, c.add...)
				close(c.done)
			case <-ctx.Done():
				return
			}
		}
	}
}

// beside runs f on a goroutine of its own, and returns how to wait for its end, which must be done.
func beside(f func() error) (wait func() error) {
	done := make(chan error, 1)
	go func() { done <- f() }() // ends with f
	return func() error { return <-done }
}

// restoreTries is how often a shard is tried to be restored while the cluster does not answer: over a minute.
const restoreTries = 40

// lasting says that an error of recovery will not go away by itself.
func lasting(err error) bool {
	return errors.Is(err, ErrGap) || errors.Is(err, ErrDisagree) || errors.Is(err, state.ErrCorrupt) || errors.Is(err, state.ErrFailed) ||
		errors.Is(err, lead.ErrMalformed) || errors.Is(err, lead.ErrNewerSchema)
}

// startRestore restores a shard on a goroutine of its own, which ends with work or when the shard is lost. A standby
// of it ends, and what it has is where the restoration begins.
func (e *Engine) startRestore(work context.Context, id int32, f *fences) {
	lp := &e.loop
	if e.live[id] != nil || lp.restoring[id] != nil {
		return
	}
	ctx, cancel := context.WithCancel(work)
	lp.restoring[id] = cancel
	sb := e.endStandby(id)
	lp.restores.Go(func() {
		a := &arrival{id: id, fences: f, laps: newLaps()}
		s, err := e.takeOver(ctx, a, sb)
		for try := 1; err != nil && ctx.Err() == nil && try <= restoreTries && !lasting(err); try++ {
			e.log.Warn("restoring a shard; trying again", "shard", id, "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(min(time.Duration(try)*100*time.Millisecond, 2*time.Second)):
			}
			a.fences = newFences() // whoever was fenced may have been at work again since
			s, err = e.restore(ctx, a)
		}
		select {
		case e.restored <- restoration{id, ctx, s, err, &a.laps}:
		case <-work.Done():
		}
	})
}

// startStandby follows a shard on a goroutine of its own, which ends with work or by endStandby. before is the
// standby of the same shard that has just been ended, nil if none was.
func (e *Engine) startStandby(work context.Context, sb, before *standby) {
	ctx, cancel := context.WithCancel(work)
	sb.cancel = cancel
	e.loop.restores.Go(func() {
		defer close(sb.done)
		defer cancel()
		before.wait()
		for tries := 0; ctx.Err() == nil; tries++ {
			if tries > 0 {
				sleep(ctx, min(time.Duration(tries)*100*time.Millisecond, 10*time.Second), nil)
			}
			err := e.stand(ctx, sb, func(d time.Duration, wake <-chan struct{}) { sleep(ctx, d, wake) })
			if ctx.Err() == nil {
				sb.s = nil
				e.standbyFailed(sb, err)
			}
		}
	})
}

// sleep waits until a time has passed, ctx has ended or there is something to do.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-wake:
	case <-time.After(d):
	}
}

// decision is the outcome of a transaction.
type decision struct {
	ep  *epoch
	err error
	ms  time.Duration
}

// commitLoop writes transactions one after another until its channel is closed.
func (e *Engine) commitLoop(ctx context.Context) {
	for ep := range e.commits {
		start := time.Now()
		err := ep.encode()
		if err == nil {
			err = e.cfg.Committer.Commit(ctx, &ep.tx)
		}
		e.decided <- decision{ep, err, time.Since(start)}
	}
}

// storeLoop writes committed slices to the store, in order, until its channel is closed.
func (e *Engine) storeLoop() {
	defer close(e.stored)
	for ep := range e.store {
		if e.beforeStore != nil {
			e.beforeStore()
		}
		sl := ep.slice
		first := ep.stateAt()
		if err := e.writeSlice(sl, ep.tx.Records[first:ep.journalAt]); err != nil {
			e.fail(fmt.Errorf("writing a checkpoint of shard %d: %w", sl.shard.id, err))
			continue
		}
		e.stored <- ep
	}
}

// rulesEvery is how often a process looks for a rule set that was applied.
const rulesEvery = time.Second

// watchRules keeps the active rule set up to date until ctx ends.
func (e *Engine) watchRules(ctx context.Context) {
	tick := time.NewTicker(rulesEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := e.readRules(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("looking for a new rule set", "error", err)
		}
	}
}

// cutRequest asks for journal and inbox of a shard to be deleted before offsets that redo will not need.
type cutRequest struct {
	journal, inbox Start
}

func (e *Engine) cutLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-e.cuts:
			for _, s := range []Start{c.journal, c.inbox} {
				if s.Offset <= 0 {
					continue
				}
				if err := e.cfg.History.Cut(ctx, s.TopicPartition, s.Offset); err != nil && ctx.Err() == nil {
					e.log.Warn("cutting what redo no longer needs", "topic", s.Topic, "partition", s.Partition, "error", err)
				}
			}
		}
	}
}

// each runs f on every shard, several at a time, and returns the first error.
func (e *Engine) each(shards []*shard, f func(*shard) error) error {
	if len(shards) == 1 || e.cfg.Workers == 1 {
		for _, s := range shards {
			if err := f(s); err != nil {
				return err
			}
		}
		return nil
	}
	var wg sync.WaitGroup
	var next atomic.Int32
	errs := make([]error, len(shards))
	for range min(e.cfg.Workers, len(shards)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(shards); i = int(next.Add(1)) - 1 {
				errs[i] = f(shards[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
