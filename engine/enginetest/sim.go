package enginetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"leadstream/engine"
)

// Sim is a Client under a seeded weather: every operation takes a time of its own, some fail, and a
// transaction has two ends, as on a cluster: it is open from the moment that the group's generation was checked until it
// is decided, and the process may die in between.
//
// It is for the time of testing/synctest. No two things happen at the same instant there but those that follow from one
// another, so a run with the same seed is the same run: what an operation meets is drawn from its kind, its
// partition and its number, never from the order in which goroutines come to ask.
type Sim struct {
	*Client
	seed uint64
	odds Odds

	mu      sync.Mutex
	drawn   map[simKey]uint64
	calm    bool
	dead    bool
	until   int // operations until it dies, if over 0
	stalled time.Time
	hung    []*txn // given up while open: the id is taken over before it is used again
	faults  map[string]int

	// Trace, when set, hears of every operation. It may be called from several goroutines.
	Trace func(what string)
}

// Odds are the chances of what can go wrong, each one in so many operations; 0 is never.
type Odds struct {
	// Abort, Unknown and Hang are of a transaction: it is refused; its outcome does not arrive, whatever it
	// is; it stays open after the process has given it up.
	Abort, Unknown, Hang int
	// Fail is of a read, a look at the offsets, the start of a partition, the fencing of a writer.
	Fail int
	// Slow is of any operation: it takes some hundred milliseconds instead of a few.
	Slow int
}

type simKey struct {
	op string
	tp engine.TopicPartition
}

// errDead is what a dead process gets of its cluster.
var errDead = errors.New("the process is dead")

// Sim joins the group under an instance name, as Client does. Transactions that the instance left open are aborted, as
// a producer's start does it.
func (l *Log) Sim(instance string, seed uint64, odds Odds) *Sim {
	l.abortOpen(instance)
	l.mu.Lock()
	i := slices.IndexFunc(l.group.members, func(m *member) bool { return m.name == instance })
	var before *member
	if i >= 0 { // one that died and comes back before its session has ended
		before = l.group.members[i]
		l.group.members = slices.Delete(l.group.members, i, i+1)
	}
	l.mu.Unlock()
	if before != nil {
		for _, done := range before.handing {
			done()
		}
	}
	return &Sim{Client: l.Client(instance), seed: seed, odds: odds, drawn: map[simKey]uint64{}, faults: map[string]int{}}
}

// Calm ends all faults but death; operations go on to take their time.
func (c *Sim) Calm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calm = true
}

// Die makes the process die at its n-th operation from now; at once when n is 0. What it had sent may still arrive.
func (c *Sim) Die(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead, c.until = c.dead || n == 0, n
}

// Dead says whether it has died.
func (c *Sim) Dead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead
}

// Faults counts the faults met, by kind.
func (c *Sim) Faults() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := map[string]int{}
	for k, n := range c.faults {
		out[k] = n
	}
	return out
}

// meet draws what an operation meets.
func (c *Sim) meet(op string, tp engine.TopicPartition) *rand.Rand {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := simKey{op, tp}
	c.drawn[k]++
	h := fnv.New64a()
	_ = binary.Write(h, binary.LittleEndian, []uint64{c.seed, c.drawn[k], uint64(tp.Partition)}) // a hash takes everything
	_, _ = h.Write([]byte(op + "\x00" + tp.Topic))
	return rand.New(rand.NewPCG(h.Sum64(), 5))
}

func (c *Sim) trace(format string, args ...any) {
	if c.Trace != nil {
		c.Trace(c.instance + " " + fmt.Sprintf(format, args...))
	}
}

// rough says whether the fault with odds one in n happens now.
func (c *Sim) rough(kind string, rng *rand.Rand, n int) bool {
	hit := n > 0 && rng.IntN(n) == 0
	c.mu.Lock()
	defer c.mu.Unlock()
	if hit && !c.calm && !c.dead {
		c.faults[kind]++
		return true
	}
	return false
}

// settle lets all that happens at this instant happen: whether a context has ended is known after it.
func settle(ctx context.Context) error {
	time.Sleep(time.Nanosecond)
	return ctx.Err()
}

// take lets an operation's time pass and counts it towards the process's death. A dead process's take no time.
func (c *Sim) take(rng *rand.Rand) error {
	c.mu.Lock()
	if c.until > 0 {
		if c.until--; c.until == 0 {
			c.faults["death at an operation"]++
			time.AfterFunc(time.Duration(c.seed%1000), func() { c.Die(0) }) // whichever of those of this instant counted it down
		}
	}
	dead, stalled := c.dead, time.Until(c.stalled)
	c.mu.Unlock()
	if dead {
		return errDead
	}
	d := rng.Int64N(4_000_000) + 1 + max(0, int64(stalled))
	if c.rough("slow", rng, c.odds.Slow) {
		d += rng.Int64N(400_000_000)
	}
	time.Sleep(time.Duration(d))
	if c.Dead() {
		return errDead
	}
	return nil
}

// do is take, and the chance to fail.
func (c *Sim) do(ctx context.Context, op string, tp engine.TopicPartition) error {
	if err := settle(ctx); err != nil {
		return err
	}
	rng := c.meet(op, tp)
	if err := c.take(rng); err != nil {
		return err
	}
	c.trace("%s %s/%d", op, tp.Topic, tp.Partition)
	if tp.Topic != engine.TopicName(c.log.app, engine.TopicRules) && c.rough("failed "+op, rng, c.odds.Fail) {
		return errors.New("no answer to " + op)
	}
	return nil
}

// Store lets the time of a write to the local store pass, dead or not.
func (c *Sim) Store() {
	rng := c.meet("store", engine.TopicPartition{})
	time.Sleep(time.Duration(rng.Int64N(1_000_000) + 1))
	if c.rough("slow store", rng, c.odds.Slow) {
		time.Sleep(time.Duration(rng.Int64N(400_000_000)))
	}
}

// Add implements engine.Inputs.
func (c *Sim) Add(ctx context.Context, starts []engine.Start) error {
	if err := c.do(ctx, "add", engine.TopicPartition{}); err != nil {
		return err
	}
	return c.Client.Add(ctx, starts)
}

// Poll implements engine.Inputs. What is there arrives some time after it was written.
func (c *Sim) Poll(ctx context.Context, maxRecords int) ([]engine.Fetch, error) {
	for settle(ctx) == nil {
		wake := c.log.waiter()
		if c.waiting() {
			if err := c.take(c.meet("poll", engine.TopicPartition{})); err != nil {
				<-ctx.Done()
				return nil, nil
			}
			if ctx.Err() != nil {
				return nil, nil
			}
			c.log.mu.Lock()
			fetches, err := c.poll(maxRecords)
			c.log.mu.Unlock()
			if err != nil || len(fetches) > 0 {
				for i := range fetches {
					c.trace("poll %s/%d %d to %d", fetches[i].Topic, fetches[i].Partition, fetches[i].From, fetches[i].Next)
				}
				return fetches, err
			}
			continue
		}
		select {
		case <-wake:
		case <-ctx.Done():
		}
	}
	return nil, nil
}

// waiting says whether there is something to poll.
func (c *Sim) waiting() bool {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	for tp, at := range c.pos {
		if c.fresh[tp] || c.log.part(tp).end != at {
			return true
		}
	}
	return false
}

// Commit implements engine.Committer.
func (c *Sim) Commit(_ context.Context, t *engine.Transaction) error {
	rng := c.meet("commit", engine.TopicPartition{})
	if err := c.take(rng); err != nil {
		return err
	}
	c.heal()
	if c.rough("aborted", rng, c.odds.Abort) {
		return engine.ErrAborted
	}
	x, err := c.log.open(c.instance, t)
	if err != nil {
		return err
	}
	unknown, hang := c.rough("unknown outcome", rng, c.odds.Unknown), c.rough("hanging transaction", rng, c.odds.Hang)
	c.trace("commit %s", contents(t))
	died := c.take(rng)
	lands, later := rng.IntN(2) == 0, transactionTimeout
	if soon := time.Duration(rng.Int64N(2_000_000_000)); lands {
		later = soon
	}
	switch {
	case hang || died != nil:
		// Its end was sent, or was not and its time-out ends it; nobody hears of it.
		time.AfterFunc(later, func() { c.trace("late end, %t: %t", lands, c.log.decide(x, lands)) })
		if died != nil {
			return died
		}
		c.mu.Lock()
		c.hung = append(c.hung, x)
		c.mu.Unlock()
		return errors.New("no answer to the end of the transaction")
	case unknown:
		c.trace("unheard end, %t: %t", lands, c.log.decide(x, lands))
		_ = c.take(rng)
		return errors.New("the connection broke at the end of the transaction")
	}
	if !c.log.decide(x, true) {
		return engine.ErrFenced
	}
	return c.take(rng) // so that it is heard of later than it happens; the dead hear nothing
}

// transactionTimeout is after which the cluster aborts what nobody has ended.
const transactionTimeout = 10 * time.Second

// heal ends what this process gave up while it was open: taking its id over does.
func (c *Sim) heal() {
	c.mu.Lock()
	hung := c.hung
	c.hung = nil
	c.mu.Unlock()
	for _, x := range hung {
		c.log.decide(x, false)
	}
}

// contents says how many records of which topics a transaction holds.
func contents(t *engine.Transaction) string {
	n := make([]int, len(engine.Topics()))
	for i := range t.Records {
		n[t.Records[i].Topic]++
	}
	text := ""
	for topic, n := range n {
		if n > 0 {
			text += fmt.Sprintf(" %s %d", engine.Topic(topic), n)
		}
	}
	return text
}

// FenceWriter implements engine.Committer.
func (c *Sim) FenceWriter(ctx context.Context, instance string, _ int) error {
	if err := c.do(ctx, "fence", engine.TopicPartition{}); err != nil {
		return err
	}
	switch {
	case instance == c.instance:
		c.heal()
	case !c.log.isMember(instance):
		c.log.abortOpen(instance)
	}
	return nil
}

// Committed implements engine.History.
func (c *Sim) Committed(ctx context.Context, parts []engine.TopicPartition) (map[engine.TopicPartition]int64, error) {
	if err := c.do(ctx, "committed", parts[0]); err != nil {
		return nil, err
	}
	if err := c.log.stable(ctx, func(t *engine.Transaction) bool {
		return slices.ContainsFunc(t.Offsets, func(p engine.Position) bool { return slices.Contains(parts, p.TopicPartition) })
	}); err != nil {
		return nil, err
	}
	return c.Client.Committed(ctx, parts)
}

// Read implements engine.History.
func (c *Sim) Read(ctx context.Context, tp engine.TopicPartition, from, to int64, fn func(*engine.Record) error) error {
	if err := c.do(ctx, "read", tp); err != nil {
		return err
	}
	if to == engine.EndOfPartition {
		if err := c.log.stable(ctx, func(t *engine.Transaction) bool { return c.log.touches(t, tp) }); err != nil {
			return err
		}
	}
	return c.Client.Read(ctx, tp, from, to, fn)
}

// Follow implements engine.History.
func (c *Sim) Follow(ctx context.Context, topic string, _ func() time.Duration, fn func(int32, *engine.Record)) error {
	at := map[int32]int64{}
	for s := range c.log.shards {
		at[s], _ = c.log.End(engine.TopicPartition{Topic: topic, Partition: s})
	}
	for settle(ctx) == nil {
		wake := c.log.waiter()
		if err := c.take(c.meet("follow", engine.TopicPartition{Topic: topic})); err != nil {
			<-ctx.Done()
			break
		}
		for s := range c.log.shards {
			tp := engine.TopicPartition{Topic: topic, Partition: s}
			err := c.Client.Read(ctx, tp, max(at[s], c.log.begin(tp)), engine.CommittedEnd, func(r *engine.Record) error {
				at[s] = r.Offset + 1
				show(r, func(r *engine.Record) { fn(s, r) })
				return nil
			})
			if err != nil {
				return err
			}
		}
		select {
		case <-wake:
		case <-ctx.Done():
		}
	}
	return ctx.Err()
}
