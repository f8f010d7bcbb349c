package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leadstream/bench/broker"
)

// TestReshard has an application of 4 shards go on with 8, and then with 3, in the middle of its input: what the three say,
// one after another, is what one says that is never interrupted.
func TestReshard(t *testing.T) {
	b := broker.Shared(t)
	p := startProgram(t, testProgramConfig{rules: write(t, "growth.yaml", growthRules), brokers: b.Addr(), partitions: growthParts, shards: 4, idle: "1d"})
	first := p
	g := newGrowth(t, p.topic, 2)
	at := 0
	for i, shards := range []int32{8, 3} {
		upTo := (i + 1) * len(g.records) / 3
		go g.produce(p.client, at, upTo, 20*time.Millisecond)
		p.wait("some of it was applied", func() bool { return p.position() >= int64(at+(upTo-at)/2) })
		if i == 0 {
			p.stop() // in the middle of everything
		} else {
			p.kill()
		}
		at = upTo
		g.hear(p)
		out, errOut := "", ""
		for deadline, code := time.Now().Add(time.Minute), -1; code != exitOK; time.Sleep(200 * time.Millisecond) {
			out, errOut, code = command(t, "reshard", "--shards", fmt.Sprint(shards), "--config", p.config)
			if code == exitCluster && strings.Contains(errOut, "are running") && time.Now().Before(deadline) {
				continue // the session of the one that was killed is not over yet
			}
			if code != exitOK {
				t.Fatalf("reshard: %d\n%s%s", code, out, errOut)
			}
		}
		t.Log(strings.TrimSpace(out))
		g.hear(p) // what was left in the inboxes
		if _, errOut, code := command(t, "run", "--config", p.config); code != exitData || !strings.Contains(errOut, "given up for") {
			t.Fatalf("the old one starts: %d %s", code, errOut)
		}
		q := *p
		q.app, q.shards, q.dir, q.ended = nextGeneration(p.app), shards, t.TempDir(), make(chan error, 1)
		q.config = filepath.Join(q.dir, "leadstream.yaml")
		g.rewrite(p, &q, "app: "+p.app+"\n", "app: "+q.app+"\n")
		g.rewrite(&q, &q, fmt.Sprintf("shards: %d\n", p.shards), fmt.Sprintf("shards: %d\n", shards))
		p = &q
		p.start()
	}
	if !strings.HasSuffix(p.app, ".g3") {
		t.Fatalf("the third application is called %s", p.app)
	}
	p.wait("what was produced was applied", func() bool { return p.position() >= int64(at) })
	g.produce(p.client, at, len(g.records), 0)
	p.applied()
	if again := g.hear(p); again > 0 {
		t.Fatalf("%d outputs came again", again)
	}
	g.check(p)
	p.stop()
	g.sameStates(p, g.uninterrupted(first))
}

// position is how many records of the source the group has committed.
func (p *testProgram) position() (n int64) {
	p.t.Helper()
	at, err := p.admin().FetchOffsets(p.t.Context(), p.app)
	if err != nil {
		return 0
	}
	for part := range int32(growthParts) {
		if o, ok := at.Lookup(p.topic, part); ok {
			n += o.At
		}
	}
	return n
}

func TestNextGeneration(t *testing.T) {
	for app, want := range map[string]string{"leads": "leads.g2", "leads.g2": "leads.g3", "a.g9": "a.g10", "a.gx": "a.gx.g2", "a.g1234567": "a.g1234567.g2"} {
		if got := nextGeneration(app); got != want {
			t.Errorf("%s: %s, want %s", app, got, want)
		}
	}
}
