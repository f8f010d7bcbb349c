package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// filter is what a subscriber wants to see; an empty list is everything.
type filter struct {
	types, stages, leads []string
}

// maxFilterValues bounds each list of a filter, because every event is compared with all of it.
const maxFilterValues = 1000

func parseFilter(r *http.Request) (filter, error) {
	query := r.URL.Query()
	list := func(name string) []string {
		var values []string
		for _, v := range query[name] {
			values = append(values, strings.Split(v, ",")...)
		}
		return values
	}
	// A lead id may hold a comma, so that parameter is repeated instead.
	f := filter{types: list("type"), stages: list("stage"), leads: query["lead"]}
	for _, kind := range f.types {
		if !slices.Contains(eventTypes, kind) {
			return f, fmt.Errorf("type must be one of %s", strings.Join(eventTypes, ", "))
		}
	}
	if max(len(f.types), len(f.stages), len(f.leads)) > maxFilterValues {
		return f, fmt.Errorf("at most %d values for each filter", maxFilterValues)
	}
	for name := range query {
		if !slices.Contains([]string{"type", "stage", "lead", "from"}, name) {
			return f, errors.New("parameters are type, stage, lead and from")
		}
	}
	return f, nil
}

func (f filter) match(e event) bool {
	in := func(list []string, v string) bool { return len(list) == 0 || slices.Contains(list, v) }
	return in(f.types, e.kind) && in(f.stages, e.stage) && in(f.leads, e.lead)
}

// startPosition is where a subscriber begins: at its Last-Event-ID, else where `from` says (an event id,
// earliest or latest), else at the end.
func (s *Server) startPosition(r *http.Request) (Position, error) {
	end := s.hub.position()
	if end == nil {
		return nil, errNotFollowing
	}
	// A browser that reconnects repeats the URL with its `from`, so the header is the newer of the two.
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id = r.URL.Query().Get("from")
	}
	switch id {
	case "", "latest":
		return end, nil
	case "earliest":
		oldest, _, err := s.cfg.Feed.Bounds(r.Context())
		return oldest, err
	}
	return parsePosition(id, s.hub.layout)
}

// errNotFollowing says that the tail reader has not found its place yet.
var errNotFollowing = errors.New("the output topics are not being followed yet")

func streamProblem(err error) Problem {
	switch {
	case errors.Is(err, errBadPosition):
		return problem(http.StatusBadRequest, "bad-event-id", "Not an event id",
			"Last-Event-ID or from is not an event id of this application; without it the stream begins at the latest event.")
	case errors.Is(err, errRecreated), errors.Is(err, ErrOutOfRange):
		return problem(http.StatusGone, "events-gone", "Events are gone",
			"Events after this event id are no longer kept; begin again with from=earliest or from=latest and without Last-Event-ID.")
	}
	return problem(http.StatusServiceUnavailable, "stream-unavailable", "Stream unavailable",
		"The output topics can't be read at present; try again.")
}

// stream answers GET /v1/events/stream.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	f, err := parseFilter(r)
	if err != nil {
		problem(http.StatusBadRequest, "bad-parameter", "Bad parameter", err.Error()).write(w)
		return
	}
	if !s.subscribers.tryAcquire() {
		w.Header().Set("Retry-After", "5")
		problem(http.StatusServiceUnavailable, "too-many-subscribers", "Too many subscribers",
			"The bound on open event streams is reached; try again, or another instance.").write(w)
		return
	}
	defer s.subscribers.release()
	position, err := s.startPosition(r)
	if err != nil {
		streamProblem(err).write(w)
		return
	}
	sub := &subscriber{server: s, filter: f, position: position}
	if err := sub.open(r.Context()); err != nil {
		if errors.Is(err, errTooManyCatchUps) {
			w.Header().Set("Retry-After", "5")
		}
		streamProblem(err).write(w)
		return
	}
	defer sub.closeReader()
	s.metrics.subscribers.Inc()
	defer s.metrics.subscribers.Dec()

	sub.out = newSSEWriter(w, s.cfg.WriteTimeout)
	// The first id is sent at once, so that a client cut off before its first event misses none.
	sub.out.field("retry", "1000")
	sub.out.comment("leadstream events")
	sub.out.mark(sub.id())
	s.metrics.closed.WithLabelValues(sub.finish(sub.run(r.Context()))).Inc()
}

// subscriber is one open stream. It is used by its request's goroutine alone.
type subscriber struct {
	server *Server
	filter filter
	out    *sseWriter
	// position is behind the last event that was sent or filtered out.
	position Position
	// reader reads old events until the window has the next one; nil from then on.
	reader FeedReader
	// number is the next event in the window, once reader is nil.
	number uint64
}

func (s *subscriber) id() string { return s.position.encode(s.server.hub.layout) }

// errTooManyCatchUps says that too many streams read old events.
var errTooManyCatchUps = errors.New("too many streams are catching up")

// errStopping ends a stream because the server stops.
var errStopping = errors.New("server is stopping")

// open joins the window, or else begins to read old events, and finds out at once when they are gone.
func (s *subscriber) open(ctx context.Context) error {
	var joined bool
	if s.number, joined = s.server.hub.join(s.position); joined {
		return nil
	}
	oldest, _, err := s.server.cfg.Feed.Bounds(ctx)
	if err != nil {
		return err
	}
	if !s.position.Reached(oldest) {
		return ErrOutOfRange
	}
	if !s.server.catchUps.tryAcquire() {
		return errTooManyCatchUps
	}
	if s.reader, err = s.server.cfg.Feed.Open(ctx, s.position.Clone()); err != nil {
		s.server.catchUps.release()
		return err
	}
	s.server.metrics.catchUps.Inc()
	return nil
}

func (s *subscriber) closeReader() {
	if s.reader == nil {
		return
	}
	s.reader.Close()
	s.reader = nil
	s.server.catchUps.release()
	s.server.metrics.catchUps.Dec()
}

// run sends events until the client is gone, falls behind, or the server stops.
func (s *subscriber) run(ctx context.Context) error {
	if err := s.out.flush(); err != nil {
		return err
	}
	if s.reader != nil {
		if err := s.catchUp(ctx); err != nil {
			return err
		}
	}
	return s.follow(ctx)
}

// catchUp reads old events until the window has the next one.
func (s *subscriber) catchUp(ctx context.Context) error {
	defer s.closeReader()
	for {
		select {
		case <-s.server.stopping:
			return errStopping
		default:
		}
		var joined bool
		if s.number, joined = s.server.hub.join(s.position); joined {
			return nil
		}
		wait, cancel := context.WithTimeout(ctx, s.server.cfg.Heartbeat)
		records, err := s.reader.Next(wait)
		cancel()
		if err != nil && (ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded)) {
			return err
		}
		for _, r := range records {
			if r.Value == nil {
				s.position[r.Topic][r.Partition] = r.Offset + 1
			} else if err := s.send(newEvent(r)); err != nil {
				return err
			}
		}
		if len(records) == 0 {
			s.out.comment("heartbeat")
		}
		if err := s.out.flush(); err != nil {
			return err
		}
	}
}

// follow sends events from the window as they come.
func (s *subscriber) follow(ctx context.Context) error {
	heartbeat := time.NewTicker(s.server.cfg.Heartbeat)
	defer heartbeat.Stop()
	var batch []event
	for {
		var changed <-chan struct{}
		var err error
		if batch, changed, err = s.server.hub.next(s.number, batch[:0]); err != nil {
			return err
		}
		for _, e := range batch {
			s.number++
			if e.Offset < s.position[e.Topic][e.Partition] {
				continue
			}
			if err := s.send(e); err != nil {
				return err
			}
		}
		clear(batch)
		if err := s.out.flush(); err != nil {
			return err
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-changed:
		case <-heartbeat.C:
			// The id moves on for a subscriber whose filter lets little through.
			s.out.comment("heartbeat")
			s.out.mark(s.id())
		case <-ctx.Done():
			return ctx.Err()
		case <-s.server.stopping:
			return errStopping
		}
	}
}

func (s *subscriber) send(e event) error {
	s.position[e.Topic][e.Partition] = e.Offset + 1
	if !s.filter.match(e) {
		return nil
	}
	s.out.event(e.kind, s.id(), e.Value)
	if slices.Contains(eventTypes, e.kind) { // A label must not come from outside.
		s.server.metrics.events.WithLabelValues(e.kind).Inc()
	}
	if s.out.full() {
		return s.out.flush()
	}
	return nil
}

// finish tells the client why the stream ends, where it can still hear it, and returns the reason for metrics.
func (s *subscriber) finish(err error) string {
	reason, say := closedFailed, "reading events failed; reconnect with Last-Event-ID to go on"
	switch {
	case errors.Is(err, errClientGone) && errors.Is(err, os.ErrDeadlineExceeded):
		return closedSlow
	case errors.Is(err, errClientGone), errors.Is(err, context.Canceled):
		return closedClient
	case errors.Is(err, errFellBehind):
		reason, say = closedSlow, "too slow: events left the window unread; reconnect with Last-Event-ID to go on"
	case errors.Is(err, errStopping):
		reason, say = closedStopping, "the server is stopping; reconnect with Last-Event-ID to go on"
	case errors.Is(err, ErrOutOfRange):
		say = "events are gone; begin again with from=earliest or from=latest"
	default:
		s.server.cfg.Log.Warn("reading events for a subscriber", "err", err)
	}
	s.out.comment(say)
	if s.out.flush() != nil {
		return closedClient
	}
	return reason
}
