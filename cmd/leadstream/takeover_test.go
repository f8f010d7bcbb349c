package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"leadstream/bench/broker"
)

// TestTakeover has two instances of the program follow each other's shards on a real broker: the second joins, gets its share
// once it has caught up, takes over from the first when that is killed, gives its share back, and takes over again
// when the first stops in order. How long that took is logged. A third comes and goes. Shards that stay go on meanwhile, and nothing may be lost or doubled.
func TestTakeover(t *testing.T) {
	b := broker.Shared(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	f := newFault(t, b.Addr(), b.Addr(), seed)
	// With shards that have nothing to say committed every 20 ms, one that goes on is seen to within a rebalance.
	for _, name := range instances {
		path := filepath.Join(f.dir, name+".yaml")
		text, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, append(text, "standby_replicas: 1\nepoch: {commit_interval: 20ms}\n"...), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	one, two := f.seats["one"], f.seats["two"]
	f.start(one)
	f.awaitLive(4)
	var producing sync.WaitGroup
	producing.Go(f.produce)
	var began time.Time
	join := func(s *seat, shards int) {
		live, asked := f.live(), f.said("shards have been caught up with and are asked for")
		c := f.begin()
		f.start(s)
		f.await("a newcomer to be given shards", func() bool { return f.live() >= live+shards })
		if !began.IsZero() { // the very first time nothing may have come yet
			f.wentOn(s.name+" joins", c, shards, false)
		}
		if f.said("shards have been caught up with and are asked for") == asked {
			t.Error("shards moved to who had not caught up")
		}
		f.sleep(3) // until it and the others follow what they are to follow
	}
	join(two, 2)
	takeOver := func(how string, leave func()) {
		live, loaded := f.live(), f.said("restored from the state topic")
		began = time.Now()
		leave()
		f.awaitLive(live + 2)
		t.Logf("after %s its two shards were live elsewhere within %d ms", how, time.Since(began).Milliseconds())
		for _, text := range []string{"out of the group", "leadstream stopped", "the group has gathered", "shard is live"} {
			for _, l := range f.lastLines(text, 2) {
				t.Log(l)
			}
		}
		if n := f.said("restored from the state topic") - loaded; n > 0 {
			t.Errorf("after %s %d shards were loaded although they were followed", how, n)
		}
	}
	takeOver("a kill", func() { f.kill(one) })
	join(one, 2)
	takeOver("a stop in order", func() {
		f.stop(two)
		began = time.Now()
	})
	// Three, of which one comes and goes.
	three := f.seats["three"]
	join(two, 2)
	join(three, 1)
	c, live := f.begin(), f.live()
	f.stop(three)
	f.awaitLive(live + 1)
	f.wentOn("three stops", c, 1, true)
	close(f.enough)
	producing.Wait()
	f.settle()
	f.stop(two)
	f.awaitLive(live + 3)
	f.stop(one)
	sum := &summary{began: began}
	f.check(sum)
	if n := f.said("came to other leads"); n > 0 {
		t.Errorf("standbys differed from their owners %d times", n)
	}
	t.Logf("%d epochs, %d leads, %d outputs: lost 0, doubled 0", sum.epochs, sum.leads, sum.outputs)
}

// said counts how often the program's log says something.
func (f *fault) said(text string) int {
	b, _ := os.ReadFile(filepath.Join(f.dir, "log"))
	return strings.Count(string(b), text)
}

// awaitLive waits until shards went live so often.
func (f *fault) awaitLive(n int) {
	f.t.Helper()
	f.await("shards to go live", func() bool { return f.live() >= n })
}

func (f *fault) await(what string, is func() bool) {
	f.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("waited 30 s for %s\n%s", what, f.tail())
		}
	}
}

// lastLines are the last lines of the program's log that say something.
func (f *fault) lastLines(text string, n int) []string {
	b, _ := os.ReadFile(filepath.Join(f.dir, "log"))
	var lines []string
	for l := range strings.Lines(string(b)) {
		if strings.Contains(l, text) {
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	return lines[max(0, len(lines)-n):]
}
