package connectortest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"leadstream/engine"
)

// Group is the suite of engine.Group.
func Group(t *testing.T, fresh func(testing.TB) Env) {
	runAll(t, fresh, []test{
		{"OneMemberOwnsAll", oneOwnsAll},
		{"ShardsAreGivenUpBeforeTheyAreGained", handOver},
		{"NothingChangesBeforeDone", waitsForDone},
		{"WhatStaysGoesOn", staysGoesOn},
		{"LeaveGivesUpAll", leaveGivesUp},
		{"LeaveEndsWithItsContext", leaveEnds},
	})
}

// member answers the changes of a group and keeps what it owns.
type member struct {
	g engine.Group
	// hold, if set, is called before Done.
	hold  func(engine.Change)
	ended chan struct{}

	mu    sync.Mutex
	owned []int32
	seen  int
}

func join(t testing.TB, g engine.Group, hold func(engine.Change)) *member {
	m := &member{g: g, hold: hold, ended: make(chan struct{})}
	go func() {
		defer close(m.ended)
		for ch := range g.Changes() {
			if m.hold != nil {
				m.hold(ch)
			}
			m.mu.Lock()
			for _, s := range ch.Lost {
				m.owned = slices.DeleteFunc(m.owned, func(o int32) bool { return o == s })
			}
			m.owned = append(m.owned, ch.Gained...)
			m.seen++
			m.mu.Unlock()
			ch.Done()
		}
	}()
	t.Cleanup(func() { m.leave(t) })
	return m
}

func (m *member) leave(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := m.g.Leave(ctx); err != nil {
		t.Errorf("leaving: %v", err)
	}
	<-m.ended
}

func (m *member) owns() []int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.owned)
}

// settled waits until the members own so many shards, no rebalance waits and each has a fence.
func settled(t testing.TB, want int32, members ...*member) {
	t.Helper()
	waitFor(t, "members to settle", func() bool {
		n := 0
		for _, m := range members {
			if _, ok := m.g.Fence(); !ok || m.g.Pending() {
				return false
			}
			n += len(m.owns())
		}
		return n == int(want)
	})
}

func waitFor(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx := within(t)
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v for %s", limit, what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func oneOwnsAll(t *testing.T, e Env) {
	g := e.Open(t, "a").Group
	if f, ok := g.Fence(); ok {
		t.Errorf("a fence before the first change: %v", f)
	}
	m := join(t, g, nil)
	settled(t, e.Shards, m)
	if f, ok := g.Fence(); !ok || f.Member == "" || f.Generation < 0 {
		t.Errorf("fence %v, %v", f, ok)
	}
}

func handOver(t *testing.T, e Env) {
	var mu sync.Mutex
	owner := map[int32]string{}
	claim := func(name string) func(engine.Change) {
		return func(ch engine.Change) {
			mu.Lock()
			defer mu.Unlock()
			for _, s := range ch.Lost {
				if owner[s] != name {
					t.Errorf("%s lost shard %d of %q", name, s, owner[s])
				}
				delete(owner, s)
			}
			for _, s := range ch.Gained {
				if other := owner[s]; other != "" {
					t.Errorf("%s gained shard %d, which %s has", name, s, other)
				}
				owner[s] = name
			}
		}
	}
	a := join(t, e.Open(t, "a").Group, claim("a"))
	settled(t, e.Shards, a)
	b := join(t, e.Open(t, "b").Group, claim("b"))
	waitFor(t, "b to own shards", func() bool { return len(b.owns()) > 0 })
	settled(t, e.Shards, a, b)
	fa, _ := a.g.Fence()
	fb, _ := b.g.Fence()
	if fa.Generation != fb.Generation || fa.Member == fb.Member {
		t.Errorf("fences %v and %v", fa, fb)
	}
	b.leave(t)
	settled(t, e.Shards, a)
}

func waitsForDone(t *testing.T, e Env) {
	a := e.Open(t, "a").Group
	changes := make(chan engine.Change)
	release := make(chan struct{})
	first := true
	m := join(t, a, func(ch engine.Change) {
		if first {
			first = false
			return
		}
		select {
		case changes <- ch:
			<-release
		case <-release:
		}
	})
	settled(t, e.Shards, m)
	before, _ := a.Fence()
	b := join(t, e.Open(t, "b").Group, nil)
	select {
	case <-changes:
	case <-within(t).Done():
		t.Fatal("a was told nothing when b joined")
	}
	// a is busy: it must be told that a rebalance waits, it has no new generation yet, and b has nothing.
	if f, ok := a.Fence(); !a.Pending() || ok && f != before {
		t.Errorf("while a rebalance waits: pending %v, fence %v %v, was %v", a.Pending(), f, ok, before)
	}
	if got := b.owns(); len(got) > 0 {
		t.Errorf("b owns %v before a is done", got)
	}
	close(release)
	waitFor(t, "b to own shards", func() bool { return len(b.owns()) > 0 })
	settled(t, e.Shards, m, b)
}

// staysGoesOn has a newcomer that takes its time keep the group gathering. Who has given up what the newcomer is to have goes on
// to commit for the rest, again when that has left.
func staysGoesOn(t *testing.T, e Env) {
	p, a := joined(t, e, "a")
	busy, release := make(chan struct{}), make(chan struct{})
	held := sync.OnceFunc(func() { close(busy); <-release })
	c := join(t, e.Open(t, "c").Group, func(engine.Change) { held() })
	commits := func(offset int64) {
		t.Helper()
		f, ok := p.Group.Fence()
		if !ok || p.Group.Pending() {
			t.Fatalf("fence %v %t, pending %t", f, ok, p.Group.Pending())
		}
		if err := p.Committer.Commit(within(t), transaction(e, f, offset, "x")); err != nil {
			t.Errorf("the newcomer has nothing yet, and a commit for what stays: %v", err)
		}
	}
	<-busy
	waitFor(t, "a to give up what the newcomer is to have", func() bool {
		_, ok := p.Group.Fence()
		return len(a.owns()) == int(e.Shards)/2 && ok && !p.Group.Pending()
	})
	for i := range int64(5) {
		commits(i + 1)
	}
	if n := len(c.owns()); n != 0 {
		t.Errorf("the newcomer has %d shards before it is done", n)
	}
	close(release)
	settled(t, e.Shards, a, c)
}

func leaveGivesUp(t *testing.T, e Env) {
	a := join(t, e.Open(t, "a").Group, nil)
	settled(t, e.Shards, a)
	a.leave(t)
	if got := a.owns(); len(got) > 0 {
		t.Errorf("owns %v after leaving", got)
	}
	if f, ok := a.g.Fence(); ok {
		t.Errorf("fence %v after leaving", f)
	}
	a.leave(t)
	b := join(t, e.Open(t, "b").Group, nil)
	settled(t, e.Shards, b)
}

func leaveEnds(t *testing.T, e Env) {
	g := e.Open(t, "a").Group
	ch := <-g.Changes()
	ch.Done()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	// Nobody takes the last change: Leave must return all the same, and say that the group does not know.
	if err := g.Leave(ctx); err == nil {
		t.Error("left without anyone giving up the shards")
	}
	for range g.Changes() {
	}
}
