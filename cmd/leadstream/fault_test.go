package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/bench/broker"
	"leadstream/connectors/formats"
	"leadstream/connectors/kafka"
	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/rules"
)

// TestMain lets the test binary be the program: the fault test kills it.
func TestMain(m *testing.M) {
	if os.Getenv("LEADSTREAM_TEST_PROGRAM") != "" {
		os.Exit(run())
	}
	os.Exit(m.Run())
}

const (
	faultKills  = 22
	faultEvents = 24_000
	faultLeads  = 400
)

// TestKilledAtRandom runs the program against a real broker and kills it at random points while events
// flow, once deleting its data directory; a second instance comes, is killed and leaves, so that shards move. Then
// every source record must be in exactly one journaled range, an independent replay of the journals must
// give exactly the outputs that a committed reader sees and the state that every lead has, and a model that
// knows no journals must agree about the leads whose events are in order.
func TestKilledAtRandom(t *testing.T) {
	b := broker.Shared(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	f := newFault(t, b.Addr(), seed)
	var producing sync.WaitGroup
	producing.Go(f.produce)
	var two *exec.Cmd
	for kill := range faultKills {
		live := f.live()
		one := f.start("one")
		if kill%4 == 1 {
			two = f.start("two")
		}
		if kill%5 > 0 { // else it may die before it is live
			f.waitLive(live + 1)
		}
		f.nap(0, 1200)
		victim := one
		if kill%4 == 2 {
			victim, two = two, nil
		}
		f.kill(victim)
		if victim != one {
			f.nap(100, 900)
			f.stop(one) // its seat is given up: another instance can have its shards at once
		}
		if kill == faultKills/2 {
			if err := os.RemoveAll(filepath.Join(f.dir, "one.data")); err != nil {
				t.Fatal(err)
			}
		}
	}
	producing.Wait()
	if two != nil {
		f.stop(two)
	}
	before := f.live()
	p := f.start("one")
	f.settle(before + 4)
	f.stop(p)
	f.check()
}

func (f *fault) nap(from, to int) {
	time.Sleep(time.Duration(from+f.rng.IntN(to-from)) * time.Millisecond)
}

func (f *fault) kill(p *exec.Cmd) {
	f.t.Helper()
	if err := p.Process.Kill(); err != nil {
		f.t.Fatal(err)
	}
	_ = p.Wait()
}

// stop ends a process in order.
func (f *fault) stop(p *exec.Cmd) {
	f.t.Helper()
	if err := p.Process.Signal(os.Interrupt); err != nil {
		f.t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		f.t.Fatalf("a run did not end in order: %v\n%s", err, f.tail())
	}
}

// fault is one run of the test.
type fault struct {
	t       *testing.T
	seed    uint64
	rng     *rand.Rand
	dir     string
	app     string
	addr    string
	cluster *kafka.Cluster
	client  *kgo.Client
	sources []engine.SourceConfig
	set     *rules.Set
	parts   map[string]int32
	until   int64

	// events are the ordered leads' events, for the model.
	events map[string][]modelEvent
}

func newFault(t *testing.T, addr string, seed uint64) *fault {
	f := &fault{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), dir: t.TempDir(), app: fmt.Sprintf("fault%d", seed), addr: addr,
		parts: map[string]int32{}, events: map[string][]modelEvent{}}
	web, mail := f.app+".web", f.app+".mail"
	cfg := fmt.Sprintf(`
app: %s
instance: INSTANCE
brokers: [%s]
shards: 4
sources:
  - {name: web, topic: %s}
  - {name: mail, topic: %s}
rules: [rules.yaml]
data_dir: INSTANCE.data
memory: 64MiB
checkpoint_interval: 2s
cut_interval: 0s
idle_after: 1d
http: {listen: "127.0.0.1:0"}
`, f.app, addr, web, mail)
	files := map[string]string{"rules.yaml": faultRules}
	for _, instance := range []string{"one", "two"} {
		files[instance+".yaml"] = strings.ReplaceAll(cfg, "INSTANCE", instance)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if f.set, err = rules.Parse(rules.File{Name: "rules.yaml", Src: []byte(faultRules)}); err != nil {
		t.Fatal(err)
	}
	if f.client, err = kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(2*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.client.Close)
	adm := kadm.NewClient(f.client)
	for _, topic := range []string{web, mail} {
		if _, err := adm.CreateTopic(t.Context(), 4, 1, map[string]*string{"retention.ms": kadm.StringPtr("-1")}, topic); err != nil {
			t.Fatal(err)
		}
		f.parts[topic] = 4
	}
	for name, topic := range map[string]string{"web": web, "mail": mail} {
		dec, err := formats.New(formats.Config{MaxFuture: 5 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		f.sources = append(f.sources, engine.SourceConfig{Name: name, Topic: topic, NewDecoder: dec})
	}
	if f.cluster, err = kafka.Open(t.Context(), kafka.Config{App: f.app, Instance: "checker", Brokers: []string{addr}, Shards: 4}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.cluster.Close)
	return f
}

// start runs the program as an instance.
func (f *fault) start(instance string) *exec.Cmd {
	f.t.Helper()
	log, err := os.OpenFile(filepath.Join(f.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(os.Args[0], "run", "--config", filepath.Join(f.dir, instance+".yaml"))
	cmd.Env = append(os.Environ(), "LEADSTREAM_TEST_PROGRAM=1")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd
}

func (f *fault) tail() string {
	b, _ := os.ReadFile(filepath.Join(f.dir, "log"))
	return string(b[max(0, len(b)-4000):])
}

// produce writes events over 60 days of the past: those of ordered leads keyed and in order, those of
// others on any partition, late, twice or broken.
func (f *fault) produce() {
	rng := rand.New(rand.NewPCG(f.seed, 1))
	at := time.Now().UnixMilli() - 75*faultDay
	web, mail := f.app+".web", f.app+".mail"
	send := func(topic string, part int32, key, value string) {
		r := &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value), Timestamp: time.UnixMilli(at)}
		r.Partition = part
		f.client.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				f.t.Errorf("producing: %v", err)
			}
		})
	}
	for i := range faultEvents {
		at += rng.Int64N(2 * 60 * faultDay / faultEvents)
		if i%50 == 0 {
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
		}
		n := rng.IntN(faultLeads)
		body, points := `"type":"page","properties":{"path":"/pricing"}`, 3.0
		if rng.IntN(9) == 0 {
			body, points = `"type":"track","event":"Demo Requested"`, 40
		}
		if rng.IntN(3) > 0 { // an ordered lead
			id, msg := fmt.Sprintf("ordered-%d", n), fmt.Sprintf("m%d", i)
			if old := f.events[id]; len(old) > 0 && rng.IntN(20) == 0 {
				msg = old[len(old)-1].id // the same message again
			}
			f.events[id] = append(f.events[id], modelEvent{msg, at, points})
			send(web, engine.ShardOf([]byte(id), 4), id, fmt.Sprintf(`{"userId":%q,"messageId":%q,"timestamp":%d,%s}`, id, msg, at, body))
			continue
		}
		id := fmt.Sprintf("other-%d", n)
		value := fmt.Sprintf(`{"anonymousId":%q,"messageId":"x%d","timestamp":%d,%s}`, id, i-rng.IntN(3), at-rng.Int64N(2*faultDay), body)
		if rng.IntN(50) == 0 {
			value = value[:rng.IntN(len(value))]
		}
		send([]string{web, mail}[rng.IntN(2)], rng.Int32N(4), id, value)
	}
	// One last event on every partition brings all shards to the same time.
	f.until = at + faultDay
	at = f.until
	for p := range int32(4) {
		for _, topic := range []string{web, mail} {
			send(topic, p, "", fmt.Sprintf(`{"userId":"end-%d","timestamp":%d,"type":"page"}`, p, f.until))
		}
	}
	if err := f.client.Flush(context.Background()); err != nil {
		f.t.Errorf("producing: %v", err)
	}
}

// live counts how often a shard went live, by the program's log.
func (f *fault) live() int {
	b, _ := os.ReadFile(filepath.Join(f.dir, "log"))
	return strings.Count(string(b), "shard is live")
}

// waitLive waits until that many shards went live.
func (f *fault) waitLive(n int) {
	f.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); f.live() < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.t.Fatalf("no shard went live within 30 s\n%s", f.tail())
		}
	}
}

// settle waits until that many shards went live and the group has committed all input, inboxes included.
func (f *fault) settle(live int) {
	f.t.Helper()
	adm := kadm.NewClient(f.client)
	topics := []string{f.app + ".web", f.app + ".mail", engine.TopicName(f.app, engine.TopicInbox)}
	deadline := time.Now().Add(2 * time.Minute)
	for time.Now().Before(deadline) {
		ends, err := adm.ListCommittedOffsets(f.t.Context(), topics...)
		if err != nil {
			f.t.Fatal(err)
		}
		at, err := adm.FetchOffsets(f.t.Context(), f.app)
		if err != nil {
			f.t.Fatal(err)
		}
		behind := 0
		ends.Each(func(o kadm.ListedOffset) {
			if r, ok := at.Lookup(o.Topic, o.Partition); o.Offset > 0 && (!ok || r.At < o.Offset) {
				behind++
			}
		})
		if behind == 0 && f.live() >= live {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	f.t.Fatalf("the input was not applied within two minutes\n%s", f.tail())
}

func (f *fault) check() {
	f.t.Helper()
	ctx := f.t.Context()
	rp := &enginetest.Replayer{App: f.app, Shards: 4, Sources: f.sources, Rules: f.set, History: f.cluster.History()}
	w, err := rp.Run(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := rp.CheckOutputs(ctx, w); err != nil {
		f.t.Fatal(err)
	}
	states := map[string][]byte{}
	for s := range int32(4) {
		tp := engine.TopicPartition{Topic: engine.TopicName(f.app, engine.TopicState), Partition: s}
		if err := f.cluster.History().Read(ctx, tp, engine.StartOfPartition, engine.EndOfPartition, func(r *engine.Record) error {
			states[string(r.Key)] = r.Value
			return nil
		}); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := w.CheckStates(states); err != nil {
		f.t.Fatal(err)
	}
	n := f.checkModel(ctx)
	f.t.Logf("shards went live %d times, %d epochs, %d records replayed, %d leads; %d outputs of ordered leads equal the model's: lost 0, doubled 0", f.live(), w.Epochs, w.Records, len(w.Leads), n)
}

// checkModel compares the outputs of the ordered leads with the model's.
func (f *fault) checkModel(ctx context.Context) (outputs int) {
	f.t.Helper()
	got := map[string][]said{}
	for _, topic := range []engine.Topic{engine.TopicTransitions, engine.TopicHandoffs} {
		for s := range int32(4) {
			tp := engine.TopicPartition{Topic: engine.TopicName(f.app, topic), Partition: s}
			if err := f.cluster.History().Read(ctx, tp, engine.StartOfPartition, engine.EndOfPartition, func(r *engine.Record) error {
				var o struct {
					Type, Lead, From, To, Name string
					At                         int64
				}
				if err := json.Unmarshal(r.Value, &o); err != nil {
					return err
				}
				what := o.From + ">" + o.To
				if topic == engine.TopicHandoffs {
					what = "handoff " + o.Name
				}
				got[o.Lead] = append(got[o.Lead], said{what, o.At})
				return nil
			}); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	for id, events := range f.events {
		want := modelLead(events, f.until)
		have := got[id]
		byTopic := func(a []said) (x [2][]said) {
			for _, s := range a {
				i := 0
				if s.what == "handoff hot" {
					i = 1
				}
				x[i] = append(x[i], s)
			}
			return x
		}
		g, m := byTopic(have), byTopic(want)
		if !slices.Equal(g[0], m[0]) || !slices.Equal(g[1], m[1]) {
			f.t.Fatalf("lead %s said\n  %v\nthe model says\n  %v", id, have, want)
		}
		outputs += len(want)
	}
	if outputs < 500 {
		f.t.Fatalf("only %d outputs: the test tests nothing", outputs)
	}
	return outputs
}
