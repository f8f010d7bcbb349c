package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"leadstream/connectors/kafka"
	"leadstream/engine"
)

// throughCommand makes this program a pass-through: it reads, and writes for one event in a hundred in the transaction
// that moves the offsets, over the same rotating transactional ids as leadstream. It keeps nothing and decides nothing.
const throughCommand = "through"

func throughMain(args []string) (err error) {
	if len(args) != 3 {
		return errors.New("usage: through BROKER APP TOPIC")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := kafka.Open(ctx, kafka.Config{Brokers: args[:1], App: args[1], Instance: "bench", Shards: partitions})
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.EnsureTopics(ctx, args[2:]); err != nil {
		return err
	}
	w, err := c.Committer(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	in, err := c.Inputs()
	if err != nil {
		return err
	}
	defer in.Close()
	group, err := c.Group()
	if err != nil {
		return err
	}
	defer func() {
		go func() { // ends with the group
			for ch := range group.Changes() {
				ch.Done()
			}
		}()
		err = errors.Join(err, group.Leave(context.WithoutCancel(ctx)))
	}()
	for added := 0; added < partitions; {
		select {
		case <-ctx.Done():
			return nil
		case ch := <-group.Changes():
			var starts []engine.Start
			for _, p := range ch.Gained {
				starts = append(starts, engine.Start{TopicPartition: engine.TopicPartition{Topic: args[2], Partition: p}, Offset: engine.StartOfPartition})
			}
			ch.Done()
			if err := in.Add(ctx, starts); err != nil {
				return err
			}
			added += len(starts)
		}
	}
	return passThrough(ctx, in, group, w)
}

// passThrough commits what each poll brings, one transaction after another, until ctx ends.
func passThrough(ctx context.Context, in engine.Inputs, group engine.Group, w engine.Committer) error {
	for {
		fetches, err := in.Poll(ctx, 20_000)
		if err != nil || ctx.Err() != nil {
			return err
		}
		var t engine.Transaction
		for i := range fetches {
			f := &fetches[i]
			if f.Next == f.From {
				continue
			}
			t.Offsets = append(t.Offsets, engine.Position{TopicPartition: f.TopicPartition, Offset: f.Next, LeaderEpoch: f.LeaderEpoch})
			for j := range f.Records {
				if id := quoted(f.Records[j].Value, `"messageId":"`); bytes.HasSuffix(id, []byte("00")) {
					t.Records = append(t.Records, engine.OutRecord{Topic: engine.TopicTransitions, Partition: f.Partition,
						Key: f.Records[j].Key, Value: fmt.Appendf(nil, `{"event":%q}`, id)})
				}
			}
		}
		if len(t.Offsets) == 0 {
			continue
		}
		var ok bool
		if t.Fence, ok = group.Fence(); !ok {
			return errors.New("out of the group")
		}
		if err := w.Commit(ctx, &t); err != nil {
			return fmt.Errorf("committing: %w", err)
		}
		for _, f := range fetches { // only now: keys that were written refer to it
			if f.Free != nil {
				f.Free(f.Records)
			}
		}
	}
}
