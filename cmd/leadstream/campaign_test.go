package main

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"leadstream/bench/broker"
)

var (
	campaignFaults  = flag.Int("faults", 22, "TestCampaign: faults in all")
	campaignMinutes = flag.Int("minutes", 10, "TestCampaign: begin no round after this long")
	campaignSeed    = flag.Uint64("seed", 0, "TestCampaign: the first round's seed; 0 takes one from the clock")
	campaignReport  = flag.String("report", "", "TestCampaign: append what was seen to this file")
)

// roundFaults is how many faults one round has, between two checks.
const roundFaults = 22

// TestCampaign runs up to three instances of the program against a real broker while a nemesis does what it can:
// kills, standing still past the session, a broker that dies, connections that are cut or slow, a full disk, a store
// that is damaged or deleted, rules that change, input that is flooded, poisoned, repeated, from clocks that jump. Then every
// source record must be in exactly one journaled range; an independent replay of the journals must give exactly
// the outputs that a committed reader sees and the state that every lead has; and a model that knows no journals
// must agree about the leads whose events are in order.
//
// What the nemesis decides follows from the seed; what becomes of it does not. `make campaign` is the long form.
func TestCampaign(t *testing.T) {
	if ok, why := broker.Available(); !ok || testing.Short() {
		t.Skip("no real broker: " + cmp.Or(why, "not in short tests"))
	}
	seed := *campaignSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	sum := &summary{began: time.Now()}
	defer func() {
		sum.failed = t.Failed()
		sum.report(t, *campaignReport)
	}()
	for left := *campaignFaults; left > 0 && !t.Failed(); left -= roundFaults {
		if time.Since(sum.began) > time.Duration(*campaignMinutes)*time.Minute {
			t.Logf("time is up; %d faults were not done", left)
			break
		}
		n := min(left, roundFaults)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { round(t, seed, n, sum) })
		seed++
	}
}

// round is a cluster, an application and its end.
func round(t *testing.T, seed uint64, faults int, sum *summary) {
	t.Logf("again: go test ./cmd/leadstream -run TestCampaign -args -seed %d -faults %d", seed, faults)
	p := newProxy(t)
	b, err := broker.Start(t.Context(), broker.Options{Advertise: p.addr()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	p.behind(b.Behind())
	n := &nemesis{fault: newFault(t, b.Addr(), p.addr(), seed), broker: b, proxy: p}
	n.mountSmall()
	deeds := plan(rand.New(rand.NewPCG(seed, 2)), faults)
	n.began = time.Now()
	var producing sync.WaitGroup
	producing.Go(n.produce)
	t.Cleanup(producing.Wait)
	defer func() {
		if t.Failed() {
			t.Logf("the program's log ends\n%s", n.tail())
			keep(t, n.dir)
		}
	}()
	for _, name := range instances[:2] {
		n.start(n.seats[name])
	}
	for i := range deeds {
		n.sleep(1.5 * deeds[i].b)
		n.do(&deeds[i])
		t.Logf("%6.1f s: %s", deeds[i].at.Sub(n.began).Seconds(), &deeds[i])
	}
	close(n.enough)
	producing.Wait()
	n.running(n.seats["one"])
	n.settle()
	for _, name := range instances {
		if s := n.seats[name]; s.wanted {
			n.stop(s)
		}
	}
	n.last(n.seats["one"])
	n.check(sum)
	sum.deeds(n, deeds)
}

// last runs one instance that gets all shards, and checkpoints them when it is stopped.
func (n *nemesis) last(s *seat) {
	n.t.Helper()
	before := n.live()
	n.start(s)
	for deadline := time.Now().Add(time.Minute); n.live() < before+4; n.sleep(0.05) {
		n.mind()
		if time.Now().After(deadline) {
			n.t.Fatal("not all shards are live after a minute")
		}
	}
	n.settle()
	n.stop(s)
}

// keep saves the log of a round that failed.
func keep(t *testing.T, dir string) {
	b, err := os.ReadFile(dir + "/log")
	if err != nil {
		return
	}
	f, err := os.CreateTemp("", "leadstream-campaign-*.log") //nolint:usetesting // it has to outlive the test
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.Write(b); err == nil {
		t.Logf("the whole of it is in %s", f.Name())
	}
}
