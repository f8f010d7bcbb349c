package lead

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// MaxDepth is how many objects and lists may be open at once in a document that is read. Deeper ones are
// refused: no event is built like that, and it bounds everything that walks a value later.
const MaxDepth = 128

// Fault says what is wrong with a document.
type Fault uint8

// The faults of a document.
const (
	// NotJSON: json.Valid would say no.
	NotJSON Fault = iota + 1
	// NotObject: valid JSON, but no object.
	NotObject
	// TooDeep: more than MaxDepth containers are open.
	TooDeep
)

// JSONError is the error of a document that can't be read. It names no content, only a place.
type JSONError struct {
	Fault Fault
	// Offset is the byte at which reading stopped, from 0.
	Offset int
}

// Error says what is wrong and where.
func (e *JSONError) Error() string {
	switch e.Fault {
	case NotObject:
		return "not a JSON object"
	case TooDeep:
		return fmt.Sprintf("nested deeper than %d at byte %d", MaxDepth, e.Offset)
	}
	return fmt.Sprintf("not JSON at byte %d", e.Offset)
}

// Parse checks a whole document and returns its value, which aliases doc. It accepts what encoding/json
// accepts, down to MaxDepth; strings that are not UTF-8 are accepted and repaired when they are read.
func Parse(doc []byte) (Value, error) {
	r := reader{doc: doc, field: -1}
	return r.scan()
}

// ParseObject is Parse for a document that must be an object.
func ParseObject(doc []byte) (Object, error) {
	v, err := Parse(doc)
	if err != nil {
		return nil, err
	}
	if v.Kind != Map {
		return nil, &JSONError{Fault: NotObject}
	}
	return Object(v.Text), nil
}

// Fields is a fixed list of member names, prepared for Scan. It is immutable.
type Fields struct {
	names []string
	// slots is an open hash table of index+1 into names.
	slots [64]uint8
}

// NewFields prepares at most 32 distinct, non-empty names.
func NewFields(names ...string) *Fields {
	f := &Fields{names: names}
	if len(names) > len(f.slots)/2 {
		panic("bug: too many field names")
	}
	for i, n := range names {
		h := fieldHash([]byte(n))
		for f.slots[h] != 0 {
			if names[f.slots[h]-1] == n {
				panic("bug: field name given twice: " + n)
			}
			h = (h + 1) & 63
		}
		f.slots[h] = uint8(i + 1)
	}
	return f
}

// Len returns the number of names.
func (f *Fields) Len() int { return len(f.names) }

// Scan checks a whole document in one pass, which must be an object, and sets out[i] to the top-level
// member with the i-th name, Absent where there is none. Names are compared exactly; of members with the
// same name the last counts. The values alias doc. It allocates only to report an error.
func (f *Fields) Scan(doc []byte, out []Value) error { return f.ScanLike(nil, doc, out) }

// ScanLike is Scan for one of many documents of the same shape.
func (f *Fields) ScanLike(shape *Shape, doc []byte, out []Value) error {
	out = out[:len(f.names)]
	r := reader{doc: doc, fields: f, out: out, shape: shape, field: -1}
	v, err := r.scan()
	if err == nil && v.Kind != Map {
		err = &JSONError{Fault: NotObject}
	}
	if err != nil {
		clear(out)
		return err
	}
	// Clearing all of it first would write pointers nobody sees, which costs most while the garbage collector runs.
	for i := range out {
		if out[i].Kind != Absent && r.found>>i&1 == 0 {
			out[i] = Value{}
		}
	}
	return nil
}

func fieldHash(name []byte) uint8 {
	n := len(name)
	return (name[0] + 7*name[n-1] + 13*uint8(n)) & 63
}

// find returns the index of the name written as raw (between its quotes, escapes untouched), or -1.
func (f *Fields) find(raw []byte, escaped bool) int {
	if escaped {
		var buf [256]byte
		if len(raw) > len(buf) {
			return -1 // longer than any name we look for, whatever it spells
		}
		raw = appendUnescaped(buf[:0], raw)
	}
	if len(raw) == 0 {
		return -1
	}
	for h := fieldHash(raw); f.slots[h] != 0; h = (h + 1) & 63 {
		if i := int(f.slots[h]) - 1; f.names[i] == string(raw) {
			return i
		}
	}
	return -1
}

// containers remembers for each open container whether it is an object.
type containers struct {
	objects [MaxDepth / 64]uint64
	depth   int
}

func (c *containers) push(object bool) bool {
	if c.depth == MaxDepth {
		return false
	}
	word, bit := c.depth>>6, uint64(1)<<(c.depth&63)
	c.objects[word] &^= bit
	if object {
		c.objects[word] |= bit
	}
	c.depth++
	return true
}

func (c *containers) inObject() bool {
	d := c.depth - 1
	return d >= 0 && c.objects[d>>6]>>(d&63)&1 == 1
}

// reader is the state of one walk over a document. It alternates between three positions: before a value,
// before a member's name, and after a value; nothing recurses.
type reader struct {
	doc    []byte
	fields *Fields // may be nil
	out    []Value
	shape  *Shape // may be nil
	place  int    // how many names have been read
	open   containers
	field  int    // the wanted member whose value is being read, -1 none
	from   int    // where that value starts
	found  uint32 // the wanted members that were there, by bit
}

// scan checks the whole document.
func (r *reader) scan() (Value, error) {
	doc := r.doc
	first := skipSpace(doc, 0)
	i, more, ok := first, true, true
	for more {
		if i >= len(doc) {
			return notJSON(i)
		}
		switch c := doc[i]; c {
		case '{', '[':
			if !r.open.push(c == '{') {
				return Value{}, &JSONError{Fault: TooDeep, Offset: i}
			}
			if i = skipSpace(doc, i+1); i < len(doc) && doc[i] == c+2 { // its closing bracket
				r.open.depth--
				i++
				break
			}
			if c == '{' {
				if i, ok = r.name(i); !ok {
					return notJSON(i)
				}
			}
			continue
		case '"':
			i, _, ok = readString(doc, i+1)
		default:
			i, ok = readScalar(doc, i)
		}
		if !ok {
			return notJSON(i)
		}
		if i, more, ok = r.after(i); !ok {
			return notJSON(i)
		}
	}
	if end := skipSpace(doc, i); end < len(doc) {
		return notJSON(end)
	}
	return valueOf(doc[first:i]), nil
}

// after goes on behind a value that ends at i: it keeps it if it is wanted, closes what closes here, and
// returns where the next value starts, or, with more false, where the whole document's value ends.
func (r *reader) after(i int) (next int, more, ok bool) {
	for {
		if r.open.depth <= 1 {
			if r.open.depth == 0 {
				return i, false, true
			}
			if r.field >= 0 {
				r.out[r.field] = valueOf(r.doc[r.from:i])
				r.found |= 1 << r.field
				r.field = -1
			}
		}
		if i = skipSpace(r.doc, i); i >= len(r.doc) {
			return i, false, false
		}
		object := r.open.inObject()
		switch c := r.doc[i]; {
		case c == ',':
			i = skipSpace(r.doc, i+1)
			if object {
				i, ok = r.name(i)
				return i, true, ok
			}
			return i, true, true
		case object && c == '}' || !object && c == ']':
			r.open.depth--
			i++
		default:
			return i, false, false
		}
	}
}

// name reads a member's name and colon and returns where its value starts.
func (r *reader) name(i int) (int, bool) {
	if n := r.shape.next(r.place, r.doc, i); n != nil {
		r.place++
		i = skipSpace(r.doc, i+len(n.text))
		if r.open.depth == 1 {
			r.field, r.from = n.field, i
		}
		return i, true
	}
	if i >= len(r.doc) || r.doc[i] != '"' {
		return i, false
	}
	start := i + 1
	end, escaped, ok := readString(r.doc, start)
	if !ok {
		return end, false
	}
	if i = skipSpace(r.doc, end); i >= len(r.doc) || r.doc[i] != ':' {
		return i, false
	}
	i = skipSpace(r.doc, i+1)
	if r.fields == nil || r.shape == nil && r.open.depth > 1 {
		return i, true
	}
	field := r.fields.find(r.doc[start:end-1], escaped)
	r.shape.learn(r.place, r.doc[start-1:i], field)
	r.place++
	if r.open.depth == 1 {
		r.field, r.from = field, i
	}
	return i, true
}

func notJSON(at int) (Value, error) {
	return Value{}, &JSONError{Fault: NotJSON, Offset: at}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the first place from i on that is a quote, a backslash or a control character, or
// len(b). It looks at eight bytes at a time: zero bytes are found by the borrow they cause. A borrow can
// mark a byte above a true hit wrongly, never below, so the lowest mark is always right.
func stringEnd(b []byte, i int) int {
	const low, high = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^(low*'"'), w^(low*'\\')
		if m := ((quote-low)&^quote | (slash-low)&^slash | (w-low*0x20)&^w) & high; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
		i++
	}
	return i
}

// readString checks the string whose content starts at i. It returns the place after the closing quote
// and whether there are escapes.
func readString(doc []byte, i int) (end int, escaped, ok bool) {
	for {
		if i = stringEnd(doc, i); i >= len(doc) {
			return i, escaped, false
		}
		switch doc[i] {
		case '"':
			return i + 1, escaped, true
		case '\\':
			escaped = true
			n := escapeLen(doc[i:])
			if n == 0 {
				return i, escaped, false
			}
			i += n
		default:
			return i, escaped, false
		}
	}
}

// escapeLen returns the length of the escape that b starts with, 0 if it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

// readScalar checks a number or literal.
func readScalar(doc []byte, i int) (int, bool) {
	rest := doc[i:]
	switch rest[0] {
	case 't':
		return i + 4, len(rest) >= 4 && string(rest[:4]) == "true"
	case 'f':
		return i + 5, len(rest) >= 5 && string(rest[:5]) == "false"
	case 'n':
		return i + 4, len(rest) >= 4 && string(rest[:4]) == "null"
	case '-':
		i++
	}
	start := i
	i = digits(doc, i)
	if i == start || doc[start] == '0' && i > start+1 {
		return start, false
	}
	if i < len(doc) && doc[i] == '.' {
		start = i + 1
		if i = digits(doc, start); i == start {
			return i, false
		}
	}
	if i < len(doc) && doc[i]|0x20 == 'e' {
		i++
		if i < len(doc) && (doc[i] == '+' || doc[i] == '-') {
			i++
		}
		start = i
		if i = digits(doc, start); i == start {
			return i, false
		}
	}
	return i, true
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}
