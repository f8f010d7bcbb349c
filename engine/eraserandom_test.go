package engine_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/rules"
)

// crowdErased is a dozen people of whom some are erased again and again.
type crowdErased struct {
	*rig
	rng *rand.Rand
	n   int
}

// some writes events, links and erasures of a dozen people.
func (c *crowdErased) some(n int) {
	rng := c.rng
	for range n {
		c.n++
		who := rng.IntN(12)
		at := c.clock() - rng.Int64N(3*86_400_000)
		body := fmt.Sprintf(`"messageId":"m%d","type":"track","event":"Demo Requested"`, c.n)
		switch rng.IntN(8) {
		case 0:
			c.event(rng.Int32N(9), at, `"userId":"u%d","anonymousId":"d%d",%s`, who, rng.IntN(20), body)
		case 1:
			c.event(rng.Int32N(9), at, `"previousId":"o%d","userId":"u%d","messageId":"m%d","type":"alias"`, rng.IntN(20), who, c.n)
		case 2:
			c.event(rng.Int32N(9), at, `"userId":"u%d","messageId":"m%d","type":"identify","traits":{"email":"e%d@x.org"}`, who, c.n, rng.IntN(15))
		case 3:
			c.tell(fmt.Sprintf("%c%d", "udo"[rng.IntN(3)], rng.IntN(12)), rules.Command{Kind: rules.Erase, ID: fmt.Sprintf("r%d", c.n),
				Salt: fmt.Appendf(nil, "salt%d", c.n), Suppress: rng.IntN(12) == 0})
		case 4:
			c.skip.Add(rng.Int64N(86_400_000))
			fallthrough
		default:
			c.event(rng.Int32N(9), at, `"anonymousId":"d%d",%s`, rng.IntN(20), body)
		}
	}
}

// TestErasuresAtRandom erases, suppresses and expires people at random on 1 to 8 shards while transactions are aborted,
// outcomes lost and processes killed or replaced, with and without their disk. What is committed must be what a replay of
// the journals gives.
func TestErasuresAtRandom(t *testing.T) {
	seeds := uint64(24)
	if testing.Short() {
		seeds = 6
	}
	kinds := map[string]int{}
	for seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 77))
			r := newRig(t, 1+rng.Int32N(8))
			r.set = mustRules(t, eraseRules)
			c := &crowdErased{rig: r, rng: rng}
			r.tune = func(c *engine.Config) {
				c.MaxEpochRecords, c.MaxEpochTimers, c.MaxPoll = 5+rng.IntN(60), 1+rng.IntN(10), 10+rng.IntN(100)
				c.CacheBytes, c.SliceLeads = 1<<(10+rng.IntN(10)), 1+rng.IntN(20)
			}
			faults := seed%3 > 0
			fault := func(n int) (error, bool) {
				switch {
				case n%7 == 5:
					return engine.ErrAborted, false
				case faults && n%23 == 11:
					return fmt.Errorf("unknown outcome"), n%2 == 0
				}
				return nil, false
			}
			dir := t.TempDir()
			for round := range 5 {
				c.some(150)
				r.skip.Add(rng.Int64N(9 * 86_400_000))
				p := r.start(fmt.Sprintf("p%d", round), dir, fault)
				time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
				if seed%3 == 2 {
					p.kill(t)
				} else {
					r.settle(p)
					p.stop(t)
				}
				if round == 2 {
					dir = t.TempDir() // the disk is lost
				}
			}
			p := r.start("last", dir, nil)
			for range 5 { // an inbox that was looked at may get a letter from one that is looked at next
				r.settle(p)
			}
			r.awaitAllCleaned()
			p.stop(t)
			r.check()
			r.uniqueOutputs()
			for _, topic := range []engine.Topic{engine.TopicTransitions, engine.TopicAudit} {
				for _, rec := range r.log.Output(topic) {
					kind, _, _ := strings.Cut(string(rec.Value), ",")
					kinds[kind]++
				}
			}
		})
	}
	for _, k := range []string{`{"type":"lead.erased"`, `{"type":"lead.expired"`, `{"type":"removed"`, `{"type":"kept"`, `{"type":"cleaned"`, `{"type":"returned"`} {
		if kinds[k] == 0 {
			t.Errorf("nothing of the kind %s: the test tests too little: %v", k, kinds)
		}
	}
	t.Log(kinds)
}

// awaitAllCleaned waits until all is heard of all that erasures have removed.
func (r *rig) awaitAllCleaned() {
	r.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for len(r.uncleaned()) > 0 {
		if time.Now().After(deadline) {
			r.t.Fatalf("not cleaned: %v", r.uncleaned())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// uncleaned are the requests and nodes of which nothing was said since they were removed.
func (r *rig) uncleaned() map[string]bool {
	left := map[string]bool{}
	for _, rec := range r.log.Output(engine.TopicAudit) {
		_, subject, _ := bytes.Cut(rec.Value, []byte(`"subject":"`))
		key := string(rec.Key) + string(subject[:32])
		switch {
		case bytes.Contains(rec.Value, []byte(`"type":"cleaned"`)), bytes.Contains(rec.Value, []byte(`"type":"returned"`)):
			delete(left, key)
		case !bytes.Contains(rec.Value, []byte(`"type":"kept"`)):
			left[key] = true
		}
	}
	return left
}
