package kafka

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/engine"
)

// watched is a member whose changes a test takes one by one.
type watched struct {
	t *testing.T
	c *Cluster
	g *Group
}

func watch(t *testing.T, b *Broker, instance string, change func(*Config)) *watched {
	t.Helper()
	return watchAs(t, b, instance, change, Member{})
}

func watchAs(t *testing.T, b *Broker, instance string, change func(*Config), m Member) *watched {
	t.Helper()
	c := openAt(t, b.Addresses(), func(c *Config) {
		c.Instance = instance
		if change != nil {
			change(c)
		}
	})
	_, err := c.EnsureTopics(t.Context(), nil)
	must(t, err)
	g, err := c.Join(m)
	must(t, err)
	t.Cleanup(func() {
		go func() {
			for ch := range g.Changes() {
				ch.Done()
			}
		}()
		_ = g.Leave(context.Background())
	})
	return &watched{t: t, c: c, g: g}
}

// next takes a change, which it does not end.
func (w *watched) next() engine.Change {
	w.t.Helper()
	select {
	case ch, ok := <-w.g.Changes():
		if !ok {
			w.t.Fatal("the changes ended")
		}
		return ch
	case <-time.After(30 * time.Second):
		w.t.Fatal("no change came within 30 s")
	}
	panic("unreachable")
}

// until ends changes until one is as wanted, which it ends too and returns.
func (w *watched) until(is func(engine.Change) bool) engine.Change {
	w.t.Helper()
	for {
		ch := w.next()
		ch.Done()
		if is(ch) {
			return ch
		}
	}
}

func gained(n int) func(engine.Change) bool {
	return func(ch engine.Change) bool { return len(ch.Gained) == n }
}

// A member that the group forgot is told that its shards may be someone else's, and joins again.
func TestGroupForgetsMember(t *testing.T) {
	b := startEmbedded(t, Embedded{})
	w := watch(t, b, "a", nil)
	w.until(gained(2))
	h := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.IllegalGeneration, TopLevel: true})
	ch := w.next()
	slices.Sort(ch.Lost)
	if !ch.Fenced || !slices.Equal(ch.Lost, []int32{0, 1}) || len(ch.Gained) > 0 || h.Hits() == 0 {
		t.Errorf("the change is %+v", ch)
	}
	if f, ok := w.g.Fence(); ok || !w.g.Pending() {
		t.Errorf("out of the group with fence %v, pending %v", f, w.g.Pending())
	}
	ch.Done()
	w.until(gained(2))
	awaitFence(t, w.g)
}

func awaitFence(t *testing.T, g *Group) engine.Fence {
	t.Helper()
	for range 30_000 {
		if f, ok := g.Fence(); ok && !g.Pending() {
			return f
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("no fence within 30 s")
	return engine.Fence{}
}

// A member that was passed over must not take its shards for its own, even if it gets the same ones back
// before it heard of it.
func TestGroupPassedOver(t *testing.T) {
	for _, dynamic := range []bool{false, true} {
		t.Run(fmt.Sprintf("dynamic=%v", dynamic), func(t *testing.T) {
			t.Parallel()
			b := startEmbedded(t, Embedded{})
			quick := func(c *Config) { c.RebalanceTimeout, c.Dynamic = 300*time.Millisecond, dynamic }
			a := watch(t, b, "a", quick)
			a.until(gained(2))
			before := awaitFence(t, a.g)
			// a hears nothing but that a rebalance waits, whatever becomes of it.
			h := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.RebalanceInProgress, TopLevel: true, Count: -1,
				When: func(r kmsg.Request) bool { return r.(*kmsg.HeartbeatRequest).MemberID == before.Member }})
			other := watch(t, b, "b", quick)
			settle := a.next()
			if len(settle.Gained) > 0 || len(settle.Lost) != 1 || settle.Fenced {
				t.Errorf("the first change is %+v", settle)
			}
			other.until(gained(2))
			awaitFence(t, other.g)
			go func() {
				for ch := range other.g.Changes() {
					ch.Done()
				}
			}()
			must(t, other.g.Leave(t.Context()))
			h.Remove()
			settle.Done()
			ch := a.until(func(ch engine.Change) bool { return len(ch.Gained)+len(ch.Lost) > 0 })
			if !ch.Fenced || len(ch.Lost) != 1 {
				t.Errorf("the change is %+v", ch)
			}
			a.until(gained(2))
			if after := awaitFence(t, a.g); after == before {
				t.Errorf("the fence is %v as before", after)
			}
		})
	}
}

// Rebalances in a row, in which it takes part, take nothing from a member.
func TestGroupManyJoin(t *testing.T) {
	b := startEmbedded(t, Embedded{})
	a := watch(t, b, "a", nil)
	a.until(gained(2))
	awaitFence(t, a.g)
	fenced := make(chan engine.Change, 100)
	go func() {
		for ch := range a.g.Changes() {
			if ch.Fenced {
				fenced <- ch
			}
			ch.Done()
		}
	}()
	for i := range 6 {
		w := watch(t, b, fmt.Sprint("b", i), nil)
		go func() {
			for ch := range w.g.Changes() {
				if ch.Fenced {
					fenced <- ch
				}
				ch.Done()
			}
		}()
		if i%2 == 1 {
			must(t, w.g.Leave(t.Context()))
		}
	}
	for n := 0; n != 4; {
		info, err := b.cluster.WaitGroupStable(t.Context(), "app", 4)
		must(t, err)
		n = len(info.Members)
	}
	awaitFence(t, a.g)
	if len(fenced) > 0 {
		t.Errorf("%d changes say fenced, the first %+v", len(fenced), <-fenced)
	}
}

func TestSeat(t *testing.T) {
	type join struct {
		member     string
		generation int32
	}
	for _, tt := range []struct {
		name  string
		joins []join
		now   engine.Fence
		want  bool
	}{
		{"the next generation", []join{{"m", 5}}, engine.Fence{Member: "m", Generation: 6}, true},
		{"no rebalance after all", []join{{"m", 5}}, engine.Fence{Member: "m", Generation: 5}, true},
		{"a join overtaken by another rebalance", []join{{"m", 5}, {"m", 6}, {"m", 7}}, engine.Fence{Member: "m", Generation: 8}, true},
		{"a generation missed", []join{{"m", 5}}, engine.Fence{Member: "m", Generation: 7}, false},
		{"a generation missed between joins", []join{{"m", 5}, {"m", 7}}, engine.Fence{Member: "m", Generation: 8}, false},
		{"another member", []join{{"m", 5}, {"", 5}}, engine.Fence{Member: "n", Generation: 6}, false},
		{"another member in the end", []join{{"m", 5}}, engine.Fence{Member: "n", Generation: 6}, false},
		{"a group that began anew", []join{{"m", 5}}, engine.Fence{Member: "m", Generation: 1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := seat{fence: engine.Fence{Member: "m", Generation: 5}, reached: 5}
			for _, j := range tt.joins {
				s.join(j.member, j.generation)
			}
			if got := s.unbroken(tt.now); got != tt.want {
				t.Errorf("unbroken: %v, want %v", got, tt.want)
			}
		})
	}
}

// Two processes must not use one name: the first is told, and says so in the log.
func TestGroupSameInstanceTwice(t *testing.T) {
	b := startEmbedded(t, Embedded{})
	logged := &locked{}
	a := watch(t, b, "same", func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(logged, nil)) })
	a.until(gained(2))
	second := watch(t, b, "same", nil)
	second.until(gained(2))
	ch := a.until(func(ch engine.Change) bool { return ch.Fenced })
	if len(ch.Lost) != 2 {
		t.Errorf("the first lost %v", ch.Lost)
	}
	for !strings.Contains(logged.String(), "another running process uses this instance name") {
		time.Sleep(time.Millisecond)
	}
	if f, ok := a.g.Fence(); ok {
		t.Errorf("the first has fence %v", f)
	}
	awaitFence(t, second.g)
}

// locked is a buffer that may be read while it is written.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A process that keeps its seat comes back to the same generation; one that does not, or has none,
// leaves others to take over at once.
func TestGroupSeats(t *testing.T) {
	for _, tt := range []struct {
		name    string
		change  func(*Config)
		members int // left in the group after leaving
	}{
		{"static", nil, 0},
		{"static keeping its seat", func(c *Config) { c.KeepSeat = true }, 1},
		{"dynamic", func(c *Config) { c.Dynamic = true }, 0},
		{"dynamic has no seat to keep", func(c *Config) { c.Dynamic, c.KeepSeat = true, true }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := startEmbedded(t, Embedded{})
			w := watch(t, b, "a", tt.change)
			w.until(gained(2))
			before := awaitFence(t, w.g)
			left := make(chan error)
			go func() { left <- w.g.Leave(t.Context()) }()
			if ch := w.next(); len(ch.Lost) != 2 || ch.Fenced {
				t.Errorf("the last change is %+v", ch)
			} else {
				ch.Done()
			}
			must(t, <-left)
			if _, ok := <-w.g.Changes(); ok {
				t.Error("a change after the last")
			}
			if got := len(b.cluster.GroupInfo("app").Members); got != tt.members {
				t.Errorf("%d members are left, want %d", got, tt.members)
			}
			again := watch(t, b, "a", tt.change)
			again.until(gained(2))
			after := awaitFence(t, again.g)
			if kept := after.Generation == before.Generation; kept != (tt.members == 1) {
				t.Errorf("generation %d, was %d", after.Generation, before.Generation)
			}
		})
	}
}
