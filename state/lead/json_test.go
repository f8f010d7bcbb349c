package lead

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// documents are texts around which scanners go wrong, valid and not.
var documents = []string{
	``, ` `, `{}`, `[]`, ` { } `, `{"a":1}`, `{"a":1,}`, `{,}`, `{"a"}`, `{"a":}`, `{"a" : [ ] , "b":{}}`, `{"a":1]`,
	`[1,2,3]`, `[1,]`, `[,1]`, `[1 2]`, `{"a":1 "b":2}`, `null`, `true`, `false`, `nul`, `truex`, `tru`, `fals`,
	`0`, `-0`, `-`, `01`, `-01`, `1.`, `.5`, `1.5`, `1e`, `1e+`, `1e5`, `1E-5`, `1.5e+10`, `+1`, `1e999`, `0x1`, `1_0`,
	`NaN`, `Infinity`, `-Infinity`, `{"a":NaN}`, `"a`, `"a"`, `"\u00e9"`, `"\u00g9"`, `"\u00"`, `"\x"`, `"\`, `"\ud83d\ude00"`, `"\ud83d"`,
	`"\ude00\ud83d"`, "\"\x00\"", "\"\x1f\"", "\"\t\"", "\"\x7f\"", "\"\xff\xfe\"", "\"ab\xc3\"", "{\"a\xff\":1}", "\ufeff{}", "{}\x00",
	`{"a":{"b":{"c":[1,{"d":[]}]}},"e":"f"}`, `{"a":1}{"b":2}`, `{"a":1} x`, `{1:2}`, `{'a':1}`, `[[[[]]]]`, `[[[]`, `]`, `}`, `:`, `,`,
	`{"a":1,"a":2}`, `{"\u0061":1}`, `{"":1}`, "{\n\t\"a\"\r: 1 }", `"12345678"`, `"1234567\"9"`, `"\\\\\\\\\\\\"`, "{\"a\":\"12345678\x01\"}", "\v{}", `{"a":"b"`,
	`[1e5,-2.5E+3,true,false,null,"x"]`, `//c`, `{"a":1/**/}`,
}

func TestScanAcceptsWhatEncodingJSONAccepts(t *testing.T) {
	for _, doc := range documents {
		checkAgainstEncodingJSON(t, []byte(doc))
	}
}

func FuzzScan(f *testing.F) {
	for _, doc := range documents {
		f.Add([]byte(doc))
	}
	f.Fuzz(checkAgainstEncodingJSON)
}

// checkAgainstEncodingJSON compares everything this package says about a document with encoding/json.
func checkAgainstEncodingJSON(t *testing.T, doc []byte) {
	v, err := Parse(doc)
	var fault *JSONError
	if errors.As(err, &fault) && fault.Fault == TooDeep {
		return
	}
	if want := json.Valid(doc); want != (err == nil) {
		t.Fatalf("%q: valid is %v, we say %v", doc, want, err)
	}
	if err != nil {
		return
	}
	var want any
	if err := json.Unmarshal(doc, &want); err == nil {
		compare(t, v, want)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(doc, &members) != nil || members == nil {
		return
	}
	names := []string{"a", "b", "e", "properties"}
	out := make([]Value, len(names))
	if err := NewFields(names...).Scan(doc, out); err != nil {
		t.Fatalf("%q: %v", doc, err)
	}
	for i, name := range names {
		if got, want := string(out[i].Text), string(members[name]); got != want {
			t.Fatalf("%q: %s is %q, want %q", doc, name, got, want)
		}
	}
}

// TestScanLike scans documents after others, and with others put into them: what is remembered of the last
// one must not be seen.
func TestScanLike(t *testing.T) {
	fields := NewFields("a", "b", "e", "properties")
	for _, first := range documents {
		for _, second := range documents {
			for third := range 3 {
				checkScanLike(t, fields, []byte(first), []byte(second), third*len(first)/3)
			}
		}
	}
}

func FuzzScanLike(f *testing.F) {
	for i, doc := range documents {
		f.Add([]byte(doc), []byte(documents[(i*7+3)%len(documents)]), i)
	}
	fields := NewFields("a", "b", "e", "properties")
	f.Fuzz(func(t *testing.T, first, second []byte, cut int) { checkScanLike(t, fields, first, second, cut) })
}

// checkScanLike scans first, second, and first with second put into it at cut, with one Shape.
func checkScanLike(t *testing.T, fields *Fields, first, second []byte, cut int) {
	t.Helper()
	cut = min(max(cut, 0), len(first))
	mixed := slices.Concat(first[:cut], second, first[cut:])
	var shape Shape
	want, got := make([]Value, fields.Len()), make([]Value, fields.Len())
	for _, doc := range [][]byte{first, first, second, mixed, first} {
		wantErr, gotErr := fields.Scan(doc, want), fields.ScanLike(&shape, doc, got)
		if fmt.Sprint(wantErr) != fmt.Sprint(gotErr) {
			t.Fatalf("%q after others: %v, want %v", doc, gotErr, wantErr)
		}
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("%q after others: %q, want %q", doc, got, want)
		}
	}
}

// compare checks a value against what encoding/json made of the same text.
func compare(t *testing.T, v Value, want any) {
	t.Helper()
	switch w := want.(type) {
	case nil:
		if v.Kind != Null {
			t.Fatalf("%q is %d, want null", v.Text, v.Kind)
		}
	case bool:
		if got, ok := v.Bool(); !ok || got != w {
			t.Fatalf("%q is %v %v", v.Text, got, ok)
		}
	case float64:
		if got, ok := v.Float(); !ok || got != w {
			t.Fatalf("%q is %v %v, want %v", v.Text, got, ok, w)
		}
	case string:
		if got := v.Str(); got != w {
			t.Fatalf("%q is %q, want %q", v.Text, got, w)
		}
		if got := v.Bytes(); string(got) != w {
			t.Fatalf("%q is %q as bytes, want %q", v.Text, got, w)
		}
	case []any:
		n := 0
		v.Each(func(e Value) bool {
			compare(t, e, w[n])
			n++
			return true
		})
		if n != len(w) || v.Kind != List {
			t.Fatalf("%q has %d elements, want %d", v.Text, n, len(w))
		}
	case map[string]any:
		seen := make(map[string]Value)
		v.Object().Each(func(key string, m Value) bool {
			seen[key] = m
			return true
		})
		if len(seen) != len(w) || v.Kind != Map {
			t.Fatalf("%q has %d members, want %d", v.Text, len(seen), len(w))
		}
		for key, m := range w {
			compare(t, seen[key], m)
			compare(t, v.Object().Get(key), m)
		}
	}
}

func TestScanFindsTopLevelMembersOnly(t *testing.T) {
	doc := []byte(` {"x":{"userId":"inner","type":"no"},"type":"track","l":["type"],"userId":"old","user\u0049d":7,"e":null} `)
	out := make([]Value, 4)
	if err := NewFields("type", "userId", "e", "missing").Scan(doc, out); err != nil {
		t.Fatal(err)
	}
	if got := out[0].Str(); got != "track" {
		t.Errorf("type is %q", got)
	}
	if got := string(out[1].Text); got != "7" {
		t.Errorf("userId is %q, want the last one", got)
	}
	if out[2].Kind != Null || out[3].Kind != Absent {
		t.Errorf("null is %d, missing is %d", out[2].Kind, out[3].Kind)
	}
}

func TestScanFaults(t *testing.T) {
	deep := strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth)
	for _, test := range []struct {
		name, doc string
		fault     Fault
		offset    int
	}{
		{"broken", `{"a":x}`, NotJSON, 5},
		{"cut off", `{"a":"b`, NotJSON, 7},
		{"a list", `[1]`, NotObject, 0},
		{"at the limit, but a list", deep, NotObject, 0},
		{"one deeper", "[" + deep + "]", TooDeep, MaxDepth},
		{"far deeper and never closed", strings.Repeat(`{"a":`, 100_000), TooDeep, MaxDepth * 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := NewFields("a").Scan([]byte(test.doc), make([]Value, 1))
			var fault *JSONError
			if !errors.As(err, &fault) || fault.Fault != test.fault || fault.Offset != test.offset {
				t.Fatalf("got %v (%+v), want fault %d at %d", err, fault, test.fault, test.offset)
			}
			if err.Error() == "" {
				t.Error("no text")
			}
		})
	}
	if _, err := Parse([]byte(deep)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := ParseObject([]byte(`"x"`)); err == nil {
		t.Error("a string is no object")
	}
	if o, err := ParseObject([]byte(` {"a":1} `)); err != nil || string(o) != `{"a":1}` {
		t.Errorf("got %q, %v", o, err)
	}
}

func TestScanDoesNotAllocate(t *testing.T) {
	doc := []byte(`{"type":"track","userId":"lead-42","event":"Demo Requested","properties":{"plan":"enterprise","seats":50},"n":[1,2]}`)
	fields := NewFields("type", "userId", "properties")
	out := make([]Value, 3)
	got := testing.AllocsPerRun(100, func() {
		if fields.Scan(doc, out) != nil {
			t.Fatal("not read")
		}
		if _, ok := out[2].Object().Get("seats").Float(); !ok || len(out[1].Bytes()) != 7 {
			t.Fatal("not found")
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkScan(b *testing.B) {
	doc := []byte(`{"type":"track","messageId":"8c9e2f64-3f0a-4d5c-9d8b-0123456789ab","timestamp":"2026-11-21T18:53:41.770Z","userId":"lead-0000421337","event":"Pricing Viewed","properties":{"url":"/pricing","ms":1234,"plan":"team"}}`)
	fields := NewFields("type", "messageId", "timestamp", "userId", "anonymousId", "event", "name", "properties", "context", "traits")
	out := make([]Value, fields.Len())
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if fields.Scan(doc, out) != nil {
			b.Fatal("not read")
		}
	}
}
