package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Embedded says how to run a broker inside this process, for trying things out, for tests and for small
// installations: one broker, no replication.
type Embedded struct {
	// Dir keeps the data from one start to the next. Default: in memory.
	Dir string
	// SyncWrites makes every write durable before it is acknowledged; without it a power cut may lose the
	// last ones. Only with Dir.
	SyncWrites bool
	// Port on the loopback address. Default 0: any free one.
	Port int
	// Listen replaces the network, for tests. Default nil: TCP.
	Listen func(network, address string) (net.Listener, error)
	// Topics are created with that many partitions when they are missing.
	Topics map[string]int32
	// Logger receives warnings and errors. Default: nothing is logged.
	Logger *slog.Logger
}

// Broker is a broker inside this process.
type Broker struct {
	cluster *kfake.Cluster
	once    sync.Once
}

// StartEmbedded starts a broker. The caller must Close it, after everything connected to it.
func StartEmbedded(e Embedded) (*Broker, error) {
	opts := []kfake.Opt{
		kfake.NumBrokers(1), kfake.Ports(e.Port),
		kfake.BrokerConfigs(map[string]string{
			"default.replication.factor": "1",
			// As much as one may ask for: our own topics set their limits.
			"message.max.bytes": "134217728",
		}),
	}
	if e.Dir != "" {
		opts = append(opts, kfake.DataDir(e.Dir))
		if e.SyncWrites {
			opts = append(opts, kfake.SyncWrites())
		}
	}
	if e.Listen != nil {
		opts = append(opts, kfake.ListenFn(e.Listen))
	}
	for t, n := range e.Topics {
		opts = append(opts, kfake.SeedTopics(n, t))
	}
	if e.Logger != nil {
		opts = append(opts, kfake.WithLogger(embeddedLogger{e.Logger}))
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, fmt.Errorf("starting the embedded broker: %w", err)
	}
	return &Broker{cluster: cluster}, nil
}

// Addresses are the Config.Brokers to connect to.
func (b *Broker) Addresses() []string { return b.cluster.ListenAddrs() }

// Close stops the broker and, with a directory, writes what is not yet on disk.
func (b *Broker) Close() { b.once.Do(b.cluster.Close) }

type embeddedLogger struct{ log *slog.Logger }

// Logf implements kfake.Logger.
func (l embeddedLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	to := slog.LevelDebug
	switch {
	case level == kfake.LogLevelError:
		to = slog.LevelError
	case level == kfake.LogLevelWarn && !strings.Contains(format, " slow"): // It finds 10 ms slow.
		to = slog.LevelWarn
	case level != kfake.LogLevelWarn:
		return
	}
	l.log.Log(context.Background(), to, fmt.Sprintf("embedded broker: "+format, args...))
}
