package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"leadstream/bench/broker"
)

// TestBackupUnderLoad copies an application that is at work, kills it later, deletes all of its topics, restores it
// and lets it go on: what it says, before and after, is what one says that is never interrupted.
func TestBackupUnderLoad(t *testing.T) {
	b := broker.Shared(t)
	p := startProgram(t, testProgramConfig{rules: write(t, "growth.yaml", growthRules), brokers: b.Addr(), partitions: growthParts, shards: 4, idle: "1d"})
	g := newGrowth(t, p.topic, 1)
	half := len(g.records) / 2
	produced := make(chan struct{})
	go func() { defer close(produced); g.produce(p.client, 0, half, 150*time.Millisecond) }()
	p.wait("something was applied", func() bool { return g.hear(p) > 50 })
	dir := filepath.Join(t.TempDir(), "copy")
	out, errOut, code := command(t, "backup", "--to", dir, "--config", p.config)
	if code != exitOK {
		t.Fatalf("backup: %d\n%s%s", code, out, errOut)
	}
	t.Log(strings.TrimSpace(out))
	<-produced
	p.applied()
	g.hear(p)
	p.kill()

	if _, errOut, code := command(t, "restore", "--from", dir, "--config", p.config); code != exitCluster || !strings.Contains(errOut, "not empty") {
		t.Fatalf("restore over what is there: %d %s", code, errOut)
	}
	forget(t, p)
	if out, errOut, code = command(t, "restore", "--from", dir, "--config", p.config); code != exitOK {
		t.Fatalf("restore: %d\n%s%s", code, out, errOut)
	}
	p.start()
	g.produce(p.client, half, len(g.records), 0)
	p.applied()
	again := g.hear(p)
	if again == 0 {
		t.Fatal("nothing was put out again: the test tests nothing")
	}
	t.Logf("%d outputs came again, with the same bytes", again)
	g.check(p)
	p.stop()
	q := g.uninterrupted(p)
	g.sameStates(p, q)
}
