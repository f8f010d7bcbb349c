package formats

import (
	"strings"
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
	for _, test := range []struct {
		text string
		want string // RFC 3339, "" for unreadable
	}{
		{"2026-11-21T18:53:41.770675756Z", "2026-11-21T18:53:41.770Z"},
		{"2026-11-21T18:53:46.633845+00:00", "2026-11-21T18:53:46.633Z"},
		{"2026-11-21T18:53:41Z", "2026-11-21T18:53:41Z"},
		{"2026-11-21T18:53:41.7Z", "2026-11-21T18:53:41.700Z"},
		{"2026-11-21T18:53:41,77Z", "2026-11-21T18:53:41.770Z"},
		{"2026-11-21T18:53Z", "2026-11-21T18:53:00Z"},
		{"2026-11-21T18:53:41+01:30", "2026-11-21T17:23:41Z"},
		{"2026-11-21T18:53:41-0800", "2026-11-22T02:53:41Z"},
		{"2026-11-21T18:53:41-08", "2026-11-22T02:53:41Z"},
		{"2026-11-21 18:53:41", "2026-11-21T18:53:41Z"},
		{"2026-11-21t18:53:41z", "2026-11-21T18:53:41Z"},
		{"2026-11-21", "2026-11-21T00:00:00Z"},
		{"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
		{"2000-02-29", "2000-02-29T00:00:00Z"},
		{"1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"},
		{"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
		{"0000-03-01T00:00:00Z", "0000-03-01T00:00:00Z"},
		{"9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"},
		{"2023-02-29", ""}, {"1900-02-29", ""}, {"2026-13-01", ""}, {"2026-00-01", ""}, {"2026-11-31", ""}, {"2026-11-00", ""},
		{"2026-11-21T24:00:00Z", ""}, {"2026-11-21T18:60:00Z", ""}, {"2026-11-21T18:53:60Z", ""}, {"2026-11-21T18:53:41.Z", ""},
		{"2026-11-21T18", ""}, {"2026-11-21T18:53:41Zx", ""}, {"2026-11-21T18:53:41+24:00", ""}, {"2026-11-21T18:53:41+01:60", ""},
		{"2026-11-21T18:53:41+1", ""}, {"2026-11-21T18:53:41+01:", ""}, {"2026-11-21T", ""}, {"2026/11/21", ""}, {"26-11-21", ""}, {"", ""},
		{"1795287600000", ""}, {"20261121", ""}, {" 2026-11-21", ""}, {"2026-11-21 ", ""}, {"+2026-11-21", ""}, {"202:-11-21", ""},
	} {
		got, ok := ParseTime([]byte(test.text))
		if test.want == "" {
			if ok {
				t.Errorf("%q is %d", test.text, got)
			}
			continue
		}
		want, err := time.Parse(time.RFC3339, test.want)
		if err != nil {
			t.Fatal(err)
		}
		if !ok || got != want.UnixMilli() {
			t.Errorf("%q: %d %v, want %d", test.text, got, ok, want.UnixMilli())
		}
	}
}

func TestEveryDayOfEightCenturies(t *testing.T) {
	for d := time.Date(1600, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() < 2400; d = d.AddDate(0, 0, 1) {
		text := d.Format(time.DateOnly)
		if got, ok := ParseTime([]byte(text)); !ok || got != d.UnixMilli() {
			t.Fatalf("%s: %d %v, want %d", text, got, ok, d.UnixMilli())
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2026-11-21T18:53:41.770675756Z", "2026-11-21T18:53:46.633845+00:00", "2026-11-21", "2026-11-21 18:53:41",
		"2026-11-21T18:53:41,5-23:59", "2024-02-29T23:59:59Z", "0000-01-01T00:00:00Z"} {
		f.Add(s)
	}
	layouts := []string{
		time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07",
		"2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", time.DateOnly,
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseTime([]byte(s))
		known := false
		for _, layout := range layouts {
			want, err := time.Parse(layout, s)
			if err != nil {
				continue
			}
			known = true
			// time.Parse takes one-digit hours, spaces before them, and offsets with 24 hours or 60 minutes; ISO 8601 does not.
			if len(s) > 12 && (s[12] == ':' || s[11] == ' ') || !ok && len(s) > 12 && (strings.Contains(s[12:], "24") || strings.HasSuffix(s, "60")) {
				continue
			}
			if !ok || got != want.UnixMilli() {
				t.Fatalf("%q: %d %v, time.Parse with %s says %d", s, got, ok, layout, want.UnixMilli())
			}
		}
		if ok && !known && len(s) >= 19 && s[10] == 'T' && s[len(s)-1] == 'Z' {
			t.Fatalf("%q: %d, but time.Parse refuses it", s, got)
		}
	})
}
