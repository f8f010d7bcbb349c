package kafka_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/bench/broker"
	"leadstream/engine"
)

// TestStableOffsets: an offset in an open transaction is waited for. Taking the one before would mean to apply again
// what may be committed a moment later.
func TestStableOffsets(t *testing.T) {
	brokers := []string{broker.Shared(t).Addr()}
	e := env(t, brokers)
	app := strings.TrimSuffix(e.Source, ".source")
	history := e.Open(t, "a").History
	cl := client(t, brokers, kgo.TransactionalID(app+"-gone-0"))
	check(t, cl.BeginTransaction())
	check(t, cl.ProduceSync(t.Context(), records(e.Source, 0, []string{"x"})...).FirstErr())
	pid, epoch, err := cl.ProducerID(t.Context())
	check(t, err)
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = app+"-gone-0", pid, epoch, app
	added, err := add.RequestWith(t.Context(), cl)
	check(t, err)
	check(t, kerr.ErrorForCode(added.ErrorCode))
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group, req.Generation = app+"-gone-0", pid, epoch, app, -1
	topic, part := kmsg.NewTxnOffsetCommitRequestTopic(), kmsg.NewTxnOffsetCommitRequestTopicPartition()
	part.Offset = 5
	topic.Topic, topic.Partitions = e.Source, append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(t.Context(), cl)
	check(t, err)
	check(t, kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))

	tp := engine.TopicPartition{Topic: e.Source}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if got, err := history.Committed(ctx, []engine.TopicPartition{tp}); err == nil {
		t.Fatalf("while the transaction is open the offsets are %v", got)
	}
	check(t, cl.EndTransaction(t.Context(), kgo.TryCommit))
	got, err := history.Committed(t.Context(), []engine.TopicPartition{tp})
	check(t, err)
	if got[tp] != 5 {
		t.Errorf("once it is committed they are %v", got)
	}
}
