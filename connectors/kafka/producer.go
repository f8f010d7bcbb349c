package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/engine"
)

// Producer writes records beside the engine: events that are fed in, and commands. Its methods may be
// called from several goroutines.
type Producer struct {
	client *kgo.Client
	inbox  string

	mu  sync.Mutex
	err error
}

// maxBuffered bounds the records that Send holds; when they are reached it waits.
const maxBuffered = 10_000

// maxBufferedBytes bounds their size: large records are fewer.
const maxBufferedBytes = 64 << 20

// Producer makes a producer. It must be closed.
func (c *Cluster) Producer() (*Producer, error) {
	client, err := kgo.NewClient(c.options("producer", kgo.ProducerLinger(time.Millisecond), kgo.MaxBufferedRecords(maxBuffered),
		kgo.MaxBufferedBytes(maxBufferedBytes), kgo.ProducerBatchMaxBytes(c.cfg.maxRecord()),
		kgo.RecordPartitioner(partitioner()))...)
	if err != nil {
		return nil, fmt.Errorf("opening producer: %w", err)
	}
	return &Producer{client: client, inbox: c.TopicName(engine.TopicInbox)}, nil
}

// partitioner puts a record without key where it says, and any other where Kafka's clients put its key.
func partitioner() kgo.Partitioner {
	byKey := kgo.StickyKeyPartitioner(nil)
	return kgo.BasicConsistentPartitioner(func(topic string) func(*kgo.Record, int) int {
		keyed := byKey.ForTopic(topic)
		return func(r *kgo.Record, n int) int {
			if r.Key == nil {
				return int(r.Partition)
			}
			return keyed.Partition(r, n)
		}
	})
}

// Send writes a record to the partition of its key, and waits only while too many are on their way. Key and
// value must not be changed until Flush. What goes wrong is reported by Flush.
func (p *Producer) Send(ctx context.Context, topic string, key, value []byte) {
	p.send(ctx, &kgo.Record{Topic: topic, Key: key, Value: value})
}

// Command writes a message to one shard's inbox. What goes wrong is reported by Flush.
func (p *Producer) Command(ctx context.Context, shard int32, message []byte) {
	p.send(ctx, &kgo.Record{Topic: p.inbox, Partition: shard, Value: message})
}

func (p *Producer) send(ctx context.Context, r *kgo.Record) {
	p.client.Produce(ctx, r, func(r *kgo.Record, err error) {
		if err == nil {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.err == nil {
			p.err = fmt.Errorf("writing to topic %q: %w", r.Topic, err)
		}
	})
}

// Flush waits until everything is written and returns the first error there ever was.
func (p *Producer) Flush(ctx context.Context) error {
	err := p.client.Flush(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.err, err)
}

// Close releases the producer; what was not flushed may be lost.
func (p *Producer) Close() { p.client.Close() }
