package httpapi

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"leadstream/state/lead"
)

// eventTypes are the types of events that are streamed.
var eventTypes = []string{lead.StageChanged.String(), lead.HandOff.String(), lead.LeadMerged.String()}

// event is one output, with what filters look at.
type event struct {
	FeedRecord
	kind, lead, stage string
}

// filterFields are what filters look at, in the order that newEvent takes them.
var filterFields = lead.NewFields("type", "lead", "to", "stage")

// newEvent reads what filters need. A document that can't be read has no type, so only an unfiltered
// stream shows it: hiding it would hide that something is wrong.
func newEvent(r FeedRecord) event {
	e := event{FeedRecord: r}
	var v [4]lead.Value
	if filterFields.Scan(r.Value, v[:]) == nil {
		// A stage change has the stage that the lead came to, a hand-off the one it is in.
		e.kind, e.lead, e.stage = v[0].Str(), v[1].Str(), cmp.Or(v[2].Str(), v[3].Str())
	}
	return e
}

// hub keeps a window of recent events, filled by one tail reader, read by every subscriber.
type hub struct {
	feed      Feed
	layout    Layout
	maxEvents int
	maxBytes  int
	retry     time.Duration
	metrics   *metrics
	log       *slog.Logger

	mu sync.Mutex
	// events are those of the window, in the order they came; the first has the number base. Numbers
	// are never used twice.
	events []event
	base   uint64
	bytes  int
	// start and end enclose the window: every committed record from start up to end is in it. nil until
	// the tail reader knows where it is.
	start, end Position
	// changed is closed when something was added, and replaced by a new one.
	changed chan struct{}
}

func newHub(c Config, m *metrics) *hub {
	return &hub{feed: c.Feed, layout: c.Feed.Layout(), maxEvents: c.WindowEvents, maxBytes: c.WindowBytes,
		retry: c.tailRetry, metrics: m, log: c.Log, changed: make(chan struct{})}
}

// run follows the output topics until ctx ends.
func (h *hub) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := h.tail(ctx)
		if ctx.Err() != nil {
			return
		}
		h.metrics.tailErrors.Inc()
		h.log.Warn("reading the output topics", "err", err)
		if errors.Is(err, ErrOutOfRange) {
			h.reset()
		}
		select {
		case <-ctx.Done():
		case <-time.After(h.retry):
		}
	}
}

// tail reads on from the window's end, at first from the topics' ends.
func (h *hub) tail(ctx context.Context) error {
	from := h.position()
	if from == nil {
		_, end, err := h.feed.Bounds(ctx)
		if err != nil {
			return err
		}
		h.begin(end)
		from = end
	}
	reader, err := h.feed.Open(ctx, from.Clone())
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		records, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		h.add(records)
	}
}

func (h *hub) begin(at Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.start, h.end = at.Clone(), at.Clone()
}

// reset drops the window, because what follows it can't be read: every subscriber has fallen behind.
func (h *hub) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.base += uint64(len(h.events)) + 1
	h.events, h.bytes, h.start, h.end = nil, 0, nil, nil
	h.announce()
}

// announce wakes everybody who waits. h.mu is held.
func (h *hub) announce() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *hub) add(records []FeedRecord) {
	added := make([]event, 0, len(records))
	for _, r := range records {
		if r.Value != nil {
			added = append(added, newEvent(r))
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range records {
		h.end[r.Topic][r.Partition] = r.Offset + 1
	}
	for _, e := range added {
		h.events = append(h.events, e)
		h.bytes += len(e.Value)
	}
	for len(h.events) > h.maxEvents || h.bytes > h.maxBytes && len(h.events) > 1 {
		e := h.events[0]
		h.start[e.Topic][e.Partition] = e.Offset + 1
		h.bytes -= len(e.Value)
		h.events[0] = event{} // The backing array must not keep it alive.
		h.events = h.events[1:]
		h.base++
	}
	h.metrics.window.Set(float64(len(h.events)))
	if len(added) > 0 {
		h.announce()
	}
}

// position returns the end of the window, nil while it is not known.
func (h *hub) position() Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.end == nil {
		return nil
	}
	return h.end.Clone()
}

// join returns the number of the first event for a subscriber that has read up to p. It is false when
// events between p and the window are not in memory.
func (h *hub) join(p Position) (uint64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.start == nil || !p.Reached(h.start) {
		return 0, false
	}
	return h.base, true
}

// hubBatch bounds the events that a subscriber takes at once.
const hubBatch = 256

// next appends events from number n on to buf. With none it returns the channel that is closed when there
// are. errFellBehind: event n has left the window.
func (h *hub) next(n uint64, buf []event) ([]event, <-chan struct{}, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n < h.base {
		return buf, nil, errFellBehind
	}
	from := min(n-h.base, uint64(len(h.events)))
	return append(buf, h.events[from:min(from+hubBatch, uint64(len(h.events)))]...), h.changed, nil
}
