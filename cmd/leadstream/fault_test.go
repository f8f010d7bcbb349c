package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/connectors/kafka"
	"leadstream/engine"
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
	faultEvents = 48_000 // at most
	faultLeads  = 400
)

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
	sets    []*rules.Set // those that are applied in turn; the first is in the files
	until   int64

	orders  chan string // what the generator is to send besides
	enough  chan struct{}
	sent    int
	began   time.Time
	ended   time.Time // when the generator had sent everything
	seats   map[string]*seat
	mounted bool // the third instance's disk can be filled

	// events are the ordered leads' events, for the model.
	events map[string][]modelEvent
}

// newFault prepares topics and files. The program comes to the broker at via, everybody else at addr.
func newFault(t *testing.T, addr, via string, seed uint64) *fault {
	f := &fault{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), dir: t.TempDir(), app: fmt.Sprintf("fault%d", seed), addr: addr,
		events: map[string][]modelEvent{}, orders: make(chan string, 64), enough: make(chan struct{}), seats: map[string]*seat{}}
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
data_dir: INSTANCE.data/store
memory: 64MiB
checkpoint_interval: 2s
cut_interval: 0s
idle_after: 1d
http: {listen: "127.0.0.1:0"}
group: {session_timeout: 3s}
`, f.app, via, web, mail)
	files := map[string]string{"rules.yaml": faultRules}
	for i := range 4 {
		text := faultRules
		if i > 0 {
			files[fmt.Sprintf("rules%d.yaml", i)] = otherRules(i)
			text = otherRules(i)
		}
		set, err := rules.Parse(rules.File{Name: "rules.yaml", Src: []byte(text)})
		if err != nil {
			t.Fatal(err)
		}
		f.sets = append(f.sets, set)
	}
	for _, instance := range instances {
		f.seats[instance] = &seat{name: instance}
		if err := os.MkdirAll(filepath.Join(f.dir, instance+".data"), 0o755); err != nil {
			t.Fatal(err)
		}
		files[instance+".yaml"] = strings.ReplaceAll(cfg, "INSTANCE", instance)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if f.client, err = kgo.NewClient(kgo.SeedBrokers(addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(2*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.client.Close)
	adm := kadm.NewClient(f.client)
	for _, topic := range []string{web, mail} {
		if _, err := adm.CreateTopic(t.Context(), 4, 1, map[string]*string{"retention.ms": kadm.StringPtr("-1")}, topic); err != nil {
			t.Fatal(err)
		}
	}
	c, err := loadConfig(filepath.Join(f.dir, "one.yaml"), testSystem(nil))
	if err != nil {
		t.Fatal(err)
	}
	if f.sources, err = engineSources(c.Sources); err != nil {
		t.Fatal(err)
	}
	if f.cluster, err = kafka.Open(t.Context(), kafka.Config{App: f.app, Instance: "checker", Brokers: []string{addr}, Shards: 4}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.cluster.Close)
	return f
}

// produce writes events of weeks that are past until there are enough or the test is over: those of ordered leads keyed
// and in order, those of others on any partition, late, twice or broken.
func (f *fault) produce() {
	ctx := f.t.Context()
	rng := rand.New(rand.NewPCG(f.seed, 1))
	at := time.Now().UnixMilli() - 75*faultDay
	web, mail := f.app+".web", f.app+".mail"
	var ahead int64 // how far the clock of the mail's producer is off
	send := func(topic string, part int32, key, value string) {
		r := &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value), Timestamp: time.UnixMilli(at)}
		if topic == mail {
			r.Timestamp = time.UnixMilli(at + ahead)
		}
		r.Partition = part
		f.sent++
		f.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil && ctx.Err() == nil {
				f.t.Errorf("producing: %v", err)
			}
		})
	}
	for i := 0; i < faultEvents; i++ {
		at += rng.Int64N(2 * 60 * faultDay / faultEvents)
		if i%50 == 0 {
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
			select {
			case <-ctx.Done():
				return
			case <-f.enough:
				i = faultEvents
			case order := <-f.orders:
				f.besides(order, at, rng, send)
				if order == "clock" {
					ahead = rng.Int64N(10*faultDay) - 5*faultDay
				}
			default:
			}
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
		if rng.IntN(4) == 0 {
			body = `"type":"track","event":"Extra"`
		}
		value := fmt.Sprintf(`{"anonymousId":%q,"messageId":"x%d","timestamp":%d,%s}`, id, i-rng.IntN(3), at-rng.Int64N(2*faultDay), body)
		if rng.IntN(50) == 0 {
			value = value[:rng.IntN(len(value))]
		}
		send([]string{web, mail}[rng.IntN(2)], rng.Int32N(4), id, value)
	}
	f.ended = time.Now()
	select {
	case <-ctx.Done():
		return
	case <-f.enough:
	}
	// One last event on every partition brings all shards to the same time.
	f.until = at + faultDay
	at, ahead = f.until, 0
	for p := range int32(4) {
		for _, topic := range []string{web, mail} {
			send(topic, p, "", fmt.Sprintf(`{"userId":"end-%d","timestamp":%d,"type":"page"}`, p, f.until))
		}
	}
	if err := f.client.Flush(ctx); err != nil && ctx.Err() == nil {
		f.t.Errorf("producing: %v", err)
	}
}

// besides sends what the nemesis asks for.
func (f *fault) besides(order string, at int64, rng *rand.Rand, send func(topic string, part int32, key, value string)) {
	web, mail := f.app+".web", f.app+".mail"
	switch order {
	case "flood": // one lead, on partitions that are not its own
		for i := range 4000 {
			send(mail, rng.Int32N(4), "", fmt.Sprintf(`{"userId":"hot","messageId":"f%d-%d","timestamp":%d,"type":"page"}`, at, i, at+int64(i)))
		}
	case "poison":
		for _, r := range oddRecords() {
			if len(r.value) > 0 && len(r.value) < 100<<10 && !r.cut {
				send([]string{web, mail}[rng.IntN(2)], rng.Int32N(4), string(r.key), string(r.value))
			}
		}
	case "again": // a producer that repeats what it has sent, and sends it in another order
		for i := range 300 {
			n := rng.IntN(300)
			send(mail, rng.Int32N(4), "", fmt.Sprintf(`{"userId":"again-%d","messageId":"g%d","timestamp":%d,"type":"page"}`, n%7, n, at-int64(i)*rng.Int64N(1000)))
		}
	}
}
