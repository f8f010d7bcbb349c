package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/engine"
)

// Group is this process's membership in the consumer group. It implements engine.Group. Its client
// subscribes to the inbox topic and fetches nothing: partitions only say which shards are ours.
//
// A cooperative rebalance comes as one or two Changes: one with Lost, when something is taken away; one with
// Gained, possibly empty, when the new generation stands. While the group gathers its members the old generation stands, so
// epochs are begun and committed as always; one that is not decided when the last member has joined is refused
// by the broker, and done again under the new generation. Pending is true from the first Change to the last, and Fence knows a
// generation only once its last Change is Done.
type Group struct {
	c       *Cluster
	cl      atomic.Pointer[kgo.Client] // its goroutines run before the field can be set
	changes chan engine.Change
	bal     *balancer
	pending atomic.Bool
	// stop ends the client at once, and with it every callback that waits.
	stop    context.CancelFunc
	once    sync.Once
	leftErr error

	mu    sync.Mutex
	owned map[int32]bool
	fence engine.Fence // of the last Change that is Done; Generation -1 in between
	seat  seat
	asked time.Time // when this member asked to join the generation that comes
}

// Group joins the consumer group as a member that has nothing to tell. Changes must be read until it is closed.
func (c *Cluster) Group() (*Group, error) { return c.Join(Member{}) }

// Join joins the consumer group. Changes must be read until it is closed.
func (c *Cluster) Join(m Member) (*Group, error) {
	g := &Group{c: c, changes: make(chan engine.Change),
		owned: map[int32]bool{}, fence: engine.Fence{Generation: -1}}
	g.pending.Store(true)
	inbox := c.TopicName(engine.TopicInbox)
	use := c.cfg.Balancer
	if use == nil {
		g.bal = &balancer{topic: inbox, shards: c.cfg.Shards, member: m, name: c.cfg.Instance}
		use = g.bal
	}
	ctx, stop := context.WithCancel(context.Background())
	g.stop = stop
	opts := c.options(roleGroup, kgo.WithContext(ctx), kgo.WithHooks(g),
		kgo.ConsumerGroup(c.cfg.App), kgo.ConsumeTopics(inbox), kgo.DisableAutoCommit(),
		kgo.Balancers(witness{use, g.joining}),
		kgo.SessionTimeout(c.cfg.SessionTimeout), kgo.HeartbeatInterval(c.cfg.HeartbeatInterval),
		kgo.RebalanceTimeout(c.cfg.RebalanceTimeout),
		// Where this client would read from does not matter, as it does not.
		kgo.ConsumeStartOffset(kgo.NewOffset().AtEnd()), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()),
		kgo.AdjustFetchOffsetsFn(atEnd),
		kgo.OnPartitionsAssigned(g.assigned), kgo.OnPartitionsRevoked(g.revoked), kgo.OnPartitionsLost(g.lost))
	if !c.cfg.Dynamic {
		opts = append(opts, kgo.InstanceID(c.cfg.Instance))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		stop()
		return nil, fmt.Errorf("joining group %q: %w", c.cfg.App, err)
	}
	cl.PauseFetchTopics(inbox)
	g.cl.Store(cl)
	return g, nil
}

// atEnd replaces committed offsets, so that no offset of ours is compared with a log we do not read.
func atEnd(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	for _, ps := range offsets {
		for p := range ps {
			ps[p] = kgo.NewOffset().AtEnd()
		}
	}
	return offsets, nil
}

// Changes implements engine.Group.
func (g *Group) Changes() <-chan engine.Change { return g.changes }

// Pending implements engine.Group. It stays true through all Changes of one rebalance: between them
// no epoch can be committed.
func (g *Group) Pending() bool { return g.pending.Load() }

// Fence implements engine.Group. It is false while a newer generation than the engine knows stands:
// what was read under the older one can't be committed under it.
func (g *Group) Fence() (engine.Fence, bool) {
	member, generation := g.cl.Load().GroupMetadata()
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.fence
	return f, f.Generation >= 0 && f.Member != "" && f.Member == member && f.Generation == generation
}

func (g *Group) partitions(m map[string][]int32) []int32 {
	return m[g.c.TopicName(engine.TopicInbox)]
}

// assigned is called by the client at the start of each generation, also when nothing was added.
func (g *Group) assigned(ctx context.Context, cl *kgo.Client, m map[string][]int32) {
	g.pending.Store(true)
	member, generation := cl.GroupMetadata()
	gained := g.partitions(m)
	g.gathered(generation)
	if kept := g.interrupted(engine.Fence{Member: member, Generation: generation}); len(kept) > 0 {
		g.c.log.Warn("was out of the consumer group for a while: shards are loaded anew", "shards", len(kept))
		if !g.deliver(ctx, changeFenced, engine.Change{Lost: kept, Fenced: true}) {
			return
		}
		gained = append(kept, gained...)
	}
	g.mu.Lock()
	for _, p := range gained {
		g.owned[p] = true
	}
	g.mu.Unlock()
	kind := changeGained
	if len(gained) == 0 {
		kind = quiet
	}
	ch := engine.Change{Gained: gained}
	current := true
	if g.bal != nil {
		ch.Plan, current = g.bal.latest()
	}
	if !g.deliver(ctx, kind, ch) {
		return
	}
	g.mu.Lock()
	g.fence = engine.Fence{Member: member, Generation: generation}
	g.seat = seat{fence: g.fence, reached: generation}
	g.mu.Unlock()
	g.c.metrics.generation.Set(float64(generation))
	g.pending.Store(false)
	if !current {
		g.Replan()
	}
}

// gathered says how long the group took to gather for a generation.
func (g *Group) gathered(generation int32) {
	g.mu.Lock()
	asked := g.asked
	g.mu.Unlock()
	if asked.IsZero() {
		return // the very first one
	}
	d := time.Since(asked)
	g.c.metrics.rebalance.Observe(d.Seconds())
	g.c.log.Info("the group has gathered", "generation", generation, "join_ms", d.Milliseconds())
}

// Replan implements engine.Replanner.
func (g *Group) Replan() {
	cl := g.cl.Load()
	if g.bal == nil || cl == nil {
		return
	}
	g.bal.replan()
	cl.ForceRebalance()
}

// joining is called before each request to join, with the generation this member is in.
func (g *Group) joining(generation int32) {
	cl := g.cl.Load()
	if cl == nil {
		return // the very first one
	}
	member, _ := cl.GroupMetadata()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = time.Now()
	g.seat.join(member, generation)
}

// interrupted returns the shards that are still ours by the client's account, if this member was not in every
// generation since the last one the engine knows.
func (g *Group) interrupted(now engine.Fence) []int32 {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.owned) == 0 || g.seat.unbroken(now) {
		return nil
	}
	return slices.Sorted(maps.Keys(g.owned))
}

// revoked is called before each request to join, with nothing, and when shards are to be given up. The first
// asks for nothing: the generation stands until the group has gathered.
func (g *Group) revoked(ctx context.Context, _ *kgo.Client, m map[string][]int32) {
	lost := g.partitions(m)
	if len(lost) == 0 {
		return
	}
	g.pending.Store(true)
	g.deliver(ctx, changeLost, engine.Change{Lost: lost})
	g.forget(lost)
	g.unfence()
}

// lost is called when this process is out of the group: others may own its shards already.
func (g *Group) lost(ctx context.Context, _ *kgo.Client, _ map[string][]int32) {
	g.pending.Store(true)
	g.unfence()
	g.mu.Lock()
	all := slices.Sorted(maps.Keys(g.owned))
	g.mu.Unlock()
	if len(all) == 0 {
		return
	}
	g.deliver(ctx, changeFenced, engine.Change{Lost: all, Fenced: true})
	g.forget(all)
}

func (g *Group) forget(shards []int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range shards {
		delete(g.owned, p)
	}
}

func (g *Group) unfence() {
	g.mu.Lock()
	g.fence = engine.Fence{Generation: -1}
	g.mu.Unlock()
	g.c.metrics.generation.Set(-1)
}

// deliver hands a change over and waits until it is Done; it returns false only while leaving. There is no
// time limit of our own, since a change the engine never saw would leave the two at odds for good: the
// group itself goes on without a member that is later than the rebalance timeout, and then
// nothing begun under the old generation can be committed.
func (g *Group) deliver(ctx context.Context, kind string, ch engine.Change) bool {
	g.c.metrics.changes.WithLabelValues(kind).Inc()
	done := make(chan struct{})
	ch.Done = sync.OnceFunc(func() { close(done) })
	late := time.AfterFunc(g.c.cfg.RebalanceTimeout, func() {
		g.unfence()
		g.c.log.Warn("shard change was not done within the rebalance timeout: the group goes on without this instance",
			"kind", kind, "timeout", g.c.cfg.RebalanceTimeout)
	})
	defer late.Stop()
	select {
	case g.changes <- ch:
	case <-ctx.Done():
		return false
	}
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// OnGroupManageError is called by the client when it fell out of the group and is about to try again.
func (g *Group) OnGroupManageError(err error) {
	if errors.Is(err, kerr.FencedInstanceID) {
		g.c.log.Error("another running process uses this instance name: every process needs its own", "instance", g.c.cfg.Instance)
		return
	}
	g.c.log.Warn("out of the consumer group, joining again", "group", g.c.cfg.App, "error", err)
}

// Leave implements engine.Group. Changes must be read meanwhile: the last one takes all shards. When ctx
// ends first the group learns of it by the session timeout. Calling it again returns the same.
func (g *Group) Leave(ctx context.Context) error {
	g.once.Do(func() { g.leftErr = g.leave(ctx) })
	return g.leftErr
}

func (g *Group) leave(ctx context.Context) error {
	g.pending.Store(true)
	member, _ := g.cl.Load().GroupMetadata()
	abandon := context.AfterFunc(ctx, g.stop)
	err := g.cl.Load().LeaveGroupContext(ctx)
	if now, _ := g.cl.Load().GroupMetadata(); now != "" {
		member = now
	}
	if err == nil && member != "" && !g.c.cfg.Dynamic && !g.c.cfg.KeepSeat {
		err = g.giveUpSeat(ctx, member)
	}
	g.cl.Load().Close() // returns after the last callback
	abandon()
	g.stop()
	g.unfence()
	close(g.changes)
	if err != nil {
		return fmt.Errorf("leaving group %q: %w", g.c.cfg.App, err)
	}
	return nil
}

// giveUpSeat tells the group that a static member is not coming back: the client keeps its seat otherwise.
func (g *Group) giveUpSeat(ctx context.Context, member string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = g.c.cfg.App
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID = member
	m.InstanceID = kmsg.StringPtr(g.c.cfg.Instance)
	req.Members = append(req.Members, m)
	resp, err := req.RequestWith(ctx, g.c.admin)
	if err != nil {
		return err
	}
	errs := []error{kerr.ErrorForCode(resp.ErrorCode)}
	for _, m := range resp.Members {
		errs = append(errs, kerr.ErrorForCode(m.ErrorCode))
	}
	err = errors.Join(errs...)
	if errors.Is(err, kerr.UnknownMemberID) {
		return nil // it had forgotten us already
	}
	return err
}
