package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"leadstream/engine"
)

// Committer writes transactions over rotating transactional ids. It implements engine.Committer.
//
// Why they rotate: the markers of a transaction are written after its end was answered, and the next
// one under the same id waits for them. Others do not; strictly one after another they are still
// in order.
//
// A lock lets FenceWriter overlap with Commit, as shards are restored beside those that are live.
type Committer struct {
	c      *Cluster
	mu     sync.Mutex // guards what follows
	slots  []*slot
	next   int
	closed bool
}

// Committer takes over this instance's transactional ids, which ends what an earlier process with its
// name left open. A cluster that is just being started knows for a while of no coordinator: it is waited for as long as
// Config.ConnectTimeout, then the error is ErrUnreachable.
func (c *Cluster) Committer(ctx context.Context) (*Committer, error) {
	w := &Committer{c: c}
	for i := range c.cfg.Slots {
		w.slots = append(w.slots, &slot{c: c, id: c.slotID(c.cfg.Instance, i)})
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.ConnectTimeout)
	defer cancel()
	for try := 0; ; try++ {
		err := w.heal(ctx)
		if err == nil {
			return w, nil
		}
		retry := IsUnreachable(err) || kerr.IsRetriable(err) || errors.Is(err, context.DeadlineExceeded)
		if retry && pause(ctx, try) == nil {
			continue
		}
		w.Close()
		if retry {
			err = fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return nil, err
	}
}

func (c *Cluster) slotID(instance string, slot int) string {
	return c.cfg.App + "-" + instance + "-" + strconv.Itoa(slot)
}

// heal makes every slot ready, with the lock held. An open transaction of ours keeps committed readers from what follows
// it, so all are healed before anything is written, not only the one whose turn it is.
func (w *Committer) heal(ctx context.Context) error {
	if w.closed {
		return errClosed
	}
	errs := make([]error, len(w.slots))
	var wg sync.WaitGroup
	for i, s := range w.slots {
		if !s.ready {
			wg.Go(func() { errs[i] = s.init(ctx) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Writer implements engine.Committer.
func (w *Committer) Writer() (string, int) { return w.c.cfg.Instance, w.c.cfg.Slots }

// Commit implements engine.Committer. It takes at most some three times Config.TransactionTimeout.
func (w *Committer) Commit(ctx context.Context, t *engine.Transaction) error {
	if t.Fence.Member == "" || t.Fence.Generation < 0 {
		// A broker accepts offsets from outside the group, whoever owns the partitions.
		w.c.metrics.aborts.WithLabelValues(abortRefused).Inc()
		return fmt.Errorf("%w: committing without a member and generation", engine.ErrFenced)
	}
	if len(t.Offsets) == 0 {
		panic("bug: a transaction without offsets is not fenced")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, w.c.cfg.TransactionTimeout)
	defer cancel()
	if err := w.heal(ctx); err != nil {
		return w.aborted(abortProduce, err)
	}
	if len(t.Records) == 0 {
		return w.commitOffsetsOnly(ctx, t)
	}
	s := w.slots[w.next]
	w.next = (w.next + 1) % len(w.slots)
	if err := s.cl.BeginTransaction(); err != nil {
		s.drop()
		return w.aborted(abortProduce, err)
	}
	start := time.Now()
	if err := s.write(ctx, t.Records); err != nil {
		s.abort(ctx)
		return w.refused(ctx, t, abortProduce, err)
	}
	start = w.c.metrics.phase(phaseFlush, start)
	// Only after the flush: offsets sent while records are under way have been seen to break the order
	// of sequence numbers.
	if err := s.commitOffsets(ctx, t); err != nil {
		s.abort(ctx)
		return w.refused(ctx, t, abortOffsets, err)
	}
	start = w.c.metrics.phase(phaseOffsets, start)
	if err := w.end(ctx, s, t); err != nil {
		return err
	}
	w.c.metrics.phase(phaseEnd, start)
	w.settle(s, t)
	return nil
}

// settle tells the caller where its records are.
func (w *Committer) settle(s *slot, t *engine.Transaction) {
	bytes := 0
	for i := range t.Records {
		r := &t.Records[i]
		r.Offset = s.records[i].Offset
		bytes += len(r.Key) + len(r.Value)
	}
	clear(s.records)
	w.c.metrics.outBytes.Add(float64(bytes))
	w.c.metrics.outRecords.Add(float64(len(t.Records)))
}

// end decides the transaction. The caller's cancelling does not reach it: the outcome of an end that was
// sent should be learnt.
func (w *Committer) end(ctx context.Context, s *slot, t *engine.Transaction) error {
	if err := ctx.Err(); err != nil {
		s.abort(ctx)
		return w.aborted(abortEnd, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.c.cfg.TransactionTimeout)
	defer cancel()
	s.ends.Store(0)
	err := s.cl.EndTransaction(ctx, kgo.TryCommit)
	if err == nil {
		return nil
	}
	sent := s.ends.Load()
	s.drop()
	// Taking the id over now ends the transaction if it is still open, so that reading what was committed
	// does not wait for its time-out. If it fails it is tried again before the next commit.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.c.cfg.TransactionTimeout/4)
		defer cancel()
		if err := s.init(ctx); err != nil {
			w.c.log.Warn("transactional id could not be taken over yet", "slot", s.id, "error", err)
		}
	}()
	switch {
	case sent == 0:
		return w.aborted(abortEnd, err)
	case sent == 1 && refusal(err):
		return w.refused(ctx, t, abortEnd, err)
	}
	w.c.metrics.aborts.WithLabelValues(abortUnknown).Inc()
	return fmt.Errorf("%w: ending %q: %w", errUnknownOutcome, s.id, err)
}

// refusal says that a broker answered that it does not commit. Errors that are retried may follow an
// append that survived, and an unknown server error says nothing.
func refusal(err error) bool {
	var ke *kerr.Error
	return errors.As(err, &ke) && !ke.Retriable && ke.Code != kerr.UnknownServerError.Code &&
		ke.Code != kerr.ConcurrentTransactions.Code
}

// aborted is ErrAborted because of err.
func (w *Committer) aborted(reason string, err error) error {
	w.c.metrics.aborts.WithLabelValues(reason).Inc()
	return fmt.Errorf("%w: %w", engine.ErrAborted, err)
}

// refused says which error a transaction that was not committed, because of err, is.
func (w *Committer) refused(ctx context.Context, t *engine.Transaction, reason string, err error) error {
	switch {
	case outOfGroup(err):
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		w.c.metrics.aborts.WithLabelValues(reason).Inc()
		return fmt.Errorf("%w: %w", ErrTooLarge, err)
	case errors.Is(err, kerr.InvalidProducerEpoch), errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerIDMapping):
		// Someone took the id over, and then all of ours, or the cluster timed the transaction out. Only the
		// group knows whether our shards are ours: when they are, no Change would ever come to wait for.
		for _, s := range w.slots {
			s.drop()
		}
		if still := w.stillMember(ctx, t.Fence); still {
			return w.aborted(reason, err)
		}
	default:
		return w.aborted(reason, err)
	}
	w.c.metrics.aborts.WithLabelValues(abortFenced).Inc()
	return fmt.Errorf("%w: %w", engine.ErrFenced, err)
}

// outOfGroup says that the group refused the member or its generation.
func outOfGroup(err error) bool {
	return errors.Is(err, kerr.IllegalGeneration) || errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.FencedInstanceID) ||
		errors.Is(err, kerr.FencedMemberEpoch) || errors.Is(err, kerr.StaleMemberEpoch)
}

// stillMember asks the group whether a member's generation stands. When it can't say, trying the
// commit again will.
func (w *Committer) stillMember(ctx context.Context, f engine.Fence) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.c.cfg.SessionTimeout)
	defer cancel()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation = w.c.cfg.App, f.Member, f.Generation
	if !w.c.cfg.Dynamic {
		req.InstanceID = kmsg.StringPtr(w.c.cfg.Instance)
	}
	resp, err := req.RequestWith(ctx, w.c.admin)
	return err != nil || !outOfGroup(kerr.ErrorForCode(resp.ErrorCode))
}

// commitOffsetsOnly commits an epoch that wrote nothing. A transaction begins with its first record, and
// one request that commits all offsets is atomic by itself and fenced the same way.
func (w *Committer) commitOffsetsOnly(ctx context.Context, t *engine.Transaction) error {
	start := time.Now()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.MemberID, req.Generation = w.c.cfg.App, t.Fence.Member, t.Fence.Generation
	if !w.c.cfg.Dynamic {
		req.InstanceID = kmsg.StringPtr(w.c.cfg.Instance)
	}
	for topic, ps := range positionsByTopic(t.Offsets) {
		rt := kmsg.NewOffsetCommitRequestTopic()
		rt.Topic = topic
		for _, p := range ps {
			rp := kmsg.NewOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch = p.Partition, p.Offset, p.LeaderEpoch
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, w.c.admin)
	if err != nil {
		w.c.metrics.aborts.WithLabelValues(abortUnknown).Inc()
		return fmt.Errorf("%w: committing offsets: %w", errUnknownOutcome, err)
	}
	for _, rt := range resp.Topics {
		for _, rp := range rt.Partitions {
			if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
				return w.refused(ctx, t, abortOffsets, fmt.Errorf("offset of %s[%d]: %w", rt.Topic, rp.Partition, err))
			}
		}
	}
	w.c.metrics.phase(phaseOffsets, start)
	return nil
}

// FenceWriter implements engine.Committer.
func (w *Committer) FenceWriter(ctx context.Context, instance string, slots int) error {
	first := 0
	if instance == w.c.cfg.Instance {
		// Our own were taken over when this Committer was made, but for those that failed since, and those
		// that a predecessor had more of.
		w.mu.Lock()
		err := w.heal(ctx)
		w.mu.Unlock()
		if err != nil {
			return err
		}
		first = min(w.c.cfg.Slots, slots)
	} else if member, err := w.isMember(ctx, instance); err != nil || member {
		return err
	}
	errs := make([]error, slots)
	var wg sync.WaitGroup
	for i := first; i < slots; i++ {
		wg.Go(func() { errs[i] = w.takeOver(ctx, w.c.slotID(instance, i)) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// isMember asks the group whether an instance is in it.
func (w *Committer) isMember(ctx context.Context, instance string) (bool, error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{w.c.cfg.App}
	resp, err := req.RequestWith(ctx, w.c.admin)
	if err != nil {
		return false, fmt.Errorf("describing group %q: %w", w.c.cfg.App, err)
	}
	for _, g := range resp.Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return false, fmt.Errorf("describing group %q: %w", w.c.cfg.App, err)
		}
		for _, m := range g.Members {
			// The client id tells instances apart when members are dynamic.
			if m.InstanceID != nil && *m.InstanceID == instance || m.ClientID == w.c.clientID(instance, roleGroup) {
				return true, nil
			}
		}
	}
	return false, nil
}

// takeOver ends what is open under an id. It returns when its markers are written.
func (w *Committer) takeOver(ctx context.Context, id string) error {
	for try := 0; ; try++ {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID = kmsg.StringPtr(id)
		req.TransactionTimeoutMillis = int32(w.c.cfg.TransactionTimeout.Milliseconds())
		resp, err := req.RequestWith(ctx, w.c.admin)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err == nil {
			return nil
		}
		err = fmt.Errorf("fencing %q: %w", id, err)
		var ke *kerr.Error
		if !errors.As(err, &ke) || !(ke.Retriable || ke.Code == kerr.ConcurrentTransactions.Code) {
			return err
		}
		if pause(ctx, try) != nil {
			return err
		}
	}
}

// Close implements engine.Committer. It waits for a Commit that runs.
func (w *Committer) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, s := range w.slots {
		s.drop()
	}
}
