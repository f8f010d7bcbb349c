package lead

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
