package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// demoReplay is how long the sample takes at speed 1.
const demoReplay = time.Minute

// demoEvent is one line of the sample.
type demoEvent struct {
	// at is its timestamp in ms; id the routing id, which keys the record; known says that it is a user id.
	at    int64
	id    string
	known bool
	text  []byte
}

// loadSample reads the sample and sorts it by time.
func loadSample(compressed []byte) ([]demoEvent, error) {
	z, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("reading the sample: %w", err)
	}
	var events []demoEvent
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var doc struct {
			UserID, AnonymousID string
			Timestamp           time.Time
		}
		text := bytes.Clone(lines.Bytes())
		if err := json.Unmarshal(text, &doc); err != nil {
			return nil, fmt.Errorf("reading the sample: line %d: %w", n, err)
		}
		e := demoEvent{at: doc.Timestamp.UnixMilli(), id: doc.UserID, known: doc.UserID != "", text: text}
		if !e.known {
			e.id = doc.AnonymousID
		}
		events = append(events, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the sample: %w", err)
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("reading the sample: it is empty")
	}
	slices.SortStableFunc(events, func(a, b demoEvent) int { return int(a.at - b.at) })
	return events, nil
}

var timestampField = regexp.MustCompile(`"timestamp"\s*:\s*"([^"]*)"`)

// shifted returns the event's text with its timestamp moved by ms.
func (e *demoEvent) shifted(by int64) []byte {
	at := timestampField.FindSubmatchIndex(e.text)
	if at == nil {
		return e.text
	}
	moved := time.UnixMilli(e.at + by).UTC().Format("2006-01-02T15:04:05.000Z")
	return slices.Concat(e.text[:at[2]], []byte(moved), e.text[at[3]:])
}

// parseSpeed reads a multiple of the default pace; 0 is as fast as it goes.
func parseSpeed(text string) (float64, error) {
	if text == "max" {
		return 0, nil
	}
	speed, err := strconv.ParseFloat(text, 64)
	if err != nil || !(speed >= 0.001 && speed <= 1e6) {
		return 0, fmt.Errorf("%w: --speed must be a number like 2 or 0.5, or max", errUsage)
	}
	return speed, nil
}

// replay writes the sample at the chosen pace, so that its last event happens as it is written, and then
// closes the source: from there on leads follow the wall clock.
func (d *demo) replay(ctx context.Context) error {
	producer, err := d.service.cluster.Producer()
	if err != nil {
		return fmt.Errorf("replaying the sample: %w", err)
	}
	defer producer.Close()
	first, last := d.events[0].at, d.events[len(d.events)-1].at
	begin := time.Now()
	end := begin
	if d.speed > 0 {
		end = begin.Add(time.Duration(float64(demoReplay) / d.speed))
	}
	shift := end.UnixMilli() - last
	d.tally.began(len(d.events))
	for i := range d.events {
		e := &d.events[i]
		if last > first {
			part := float64(e.at-first) / float64(last-first)
			if err := sleepUntil(ctx, begin.Add(time.Duration(part*float64(end.Sub(begin))))); err != nil {
				return err
			}
		}
		producer.Send(ctx, demoTopic, []byte(e.id), e.shifted(shift))
	}
	if err := producer.Flush(ctx); err != nil {
		return fmt.Errorf("replaying the sample: %w", err)
	}
	return closeSource(ctx, d.service.cluster, d.service.cfg.Shards, d.service.cfg.Sources[0].Name)
}

// sleepUntil waits for a moment, or for ctx to end.
func sleepUntil(ctx context.Context, at time.Time) error {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle waits until everything that was written is applied and no time-driven change is left to make up
// for: nothing has been committed for longer than partitions take to follow the wall clock.
func (d *demo) settle(ctx context.Context) error {
	quiet := time.Duration(d.service.cfg.IdleAfter) + time.Second
	last, since := "", time.Now()
	for {
		s := d.service.engine.Status()
		done := s.Ready() && len(s.Shards) == d.service.cfg.Shards
		epochs := ""
		for _, x := range s.Shards {
			done = done && x.CaughtUp && x.Lag == 0
			epochs += fmt.Sprintf("%d ", x.Epoch)
		}
		if !done || epochs != last {
			last, since = epochs, time.Now()
		}
		if time.Since(since) > quiet {
			return nil
		}
		if err := sleepUntil(ctx, time.Now().Add(20*time.Millisecond)); err != nil {
			return err
		}
	}
}
