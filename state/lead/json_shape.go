package lead

// Shape remembers which member names came in which order in the last document that was scanned with it. The
// events of one producer name the same members in the same order, so where a name is expected the
// text of the last time is compared first: one comparison instead of finding the name's end, what follows it,
// and whether anybody asked for it. Reading an event of 207 bytes takes about a fifth less time that way.
//
// It is a help and no more: what is read does not depend on it. The zero Shape is ready for use, by one
// goroutine and with one Fields.
type Shape struct{ names []shapeName }

// shapeName is a member's name as it was written, with its quotes, its colon and the space around that.
type shapeName struct {
	text  []byte
	field int // its index among the fields, -1 if nobody asked for it
}

// maxShape and maxShapeName bound what a Shape remembers.
const (
	maxShape     = 64
	maxShapeName = 64
)

// next returns the name that came at this place the last time if it comes at i again, else nil.
func (s *Shape) next(place int, doc []byte, i int) *shapeName {
	if s == nil || place >= len(s.names) {
		return nil
	}
	n := &s.names[place]
	if end := i + len(n.text); end > len(doc) || string(doc[i:end]) != string(n.text) || len(n.text) == 0 {
		return nil
	}
	return n
}

// learn notes what came at this place instead.
func (s *Shape) learn(place int, text []byte, field int) {
	if s == nil || place >= maxShape {
		return
	}
	if place >= len(s.names) {
		s.names = append(s.names, shapeName{})
	}
	n := &s.names[place]
	n.field = field
	if n.text = n.text[:0]; len(text) <= maxShapeName {
		n.text = append(n.text, text...)
	}
}
