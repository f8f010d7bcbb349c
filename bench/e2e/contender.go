package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"leadstream/bench/peers"
)

// contender is one program that is measured.
type contender struct {
	name, title string
	// Quick says that it runs in the quick form, too; asked, that it runs when it is named, and in no form.
	quick, asked bool
	// Outputs says that it puts out transitions; latency is measured only then.
	outputs bool
	// Committed says that an event counts as done when the group's offset has passed it; else when the
	// program says so.
	committed bool
	// Latency says that its latency is measured, that of Kafka Streams in the full form only.
	latency bool
	// Undrained says that it drains the preloaded topic only when it is named.
	undrained bool
	start     func(ctx context.Context, b *bench, r run) (*child, error)
}

// run is one start of a contender.
type run struct {
	// App prefixes its topics and is its group.
	app string
	// Topic is what it reads, events how many there are.
	topic  string
	events int
	// Dir is its directory.
	dir string
	// Eager says that points count eagerTimes as much.
	eager bool
	// Rules replaces the contender's own, "" for those; processes is how many of leadstream share the work, 0 for one.
	rules     string
	processes int
	// Shards is how many shards and partitions leadstream has, memory its budget; env is added to its environment.
	shards int32
	memory string
	env    []string
	// CheckpointSeconds is within how many seconds its state is written to Kafka.
	checkpointSeconds int
}

// outTopic is where a run's transitions go.
func (r run) outTopic() string { return r.app + ".transitions" }

const (
	leadstreamName = "leadstream"
	timedName      = "leadstream-timed"
	otherName      = "other"
	scanName       = "scan"
	decodeName     = "decode"
	throughName    = "passthrough"
	streamsEOS     = "kstreams-eos"
	streamsALOS    = "kstreams-alos"
)

var contenders = []contender{
	{name: leadstreamName, title: "leadstream", quick: true, outputs: true, committed: true, latency: true, start: startLeadstream(rules)},
	{name: timedName, title: "leadstream, stages also fall by time alone", asked: true, outputs: true, committed: true, start: startLeadstream(timedRules())},
	{name: otherName, title: "leadstream, the other build", asked: true, outputs: true, committed: true, latency: true, start: startOther},
	{name: "consume", title: "limit: consume only", quick: true, start: startLimit("consume")},
	{name: scanName, title: "limit: consume and scan the needed fields by hand", quick: true, start: startLimit(scanName)},
	{name: decodeName, title: "consume and decode as leadstream does", start: startLimit(decodeName)},
	{name: "loop", title: "consume, decode and score in a Go map, nothing written", start: startLimit("loop")},
	{name: throughName, title: "limit: pass-through in transactions, without state", committed: true, latency: true, undrained: true, start: startThrough},
	{name: streamsEOS, title: "Kafka Streams, exactly once v2", quick: true, outputs: true, committed: true, latency: true,
		start: startStreams("STREAMS_PROCESSING_GUARANTEE=exactly_once_v2")},
	{name: streamsALOS, title: "Kafka Streams, at least once", outputs: true, latency: true,
		start: startStreams("STREAMS_PROCESSING_GUARANTEE=at_least_once", "STREAMS_COMMIT_INTERVAL_MS=1000", "STREAMS_PRODUCER_LINGER_MS=0")},
}

func names() []string {
	var all []string
	for i := range contenders {
		all = append(all, contenders[i].name)
	}
	return all
}

func contenderNamed(name string) *contender {
	for i := range contenders {
		if contenders[i].name == name {
			return &contenders[i]
		}
	}
	panic("bug: no contender " + name)
}

// startOther runs a binary from elsewhere.
func startOther(ctx context.Context, b *bench, r run) (*child, error) {
	other := *b
	if b.opts.other != "same" {
		other.program = b.opts.other
	}
	other.env = b.opts.otherEnv
	return startLeadstream(rules)(ctx, &other, r)
}

func startLeadstream(set string) func(context.Context, *bench, run) (*child, error) {
	return func(ctx context.Context, b *bench, r run) (*child, error) {
		if r.rules == "" {
			r.rules = set
		}
		if r.eager {
			r.rules = eagerRules()
		}
		var first *child
		for i := range max(1, r.processes) {
			ch, err := b.startInstance(ctx, r, i)
			if err != nil {
				if first != nil {
					first.kill()
				}
				return nil, err
			}
			ch.also, first = first, ch
		}
		return first, nil
	}
}

// startInstance starts one process of leadstream in a directory of its own.
func (b *bench) startInstance(ctx context.Context, r run, i int) (*child, error) {
	dir := r.dir
	if i > 0 {
		dir = filepath.Join(r.dir, strconv.Itoa(i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("making a directory: %w", err)
		}
	}
	config := fmt.Sprintf(`app: %s
instance: bench%d
brokers: [%s]
shards: %d
sources: [{name: web, topic: %s}]
rules: [rules.yaml]
data_dir: data
memory: %s
checkpoint_interval: %ds
http: {listen: "127.0.0.1:0"}
`, r.app, i, b.broker.Addr(), r.shards, r.topic, r.memory, r.checkpointSeconds)
	for name, text := range map[string]string{"leadstream.yaml": config, "rules.yaml": r.rules} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, fmt.Errorf("writing the configuration: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, b.program, "run", "--config", filepath.Join(dir, "leadstream.yaml"))
	cmd.Env = append(append(os.Environ(), b.env...), r.env...)
	return startChild(cmd, dir)
}

// startLimit runs this program again as a consumer.
func startLimit(mode string) func(context.Context, *bench, run) (*child, error) {
	return func(ctx context.Context, b *bench, r run) (*child, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding this program: %w", err)
		}
		return startChild(exec.CommandContext(ctx, self, limitCommand, mode, b.broker.Addr(), r.topic, strconv.Itoa(b.opts.events)), r.dir)
	}
}

// startThrough runs this program again as a pass-through.
func startThrough(ctx context.Context, b *bench, r run) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	return startChild(exec.CommandContext(ctx, self, throughCommand, b.broker.Addr(), r.app, r.topic), r.dir)
}

// startStreams runs the Kafka Streams program.
func startStreams(settings ...string) func(context.Context, *bench, run) (*child, error) {
	return func(ctx context.Context, b *bench, r run) (*child, error) {
		settings := slices.Clone(settings)
		if r.eager {
			settings = append(settings, "POINTS="+strconv.Itoa(eagerTimes))
		}
		s := peers.Streams{ClassPath: b.streams, Broker: b.broker.Addr(), In: r.topic, Out: r.outTopic(), App: r.app, StateDir: filepath.Join(r.dir, "state"), Settings: settings}
		return startChild(s.Command(ctx), r.dir)
	}
}

// needs says what a contender lacks to run here, "" if nothing.
func (c *contender) needs() string {
	if c.name == streamsEOS || c.name == streamsALOS {
		return peers.Missing()
	}
	return ""
}
