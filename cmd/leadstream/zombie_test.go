package main

import (
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"leadstream/bench/broker"
)

// TestZombieAndBrokenBroker stops an instance for longer than the session lasts while another takes its shards
// and lets it go on as a zombie, and kills the broker twice while events flow. Then the same must hold as after
// kills of the program: every record in one journaled range, outputs and states those of a replay and of the model.
func TestZombieAndBrokenBroker(t *testing.T) {
	broker.Shared(t) // skips where there is none
	b, err := broker.Start(t.Context(), broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Stop()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	f := newFault(t, b.Addr(), seed)
	var producing sync.WaitGroup
	producing.Go(f.produce)

	one, two := f.start("one"), f.start("two")
	f.waitLive(4)
	for range 2 {
		f.nap(500, 2500)
		// No transaction may be between its decision and its markers when the only broker dies: Kafka
		// forgets those (see connectors/kafka/hung.go), and nothing that reads committed records gets past them.
		f.signal(one, syscall.SIGSTOP)
		f.signal(two, syscall.SIGSTOP)
		f.nap(300, 400)
		b.Kill()
		f.signal(one, syscall.SIGCONT)
		f.signal(two, syscall.SIGCONT)
		f.nap(200, 3000)
		if err := b.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.nap(3000, 5000)
	}
	for _, victim := range []*exec.Cmd{one, two} {
		before := f.live()
		f.signal(victim, syscall.SIGSTOP)
		f.waitLive(before + 1) // after the session's end the other has its shards
		f.nap(0, 2000)
		f.signal(victim, syscall.SIGCONT)
		f.nap(1000, 3000)
	}
	producing.Wait()
	f.stop(two)
	f.settle(0)
	f.stop(one)
	f.check()
}

func (f *fault) signal(p *exec.Cmd, s os.Signal) {
	f.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		f.t.Fatal(err)
	}
}
