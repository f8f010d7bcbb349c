package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"leadstream/engine"
)

// Watch looks at the application's topics and the sources until ctx ends, and returns what can't be gone on with: a topic was
// deleted, deleted and made anew, or one of the application's own was given more partitions. Without it a
// deleted topic looks like a cluster that does not answer, and is waited for for ever; one made anew has other
// records at the offsets that are remembered. A topic counts as deleted when two looks in a row do not find it.
// grown is told how many partitions a source has, at first and when it was given more; it may be nil.
func (c *Cluster) Watch(ctx context.Context, sources []string, grown func(topic string, partitions int32)) error {
	w := topicWatch{c: c, grown: grown, seen: map[string]kadm.TopicDetail{}, missing: map[string]bool{}}
	for _, t := range engine.Topics() {
		w.names = append(w.names, c.TopicName(t))
	}
	w.own = len(w.names)
	w.names = append(w.names, sources...)
	tick := time.NewTicker(c.cfg.WatchInterval)
	defer tick.Stop()
	for {
		if err := w.look(ctx); err != nil {
			c.metrics.topicsChanged.Inc()
			c.log.Error("a topic is not what it was", "reason", err)
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// deleted is what is said of a topic that is not there any more, or has another id.
func deleted(topic string) error {
	return fmt.Errorf("%w: topic %q was deleted while it was in use: restore it from a backup, or start a new application name",
		engine.ErrDisagree, topic)
}

// topicWatch is what is known of the topics.
type topicWatch struct {
	c       *Cluster
	names   []string // the application's own come first
	own     int
	seen    map[string]kadm.TopicDetail
	missing map[string]bool // at the last look
	grown   func(topic string, partitions int32)
}

// look compares the topics with how they were seen first. That the cluster does not answer is others' to say.
func (w *topicWatch) look(ctx context.Context) error {
	now, err := kadm.NewClient(w.c.admin).ListTopics(ctx, w.names...)
	if err != nil {
		return nil //nolint:nilerr // a cluster that is away for a while is no topic that is
	}
	for i, name := range w.names {
		d := now[name]
		gone := errors.Is(d.Err, kerr.UnknownTopicOrPartition)
		was, known := w.seen[name]
		switch {
		case gone && w.missing[name]:
			return deleted(name)
		case gone:
			w.missing[name] = true
			continue
		case d.Err != nil || len(d.Partitions) == 0:
			continue
		case !known:
			w.seen[name] = d
		case d.ID != was.ID:
			return fmt.Errorf("%w: topic %q was deleted and made anew while it was in use: what was read of it is not in it any more; give its successor another name, or start a new application name",
				engine.ErrDisagree, name)
		case i < w.own && len(d.Partitions) != len(was.Partitions):
			return fmt.Errorf("%w: topic %q had %d partitions and has %d: each is a shard. That can't be undone: stop all instances and run `leadstream reshard`, which moves the application into new topics",
				engine.ErrDisagree, name, len(was.Partitions), len(d.Partitions))
		}
		delete(w.missing, name)
		if n := len(d.Partitions); i >= w.own && w.grown != nil && (!known || n > len(was.Partitions)) {
			w.seen[name] = d
			w.grown(name, int32(n))
		}
	}
	return nil
}
