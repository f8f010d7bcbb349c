package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"leadstream/engine"
)

// Cluster is a connection to a Kafka cluster: what Group, Inputs, Committer and History share. Its
// methods may be called from several goroutines.
type Cluster struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	// base are the options of every client: addresses, security, retries.
	base []kgo.Opt
	// admin serves everything that is neither membership, nor steady reading, nor writing.
	admin *kgo.Client
	id    string
	// txnV2 says that the cluster runs transactions of version 2 (KIP-890): partitions and offsets join
	// a transaction without being announced, and every end raises the producer's epoch.
	txnV2 bool
	// topicIDs is set by EnsureTopics.
	topicIDs map[string]string
}

// required are the oldest request versions that work: offsets in transactions that are checked
// against the group's generation (KIP-447), stable offsets, and deleting records.
var required = []struct {
	key     kmsg.Key
	version int16
	what    string
}{
	{kmsg.TxnOffsetCommit, 3, "offset commits fenced by group generation"},
	{kmsg.OffsetFetch, 7, "stable offset fetches"},
	{kmsg.InitProducerID, 2, "transactional producers"},
	{kmsg.Fetch, 11, "fetching"},
	{kmsg.DeleteRecords, 1, "deleting records"},
	{kmsg.LeaveGroup, 3, "static members"},
}

// Open connects within cfg.ConnectTimeout. It returns ErrConfig, ErrUnreachable, ErrDenied or
// ErrUnsupported. The caller must Close the result after everything made from it is closed.
func Open(ctx context.Context, cfg Config) (*Cluster, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg.withDefaults()}
	c.log = c.cfg.Logger
	m, err := newMetrics(c.cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("registering kafka metrics: %w", err)
	}
	c.metrics = m
	if err := c.buildBase(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	if c.admin, err = kgo.NewClient(c.options(roleAdmin, kgo.MaxVersions(pinned(false)))...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	return c, nil
}

// buildBase fills in the options of every client.
func (c *Cluster) buildBase() error {
	c.base = []kgo.Opt{
		kgo.SeedBrokers(c.cfg.Brokers...),
		kgo.DialTimeout(c.cfg.ConnectTimeout),
		// After a leader moves, a client learns where to no sooner than this.
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.RetryBackoffFn(retryBackoff),
		kgo.WithLogger(&clientLogger{log: c.log}),
		kgo.DisableClientMetrics(),
	}
	tlsConfig, err := c.cfg.TLS.config()
	if err != nil {
		return err
	}
	switch {
	case c.cfg.Dial != nil:
		c.base = append(c.base, kgo.Dialer(c.cfg.Dial))
	case tlsConfig != nil:
		c.base = append(c.base, kgo.DialTLSConfig(tlsConfig))
	}
	if m := c.cfg.SASL.mechanism(); m != nil {
		c.base = append(c.base, kgo.SASL(m))
	}
	return nil
}

// retryBackoff starts low: most of what is retried is over in milliseconds.
func retryBackoff(tries int) time.Duration {
	return min(20*time.Millisecond<<min(tries-1, 6), time.Second)
}

// options returns the base options for a client with this role, and more.
func (c *Cluster) options(role string, more ...kgo.Opt) []kgo.Opt {
	opts := slices.Clone(c.base)
	opts = append(opts, kgo.ClientID(c.clientID(c.cfg.Instance, role)), kgo.AlwaysRetryEOF())
	return append(opts, more...)
}

// compression is how all that is written is compressed. Beside snappy, zstd took some 0.7 of the bytes of a drained topic and 0.85 of those
// at a live rate, for as much CPU as could be measured.
func compression() kgo.Opt {
	return kgo.ProducerBatchCompression(kgo.ZstdCompression(), kgo.NoCompression())
}

// The roles of clients, which brokers see in client ids.
const (
	roleAdmin, roleGroup, roleInputs, roleCommit = "admin", "group", "inputs", "commit"
)

func (c *Cluster) clientID(instance, role string) string {
	return c.cfg.App + "-" + instance + "-" + role
}

// pinned caps the requests that newer versions address by topic id alone: offsets are committed and
// fetched by name, here and by every other tool that looks at the group. With oldTransactions
// a producer also keeps to what clusters below transaction version 2 understand.
func pinned(oldTransactions bool) *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(kmsg.OffsetCommit.Int16(), 9)
	v.SetMaxKeyVersion(kmsg.OffsetFetch.Int16(), 9)
	v.SetMaxKeyVersion(kmsg.TxnOffsetCommit.Int16(), 5)
	if oldTransactions {
		v.SetMaxKeyVersion(kmsg.TxnOffsetCommit.Int16(), 4)
	}
	return v
}

// connect finds a broker and checks what it can do. Its client is its own: to this one a broker that
// hangs up at once is a sign of the wrong protocol, and to all others one that restarts.
func (c *Cluster) connect(ctx context.Context) error {
	probe, err := kgo.NewClient(append(slices.Clone(c.base), kgo.ClientID(c.clientID(c.cfg.Instance, roleAdmin)),
		// Closing it waits for a broker that accepts and says nothing.
		kgo.RequestTimeoutOverhead(max(c.cfg.ConnectTimeout, 100*time.Millisecond)))...)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	defer probe.Close()
	for try := 0; ; try++ {
		if err = probe.Ping(ctx); err == nil {
			break
		}
		// A broker that is just being started refuses connections; anything else stays as it is.
		if !errors.Is(err, syscall.ECONNREFUSED) || pause(ctx, try) != nil {
			return c.connectError(err)
		}
	}
	versions, err := kmsg.NewPtrApiVersionsRequest().RequestWith(ctx, probe)
	if err == nil {
		err = kerr.ErrorForCode(versions.ErrorCode)
	}
	if err != nil {
		return c.connectError(err)
	}
	have := map[int16]int16{}
	for _, k := range versions.ApiKeys {
		have[k.ApiKey] = k.MaxVersion
	}
	for _, r := range required {
		if v, ok := have[r.key.Int16()]; !ok || v < r.version {
			return fmt.Errorf("%w: the brokers lack %s; Kafka 2.8 or newer is needed", ErrUnsupported, r.what)
		}
	}
	for _, f := range versions.FinalizedFeatures {
		if f.Name == "transaction.version" && f.MaxVersionLevel >= 2 && have[kmsg.TxnOffsetCommit.Int16()] >= 5 {
			c.txnV2 = true
		}
	}
	meta, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, probe)
	if err != nil {
		return c.connectError(err)
	}
	if meta.ClusterID != nil {
		c.id = *meta.ClusterID
	}
	return nil
}

func (c *Cluster) connectError(err error) error {
	addresses := strings.Join(c.cfg.Brokers, ", ")
	if errors.Is(err, kerr.SaslAuthenticationFailed) || errors.Is(err, kerr.UnsupportedSaslMechanism) || errors.Is(err, kerr.IllegalSaslState) {
		return fmt.Errorf("%w: authenticating with %s as configured under sasl: %w", ErrDenied, addresses, err)
	}
	check := "check that a broker runs there, that the network lets this process connect, and that its listener is plain text"
	switch {
	case c.cfg.TLS.Enabled:
		check = "check that a broker runs there, that the network lets this process connect, that its listener uses TLS, and that the certificate matches name and authorities"
	case c.cfg.SASL.Mechanism != "":
		check += " with SASL"
	}
	return fmt.Errorf("%w at %s: %s: %w", ErrUnreachable, addresses, check, err)
}

// ClusterID returns the cluster's own id; a different one means other data.
func (c *Cluster) ClusterID() string { return c.id }

// TopicName returns the Kafka name of one of the application's topics.
func (c *Cluster) TopicName(t engine.Topic) string { return c.cfg.TopicName(t) }

// Close releases what the parts share.
func (c *Cluster) Close() { c.admin.Close() }
