package httpapi

import (
	"errors"
	"math"
	"reflect"
	"testing"
)

var testLayout = Layout{Generation: 0xfeedbeef, Topics: []FeedTopic{{"a", 3}, {"b", 1}}}

func TestPosition(t *testing.T) {
	p := Position{{0, 1, math.MaxInt64}, {300}}
	got, err := parsePosition(p.encode(testLayout), testLayout)
	if err != nil || !reflect.DeepEqual(got, p) {
		t.Fatalf("%v, %v", got, err)
	}
	for _, q := range []Position{{{0, 1}, {300}}, {{0, 1, 2}}, {{0, 1, 2}, {3}, {4}}, {{0, -1, 2}, {3}}} {
		if _, err := parsePosition(q.encode(testLayout), testLayout); !errors.Is(err, errBadPosition) {
			t.Errorf("%v: %v", q, err)
		}
	}
	other := testLayout
	other.Generation++
	if _, err := parsePosition(p.encode(other), testLayout); !errors.Is(err, errRecreated) {
		t.Errorf("another generation: %v", err)
	}
}

func FuzzParsePosition(f *testing.F) {
	f.Add(Position{{0, 1, 2}, {3}}.encode(testLayout))
	f.Add("")
	f.Fuzz(func(t *testing.T, id string) {
		p, err := parsePosition(id, testLayout)
		if err != nil {
			return
		}
		q, err := parsePosition(p.encode(testLayout), testLayout)
		if err != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%v became %v, %v", p, q, err)
		}
	})
}
