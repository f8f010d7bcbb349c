package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"leadstream/connectors/httpapi"
)

// output is a record of an output topic, as far as the demo shows it.
type output struct {
	Type   string             `json:"type"`
	Lead   string             `json:"lead"`
	At     int64              `json:"at"`
	Event  string             `json:"event"`
	From   string             `json:"from"`
	To     string             `json:"to"`
	Reason string             `json:"reason"`
	Name   string             `json:"name"`
	Team   string             `json:"team"`
	Stage  string             `json:"stage"`
	Scores map[string]float64 `json:"scores"`
	Grades map[string]string  `json:"grades"`
	Top    []struct {
		Line   string  `json:"line"`
		Signal string  `json:"signal"`
		Now    float64 `json:"now"`
	} `json:"top"`
}

// line is the output in one line: when it happened, whose it is, what changed, the scores, and why.
func (o *output) line() string {
	what := o.From + " -> " + o.To
	if o.Type == "handoff" {
		what = "HAND-OFF " + o.Name
		if o.Team != "" {
			what += " to " + o.Team
		}
	}
	var scores []string
	for _, name := range slices.Sorted(maps.Keys(o.Scores)) {
		text := fmt.Sprintf("%s %.1f", name, noMinusZero(o.Scores[name]))
		if grade := o.Grades[name]; grade != "" {
			text += " (" + grade + ")"
		}
		scores = append(scores, text)
	}
	var why []string
	if o.Reason != "" {
		why = append(why, o.Reason)
	}
	if timer, ok := strings.CutPrefix(o.Event, "timer:"); ok {
		why = append(why, "by time alone: "+timer)
	}
	if len(o.Top) > 0 {
		top := o.Top[0]
		why = append(why, fmt.Sprintf("top %s %+.1f", cmp.Or(top.Line, top.Signal), noMinusZero(top.Now)))
	}
	at := time.UnixMilli(o.At).UTC().Format("2006-01-02 15:04:05")
	return strings.TrimRight(fmt.Sprintf("%s  %-12s  %-33s  %s  %s", at, shortID(o.Lead), what, strings.Join(scores, ", "), strings.Join(why, "; ")), " ")
}

// noMinusZero keeps a rounded score from being shown as -0.0.
func noMinusZero(v float64) float64 {
	if math.Abs(v) < 0.05 {
		return 0
	}
	return v
}

func shortID(id string) string {
	if len(id) > 12 {
		return id[:11] + "~"
	}
	return id
}

// print shows every output from the first one on, until ctx ends; once settled is closed, until it has
// shown all there is.
func (d *demo) print(ctx context.Context, settled <-chan struct{}) error {
	oldest, _, err := d.service.feed.Bounds(ctx)
	if err != nil {
		return ignoreCancel(err)
	}
	reader, err := d.service.feed.Open(ctx, oldest)
	if err != nil {
		return ignoreCancel(err)
	}
	defer reader.Close()
	at := oldest
	for {
		select {
		case <-settled:
			_, end, err := d.service.feed.Bounds(ctx)
			if err != nil {
				return ignoreCancel(err)
			}
			for !at.Reached(end) {
				if err := d.printNext(ctx, reader, at); err != nil {
					return ignoreCancel(err)
				}
			}
			return nil
		default:
		}
		wait, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		err := d.printNext(wait, reader, at)
		cancel()
		if err != nil && !(errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil) {
			return ignoreCancel(err)
		}
	}
}

// printNext shows the records that come next and moves the position behind them.
func (d *demo) printNext(ctx context.Context, reader httpapi.FeedReader, at httpapi.Position) error {
	records, err := reader.Next(ctx)
	if err != nil {
		return err
	}
	var outputs []output
	for _, r := range records {
		at[r.Topic][r.Partition] = r.Offset + 1
		if r.Value == nil {
			continue
		}
		var o output
		if err := json.Unmarshal(r.Value, &o); err != nil {
			return fmt.Errorf("reading an output: %w", err)
		}
		outputs = append(outputs, o)
	}
	// Topics and partitions come as they come; a hand-off is told after the stage change that led to it.
	slices.SortStableFunc(outputs, func(a, b output) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(b.Type, a.Type))
	})
	for i := range outputs {
		d.tally.add(&outputs[i])
		fmt.Fprintln(d.out, outputs[i].line())
	}
	return nil
}

func ignoreCancel(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// tally counts what the summary says.
type tally struct {
	mu     sync.Mutex
	events int
	counts map[string]int
	leads  map[string]bool
}

func (t *tally) began(events int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = events
}

func (t *tally) add(o *output) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts, t.leads = map[string]int{}, map[string]bool{}
	}
	t.leads[o.Lead] = true
	if o.Type == "handoff" {
		t.counts["hand-off "+o.Name]++
	} else {
		t.counts[o.From+" -> "+o.To]++
	}
}

func (t *tally) write(w io.Writer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(w, "\n%d leads changed:\n", len(t.leads))
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		fmt.Fprintf(w, "%7d  %s\n", t.counts[what], what)
	}
}
