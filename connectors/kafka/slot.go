package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/engine"
)

// slot is one transactional id and the producer that holds it. After anything but a clean end its
// producer is thrown away: the next one takes the id over, and doing so ends whatever the last one left
// open. So no state of the client library after an error has to be understood.
type slot struct {
	c  *Cluster
	id string
	cl *kgo.Client
	// ready says that cl holds the id and has nothing open.
	ready bool
	// ends counts EndTxn requests put on the wire. An answer to the only one sent is the truth about it; a
	// refusal of a repeated one may be caused by the first having worked.
	ends atomic.Int32

	records []kgo.Record // reused from one transaction to the next
}

// OnBrokerWrite counts the requests that decide a transaction.
func (s *slot) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, written int, _, _ time.Duration, _ error) {
	if key == kmsg.EndTxn.Int16() && written > 0 {
		s.ends.Add(1)
	}
}

// init makes the producer hold its id, which ends what anyone left open under it.
func (s *slot) init(ctx context.Context) error {
	if s.ready {
		return nil
	}
	s.drop()
	cl, err := kgo.NewClient(s.c.options(roleCommit,
		// The first transaction waits for it.
		kgo.MetadataMinAge(10*time.Millisecond),
		kgo.TransactionalID(s.id), kgo.TransactionTimeout(s.c.cfg.TransactionTimeout),
		kgo.MaxVersions(pinned(!s.c.txnV2)), kgo.WithHooks(s),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RequiredAcks(kgo.AllISRAcks()),
		// Everything goes out in one request per broker, with the flush. Sending from the first record on was
		// measured slower: several requests, each joining the transaction anew.
		kgo.ManualFlushing(),
		compression(),
		kgo.ProducerBatchMaxBytes(s.c.cfg.maxRecord()),
		// A transaction is bounded by who makes it; blocking inside one would only hide a mistake there.
		kgo.MaxBufferedRecords(1<<30),
		kgo.RecordDeliveryTimeout(s.c.cfg.TransactionTimeout),
		kgo.ConcurrentTransactionsBackoff(5*time.Millisecond))...)
	if err != nil {
		return fmt.Errorf("opening producer %q: %w", s.id, err)
	}
	s.cl = cl
	if _, _, err := cl.ProducerID(ctx); err != nil {
		return fmt.Errorf("initialising producer %q: %w", s.id, err)
	}
	s.ready = true
	return nil
}

// drop throws the producer away.
func (s *slot) drop() {
	s.ready = false
	if s.cl != nil {
		s.cl.Close()
		s.cl = nil
		s.records = nil // the client may still hold them
	}
}

// write produces and flushes; every record is acknowledged when it returns nil.
func (s *slot) write(ctx context.Context, recs []engine.OutRecord) error {
	if cap(s.records) < len(recs) {
		s.records = make([]kgo.Record, len(recs))
	}
	s.records = s.records[:len(recs)]
	var first firstError
	promise, names := first.promise, map[engine.Topic]string{}
	for i := range recs {
		r := &recs[i]
		name := names[r.Topic]
		if name == "" {
			name = s.c.TopicName(r.Topic)
			names[r.Topic] = name
		}
		s.records[i] = kgo.Record{Topic: name, Partition: r.Partition, Key: r.Key, Value: r.Value}
		if len(r.Headers) > 0 {
			hs := make([]kgo.RecordHeader, len(r.Headers))
			for j, h := range r.Headers {
				hs[j] = kgo.RecordHeader(h)
			}
			s.records[i].Headers = hs
		}
		s.cl.Produce(ctx, &s.records[i], promise)
	}
	if err := s.cl.Flush(ctx); err != nil {
		return fmt.Errorf("flushing: %w", errors.Join(err, first.get()))
	}
	return first.get()
}

// firstError keeps the first record that failed, named without its content.
type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) promise(r *kgo.Record, err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = fmt.Errorf("writing to %s[%d]: %w", r.Topic, r.Partition, err)
	}
}

func (f *firstError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// commitOffsets puts the positions into the open transaction, fenced by the group's generation.
func (s *slot) commitOffsets(ctx context.Context, t *engine.Transaction) error {
	pid, epoch, err := s.cl.ProducerID(ctx)
	if err != nil {
		return err
	}
	if !s.c.txnV2 {
		if err := s.announceGroup(ctx, pid, epoch); err != nil {
			return err
		}
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = s.id, pid, epoch
	req.Group, req.MemberID, req.Generation = s.c.cfg.App, t.Fence.Member, t.Fence.Generation
	if !s.c.cfg.Dynamic {
		req.InstanceID = kmsg.StringPtr(s.c.cfg.Instance)
	}
	for topic, ps := range positionsByTopic(t.Offsets) {
		rt := kmsg.NewTxnOffsetCommitRequestTopic()
		rt.Topic = topic
		for _, p := range ps {
			rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch = p.Partition, p.Offset, p.LeaderEpoch
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	return s.retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, s.cl)
		if err != nil {
			return err
		}
		answered := 0
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					return fmt.Errorf("offset of %s[%d]: %w", rt.Topic, rp.Partition, err)
				}
				answered++
			}
		}
		if answered != len(t.Offsets) {
			return fmt.Errorf("%d of %d offsets were answered", answered, len(t.Offsets))
		}
		return nil
	})
}

// announceGroup adds the group to the transaction, which older transaction versions need.
func (s *slot) announceGroup(ctx context.Context, pid int64, epoch int16) error {
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = s.id, pid, epoch, s.c.cfg.App
	return s.retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, s.cl)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
}

// retry repeats an idempotent request while the coordinator is busy or moving, until ctx ends.
func (s *slot) retry(ctx context.Context, do func() error) error {
	for try := 0; ; try++ {
		err := do()
		var ke *kerr.Error
		if err == nil || !errors.As(err, &ke) || !(ke.Retriable || ke.Code == kerr.ConcurrentTransactions.Code) {
			return err
		}
		if pause(ctx, try) != nil {
			return err
		}
	}
}

func positionsByTopic(ps []engine.Position) map[string][]engine.Position {
	m := map[string][]engine.Position{}
	for _, p := range ps {
		m[p.Topic] = append(m[p.Topic], p)
	}
	return m
}

// abort ends the open transaction without its writes. When that can't be confirmed the producer is
// dropped, and the id is taken over before anything else is written.
func (s *slot) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.c.cfg.TransactionTimeout/2)
	defer cancel()
	if err := s.cl.AbortBufferedRecords(ctx); err != nil {
		s.drop()
		return
	}
	if err := s.cl.EndTransaction(ctx, kgo.TryAbort); err != nil {
		s.drop()
	}
}
