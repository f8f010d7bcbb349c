package lead

import (
	"bytes"
	"slices"
	"strconv"
)

// ValueKind tells what JSON type a Value has.
type ValueKind uint8

// The kinds of values. Absent is the zero Value: there was no such field.
const (
	Absent ValueKind = iota
	Null
	Bool
	Number
	String
	List
	Map
)

// Value is one JSON value: its kind and its text (for a String with its quotes and escapes). The text
// has passed validation. It aliases what it was read from; Clone before keeping it.
type Value struct {
	Kind ValueKind
	Text []byte
}

// Object is the text of a validated JSON object, "{...}"; nil is an empty one.
type Object []byte

// valueOf returns the value with the given validated text, which has no space around it.
func valueOf(text []byte) Value {
	if len(text) == 0 {
		return Value{}
	}
	kind := Number
	switch text[0] {
	case '{':
		kind = Map
	case '[':
		kind = List
	case '"':
		kind = String
	case 't', 'f':
		kind = Bool
	case 'n':
		kind = Null
	}
	return Value{Kind: kind, Text: text}
}

// StringValue returns the String with that content.
func StringValue(s string) Value {
	return Value{Kind: String, Text: appendQuoted(nil, s)}
}

// Float returns a Number as a double. It is false for other kinds and for numbers beyond the range of
// doubles; those too small become 0.
func (v Value) Float() (float64, bool) {
	if v.Kind != Number {
		return 0, false
	}
	// Most numbers are short integers, which doubles hold exactly.
	if n := len(v.Text); n > 0 && n <= 15 && v.Text[0] != '-' {
		var sum int64
		for _, c := range v.Text {
			if c -= '0'; c > 9 {
				sum = -1
				break
			}
			sum = sum*10 + int64(c)
		}
		if sum >= 0 {
			return float64(sum), true
		}
	}
	f, err := strconv.ParseFloat(string(v.Text), 64) // copied to the stack when it is short
	return f, err == nil
}

// Bool returns a Bool's value; ok is false for other kinds.
func (v Value) Bool() (value, ok bool) {
	return v.Kind == Bool && len(v.Text) > 0 && v.Text[0] == 't', v.Kind == Bool
}

// Str returns a String's content as a new string, "" for other kinds. Invalid UTF-8 and unpaired
// surrogates are replaced by U+FFFD.
func (v Value) Str() string {
	if v.Kind != String {
		return ""
	}
	raw := v.raw()
	if plain(raw) {
		return string(raw)
	}
	return string(appendUnescaped(nil, raw))
}

// Bytes is Str as bytes, nil for other kinds: it aliases the text when there is nothing to unescape or
// replace, and allocates otherwise.
func (v Value) Bytes() []byte {
	if v.Kind != String {
		return nil
	}
	raw := v.raw()
	if plain(raw) {
		return raw
	}
	return appendUnescaped(make([]byte, 0, len(raw)+2), raw)
}

// Object returns a Map's members, an empty Object for other kinds.
func (v Value) Object() Object {
	if v.Kind != Map {
		return nil
	}
	return Object(v.Text)
}

// Each calls fn for each element of a List, in order, until fn returns false.
func (v Value) Each(fn func(Value) bool) {
	if v.Kind != List {
		return
	}
	text := v.Text
	i := skipSpace(text, 1)
	for i < len(text) && text[i] != ']' {
		end := skipValue(text, i)
		if end == i || !fn(valueOf(text[i:end])) {
			return
		}
		if i = skipSpace(text, end); i < len(text) && text[i] == ',' {
			i = skipSpace(text, i+1)
		}
	}
}

// Clone returns a copy that owns its text.
func (v Value) Clone() Value {
	return Value{Kind: v.Kind, Text: bytes.Clone(v.Text)}
}

// Equal says whether two values are the same JSON value: numbers as doubles, strings by content, objects
// whatever the order of their members.
func (v Value) Equal(w Value) bool {
	if v.Kind != w.Kind {
		return false
	}
	if bytes.Equal(v.Text, w.Text) {
		return true
	}
	switch v.Kind {
	case Number:
		a, aok := v.Float()
		b, bok := w.Float()
		return aok && bok && a == b
	case String:
		return bytes.Equal(v.Bytes(), w.Bytes())
	case List:
		return slices.EqualFunc(v.elements(), w.elements(), Value.Equal)
	case Map:
		return equalObjects(v.Object(), w.Object())
	}
	return v.Kind != Bool // absent and null have one value each; equal texts were seen above
}

func (v Value) elements() []Value {
	var all []Value
	v.Each(func(e Value) bool {
		all = append(all, e)
		return true
	})
	return all
}

func equalObjects(a, b Object) bool {
	members := func(o Object) map[string]Value {
		m := make(map[string]Value)
		o.Each(func(key string, v Value) bool {
			m[key] = v
			return true
		})
		return m
	}
	left, right := members(a), members(b)
	if len(left) != len(right) {
		return false
	}
	for key, v := range left {
		if w, ok := right[key]; !ok || !v.Equal(w) {
			return false
		}
	}
	return true
}

// raw is a String's text without its quotes.
func (v Value) raw() []byte {
	if len(v.Text) < 2 {
		return nil
	}
	return v.Text[1 : len(v.Text)-1]
}

// Get returns the member with that name, Absent if there is none. Of members with the same name the last
// counts, as in encoding/json.
func (o Object) Get(key string) Value {
	var found Value
	o.each(func(raw []byte, escaped bool, v Value) bool {
		if !escaped && string(raw) == key || escaped && nameOf(raw, true) == key {
			found = v
		}
		return true
	})
	return found
}

// Each calls fn for each member in the order of the text until fn returns false. A name that is there
// more than once is visited each time; the last one counts. value aliases the object's text, key does not.
func (o Object) Each(fn func(key string, v Value) bool) {
	o.each(func(raw []byte, escaped bool, v Value) bool {
		return fn(nameOf(raw, escaped), v)
	})
}

// EachBytes is Each without a copy of the name: it aliases the object's text where nothing is escaped.
func (o Object) EachBytes(fn func(key []byte, v Value) bool) {
	o.each(func(raw []byte, escaped bool, v Value) bool {
		if escaped {
			raw = appendUnescaped(nil, raw)
		}
		return fn(raw, v)
	})
}

// each visits members with their names as written; escaped says that a name is not what it spells.
func (o Object) each(fn func(raw []byte, escaped bool, v Value) bool) {
	i := skipSpace(o, 1)
	for i < len(o) && o[i] == '"' {
		end := skipString(o, i+1)
		raw := o[i+1 : max(end-1, i+1)]
		i = skipSpace(o, skipSpace(o, end)+1) // past the colon
		if end = skipValue(o, i); end <= i || !fn(raw, !plain(raw), valueOf(o[i:end])) {
			return
		}
		i = skipSpace(o, skipSpace(o, end)+1) // past the comma
	}
}

func nameOf(raw []byte, escaped bool) string {
	if escaped {
		raw = appendUnescaped(nil, raw)
	}
	return string(raw)
}

// skipValue returns the end of the validated value that starts at i. On text that is not valid it
// returns some place in it.
func skipValue(text []byte, i int) int {
	depth := 0
	for i < len(text) {
		switch text[i] {
		case '"':
			i = skipString(text, i+1)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
			i++
		case ',', ':', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
			i++
			continue
		default: // a number or a literal
			for i++; i < len(text) && inScalar(text[i]); i++ {
			}
		}
		if depth == 0 {
			return i
		}
	}
	return len(text)
}

// inScalar says that a number or literal goes on at c.
func inScalar(c byte) bool {
	return c > ',' && c != ':' && c != ']' && c != '}' || c == '+'
}

// skipString returns the place after the closing quote of the validated string whose content starts at i.
func skipString(text []byte, i int) int {
	for i < len(text) {
		i = stringEnd(text, i)
		if i >= len(text) {
			break
		}
		switch text[i] {
		case '"':
			return i + 1
		case '\\':
			i += 2
		default:
			i++
		}
	}
	return len(text)
}

// MarshalJSON writes the value as it was in the event.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.Kind == Null || len(v.Text) == 0 {
		return []byte("null"), nil
	}
	return v.Text, nil
}
