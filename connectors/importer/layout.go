package importer

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"leadstream/connectors/formats"
)

// layout reads times.
type layout struct {
	// pattern is one of the fixed names, else empty; goLayout is what a pattern means to package time.
	pattern, goLayout string
	zone              *time.Location
}

// patternParts are what a pattern may hold after a percent sign, in the words of package time.
var patternParts = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'b': "Jan", 'B': "January", 'd': "02", 'e': "_2", 'a': "Mon", 'A': "Monday", 'H': "15", 'I': "03",
	'p': "PM", 'M': "04", 'S': "05", 'z': "-0700", 'Z': "MST", 'T': "15:04:05", 'F': "2006-01-02", '%': "%",
}

func parseLayout(text string) (layout, error) {
	switch text {
	case "", "iso8601":
		return layout{pattern: "iso8601"}, nil
	case "unix", "unix_ms":
		return layout{pattern: text}, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c != '%':
			if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' && c != 'T' && c != 'Z' {
				return layout{}, fmt.Errorf("%q: %q stands for itself, which times can't be read with; write %%Y, %%m, %%d, %%H, %%M, %%S", text, c)
			}
			b.WriteByte(c)
		case i+1 == len(text):
			return layout{}, fmt.Errorf("%q ends in a percent sign", text)
		default:
			i++
			if text[i] == 'f' { // package time reads a fraction of any length where seconds end
				whole := strings.TrimRight(b.String(), ".,")
				b.Reset()
				b.WriteString(whole)
				continue
			}
			part, ok := patternParts[text[i]]
			if !ok {
				return layout{}, fmt.Errorf("%q: unknown %%%c", text, text[i])
			}
			b.WriteString(part)
		}
	}
	if !strings.Contains(text, "%") {
		return layout{}, fmt.Errorf("%q is none of iso8601, unix, unix_ms and no pattern like %%Y-%%m-%%d", text)
	}
	return layout{goLayout: b.String()}, nil
}

var (
	errTime    = errors.New("the time does not fit the layout")
	errTooOld  = errors.New("the time is before 1970")
	errNoTime  = errors.New("there is no time")
	errTooLate = errors.New("the time is after the year 9999")
)

// latest is the last millisecond of the year 9999.
const latest = 253_402_300_799_999

// parse returns ms since 1970.
func (l *layout) parse(text string) (int64, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, errNoTime
	}
	var ms int64
	switch l.pattern {
	case "iso8601":
		// A text without zone is local; the parser takes it as UTC.
		if l.zone != time.UTC && !zoned(text) {
			local, ok := formats.ParseTime([]byte(text))
			if !ok {
				return 0, errTime
			}
			u := time.UnixMilli(local).UTC()
			ms = time.Date(u.Year(), u.Month(), u.Day(), u.Hour(), u.Minute(), u.Second(), u.Nanosecond(), l.zone).UnixMilli()
			break
		}
		var ok bool
		if ms, ok = formats.ParseTime([]byte(text)); !ok {
			return 0, errTime
		}
	case "unix", "unix_ms":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) {
			return 0, errTime
		}
		if l.pattern == "unix" {
			f = math.Round(f * 1000)
		}
		if f > latest {
			return 0, errTooLate
		}
		if f < 0 {
			return 0, errTooOld
		}
		ms = int64(f)
	default:
		t, err := time.ParseInLocation(l.goLayout, text, l.zone)
		if err != nil {
			return 0, errTime // the library's error shows the text
		}
		ms = t.UnixMilli()
	}
	if ms < 0 {
		return 0, errTooOld
	}
	return ms, nil
}

// zoned says that an ISO 8601 text has a zone.
func zoned(text string) bool {
	_, clock, ok := strings.Cut(strings.Replace(text, " ", "T", 1), "T")
	return ok && strings.ContainsAny(clock, "Zz+-")
}
