package workload

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// LoadConfig says which events a Load makes.
type LoadConfig struct {
	// Seed decides everything that is left to chance.
	Seed uint64
	// Events is how many there are. 0 means 2,000,000.
	Events int
	// First is the number in the first event's messageId; those of the others follow.
	First int
	// Leads is how many leads they are about. 0 means 200,000.
	Leads int
	// Zipf is the exponent by which some leads have more events than others; it must be over 1. 0 means
	// 1.1, by which one lead of 200,000 has 13 percent of all events.
	Zipf float64
	// Spread says how else the events are spread over the leads. 0 means by Zipf.
	Spread Spread
	// Start is the time of the first event in ms since 1970; the others follow at equal distances over
	// Span. 0 means 24 hours.
	Start int64
	Span  time.Duration
}

// Spread is how events are spread over leads.
type Spread uint8

// The ways of spreading events.
const (
	// ByZipf gives some leads more than others.
	ByZipf Spread = iota
	// OneEach gives every lead one in turn.
	OneEach
	// Evenly gives every event to any lead, all equally likely.
	Evenly
	// HalfToOne gives every second event to the lead HotLead, the others by Zipf.
	HalfToOne
)

// HotLead is the id of the lead that has every second event of a load spread HalfToOne.
const HotLead = "lead-9999999999"

// LoadEventBytes is the size of every event that a Load makes.
const LoadEventBytes = 207

// LoadNames are the names of a Load's events, equally likely.
var LoadNames = [...]string{
	"Page Viewed", "Pricing Viewed", "Case Study Viewed", "Docs Viewed", "Content Downloaded", "Webinar Registered",
	"Webinar Attended", "Email Opened", "Email Link Clicked", "Trial Started", "Demo Requested", "Unsubscribed",
}

// Load makes track events of one size: type, messageId, timestamp, userId, event and three properties.
type Load struct {
	config  LoadConfig
	rng     *rand.Rand
	zipf    *rand.Zipf
	made    int
	second  int64  // the second that stamp was made for
	stamp   []byte // its text, without fraction
	leadID  []byte
	padding []byte
}

// NewLoad prepares a load.
func NewLoad(c LoadConfig) (*Load, error) {
	if c.Events == 0 {
		c.Events = 2_000_000
	}
	if c.Leads == 0 {
		c.Leads = 200_000
	}
	if c.Zipf == 0 {
		c.Zipf = 1.1
	}
	if c.Span == 0 {
		c.Span = 24 * time.Hour
	}
	var faults []error
	if c.Events < 0 {
		faults = append(faults, fmt.Errorf("events %d: must not be negative", c.Events))
	}
	if c.Leads < 0 || c.Leads > 1e9 {
		faults = append(faults, fmt.Errorf("leads %d: from 1 to 1e9", c.Leads))
	}
	if !(c.Zipf > 1) {
		faults = append(faults, fmt.Errorf("zipf %v: must be over 1", c.Zipf))
	}
	if c.Span < 0 {
		faults = append(faults, fmt.Errorf("span %v: must be positive", c.Span))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	l := &Load{config: c, rng: rand.New(rand.NewPCG(c.Seed, 0)), second: -1, padding: make([]byte, LoadEventBytes)}
	l.zipf = rand.NewZipf(l.rng, c.Zipf, 1, uint64(c.Leads-1))
	for i := range l.padding {
		l.padding[i] = 'x'
	}
	return l, nil
}

// Next appends the next event's value to dst and returns its key, which is valid until the next call, the
// value and the event's time in ms since 1970. ok is false when all events have been made.
func (l *Load) Next(dst []byte) (key, value []byte, at int64, ok bool) {
	if l.made == l.config.Events {
		return nil, dst, 0, false
	}
	at = l.config.Start + int64(l.made)*l.config.Span.Milliseconds()/int64(l.config.Events)
	l.leadID = l.pick(l.leadID[:0])
	name := LoadNames[l.rng.IntN(len(LoadNames))]
	start := len(dst)
	b := append(dst, `{"type":"track","messageId":"m-`...)
	b = appendPadded(b, uint64(l.config.First+l.made), 12)
	b = append(b, `","timestamp":"`...)
	b = l.appendTime(b, at)
	b = append(b, `","userId":"`...)
	b = append(b, l.leadID...)
	b = append(b, `","event":"`...)
	b = append(b, name...)
	b = append(b, `","properties":{"value":`...)
	b = appendPadded(b, 100+l.rng.Uint64N(900), 3)
	b = append(b, `,"plan":"team","note":"`...)
	const tail = `"}}`
	b = append(b, l.padding[:LoadEventBytes-len(tail)-(len(b)-start)]...)
	b = append(b, tail...)
	l.made++
	return l.leadID, b, at, true
}

// pick appends the id of the next event's lead.
func (l *Load) pick(b []byte) []byte {
	leads, n := uint64(l.config.Leads), uint64(0)
	switch l.config.Spread {
	case OneEach:
		n = uint64(l.made) % leads
	case Evenly:
		n = l.rng.Uint64N(leads)
	case HalfToOne:
		if l.made%2 == 1 {
			return append(b, HotLead...)
		}
		n = l.zipf.Uint64()
	default:
		n = l.zipf.Uint64()
	}
	return appendPadded(append(b, "lead-"...), n, 10)
}

// appendTime appends 2026-11-21T18:53:41.770Z, formatting the whole seconds only when they change.
func (l *Load) appendTime(b []byte, at int64) []byte {
	whole := at / 1000
	if at < 0 || whole != l.second {
		l.stamp = time.UnixMilli(at).UTC().AppendFormat(l.stamp[:0], "2006-01-02T15:04:05.")
		l.second = whole
	}
	b = append(b, l.stamp...)
	return append(appendPadded(b, uint64((at%1000+1000)%1000), 3), 'Z')
}

// appendPadded appends n with at least that many digits.
func appendPadded(b []byte, n uint64, width int) []byte {
	var digits [20]byte
	text := strconv.AppendUint(digits[:0], n, 10)
	for i := len(text); i < width; i++ {
		b = append(b, '0')
	}
	return append(b, text...)
}
