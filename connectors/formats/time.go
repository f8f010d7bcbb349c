package formats

import (
	"math"

	"leadstream/state/lead"
)

// time returns when the event happened: its own time as far as the record's timestamp allows it. stamp is
// the record's timestamp, negative when it has none.
func (d *decoder) time(stamp, wall int64) int64 {
	if stamp < 0 || stamp > wall {
		stamp = wall
	}
	t, ok := d.ownTime()
	if !ok {
		d.config.Counters.NoTimes.Add(1)
		return stamp
	}
	if t > stamp+d.futureMs {
		d.config.Counters.FutureTimes.Add(1)
		return stamp
	}
	return t
}

// ownTime returns the time that the message itself gives.
func (d *decoder) ownTime() (int64, bool) {
	if v := d.fields[fieldTimestamp]; !absent(v) {
		return timeOf(v, d.mapped.unit())
	}
	original, ok := timeOf(d.fields[fieldOriginalTimestamp], 1)
	if !ok {
		return 0, false
	}
	sent, ok := timeOf(d.fields[fieldSentAt], 1)
	if !ok {
		return 0, false
	}
	received, ok := timeOf(d.fields[fieldReceivedAt], 1)
	if !ok {
		return 0, false
	}
	t := received - (sent - original)
	return t, t >= 0
}

// timeOf reads a time in ms since 1970: ISO 8601 text, or a number of units of unit ms each.
func timeOf(v lead.Value, unit float64) (int64, bool) {
	switch v.Kind {
	case lead.String:
		t, ok := ParseTime(v.Bytes())
		return t, ok && t >= 0
	case lead.Number:
		f, ok := v.Float()
		if f *= unit; unit > 1 {
			f = math.Round(f) // a decimal fraction of seconds is a hair off as a double
		}
		f = math.Floor(f)
		// The bound is the largest time that JavaScript's dates can hold; it keeps sums from overflowing.
		return int64(f), ok && f >= 0 && f <= 8.64e15
	}
	return 0, false
}

// ParseTime reads an ISO 8601 date and time: 2026-11-21, then T (or a space) and 18:53, :41, a fraction of
// a second with any number of digits, and Z or an offset (+01:00, +0100, +01). Without zone it is UTC. It
// returns ms since 1970, rounded down.
func ParseTime(b []byte) (ms int64, ok bool) {
	if len(b) == len("2026-11-21T18:53:41.770Z") {
		if ms, ok = parseUsual(b); ok {
			return ms, true
		}
	}
	p := timeText{b: b, ok: true}
	year := p.number(4)
	p.expect('-')
	month := p.number(2)
	p.expect('-')
	day := p.number(2)
	if !p.ok || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	ms = daysSinceEpoch(year, month, day) * 86_400_000
	if len(p.b) == 0 {
		return ms, true
	}
	if c := p.b[0]; c != 'T' && c != 't' && c != ' ' {
		return 0, false
	}
	p.b = p.b[1:]
	hour := p.number(2)
	p.expect(':')
	minute := p.number(2)
	second, fraction := int64(0), int64(0)
	if p.at(':') {
		second = p.number(2)
		if p.at('.') || p.at(',') {
			fraction = p.fraction()
		}
	}
	offset := p.offset()
	if !p.ok || len(p.b) > 0 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	return ms + hour*3_600_000 + (minute-offset)*60_000 + second*1000 + fraction, true
}

// parseUsual reads the form that JavaScript writes, and most other libraries with it: 2026-11-21T18:53:41.770Z.
// ok is false for everything else.
func parseUsual(b []byte) (ms int64, ok bool) {
	b = b[:24]
	if b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' || b[16] != ':' || b[19] != '.' || b[23] != 'Z' {
		return 0, false
	}
	var bad byte // not 0 once something is no digit
	two := func(i int) int64 {
		hi, lo := b[i]-'0', b[i+1]-'0'
		if hi > 9 || lo > 9 {
			bad = 1
		}
		return int64(hi)*10 + int64(lo)
	}
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	fraction, last := two(20)*10, b[22]-'0'
	if bad != 0 || last > 9 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	return daysSinceEpoch(year, month, day)*86_400_000 + hour*3_600_000 + minute*60_000 + second*1000 + fraction + int64(last), true
}

// timeText is the rest of a time's text; ok turns false at the first thing that does not fit.
type timeText struct {
	b  []byte
	ok bool
}

func (p *timeText) number(digits int) int64 {
	if len(p.b) < digits {
		p.ok = false
		return 0
	}
	var n int64
	for _, c := range p.b[:digits] {
		if c -= '0'; c > 9 {
			p.ok = false
		}
		n = n*10 + int64(c)
	}
	p.b = p.b[digits:]
	return n
}

// at takes c if it comes next.
func (p *timeText) at(c byte) bool {
	if len(p.b) == 0 || p.b[0] != c {
		return false
	}
	p.b = p.b[1:]
	return true
}

func (p *timeText) expect(c byte) {
	if !p.at(c) {
		p.ok = false
	}
}

// fraction reads at least one digit and returns the first three as ms.
func (p *timeText) fraction() int64 {
	var ms int64
	n := 0
	for n < len(p.b) && p.b[n]-'0' <= 9 {
		if n < 3 {
			ms = ms*10 + int64(p.b[n]-'0')
		}
		n++
	}
	for i := n; i < 3; i++ {
		ms *= 10
	}
	p.ok = p.ok && n > 0
	p.b = p.b[n:]
	return ms
}

// offset reads the zone and returns the minutes it is ahead of UTC.
func (p *timeText) offset() int64 {
	if len(p.b) == 0 || p.at('Z') || p.at('z') {
		return 0
	}
	sign := int64(1)
	if p.at('-') {
		sign = -1
	} else {
		p.expect('+')
	}
	hours, minutes := p.number(2), int64(0)
	if p.at(':') || len(p.b) > 0 {
		minutes = p.number(2)
	}
	p.ok = p.ok && hours <= 23 && minutes <= 59
	return sign * (hours*60 + minutes)
}

func daysIn(year, month int64) int64 {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSinceEpoch counts the days from 1970-01-01 in the Gregorian calendar. Years are taken to begin in
// March, so that the leap day is the last of its year.
func daysSinceEpoch(year, month, day int64) int64 {
	if month -= 3; month < 0 {
		month += 12
		year--
	}
	year += 400 // keeps the divisions below away from negative numbers; a whole cycle is 146,097 days
	return year*365 + year/4 - year/100 + year/400 + (153*month+2)/5 + day - 1 - 719_468 - 146_097
}
