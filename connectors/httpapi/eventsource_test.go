package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// eventSource reads a stream as the WHATWG's EventSource does: an event is dispatched at an empty line,
// the last event id is that of the last complete block, also one without data.
type eventSource struct {
	t      *testing.T
	url    string
	token  string
	lastID string
	body   io.ReadCloser
	lines  *bufio.Scanner
	// comments are those seen since the stream was opened.
	comments []string
}

// message is a dispatched event.
type message struct {
	kind, data string
}

// open connects, or connects again with the last event id; any status but 200 is an error.
func (e *eventSource) open(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	if e.lastID != "" {
		req.Header.Set("Last-Event-ID", e.lastID)
	}
	if e.token != "" {
		req.Header.Set("Authorization", "Bearer "+e.token)
	}
	resp, err := testClient.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		return fmt.Errorf("status %d: %s", resp.StatusCode, body)
	}
	if got := resp.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
		e.t.Fatalf("content type %q", got)
	}
	e.body = resp.Body
	e.lines = bufio.NewScanner(resp.Body)
	e.lines.Buffer(nil, 4<<20)
	e.comments = nil
	return nil
}

func (e *eventSource) close() {
	if e.body != nil {
		e.body.Close()
	}
}

// next returns the next event, false at the end of the stream.
func (e *eventSource) next() (message, bool) {
	for {
		m, dispatched, ok := e.block()
		if !ok || dispatched {
			return m, ok
		}
	}
}

// block reads up to the next empty line.
func (e *eventSource) block() (m message, dispatched, ok bool) {
	kind, id := "message", e.lastID
	var data []string
	for e.lines.Scan() {
		line := e.lines.Text()
		if line == "" {
			e.lastID = id
			return message{kind, strings.Join(data, "\n")}, len(data) > 0, true
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "":
			e.comments = append(e.comments, value)
		case "event":
			kind = value
		case "data":
			data = append(data, value)
		case "id":
			id = value
		case "retry":
		default:
			e.t.Fatalf("unknown field %q", name)
		}
	}
	return message{}, false, false
}

// mustNext returns the next event and fails the test at the end of the stream.
func (e *eventSource) mustNext() message {
	e.t.Helper()
	m, ok := e.next()
	if !ok {
		e.t.Fatalf("stream ended: %v, comments %q", e.lines.Err(), e.comments)
	}
	return m
}
