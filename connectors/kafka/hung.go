package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/engine"
)

// A cluster decides every transaction within its time-out and a little. One that stays open is hung: the
// coordinator has forgotten it, and committed readers wait before it for ever. Apache Kafka does that when a
// coordinator restarts while a partition of a decided transaction has no leader, as when all brokers of a
// cluster are killed at once: it takes the partition for deleted and writes no marker (seen with 4.3.1; its log
// says "likely deleted already"). What was decided can't be known from outside, so an operator has to end it.

// waiting says when a wait for an open transaction is longer than can be.
type waiting struct {
	since, said time.Time
}

// hungAgain is how often a hung transaction is reported.
const hungAgain = 30 * time.Second

// long notes that there was nothing to read and says whether that should be reported.
func (w *waiting) long(timeout time.Duration) bool {
	now := time.Now()
	if w.since.IsZero() {
		w.since = now
	}
	// Timed out transactions are looked for every 10 s by default.
	if now.Sub(w.since) < 2*timeout+10*time.Second || now.Sub(w.said) < hungAgain {
		return false
	}
	w.said = now
	return true
}

const (
	hungRecords = "an open transaction is in the way and was not ended by its time-out: if no broker is about to come back, end it with kafka-transactions.sh abort (see Operations, hung transactions)"
	hungOffsets = "offsets are in an open transaction that was not ended by its time-out: if no broker is about to come back, restart the group's coordinator (see Operations, hung transactions)"
)

// hung reports the transactions that keep a partition from being read on.
func (c *Cluster) hung(ctx context.Context, tp engine.TopicPartition, at int64) {
	c.metrics.hung.Inc()
	req := kmsg.NewPtrDescribeProducersRequest()
	t := kmsg.NewDescribeProducersRequestTopic()
	t.Topic, t.Partitions = tp.Topic, []int32{tp.Partition}
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, c.admin)
	if err != nil {
		c.log.Warn(hungRecords, "topic", tp.Topic, "partition", tp.Partition, "offset", at, "error", err)
		return
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				c.log.Warn(hungRecords, "topic", tp.Topic, "partition", tp.Partition, "offset", at, "error", err)
			}
			for _, open := range p.ActiveProducers {
				if open.CurrentTxnStartOffset >= 0 {
					c.log.Warn(hungRecords, "topic", tp.Topic, "partition", tp.Partition, "offset", at, "start_offset", open.CurrentTxnStartOffset,
						"producer_id", open.ProducerID, "producer_epoch", open.ProducerEpoch, "coordinator_epoch", open.CoordinatorEpoch)
				}
			}
		}
	}
}
