package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// SourceTopic describes a topic that events are to be written to.
type SourceTopic struct {
	Partitions int32
	// KeepsAll says that records stay whatever their timestamp: time deletes none. Where it is false, a record
	// with a timestamp older than the topic's retention is deleted soon after it was written.
	KeepsAll bool
}

// SourceTopic looks a topic up. A topic that does not exist is ErrTopic.
func (c *Cluster) SourceTopic(ctx context.Context, topic string) (SourceTopic, error) {
	n, err := c.Partitions(ctx, topic)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return SourceTopic{}, fmt.Errorf("%w: topic %q does not exist: create it, or correct its name", ErrTopic, topic)
	}
	if err != nil {
		return SourceTopic{}, fmt.Errorf("%w: %w", ErrTopic, err)
	}
	s := SourceTopic{Partitions: n}
	configs, err := kadm.NewClient(c.admin).DescribeTopicConfigs(ctx, topic)
	if err == nil && len(configs) == 1 {
		err = configs[0].Err
	}
	if err != nil || len(configs) != 1 {
		return s, nil // without the right to see settings, the careful answer
	}
	settings := map[string]string{}
	for _, k := range configs[0].Configs {
		settings[k.Key] = k.MaybeValue()
	}
	s.KeepsAll = settings[cfgRetention] == "-1" || !strings.Contains(settings[cfgCleanup], "delete")
	return s, nil
}

// SendAt is Send for a record that says when its event happened, in ms since 1970. It returns the first error
// that there has been, so that a long run need not be finished to be found in vain.
func (p *Producer) SendAt(ctx context.Context, topic string, key, value []byte, at int64) error {
	p.send(ctx, &kgo.Record{Topic: topic, Key: key, Value: value, Timestamp: time.UnixMilli(at)})
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}
