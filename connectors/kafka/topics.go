package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"leadstream/engine"
)

// The settings of topics that matter to us.
const (
	cfgCleanup         = "cleanup.policy"
	cfgMaxMessage      = "max.message.bytes"
	cfgMinISR          = "min.insync.replicas"
	cfgRetention       = "retention.ms"
	cfgRetentionBytes  = "retention.bytes"
	cfgTimestamp       = "message.timestamp.type"
	cfgCompactionLag   = "min.compaction.lag.ms"
	cfgDeleteRetention = "delete.retention.ms"
)

// How long a compacted topic keeps what a slow load may still have to see.
const (
	compactionLag   = time.Hour
	deleteRetention = 24 * time.Hour
)

// optional settings are left out when a cluster does not know them: they only lengthen the time a
// load may take.
var optional = []string{cfgCompactionLag}

// newTopicTries is how often a source topic that is missing is looked for, over some two seconds.
const newTopicTries = 13

// EnsureTopics creates the application's topics that are missing, checks those that are there, and the
// sources. It returns the sources' partition counts, or ErrTopic naming everything that is wrong.
func (c *Cluster) EnsureTopics(ctx context.Context, sources []string) (map[string]int32, error) {
	adm := kadm.NewClient(c.admin)
	names := make([]string, 0, len(sources)+len(engine.Topics()))
	for _, t := range engine.Topics() {
		names = append(names, c.TopicName(t))
	}
	names = append(names, sources...)
	have, err := adm.ListTopics(ctx, names...)
	// A topic that was created a moment ago may not be known to every broker yet.
	for try := 0; err == nil && try < newTopicTries && slices.ContainsFunc(sources, func(s string) bool { return errors.Is(have[s].Err, kerr.UnknownTopicOrPartition) }); try++ {
		if err = pause(ctx, try); err == nil {
			have, err = adm.ListTopics(ctx, names...)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listing topics: %w", err)
	}
	var faults []error
	counts := map[string]int32{}
	for _, s := range sources {
		switch d := have[s]; {
		case slices.ContainsFunc(engine.Topics(), func(t engine.Topic) bool { return c.TopicName(t) == s }):
			faults = append(faults, fmt.Errorf("source topic %q is one of the application's own topics", s))
		case d.Err == nil && len(d.Partitions) > 0:
			counts[s] = int32(len(d.Partitions))
		case d.Err == nil || errors.Is(d.Err, kerr.UnknownTopicOrPartition):
			faults = append(faults, fmt.Errorf("source topic %q does not exist: create it, or correct its name", s))
		default:
			faults = append(faults, fmt.Errorf("source topic %q: %w", s, d.Err))
		}
	}
	if len(faults) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrTopic, errors.Join(faults...))
	}
	for _, t := range engine.Topics() {
		if d := have[c.TopicName(t)]; errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			faults = append(faults, c.create(ctx, adm, t))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTopic, err)
	}
	if err := c.checkTopics(ctx, adm, sources); err != nil {
		return nil, err
	}
	c.topicIDs = map[string]string{}
	for _, name := range append([]string{c.TopicName(engine.TopicInbox)}, sources...) {
		if d := have[name]; d.Err == nil && d.ID != (kadm.TopicID{}) {
			c.topicIDs[name] = string(d.ID[:])
		}
	}
	return counts, nil
}

// TopicIDs are the cluster's ids of the sources and the inbox as EnsureTopics found them: 16 bytes each. A topic that it made, or
// that a cluster older than topic ids has, is left out.
func (c *Cluster) TopicIDs() map[string]string { return c.topicIDs }

// topicConfigs are the settings t is created with, its overrides included.
func (c *Cluster) topicConfigs(t engine.Topic) map[string]string {
	m := map[string]string{cfgMaxMessage: strconv.Itoa(int(c.cfg.maxRecord()))}
	if c.cfg.MinISR > 0 {
		m[cfgMinISR] = strconv.Itoa(int(c.cfg.MinISR))
	}
	switch t {
	case engine.TopicState, engine.TopicRules:
		m[cfgCleanup] = "compact"
		m[cfgCompactionLag] = millis(compactionLag)
		m[cfgDeleteRetention] = millis(deleteRetention)
	case engine.TopicJournal:
		m[cfgCleanup], m[cfgRetention], m[cfgRetentionBytes] = "delete", "-1", "-1"
		m[cfgTimestamp] = "LogAppendTime"
	case engine.TopicInbox:
		m[cfgCleanup], m[cfgRetention], m[cfgRetentionBytes] = "delete", "-1", "-1"
	case engine.TopicAudit:
		// Who was asked to forget whom must be provable for as long as somebody may ask.
		m[cfgCleanup], m[cfgRetention], m[cfgRetentionBytes] = "delete", "-1", "-1"
	default:
		// Outputs are for others, who read them in time: the cluster's own retention holds.
		m[cfgCleanup] = "delete"
	}
	maps.Copy(m, c.cfg.Topics[t.String()].Configs)
	return m
}

// partitions is how many t has: one a shard, but the rule sets are for all.
func (c *Cluster) partitions(t engine.Topic) int32 {
	if t == engine.TopicRules {
		return 1
	}
	return c.cfg.Shards
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func (c *Cluster) create(ctx context.Context, adm *kadm.Client, t engine.Topic) error {
	factor := c.cfg.ReplicationFactor
	def(&factor, -1) // Kafka's word for the cluster's default
	if o := c.cfg.Topics[t.String()]; o.ReplicationFactor > 0 {
		factor = o.ReplicationFactor
	}
	configs := map[string]*string{}
	for k, v := range c.topicConfigs(t) {
		configs[k] = kadm.StringPtr(v)
	}
	name, n := c.TopicName(t), c.partitions(t)
	_, err := adm.CreateTopic(ctx, n, factor, configs, name)
	if errors.Is(err, kerr.InvalidConfig) {
		for _, k := range optional {
			delete(configs, k)
		}
		_, err = adm.CreateTopic(ctx, n, factor, configs, name)
	}
	switch {
	case err == nil:
		c.log.Info("topic created", "topic", name, "partitions", n)
	case errors.Is(err, kerr.TopicAlreadyExists): // another instance was faster
	default:
		return fmt.Errorf("creating topic %q with %d partitions and replication factor %d: %w", name, n, factor, err)
	}
	return nil
}

// checkTopics waits until topics just created are known, and compares all of them with what they must be.
func (c *Cluster) checkTopics(ctx context.Context, adm *kadm.Client, sources []string) error {
	var faults []error
	names := append([]string{}, sources...)
	for _, t := range engine.Topics() {
		name := c.TopicName(t)
		names = append(names, name)
		n, err := c.waitTopic(ctx, name)
		switch want := c.partitions(t); {
		case err != nil:
			return err
		case n != want && want != c.cfg.Shards:
			faults = append(faults, fmt.Errorf("topic %q has %d partitions, expected %d: start over with another application name", name, n, want))
		case n != want:
			faults = append(faults, c.wrongCount(name, n))
		}
	}
	configs, err := adm.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return fmt.Errorf("reading topic settings: %w", err)
	}
	settings := map[string]map[string]string{}
	for _, r := range configs {
		if r.Err != nil {
			return fmt.Errorf("reading settings of topic %q: %w", r.Name, r.Err)
		}
		m := map[string]string{}
		for _, k := range r.Configs {
			m[k.Key] = k.MaybeValue()
		}
		settings[r.Name] = m
	}
	for _, t := range engine.Topics() {
		faults = append(faults, c.checkTopic(t, settings[c.TopicName(t)])...)
	}
	for _, s := range sources {
		c.warnSource(s, settings[s])
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrTopic, errors.Join(faults...))
	}
	return nil
}

// wrongCount says that one of the application's topics has another number of partitions than there are shards.
func (c *Cluster) wrongCount(topic string, found int32) error {
	if found > c.cfg.Shards {
		return fmt.Errorf("topic %q has %d partitions, expected %d, one for each shard: if the application was made with %[2]d shards, set shards: %[2]d; "+
			"if partitions were added, that can't be undone: `leadstream reshard` moves the application into new topics", topic, found, c.cfg.Shards)
	}
	return fmt.Errorf("topic %q has %d partitions, expected %d, one for each shard: set shards: %[2]d, or run `leadstream reshard --shards %d` with that setting to have more",
		topic, found, c.cfg.Shards, c.cfg.Shards)
}

// waitTopic returns a topic's partition count once all its partitions have leaders.
func (c *Cluster) waitTopic(ctx context.Context, name string) (int32, error) {
	for try := range adminTries {
		m, err := c.topic(ctx, name, 0)
		if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return 0, err
		}
		if err == nil {
			led := 0
			for _, p := range m.Partitions {
				if p.ErrorCode == 0 && p.Leader >= 0 {
					led++
				}
			}
			if led == len(m.Partitions) && led > 0 {
				return int32(led), nil
			}
		}
		if err := pause(ctx, try); err != nil {
			return 0, fmt.Errorf("waiting for topic %q: %w", name, err)
		}
	}
	return 0, fmt.Errorf("%w: topic %q has partitions without a leader: check the cluster's brokers", ErrTopic, name)
}

// checkTopic compares what matters. Sizes and times may be larger than asked for, policies must be equal.
func (c *Cluster) checkTopic(t engine.Topic, have map[string]string) []error {
	var faults []error
	want := c.topicConfigs(t)
	for _, k := range slices.Sorted(maps.Keys(want)) {
		is, known := have[k]
		if !known || is == want[k] {
			continue
		}
		ok := false
		switch k {
		case cfgMaxMessage, cfgCompactionLag, cfgDeleteRetention:
			ok = number(is) >= number(want[k])
		case cfgCleanup:
			ok = sameSet(is, want[k]) || want[k] == "delete" && t != engine.TopicJournal && t != engine.TopicInbox
		case cfgRetention, cfgRetentionBytes, cfgTimestamp:
			ok = t == engine.TopicAudit // how long to prove it is the operator's to say
		default:
			// The rest, like min.insync.replicas, is how a topic was made, and the operator's to change.
			ok = true
		}
		if !ok {
			faults = append(faults, fmt.Errorf("topic %q has %s=%s, expected %s: change it with kafka-configs --alter --entity-type topics "+
				"--entity-name %s --add-config %s=%s", c.TopicName(t), k, is, want[k], c.TopicName(t), k, want[k]))
		}
	}
	return faults
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func sameSet(a, b string) bool {
	as, bs := strings.Split(a, ","), strings.Split(b, ",")
	slices.Sort(as)
	slices.Sort(bs)
	return slices.Equal(as, bs)
}

// warnSource tells of settings of a source topic that lose something.
func (c *Cluster) warnSource(topic string, have map[string]string) {
	if strings.Contains(have[cfgCleanup], "compact") {
		c.log.Warn("source topic is compacted: events of one key may be removed before they are read, and "+
			"recovery stops when it needs one", "topic", topic, "cleanup_policy", have[cfgCleanup])
	}
	if n := number(have[cfgMaxMessage]); n > int64(c.cfg.MaxSourceRecord) {
		c.log.Warn("source topic allows larger records than configured: larger ones that can't be read go to the "+
			"dead-letter topic truncated", "topic", topic, "max_message_bytes", n, "max_source_record", c.cfg.MaxSourceRecord)
	}
}
