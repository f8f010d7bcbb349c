package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"leadstream/rules"
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

var sizeUnits = []struct {
	name string
	of   int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

var errSize = errors.New("not a size: write it like 512MiB, 64KiB or 2GiB")

// parseDuration reads a duration.
func parseDuration(text string) (duration, error) {
	ms, err := rules.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("not a duration: %w", err)
	}
	return duration(time.Duration(ms) * time.Millisecond), nil
}

// String is the inverse of parseDuration.
func (d duration) String() string { return rules.FormatDuration(time.Duration(d).Milliseconds()) }

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
