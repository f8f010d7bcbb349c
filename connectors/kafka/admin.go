package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/engine"
)

// adminTries bounds how often one administrative question is asked again while leaders move.
const adminTries = 50

// Partitions returns how many partitions a topic has now.
func (c *Cluster) Partitions(ctx context.Context, topic string) (int32, error) {
	m, err := c.topic(ctx, topic, 0)
	if err != nil {
		return 0, err
	}
	return int32(len(m.Partitions)), nil
}

// topic returns a topic's metadata that is at most age old (0: about 100 ms).
func (c *Cluster) topic(ctx context.Context, topic string, age time.Duration) (*kmsg.MetadataResponseTopic, error) {
	var last error
	for try := range adminTries {
		req := kmsg.NewPtrMetadataRequest()
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, t)
		resp, err := c.admin.RequestCachedMetadata(ctx, req, age)
		if err != nil {
			return nil, fmt.Errorf("asking for topic %q: %w", topic, err)
		}
		if len(resp.Topics) != 1 {
			return nil, fmt.Errorf("asking for topic %q: %d topics answered", topic, len(resp.Topics))
		}
		last = kerr.ErrorForCode(resp.Topics[0].ErrorCode)
		if last == nil {
			return &resp.Topics[0], nil
		}
		if errors.Is(last, kerr.UnknownTopicOrPartition) || !kerr.IsRetriable(last) {
			break
		}
		if err := pause(ctx, try); err != nil {
			return nil, err
		}
		age = 0
	}
	return nil, fmt.Errorf("asking for topic %q: %w", topic, last)
}

// pause waits before the next try, or until ctx ends.
func pause(ctx context.Context, try int) error {
	t := time.NewTimer(min(10*time.Millisecond<<min(try, 5), 200*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Which offset of a partition to ask for.
const (
	earliest = int64(-2)
	latest   = int64(-1)
)

// offsets asks the leaders for one offset of each partition: earliest, or latest, which for a
// committed reader is the last stable offset and else the high watermark.
func (c *Cluster) offsets(ctx context.Context, parts []engine.TopicPartition, which int64, committed bool) (map[engine.TopicPartition]int64, error) {
	out := make(map[engine.TopicPartition]int64, len(parts))
	left := parts
	var last error
	for try := 0; len(left) > 0; try++ {
		if try == adminTries {
			return nil, fmt.Errorf("asking for offsets: %w", last)
		}
		if try > 0 {
			if err := pause(ctx, try); err != nil {
				return nil, fmt.Errorf("asking for offsets: %w", errors.Join(err, last))
			}
		}
		resp, err := listRequest(left, which, committed).RequestWith(ctx, c.admin)
		if err != nil {
			return nil, fmt.Errorf("asking for offsets of %s[%d] and %d more: %w", left[0].Topic, left[0].Partition, len(left)-1, err)
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				tp := engine.TopicPartition{Topic: t.Topic, Partition: p.Partition}
				switch err := kerr.ErrorForCode(p.ErrorCode); {
				case err == nil:
					out[tp] = p.Offset
				case kerr.IsRetriable(err) && (try < 10 || !errors.Is(err, kerr.UnknownTopicOrPartition)):
					last = fmt.Errorf("%s[%d]: %w", tp.Topic, tp.Partition, err)
				default:
					return nil, fmt.Errorf("asking for offsets of %s[%d]: %w", tp.Topic, tp.Partition, err)
				}
			}
		}
		left = missing(parts, out)
	}
	return out, nil
}

func missing(parts []engine.TopicPartition, have map[engine.TopicPartition]int64) []engine.TopicPartition {
	var left []engine.TopicPartition
	for _, tp := range parts {
		if _, ok := have[tp]; !ok {
			left = append(left, tp)
		}
	}
	return left
}

func listRequest(parts []engine.TopicPartition, which int64, committed bool) *kmsg.ListOffsetsRequest {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	if committed {
		req.IsolationLevel = 1
	}
	for topic, ps := range byTopic(parts) {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for _, p := range ps {
			q := kmsg.NewListOffsetsRequestTopicPartition()
			q.Partition, q.Timestamp = p, which
			t.Partitions = append(t.Partitions, q)
		}
		req.Topics = append(req.Topics, t)
	}
	return req
}

// byTopic groups partitions for requests, where their order does not matter.
func byTopic(parts []engine.TopicPartition) map[string][]int32 {
	m := map[string][]int32{}
	for _, tp := range parts {
		m[tp.Topic] = append(m[tp.Topic], tp.Partition)
	}
	return m
}

// Ends returns where the partitions of one of the application's topics end for those who read what is committed.
func (c *Cluster) Ends(ctx context.Context, t engine.Topic) (map[engine.TopicPartition]int64, error) {
	var parts []engine.TopicPartition
	for p := range c.partitions(t) {
		parts = append(parts, engine.TopicPartition{Topic: c.TopicName(t), Partition: p})
	}
	return c.offsets(ctx, parts, latest, true)
}
