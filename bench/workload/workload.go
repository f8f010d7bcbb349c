package workload

import (
	"container/heap"
	"errors"
	"fmt"
	"time"
)

// Config says which events a Generator makes.
type Config struct {
	// Seed decides everything that is left to chance.
	Seed uint64
	// Leads is the number of people. Somebody who gives their address has two ids, so there are up to
	// twice as many routing ids.
	Leads int
	// Start is when the first people come, in ms since 1970. Duration is how long events are made for.
	Start    int64
	Duration time.Duration
	// Late is the share of events that arrive up to six hours after they happened, Duplicates that of those
	// that arrive twice.
	Late, Duplicates float64
}

// Event is one record: its key (the routing id), its value (a Segment message in JSON) and the time it
// arrives, in ms since 1970. It owns its memory.
type Event struct {
	Key, Value []byte
	Time       int64
}

// Generator makes the events of many people in the order in which they arrive.
type Generator struct {
	config Config
	end    int64
	people agenda
}

// New prepares a generator. It needs memory for every lead at once, some 500 bytes each.
func New(c Config) (*Generator, error) {
	var faults []error
	if c.Leads < 1 {
		faults = append(faults, fmt.Errorf("leads %d: at least one is needed", c.Leads))
	}
	if c.Duration <= 0 {
		faults = append(faults, fmt.Errorf("duration %v: must be positive", c.Duration))
	}
	for name, share := range map[string]float64{"late": c.Late, "duplicates": c.Duplicates} {
		if share < 0 || share > 1 {
			faults = append(faults, fmt.Errorf("%s %v: a share is between 0 and 1", name, share))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	g := &Generator{config: c, end: c.Start + c.Duration.Milliseconds()}
	for i := range c.Leads {
		g.people = append(g.people, newPerson(&g.config, i))
	}
	heap.Init(&g.people)
	return g, nil
}

// Next returns the next event, false when the duration is over.
func (g *Generator) Next() (Event, bool) {
	for len(g.people) > 0 {
		p := g.people[0]
		at := p.due()
		if at >= g.end {
			return Event{}, false
		}
		key, value := p.act(p.take())
		if p.due() == never {
			heap.Pop(&g.people)
		} else {
			heap.Fix(&g.people, 0)
		}
		if value != nil {
			return Event{Key: []byte(key), Value: value, Time: at}, true
		}
	}
	return Event{}, false
}

// agenda is a heap of people by what they do next; the index settles ties.
type agenda []*person

// Len implements heap.Interface.
func (a agenda) Len() int { return len(a) }

// Less implements heap.Interface.
func (a agenda) Less(i, j int) bool {
	if x, y := a[i].due(), a[j].due(); x != y {
		return x < y
	}
	return a[i].index < a[j].index
}

// Swap implements heap.Interface.
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push implements heap.Interface.
func (a *agenda) Push(x any) {
	if p, ok := x.(*person); ok {
		*a = append(*a, p)
	}
}

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}
