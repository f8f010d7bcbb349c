package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/engine"
)

// Config says how to reach a cluster and how to use it. Zero values mean the stated defaults.
type Config struct {
	// Brokers are host:port addresses to start from; one reachable broker is enough. Required.
	Brokers []string
	// App is the application's name: prefix of its topics and transactional ids, and its consumer
	// group. Letters, digits, '.', '_', '-'. Required.
	App string
	// Instance names this process among the application's: the same again after a restart, never the
	// same in two running processes. Same characters as App. Required.
	Instance string

	// Shards is the number of partitions of the application's topics, fixed when they are created.
	// Default 8.
	Shards int32
	// ReplicationFactor of the topics this process creates. Default 0: the cluster's default.
	ReplicationFactor int16
	// MinISR is min.insync.replicas of the topics this process creates. Default 0: the cluster's default.
	MinISR int16
	// Topics overrides settings of single topics, by name without prefix, like "journal".
	Topics map[string]TopicConfig

	TLS  TLS
	SASL SASL

	// Slots is the number of transactional ids that take turns. Default 8, 1 to 64.
	Slots int
	// TransactionTimeout is how long the cluster keeps an open transaction of a dead process, and the
	// bound of one Commit. Default 10 s.
	TransactionTimeout time.Duration
	// SessionTimeout is how long a silent member keeps its shards. Default 6 s.
	SessionTimeout time.Duration
	// HeartbeatInterval bounds how late a rebalance is noticed, and with it how long a takeover takes. Default 30 ms.
	HeartbeatInterval time.Duration
	// RebalanceTimeout bounds how long a member may take to give up shards. Default 30 s.
	RebalanceTimeout time.Duration
	// Dynamic turns static membership off: a restarted process is then a new member.
	Dynamic bool
	// KeepSeat makes Leave keep the shards for SessionTimeout, for a process that comes right back.
	// It does nothing with Dynamic.
	KeepSeat bool
	// Balancer assigns shards to members in place of ours, which knows what they hold of them. Nobody is a standby then.
	// It must be cooperative. Default: ours.
	Balancer kgo.GroupBalancer

	// FetchMaxBytes bounds one fetch of one broker. Default 8 MiB.
	FetchMaxBytes int32
	// FetchMaxPartitionBytes bounds what one fetch brings of one partition. Default 256 KiB: compressed some thousand events,
	// which stay near the processor until they are applied, and all shards get their turn.
	FetchMaxPartitionBytes int32
	// FetchMaxWait is how long a broker holds a fetch that has nothing. Default 500 ms.
	FetchMaxWait time.Duration
	// MaxSourceRecord is the largest source record in bytes; the application's topics take that much
	// and 64 KiB more. Default 1 MiB.
	MaxSourceRecord int32

	// WatchInterval is how often Watch looks at the topics. Default 10 s.
	WatchInterval time.Duration
	// ConnectTimeout bounds Open. Default 10 s.
	ConnectTimeout time.Duration
	// Dial replaces the network, for tests. Default nil: TCP, with TLS if configured.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger receives warnings and errors. Default: nothing is logged.
	Logger *slog.Logger
	// Metrics is where metrics are registered. Default nil: they are kept but not registered.
	Metrics prometheus.Registerer
}

// TopicConfig overrides how one topic is created and what is expected of it.
type TopicConfig struct {
	// ReplicationFactor, 0 for Config's.
	ReplicationFactor int16
	// Configs are Kafka topic settings, over ours.
	Configs map[string]string
}

// recordOverhead is what our records may need above the largest source record: a dead letter carries
// the record and says why.
const recordOverhead = 64 << 10

// maxNameLen keeps topic names within Kafka's 249 characters.
const maxNameLen = 200

var legalName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

// withDefaults returns c with every zero value filled in.
func (c Config) withDefaults() Config {
	def(&c.Shards, 8)
	def(&c.Slots, 8)
	def(&c.TransactionTimeout, 10*time.Second)
	def(&c.SessionTimeout, 6*time.Second)
	def(&c.HeartbeatInterval, 30*time.Millisecond)
	def(&c.RebalanceTimeout, 30*time.Second)
	def(&c.FetchMaxBytes, 8<<20)
	def(&c.FetchMaxPartitionBytes, 256<<10)
	def(&c.FetchMaxWait, 500*time.Millisecond)
	def(&c.MaxSourceRecord, 1<<20)
	def(&c.ConnectTimeout, 10*time.Second)
	def(&c.WatchInterval, 10*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Validate returns every fault of c, after defaults, joined into one error that is ErrConfig; nil if none.
func (c Config) Validate() error {
	c = c.withDefaults()
	var faults []error
	bad := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if len(c.Brokers) == 0 {
		bad("brokers: none given, expected host:port")
	}
	for _, b := range c.Brokers {
		host, port, err := net.SplitHostPort(b)
		if n, e := strconv.Atoi(port); err != nil || host == "" || e != nil || n < 0 || n > 65535 || n == 0 && c.Dial == nil {
			bad("brokers: %q is not host:port", b)
		}
	}
	checkName(bad, "app", c.App)
	checkName(bad, "instance", c.Instance)
	inRange(bad, "shards", int64(c.Shards), 1, 10_000)
	inRange(bad, "replication factor", int64(c.ReplicationFactor), 0, 100)
	inRange(bad, "min in-sync replicas", int64(c.MinISR), 0, 100)
	if c.ReplicationFactor > 0 && c.MinISR > c.ReplicationFactor {
		bad("min in-sync replicas: %d is above the replication factor %d", c.MinISR, c.ReplicationFactor)
	}
	inRange(bad, "slots", int64(c.Slots), 1, 64)
	inRange(bad, "max source record", int64(c.MaxSourceRecord), 1, 512<<20)
	inRange(bad, "fetch max bytes", int64(c.FetchMaxBytes), 1, 1<<30)
	inRange(bad, "fetch max partition bytes", int64(c.FetchMaxPartitionBytes), 1, int64(c.FetchMaxBytes))
	for _, d := range []struct {
		name string
		v    time.Duration
	}{
		{"transaction timeout", c.TransactionTimeout}, {"session timeout", c.SessionTimeout},
		{"heartbeat interval", c.HeartbeatInterval}, {"rebalance timeout", c.RebalanceTimeout},
		{"fetch max wait", c.FetchMaxWait}, {"connect timeout", c.ConnectTimeout}, {"watch interval", c.WatchInterval},
	} {
		if d.v < time.Millisecond || d.v > time.Hour {
			bad("%s: %v is outside 1ms to 1h", d.name, d.v)
		}
	}
	if c.HeartbeatInterval*3 > c.SessionTimeout {
		bad("heartbeat interval: %v is above a third of the session timeout %v", c.HeartbeatInterval, c.SessionTimeout)
	}
	for name := range c.Topics {
		if !slices.ContainsFunc(engine.Topics(), func(t engine.Topic) bool { return t.String() == name }) {
			bad("topics: %q is not a topic of ours", name)
		}
	}
	c.TLS.validate(bad)
	c.SASL.validate(bad, c.TLS.Enabled)
	if len(faults) == 0 {
		return nil
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return fmt.Errorf("%w: %w", ErrConfig, errors.Join(faults...))
}

func checkName(bad func(string, ...any), what, name string) {
	switch {
	case name == "":
		bad("%s: none given", what)
	case len(name) > maxNameLen:
		bad("%s: longer than %d characters", what, maxNameLen)
	case !legalName.MatchString(name):
		bad("%s: %q has characters other than letters, digits, '.', '_' and '-'", what, name)
	}
}

func inRange(bad func(string, ...any), what string, v, low, high int64) {
	if v < low || v > high {
		bad("%s: %d is outside %d to %d", what, v, low, high)
	}
}

// maxRecord is what max.message.bytes of our topics must be at least.
func (c *Config) maxRecord() int32 { return c.MaxSourceRecord + recordOverhead }

// TopicName returns the Kafka name of one of the application's topics.
func (c *Config) TopicName(t engine.Topic) string { return c.App + "." + t.String() }
