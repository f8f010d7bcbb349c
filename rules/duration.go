package rules

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var errDuration = errors.New(`write it like 30d, 1d12h, 15m, 90s or 250ms`)

// parseDuration reads 30d, 1d12h, 15m, 90s, 250ms: integers, each unit at most once, from long to short.
// It returns ms.
func parseDuration(s string) (int64, error) {
	units := []struct {
		name string
		ms   int64
	}{{"d", day}, {"h", hour}, {"m", minute}, {"s", second}, {"ms", 1}}
	rest, total, next := s, int64(0), 0
	for rest != "" {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits > 15 {
			return 0, errDuration
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, errDuration
		}
		rest = rest[digits:]
		name := rest[:len(rest)-len(strings.TrimLeft(rest, "dhms"))]
		// "1m30s" and "5ms": the letters stop at the next digit, so the unit is all of them.
		i := next
		for i < len(units) && units[i].name != name {
			i++
		}
		if i == len(units) {
			return 0, errDuration
		}
		if n > maxDuration/units[i].ms {
			return 0, fmt.Errorf("longer than %s", formatDuration(maxDuration))
		}
		total += n * units[i].ms
		rest, next = rest[len(name):], i+1
	}
	if s == "" {
		return 0, errDuration
	}
	if total > maxDuration {
		return 0, fmt.Errorf("longer than %s", formatDuration(maxDuration))
	}
	return total, nil
}

// formatDuration is the inverse of parseDuration for ms >= 0.
func formatDuration(ms int64) string {
	if ms == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range []struct {
		name string
		ms   int64
	}{{"d", day}, {"h", hour}, {"m", minute}, {"s", second}, {"ms", 1}} {
		if n := ms / u.ms; n > 0 {
			b.WriteString(strconv.FormatInt(n, 10))
			b.WriteString(u.name)
			ms -= n * u.ms
		}
	}
	return b.String()
}

// celDuration writes a duration the way CEL's own duration() reads it.
func celDuration(ms int64) string {
	return strconv.FormatInt(ms/second, 10) + "." + fmt.Sprintf("%03d", ms%second) + "s"
}
