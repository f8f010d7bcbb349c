package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

// sseWriter writes the Server-Sent Events format. What is written is sent by flush, in one piece.
type sseWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	buf     bytes.Buffer
}

// sseFlushBytes is when a batch of events is sent though it is not complete.
const sseFlushBytes = 64 << 10

func newSSEWriter(w http.ResponseWriter, timeout time.Duration) *sseWriter {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	// Proxies that buffer answers would hold events back.
	h.Set("X-Accel-Buffering", "no")
	return &sseWriter{w: w, control: http.NewResponseController(w), timeout: timeout}
}

// event adds an event. A client remembers id once the event is complete.
func (s *sseWriter) event(kind, id string, data []byte) {
	if kind != "" {
		s.field("event", kind)
	}
	s.field("id", id)
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		s.buf.WriteString("data: ")
		s.buf.Write(bytes.TrimSuffix(line, []byte("\r")))
		s.buf.WriteByte('\n')
	}
	s.buf.WriteByte('\n')
}

// mark adds an id without an event: a client remembers it and tells nobody.
func (s *sseWriter) mark(id string) {
	s.field("id", id)
	s.buf.WriteByte('\n')
}

// comment adds a line that clients ignore and people read.
func (s *sseWriter) comment(text string) {
	s.buf.WriteString(": " + text + "\n\n")
}

func (s *sseWriter) field(name, value string) {
	s.buf.WriteString(name + ": " + value + "\n")
}

// full says that it is time to flush.
func (s *sseWriter) full() bool { return s.buf.Len() >= sseFlushBytes }

// flush sends what was added. Every error is an errClientGone: the client is gone, or too slow to take it.
func (s *sseWriter) flush() error {
	if s.buf.Len() == 0 {
		return nil
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return fmt.Errorf("%w: %w", errClientGone, err)
	}
	if _, err := s.buf.WriteTo(s.w); err != nil {
		return fmt.Errorf("%w: %w", errClientGone, err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errClientGone, err)
	}
	return nil
}
