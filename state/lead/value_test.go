package lead

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
)

func value(t *testing.T, text string) Value {
	t.Helper()
	v, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func TestFloat(t *testing.T) {
	for _, test := range []struct {
		text string
		want float64
		ok   bool
	}{
		{"0", 0, true}, {"-0", math.Copysign(0, -1), true}, {"7", 7, true}, {"-7", -7, true},
		{"999999999999999", 999999999999999, true}, {"9007199254740993", 9007199254740992, true},
		{"1.5", 1.5, true}, {"1e3", 1000, true}, {"1e308", 1e308, true}, {"1e309", 0, false}, {"-1e309", 0, false},
		{"1e-400", 0, true}, {`"7"`, 0, false}, {"true", 0, false}, {"null", 0, false}, {"[7]", 0, false},
	} {
		got, ok := value(t, test.text).Float()
		if ok != test.ok || ok && math.Float64bits(got) != math.Float64bits(test.want) {
			t.Errorf("%s: %v %v, want %v %v", test.text, got, ok, test.want, test.ok)
		}
	}
	if _, ok := (Value{}).Float(); ok {
		t.Error("an absent value is no number")
	}
}

func TestOtherKindsHaveNoContent(t *testing.T) {
	for _, text := range []string{"7", "true", "null", "[]", "{}"} {
		v := value(t, text)
		if v.Str() != "" || v.Bytes() != nil {
			t.Errorf("%s has a string", text)
		}
	}
	v := value(t, `"true"`)
	if _, ok := v.Bool(); ok || v.Object() != nil {
		t.Error("a string is neither bool nor object")
	}
	for name, v := range map[string]Value{"absent": {}, "string": v, "map": value(t, `{"a":1}`)} {
		v.Each(func(Value) bool {
			t.Errorf("%s has elements", name)
			return true
		})
	}
	var none Object
	if none.Get("a").Kind != Absent || Object(`{}`).Get("").Kind != Absent {
		t.Error("an empty object has members")
	}
}

func TestEachStops(t *testing.T) {
	n := 0
	value(t, `[1,2,3]`).Each(func(Value) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("%d elements", n)
	}
	n = 0
	value(t, `{"a":1,"b":2,"c":3}`).Object().Each(func(string, Value) bool { n++; return n < 2 })
	if n != 2 {
		t.Errorf("%d members", n)
	}
}

func TestEachBytes(t *testing.T) {
	o := value(t, `{"a":1,"\u0062":2,"a":3}`).Object()
	var got []string
	o.EachBytes(func(key []byte, v Value) bool {
		got = append(got, string(key)+"="+string(v.Text))
		return true
	})
	if want := []string{"a=1", "b=2", "a=3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	plain := value(t, `{"a":1,"b":2.25}`).Object()
	n := testing.AllocsPerRun(100, func() {
		plain.EachBytes(func(key []byte, v Value) bool {
			_, ok := v.Float()
			return ok && len(key) == 1
		})
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEqual(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"1", "1.0", true}, {"100", "1e2", true}, {"1", "2", false}, {"0", "-0", true}, {"1", `"1"`, false},
		{"1e999", "1e999", true}, {"1e999", "1e998", false},
		{`"a"`, `"\u0061"`, true}, {`"a"`, `"b"`, false}, {"true", "false", false}, {"true", "true", true}, {"null", "null", true},
		{"null", "false", false}, {"[1, 2]", "[1,2.0]", true}, {"[1,2]", "[2,1]", false}, {"[1]", "[1,1]", false}, {"[]", "[ ]", true},
		{`{"a":1,"b":[2]}`, `{"b":[2.0], "a":1}`, true}, {`{"a":1}`, `{"a":1,"b":2}`, false}, {`{"a":1}`, `{"b":1}`, false},
		{`{"a":1,"a":2}`, `{"a":2}`, true}, {`{"a":2,"a":1}`, `{"a":2}`, false}, {`{}`, `[]`, false},
	} {
		a, b := value(t, test.a), value(t, test.b)
		if a.Equal(b) != test.want || b.Equal(a) != test.want {
			t.Errorf("%s and %s: want %v", test.a, test.b, test.want)
		}
	}
	if !(Value{}).Equal(Value{}) || (Value{}).Equal(value(t, "null")) {
		t.Error("absent equals absent only")
	}
}

func TestCloneOwnsItsText(t *testing.T) {
	doc := []byte(`"abc"`)
	v, err := Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	c := v.Clone()
	doc[1] = 'x'
	if c.Str() != "abc" || v.Str() != "xbc" {
		t.Errorf("clone is %q, original %q", c.Str(), v.Str())
	}
}

// Text that never passed the scanner must at worst give nonsense, not a crash or an endless loop.
func FuzzUncheckedText(f *testing.F) {
	for _, doc := range documents {
		f.Add([]byte(doc), "a")
	}
	f.Fuzz(func(_ *testing.T, text []byte, key string) {
		for kind := Absent; kind <= Map; kind++ {
			v := Value{Kind: kind, Text: text}
			v.Float()
			v.Bool()
			_ = v.Str()
			v.Each(func(e Value) bool { return e.Kind != Absent })
			v.Equal(Value{Kind: kind, Text: append([]byte{' '}, text...)})
		}
		Object(text).Get(key)
		Object(text).Each(func(string, Value) bool { return true })
		Object(text).EachBytes(func([]byte, Value) bool { return true })
	})
}

func FuzzQuoted(f *testing.F) {
	f.Add("plain")
	f.Add("\"\\\n\r\t\x00\x1f\x7f\u2028\u2029\xff\xc3<&>é😀")
	f.Fuzz(func(t *testing.T, s string) {
		text := appendQuoted(nil, s)
		var got string
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%q became %s: %v", s, text, err)
		}
		if want := string([]rune(s)); got != want {
			t.Fatalf("%q reads back as %q", s, got)
		}
	})
}
