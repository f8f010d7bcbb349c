package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// duration is a length of time in the notation of rule sets: 30d, 1d12h, 15m, 90s, 250ms.
type duration time.Duration

// size is a number of bytes, written like 512MiB.
type size int64

// secret is text that is never shown.
type secret string

// redacted stands for a secret wherever one is shown.
const redacted = "<redacted>"

// String hides the secret, whatever prints it.
func (s secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// GoString hides the secret from %#v.
func (s secret) GoString() string { return s.String() }

type unit struct {
	name string
	of   int64
}

var timeUnits = []unit{{"d", 86_400_000}, {"h", 3_600_000}, {"m", 60_000}, {"s", 1000}, {"ms", 1}}

var sizeUnits = []unit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

var (
	errDuration = errors.New("write a duration like 30d, 1d12h, 15m, 90s or 250ms")
	errSize     = errors.New("write a size like 512MiB, 64KiB or 2GiB")
)

// parseDuration reads units from long to short, each at most once. At most 100 years.
func parseDuration(text string) (duration, error) {
	const most = int64(100 * 366 * 86_400_000)
	rest, total := text, int64(0)
	for _, u := range timeUnits {
		digits := leadingDigits(rest)
		name, after := leadingLetters(rest[digits:])
		if digits == 0 || name != u.name {
			continue
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil || n > most/u.of {
			return 0, errDuration
		}
		total += n * u.of
		rest = after
	}
	if rest != "" || text == "" || total > most {
		return 0, errDuration
	}
	return duration(total) * duration(time.Millisecond), nil
}

func leadingDigits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }

func leadingLetters(s string) (name, rest string) {
	rest = strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz")
	return s[:len(s)-len(rest)], rest
}

// String is the inverse of parseDuration.
func (d duration) String() string {
	ms := time.Duration(d).Milliseconds()
	if ms <= 0 {
		return "0s"
	}
	var b strings.Builder
	for _, u := range timeUnits {
		if n := ms / u.of; n > 0 {
			b.WriteString(strconv.FormatInt(n, 10) + u.name)
			ms -= n * u.of
		}
	}
	return b.String()
}

// parseSize reads one number with a unit.
func parseSize(text string) (size, error) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(text, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.of {
			return 0, errSize
		}
		return size(n * u.of), nil
	}
	return 0, errSize
}

// String is the inverse of parseSize.
func (s size) String() string {
	for _, u := range sizeUnits {
		if int64(s)%u.of == 0 && s != 0 {
			return fmt.Sprintf("%d%s", int64(s)/u.of, u.name)
		}
	}
	return "0B"
}
