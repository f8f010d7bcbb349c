package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"leadstream/bench/broker"
)

// deed is one thing that the nemesis does: which, to whom, and three numbers in [0, 1) that say how long or how much.
type deed struct {
	kind    string
	who     int
	a, b, c float64
	at      time.Time // when it was done
	seat    string    // to whom, when it takes shards away
}

// nemesis holds what deeds need besides the program.
type nemesis struct {
	*fault
	broker *broker.Broker
	proxy  *proxy
}

// kinds are the deeds and how often they are chosen.
var kinds = []struct {
	kind   string
	weight int
	do     func(*nemesis, *deed)
}{
	{"kill -9", 10, (*nemesis).killed},
	{"kill -9, and the shards are others' when it is back", 3, (*nemesis).killedForLong},
	{"stop, and later start", 4, (*nemesis).stopped},
	{"stand still past the session (zombie)", 3, (*nemesis).zombie},
	{"stand still for less", 3, (*nemesis).paused},
	{"kill the broker", 1, (*nemesis).brokerKilled},
	{"broker stands still", 2, (*nemesis).brokerPaused},
	{"cut connections", 6, (*nemesis).cutOff},
	{"slow connections", 3, (*nemesis).slowed},
	{"connections that nothing passes", 2, (*nemesis).held},
	{"fill the disk", 2, (*nemesis).diskFull},
	{"flip bytes in the store", 2, (*nemesis).flipped},
	{"tear a file of the store", 2, (*nemesis).torn},
	{"delete the store", 3, (*nemesis).deleted},
	{"apply rules", 3, (*nemesis).rulesApplied},
	{"flood one lead", 2, func(n *nemesis, _ *deed) { n.orders <- "flood" }},
	{"poison", 2, func(n *nemesis, _ *deed) { n.orders <- "poison" }},
	{"a producer's clock jumps", 2, func(n *nemesis, _ *deed) { n.orders <- "clock" }},
	{"repeated and reordered input", 2, func(n *nemesis, _ *deed) { n.orders <- "again" }},
}

// plan draws n deeds. Every kind comes once before chance decides alone.
func plan(rng *rand.Rand, n int) []deed {
	var all []deed
	total := 0
	for _, k := range kinds {
		total += k.weight
		all = append(all, deed{kind: k.kind})
	}
	for len(all) < n {
		at := rng.IntN(total)
		for _, k := range kinds {
			if at -= k.weight; at < 0 {
				all = append(all, deed{kind: k.kind})
				break
			}
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	all = all[:n]
	for i := range all {
		all[i].who, all[i].a, all[i].b, all[i].c = rng.IntN(len(instances)), rng.Float64(), rng.Float64(), rng.Float64()
	}
	return all
}

func (n *nemesis) do(d *deed) {
	n.t.Helper()
	i := slices.IndexFunc(kinds, func(k struct {
		kind   string
		weight int
		do     func(*nemesis, *deed)
	}) bool {
		return k.kind == d.kind
	})
	d.at = time.Now()
	kinds[i].do(n, d)
	n.mind()
}

func (n *nemesis) victim(d *deed) *seat { return n.seats[instances[d.who]] }

// ready makes sure that the victim and one more run.
func (n *nemesis) ready(d *deed) *seat {
	n.t.Helper()
	n.running(n.seats[instances[(d.who+1)%len(instances)]])
	s := n.victim(d)
	n.running(s)
	d.at, d.seat = time.Now(), s.name
	return s
}

func (n *nemesis) killed(d *deed) {
	s := n.ready(d)
	n.kill(s)
	n.sleep(d.a)
	n.start(s)
}

func (n *nemesis) killedForLong(d *deed) {
	n.kill(n.ready(d))
	n.sleep(3.5 + d.a)
}

func (n *nemesis) stopped(d *deed) {
	n.stop(n.ready(d))
	n.sleep(d.a)
}

func (n *nemesis) zombie(d *deed) {
	s := n.ready(d)
	n.freeze(s)
	n.sleep(3.5 + 2*d.a)
	n.thaw(s)
	n.sleep(d.b)
}

func (n *nemesis) paused(d *deed) {
	s := n.ready(d)
	n.freeze(s)
	n.sleep(2 * d.a)
	n.thaw(s)
}

// brokerKilled: no transaction may be between its decision and its markers when the only broker dies: Kafka
// forgets those (see connectors/kafka/hung.go), and nothing that reads committed records gets past them.
func (n *nemesis) brokerKilled(d *deed) {
	n.mind()
	for _, s := range n.seats {
		if s.wanted {
			n.freeze(s)
		}
	}
	n.sleep(0.3 + 0.1*d.a)
	n.broker.Kill()
	for _, s := range n.seats {
		if s.wanted {
			n.thaw(s)
		}
	}
	n.sleep(2 * d.b)
	if err := n.broker.Restart(n.t.Context()); err != nil {
		n.t.Fatal(err)
	}
	n.sleep(2)
}

// brokerPaused is short: a broker that its controller takes for dead is as bad as one that is killed.
func (n *nemesis) brokerPaused(d *deed) {
	n.broker.Suspend()
	n.sleep(0.2 + d.a)
	n.broker.Resume()
}

func (n *nemesis) cutOff(d *deed) {
	n.proxy.cut(1, 1+int(3*d.a))
	n.sleep(d.b)
}

func (n *nemesis) slowed(d *deed) {
	n.proxy.slow(time.Duration(5+100*d.a*d.a) * time.Millisecond)
	n.sleep(1 + 2*d.b)
	n.proxy.slow(0)
}

func (n *nemesis) held(d *deed) {
	n.proxy.hold(time.Duration(500+4000*d.a) * time.Millisecond)
	n.sleep(0.5 + 4*d.a)
}

// diskFull fills the third instance's disk, which is a small one, until it gives up.
func (n *nemesis) diskFull(d *deed) {
	if !n.mounted {
		d.kind = "fill the disk: not possible here"
		return
	}
	d.who = 2
	s := n.ready(d)
	n.sleep(0.5 + d.b)
	s.damaged = true
	balloon := filepath.Join(n.dir, s.name+".data", "balloon")
	f, err := os.Create(balloon)
	if err != nil {
		n.t.Fatal(err)
	}
	air := make([]byte, 1<<20)
	for size := len(air); size >= 1; {
		if _, err := f.Write(air[:size]); err != nil {
			size /= 2
		}
	}
	_ = f.Close()
	n.sleep(1 + 2*d.a)
	if err := os.Remove(balloon); err != nil {
		n.t.Fatal(err)
	}
}

func (n *nemesis) flipped(d *deed) {
	n.tamper(d, func(b []byte) []byte {
		for i := range 1 + int(3*d.b) {
			b[(int(d.c*float64(len(b)))+i)%len(b)] ^= 1 << int(8*d.b)
		}
		return b
	})
}

func (n *nemesis) torn(d *deed) {
	n.tamper(d, func(b []byte) []byte { return b[:int(d.c*float64(len(b)))] })
}

// tamper changes one file of the store of an instance that was killed.
func (n *nemesis) tamper(d *deed, change func([]byte) []byte) {
	n.t.Helper()
	s := n.ready(d)
	n.sleep(1)
	n.kill(s)
	var files []string
	err := filepath.WalkDir(n.store(s), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := e.Info(); err == nil && e.Type().IsRegular() && info.Size() > 0 {
			files = append(files, path)
		}
		return nil
	})
	if err != nil || len(files) == 0 {
		n.start(s) // it had not come as far as to have one
		return
	}
	name := files[int(d.a*float64(len(files)))]
	b, err := os.ReadFile(name)
	if err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(name, change(b), 0o600); err != nil {
		n.t.Fatal(err)
	}
	s.damaged = true
	n.start(s)
}

func (n *nemesis) deleted(d *deed) {
	s := n.ready(d)
	n.sleep(d.b)
	n.kill(s)
	n.empty(s)
	n.sleep(d.a)
	n.start(s)
}

// rulesApplied is tried again while the cluster can't be reached, as a person would.
func (n *nemesis) rulesApplied(d *deed) {
	file := []string{"rules.yaml", "rules1.yaml", "rules2.yaml", "rules3.yaml"}[int(4*d.a)]
	var said bytes.Buffer
	for range 20 {
		said.Reset()
		cmd := exec.Command(os.Args[0], "rules", "apply", "--config", filepath.Join(n.dir, "one.yaml"), filepath.Join(n.dir, file))
		cmd.Env = append(os.Environ(), "LEADSTREAM_TEST_PROGRAM=1")
		cmd.Stdout, cmd.Stderr = &said, &said
		if cmd.Run() == nil {
			return
		}
		n.sleep(0.5)
	}
	n.t.Fatalf("rules apply %s: %s", file, said.String())
}

// mountSmall makes the third instance's data directory a disk that can be filled, where that is allowed.
func (n *nemesis) mountSmall() {
	dir := filepath.Join(n.dir, "three.data")
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=96m", "leadstream-campaign", dir).CombinedOutput(); err != nil {
		n.t.Logf("no disk can be filled here: %v: %s", err, bytes.TrimSpace(out))
		return
	}
	n.mounted = true
	n.t.Cleanup(func() {
		for range 50 { // the program that held it was killed a moment ago
			if exec.Command("umount", dir).Run() == nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func (d *deed) String() string {
	if d.seat != "" {
		return fmt.Sprintf("%s: %s", d.seat, d.kind)
	}
	return d.kind
}
