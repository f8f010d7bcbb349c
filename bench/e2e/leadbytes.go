package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// leadBytes is what a lead with so many events takes of heap, all told, while it is cached.
type leadBytes struct{ events, heap int }

// leadBytesLine is what the engine's own count says for each number of events.
var leadBytesLine = regexp.MustCompile(`(?m)(\d+) events: (\d+) bytes of heap \(`)

// measureLeadBytes asks the engine's own test, which counts the heap before and after.
func (b *bench) measureLeadBytes(ctx context.Context) error {
	b.say("counting the bytes of a cached lead")
	// The test fails when a lead has grown; its figures hold all the same.
	out, err := exec.CommandContext(ctx, "go", "test", "-count", "1", "-v", "-run", "^TestBytesPerLead$", "leadstream/engine").CombinedOutput()
	b.res.leadBytes = parseLeadBytes(out)
	if len(b.res.leadBytes) == 0 {
		return fmt.Errorf("counting the bytes of a cached lead: %w: %s", errors.Join(err, errNoBytes), bytes.TrimSpace(out[max(0, len(out)-1000):]))
	}
	return nil
}

var errNoBytes = errors.New("the test said none")

func parseLeadBytes(out []byte) []leadBytes {
	var all []leadBytes
	for _, m := range leadBytesLine.FindAllSubmatch(out, -1) {
		events, err := strconv.Atoi(string(m[1]))
		heap, herr := strconv.Atoi(string(m[2]))
		if errors.Join(err, herr) == nil {
			all = append(all, leadBytes{events, heap})
		}
	}
	return all
}

func (b *bench) leadBytesTable(w *bytes.Buffer) {
	if len(b.res.leadBytes) == 0 {
		return
	}
	fmt.Fprint(w, "\n## A lead in the cache\n\nBytes of heap all told under the rules that the peers share (`engine/cachebytes_test.go`); a count, so once.\n\n| events of the lead |")
	for _, l := range b.res.leadBytes {
		fmt.Fprintf(w, " %d |", l.events)
	}
	fmt.Fprintf(w, "\n| --- |%s\n| bytes |", strings.Repeat(" --- |", len(b.res.leadBytes)))
	for _, l := range b.res.leadBytes {
		fmt.Fprintf(w, " %d |", l.heap)
	}
	fmt.Fprintln(w)
}
