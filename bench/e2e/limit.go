package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/connectors/formats"
	"leadstream/engine"
	"leadstream/state/lead"
)

// limitCommand makes this program one of the limits: what reading alone costs, and what a score in memory costs beyond it.
const limitCommand = "limit"

// limitEvents is about how many events a limit reads: one pass over the topic may take no time at all.
const limitEvents = 4_000_000

// limitMain consumes a topic of so many events again and again until it is told to stop.
func limitMain(args []string) error {
	if len(args) != 4 {
		return errors.New("usage: limit consume|scan|decode|loop BROKER TOPIC EVENTS")
	}
	var sum uint64
	work, err := limitWork(args[0], &sum)
	if err != nil {
		return err
	}
	events, err := strconv.ParseInt(args[3], 10, 64)
	if err != nil {
		return fmt.Errorf("events %q: %w", args[3], err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	start := map[string]map[int32]kgo.Offset{args[2]: {}}
	var all []int32
	for p := range int32(partitions) {
		start[args[2]][p] = kgo.NewOffset().AtStart()
		all = append(all, p)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(args[1]), kgo.ConsumePartitions(start), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return fmt.Errorf("opening the consumer: %w", err)
	}
	defer cl.Close()
	var done atomic.Int64
	go func() { // ends with the process
		for last := int64(0); ; time.Sleep(10 * time.Millisecond) {
			if n := done.Load(); n != last {
				fmt.Printf("P %d %d\n", time.Now().UnixMilli(), n)
				last = n
			}
		}
	}()
	for pass := int64(1); ; {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			fmt.Printf("sum %d\n", sum) // so that no compiler drops the work
			return nil
		}
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("consuming: %w", err)
		}
		fetches.EachRecord(work)
		if done.Add(int64(fetches.NumRecords())) == pass*events {
			pass++
			cl.RemoveConsumePartitions(map[string][]int32{args[2]: all})
			cl.AddConsumePartitions(start)
		}
	}
}

// limitWork returns what is done with a record; it adds to sum what it has found.
func limitWork(mode string, sum *uint64) (func(*kgo.Record), error) {
	switch mode {
	case "consume":
		return func(r *kgo.Record) { *sum += uint64(len(r.Value)) }, nil
	case scanName:
		return func(r *kgo.Record) { *sum += handScan(r.Value) }, nil
	case decodeName:
		return decoding(func(_ []byte, ev *lead.Event) { *sum += ev.MessageHash + uint64(ev.Time) })
	case "loop":
		l := loop{leads: map[string]*looped{}}
		return decoding(l.add)
	}
	return nil, errors.New("mode " + strconv.Quote(mode) + ": consume, scan, decode or loop")
}

// decoding decodes a record as leadstream does, and uses it unless that fails.
func decoding(use func(key []byte, ev *lead.Event)) (func(*kgo.Record), error) {
	newDecoder, err := formats.New(formats.Config{})
	if err != nil {
		return nil, err
	}
	d := newDecoder()
	var ev lead.Event
	return func(r *kgo.Record) {
		rec := engine.Record{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: r.Key, Value: r.Value}
		if d.Decode(&rec, rec.Timestamp, &ev) == nil {
			use(r.Key, &ev)
		}
	}, nil
}

// handScan finds the four fields that the logic needs by their text, without looking whether the rest is
// JSON at all: nobody should read events like this, and nobody can do it for less.
func handScan(b []byte) uint64 {
	id := quoted(b, `"messageId":"`)
	user := quoted(b, `"userId":"`)
	name := quoted(b, `"event":"`)
	at, _ := formats.ParseTime(quoted(b, `"timestamp":"`))
	return lead.HashID(id) + uint64(len(user)) + uint64(len(name)) + uint64(at)
}

func quoted(b []byte, key string) []byte {
	i := bytes.Index(b, []byte(key))
	if i < 0 {
		return nil
	}
	b = b[i+len(key):]
	return b[:max(0, bytes.IndexByte(b, '"'))]
}
