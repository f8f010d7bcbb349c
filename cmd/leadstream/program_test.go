package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/connectors/httpapi"
	"leadstream/connectors/kafka"
	"leadstream/engine"
)

// testProgram is the program, run as a process of its own over one source, with what a test needs around it.
type testProgram struct {
	t      *testing.T
	dir    string
	app    string
	topic  string
	config string
	shards int32
	addr   string
	cmd    *exec.Cmd
	client *kgo.Client
	http   *http.Client
	ended  chan error
}

// testProgramConfig says how it runs.
type testProgramConfig struct {
	rules string // a file
	// brokers is an outside broker's address; without, there is one inside the process.
	brokers string
	// partitions of the source topic; with the broker inside as many as shards.
	partitions, shards int32
	history            bool
	// idle is idle_after, "" one second.
	idle string
}

// startProgram starts a process and returns when it answers.
func startProgram(t *testing.T, c testProgramConfig) *testProgram {
	t.Helper()
	rulesFile, err := filepath.Abs(c.rules)
	if err != nil {
		t.Fatal(err)
	}
	p := &testProgram{t: t, dir: t.TempDir(), app: fmt.Sprintf("real%d", time.Now().UnixNano()), shards: c.shards, addr: c.brokers,
		http: &http.Client{Timeout: time.Minute}, ended: make(chan error, 1)}
	p.topic, p.config = p.app+".past", filepath.Join(p.dir, "leadstream.yaml")
	where := fmt.Sprintf("brokers: [%s]", c.brokers)
	if c.brokers == "" {
		p.addr = freePort(t)
		_, port, _ := strings.Cut(p.addr, ":")
		where = fmt.Sprintf("embedded: {enabled: true, data_dir: broker, port: %s}", port)
	}
	text := fmt.Sprintf("app: %s\ninstance: one\n%s\nshards: %d\nsources: [{name: past, topic: %s, history: %t}]\nrules: [%q]\ndata_dir: data\n"+
		"memory: 256MiB\nidle_after: %s\nwatermark_wait: 5s\nhttp: {listen: \"127.0.0.1:0\"}\n", p.app, where, c.shards, p.topic, c.history, rulesFile, cmp.Or(c.idle, "1s"))
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if p.client, err = kgo.NewClient(kgo.SeedBrokers(p.addr), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.client.Close)
	if c.brokers != "" {
		if _, err := kadm.NewClient(p.client).CreateTopic(t.Context(), c.partitions, 1,
			map[string]*string{"retention.ms": kadm.StringPtr("-1")}, p.topic); err != nil {
			t.Fatal(err)
		}
	}
	p.start()
	return p
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (p *testProgram) start() {
	p.t.Helper()
	log, err := os.Create(filepath.Join(p.dir, "log"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(os.Args[0], "run", "--config", p.config)
	p.cmd.Env = append(os.Environ(), "LEADSTREAM_TEST_PROGRAM=1")
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	p.t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	p.wait("it is ready", func() bool {
		if p.api() == "" {
			return false
		}
		resp, err := p.http.Get(p.api() + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

var apiField = regexp.MustCompile(`msg="leadstream started".* api=(\S+)`)

// api is where the API listens, "" before the process says so.
func (p *testProgram) api() string {
	text, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		return ""
	}
	if m := apiField.FindSubmatch(text); m != nil {
		return strings.TrimSuffix(string(m[1]), "/")
	}
	return ""
}

func (p *testProgram) tail() string {
	text, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(text[max(0, len(text)-4000):])
}

// wait waits until something is so.
func (p *testProgram) wait(what string, done func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-p.ended:
			p.t.Fatalf("the program ended before %s: %v\n%s", what, err, p.tail())
		default:
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("three minutes were not enough until %s\n%s", what, p.tail())
		}
	}
}

// get asks the API.
func (p *testProgram) get(path string, into any) (status int) {
	p.t.Helper()
	status, body := p.answer(p.http.Get(p.api() + path))
	if status == http.StatusOK {
		if err := json.Unmarshal(body, into); err != nil {
			p.t.Fatalf("%s: %v: %s", path, err, body)
		}
	}
	return status
}

// answer reads what a request was answered with.
func (p *testProgram) answer(resp *http.Response, err error) (status int, body []byte) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		p.t.Fatalf("%s: %v: %s", resp.Request.URL, err, body)
	}
	return resp.StatusCode, body
}

// metrics returns what /metrics shows.
func (p *testProgram) metrics() string {
	p.t.Helper()
	_, text := p.answer(p.http.Get(p.api() + "/metrics"))
	return string(text)
}

// reach waits until every shard's time has come to t.
func (p *testProgram) reach(t int64) {
	p.t.Helper()
	p.wait("its shards' time has come to "+time.UnixMilli(t).UTC().Format(time.RFC3339), func() bool {
		var s httpapi.StatusView
		p.get("/v1/status", &s)
		n := 0
		for _, x := range s.Shards {
			if x.Tick != nil && int64(*x.Tick) >= t {
				n++
			}
		}
		return n == int(p.shards)
	})
}

// finish waits until everything that is due up to the shards' time has happened and is committed. A shard fires
// what is due before it applies a record: so one more event for each shard is sent, and waited for.
func (p *testProgram) finish() {
	p.t.Helper()
	partitions := p.partitions(p.topic)
	for s := range p.shards {
		id := idOnShard("end", s, p.shards)
		p.send(s%partitions, id, fmt.Sprintf(`{"type":"track","event":"End","userId":%q,"timestamp":%d}`, id, time.Now().UnixMilli()))
	}
	p.applied()
}

// idOnShard returns an id that begins with prefix and belongs to a shard.
func idOnShard(prefix string, shard, shards int32) string {
	for i := 0; ; i++ {
		if id := fmt.Sprintf("%s-%d", prefix, i); engine.ShardOf([]byte(id), shards) == shard {
			return id
		}
	}
}

// send writes one record to a partition of the source.
func (p *testProgram) send(partition int32, key, value string) {
	p.t.Helper()
	if err := p.client.ProduceSync(p.t.Context(), &kgo.Record{Topic: p.topic, Partition: partition, Key: []byte(key), Value: []byte(value)}).FirstErr(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *testProgram) partitions(topic string) int32 {
	p.t.Helper()
	found, err := kadm.NewClient(p.client).ListTopics(p.t.Context(), topic)
	if err != nil || len(found[topic].Partitions) == 0 {
		p.t.Fatalf("topic %s: %v", topic, err)
	}
	return int32(len(found[topic].Partitions))
}

// applied waits until all input, that of inboxes included, is applied and committed.
func (p *testProgram) applied() {
	p.t.Helper()
	adm := kadm.NewClient(p.client)
	p.wait("the input was applied", func() bool {
		// First the sources, then the inboxes that they fill.
		for _, topic := range []string{p.topic, engine.TopicName(p.app, engine.TopicInbox)} {
			ends, err := adm.ListCommittedOffsets(p.t.Context(), topic)
			if err != nil {
				return false
			}
			at, err := adm.FetchOffsets(p.t.Context(), p.app)
			if err != nil {
				return false
			}
			behind := false
			ends.Each(func(o kadm.ListedOffset) {
				r, ok := at.Lookup(o.Topic, o.Partition)
				behind = behind || o.Offset > 0 && (!ok || r.At < o.Offset)
			})
			if behind {
				return false
			}
		}
		return true
	})
}

// read returns all committed records of one of the application's topics, by partition.
func (p *testProgram) read(topic engine.Topic, fn func(r *engine.Record) error) {
	p.t.Helper()
	cluster, err := kafka.Open(p.t.Context(), kafka.Config{App: p.app, Instance: "checker", Brokers: []string{p.addr}, Shards: p.shards})
	if err != nil {
		p.t.Fatal(err)
	}
	defer cluster.Close()
	for s := range p.shards {
		tp := engine.TopicPartition{Topic: engine.TopicName(p.app, topic), Partition: s}
		if err := cluster.History().Read(p.t.Context(), tp, engine.StartOfPartition, engine.EndOfPartition, fn); err != nil {
			p.t.Fatal(err)
		}
	}
}

// said returns what was put out about each lead: stage changes first, then hand-offs, each in order.
func (p *testProgram) said() map[string][]said {
	p.t.Helper()
	all := map[string][]said{}
	for _, topic := range []engine.Topic{engine.TopicTransitions, engine.TopicHandoffs} {
		p.read(topic, func(r *engine.Record) error { return hear(all, topic, r) })
	}
	return all
}

// kill ends the process as a crash would.
func (p *testProgram) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	if err := <-p.ended; err == nil {
		p.t.Fatal("the program ended in order before it could be killed")
	}
}

// stop ends the process in order.
func (p *testProgram) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Fatalf("the program did not end in order: %v\n%s", err, p.tail())
		}
	case <-ctx.Done():
		p.t.Fatalf("the program did not end within a minute\n%s", p.tail())
	}
}
