package main

import (
	"math"

	"leadstream/state/lead"
)

// loop is the logic of rules.yaml as one would write it by hand in a program that keeps what it knows in a map: a score, a stage and the last
// events of every lead. It drops no duplicates, explains nothing and writes nothing, and what it knows ends with the process.
type loop struct {
	leads   map[string]*looped
	changes uint64 // of a stage
}

type looped struct {
	score float64
	at    int64
	count uint64
	stage uint8
	next  uint8 // of last, the place of the next event once it is full
	last  []loopedEvent
}

type loopedEvent struct {
	at     int64
	points float64
}

const (
	loopedEvents   = 32
	loopedHalfLife = 7 * 24 * 3600 * 1000 // ms
)

var loopedPoints = map[string]float64{
	"Page Viewed": 1, "Email Opened": 1, "Docs Viewed": 1, "Case Study Viewed": 1, "Webinar Registered": 1, "Email Link Clicked": 1,
	"Pricing Viewed": 2, "Content Downloaded": 2, "Trial Started": 3, "Webinar Attended": 3, "Demo Requested": 5, "Unsubscribed": -5,
}

// add does an event of the lead with that key.
func (l *loop) add(key []byte, ev *lead.Event) {
	x := l.leads[string(key)]
	if x == nil {
		x = &looped{at: ev.Time}
		l.leads[string(key)] = x
	}
	if ev.Time > x.at {
		x.score *= math.Exp2(-float64(ev.Time-x.at) / loopedHalfLife)
		x.at = ev.Time
	}
	points := loopedPoints[ev.Name]
	x.score = max(0, x.score+points)
	x.count++
	if e := (loopedEvent{ev.Time, points}); len(x.last) < loopedEvents {
		x.last = append(x.last, e)
	} else {
		x.last[x.next] = e
		x.next = (x.next + 1) % loopedEvents
	}
	if stage := loopedStage(x.score); stage != x.stage {
		x.stage = stage
		l.changes++
	}
}

func loopedStage(score float64) uint8 {
	switch {
	case score >= 100:
		return 3
	case score >= 50:
		return 2
	case score >= 20:
		return 1
	}
	return 0
}
