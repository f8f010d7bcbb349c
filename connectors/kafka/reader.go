package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/engine"
)

// reader fetches one partition from a position on, request by request. A consumer tells no position, only
// records: after markers, aborted records or what compaction left it would be unknown whether the
// end was reached.
type reader struct {
	c   *Cluster
	tp  engine.TopicPartition
	pos int64
	// failures counts fetches in a row that brought an error that may pass.
	failures int
	wait     waiting
}

const (
	// historyFetchBytes bounds one fetch of a reader; a larger batch still comes whole.
	historyFetchBytes = 4 << 20
	// historyWait is how long a broker holds a fetch when the rest is in an open transaction.
	historyWait = 20 * time.Millisecond
	// historyFailures is how many errors in a row end a read: some 15 s.
	historyFailures = 75
)

// fetch returns committed and control records at pos and moves pos behind what was read, which may be more
// than what was returned. It returns nothing at all when nothing more is committed yet.
func (r *reader) fetch(ctx context.Context) ([]*kgo.Record, error) {
	for {
		fp, next, err := r.once(ctx)
		if err == nil {
			err = fp.Err
		}
		switch {
		case err == nil:
			r.failures = 0
			if next > r.pos {
				r.wait = waiting{}
			} else if r.wait.long(r.c.cfg.TransactionTimeout) {
				r.c.hung(ctx, r.tp, r.pos)
			}
			r.pos = next
			return fp.Records, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("reading %s[%d]: %w", r.tp.Topic, r.tp.Partition, ctx.Err())
		case errors.Is(err, kerr.OffsetOutOfRange):
			return nil, r.outOfRange(ctx)
		case !passing(err) || r.failures >= historyFailures:
			return nil, fmt.Errorf("reading %s[%d] at %d: %w", r.tp.Topic, r.tp.Partition, r.pos, err)
		}
		r.failures++
		if err := pause(ctx, r.failures); err != nil {
			return nil, fmt.Errorf("reading %s[%d]: %w", r.tp.Topic, r.tp.Partition, err)
		}
	}
}

// passing says that an error may go away: a leader moved or a connection broke.
func passing(err error) bool {
	var ke *kerr.Error
	return !errors.As(err, &ke) || ke.Retriable || errors.Is(err, kerr.UnknownTopicID)
}

// outOfRange is ErrGap with what is there.
func (r *reader) outOfRange(ctx context.Context) error {
	parts := []engine.TopicPartition{r.tp}
	first, err := r.c.offsets(ctx, parts, earliest, false)
	if err != nil {
		return err
	}
	end, err := r.c.offsets(ctx, parts, latest, false)
	if err != nil {
		return err
	}
	return gap(r.tp, r.pos, first[r.tp], end[r.tp])
}

// once sends one fetch to the leader and returns what came and the position after it.
func (r *reader) once(ctx context.Context) (kgo.FetchPartition, int64, error) {
	age := time.Minute
	if r.failures > 0 {
		age = 0
	}
	meta, err := r.c.topic(ctx, r.tp.Topic, age)
	if err != nil {
		return kgo.FetchPartition{}, 0, err
	}
	leader, err := leaderOf(meta, r.tp.Partition)
	if err != nil {
		return kgo.FetchPartition{}, 0, err
	}
	resp, err := r.c.admin.Broker(int(leader)).RetriableRequest(ctx, r.request(meta.TopicID))
	if err != nil {
		return kgo.FetchPartition{}, 0, err
	}
	fetched := resp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(fetched.ErrorCode); err != nil {
		return kgo.FetchPartition{}, 0, err
	}
	for t := range fetched.Topics {
		for p := range fetched.Topics[t].Partitions {
			if rp := &fetched.Topics[t].Partitions[p]; rp.Partition == r.tp.Partition {
				fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
					KeepControlRecords: true, Offset: r.pos, IsolationLevel: kgo.ReadCommitted(),
					Topic: r.tp.Topic, Partition: r.tp.Partition,
				}, rp, decompressor(), nil)
				return fp, next, nil
			}
		}
	}
	return kgo.FetchPartition{}, 0, kerr.UnknownTopicOrPartition
}

func (r *reader) request(id [16]byte) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis = int32(historyWait.Milliseconds())
	req.MinBytes = 1
	req.MaxBytes = historyFetchBytes
	req.IsolationLevel = 1
	req.SessionEpoch = -1 // no session: the next fetch may be of another partition
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = r.tp.Topic, id
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = r.tp.Partition, r.pos, historyFetchBytes
	p.CurrentLeaderEpoch = -1
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func leaderOf(meta *kmsg.MetadataResponseTopic, partition int32) (int32, error) {
	for _, p := range meta.Partitions {
		if p.Partition == partition {
			if p.Leader < 0 {
				return 0, kerr.LeaderNotAvailable
			}
			return p.Leader, nil
		}
	}
	return 0, kerr.UnknownTopicOrPartition
}
