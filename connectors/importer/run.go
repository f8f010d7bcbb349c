package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Stats says what became of the lines.
type Stats struct {
	Files int
	// Records counts what was read, headers and blank lines left out; each became an event or is bad.
	Records, Events, Bad int
	// Blank counts lines with nothing on them.
	Blank int
	// First and Last are the earliest and latest event time in ms since 1970; 0 without events.
	First, Last int64
	// Faults are the first MaxFaults bad records.
	Faults []Fault
}

// MaxFaults bounds Stats.Faults; Bad counts all.
const MaxFaults = 100

// Fault is a record that became no event. Reason shows nothing of its content.
type Fault struct {
	File   string
	Line   int
	Reason string
}

// String returns file:line: reason.
func (f Fault) String() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Reason) }

// ErrMapping is in the errors of Run that are the mapping's: it has faults, or it does not fit a file's columns.
var ErrMapping = errors.New("the mapping does not fit")

// Run reads the files in order and calls emit with each event: its key (the routing id), its value (a
// Segment message in JSON), which are the callee's to keep, and its time in ms since 1970. Bad records are
// counted and left out. An error means that a file could not be read to its end, that the mapping does not fit
// its columns, that there are more events than may be sorted, or that emit or ctx ended it; Stats then tell how far it came.
func Run(ctx context.Context, m Mapping, files []string, emit func(key, value []byte, ts int64) error) (Stats, error) {
	p, err := compile(m)
	if err != nil {
		return Stats{}, fmt.Errorf("checking mapping: %w: %w", ErrMapping, err)
	}
	i := run{plan: p, emit: emit, build: p.build}
	if p.Format == formatSegment {
		s, err := newSegmentReader()
		if err != nil {
			return Stats{}, err
		}
		i.build = s.build
	}
	for _, path := range files {
		if err := i.file(ctx, path); err != nil {
			return i.stats, err
		}
	}
	slices.SortStableFunc(i.waiting, func(a, b made) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	for n := range i.waiting {
		if err := i.send(ctx, &i.waiting[n]); err != nil {
			return i.stats, err
		}
		i.waiting[n] = made{}
	}
	return i.stats, nil
}

// run is one import.
type run struct {
	plan  *plan
	build func(*record) (made, error)
	emit  func(key, value []byte, ts int64) error
	stats Stats
	// waiting are events that have to be sorted first.
	waiting []made
}

func (i *run) file(ctx context.Context, path string) (err error) {
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.close(); err == nil && closed != nil {
			err = fmt.Errorf("closing %s: %w", path, closed)
		}
	}()
	i.stats.Files++
	if err := f.begin(i.plan); err != nil {
		if errors.Is(err, io.EOF) {
			return nil // an empty file has no events
		}
		return err
	}
	r := record{file: f}
	for {
		before := f.line
		err := f.read(i.plan, &r)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case f.line == before: // not a line's fault: the file can't be read
			return err
		case err == nil && r.text == nil:
			i.stats.Blank++
			continue
		}
		if err := i.record(ctx, &r, err); err != nil {
			return err
		}
	}
}

// record counts a record and makes its event, unless it could not be read.
func (i *run) record(ctx context.Context, r *record, unreadable error) error {
	i.stats.Records++
	err := unreadable
	var event made
	if err == nil {
		event, err = i.build(r)
	}
	if err != nil {
		if last := r.file.line; last > r.line {
			err = fmt.Errorf("%w (it was read up to line %d)", err, last)
		}
		i.stats.Bad++
		if len(i.stats.Faults) < MaxFaults {
			i.stats.Faults = append(i.stats.Faults, Fault{r.file.path, r.line, err.Error()})
		}
		return nil
	}
	if !i.plan.Sort {
		return i.send(ctx, &event)
	}
	if len(i.waiting) == i.plan.SortMax {
		return fmt.Errorf("sorting: there are more than %d events; raise sort_max if memory allows, or sort the files before", i.plan.SortMax)
	}
	i.waiting = append(i.waiting, event)
	return ctx.Err()
}

func (i *run) send(ctx context.Context, e *made) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := i.emit(e.key, e.value, e.at); err != nil {
		return err
	}
	if i.stats.Events == 0 || e.at < i.stats.First {
		i.stats.First = e.at
	}
	i.stats.Last = max(i.stats.Last, e.at)
	i.stats.Events++
	return nil
}
