package rules

import (
	"bytes"
	"regexp"

	"leadstream/state/lead"
)

// This file holds the comparisons that most rules consist of: a field of the event or a trait with
// constants. They say what CEL would say of the same text, without allocating.

// textSource is text that is always there: a declared field of the event or of the lead.
type textSource interface {
	text(x *scope) []byte
}

// textTest is a comparison of text with constants.
type textTest struct {
	op   textOp
	want [][]byte // one for most, several for textIn
	re   *regexp.Regexp
}

type textOp uint8

const (
	textIn textOp = iota // == too
	textPrefix
	textSuffix
	textContains
	textMatches
)

var textFunctions = map[string]textOp{
	"startsWith": textPrefix, "endsWith": textSuffix, "contains": textContains, "matches": textMatches,
}

func (t *textTest) holds(s []byte) bool {
	switch t.op {
	case textPrefix:
		return bytes.HasPrefix(s, t.want[0])
	case textSuffix:
		return bytes.HasSuffix(s, t.want[0])
	case textContains:
		return bytes.Contains(s, t.want[0])
	case textMatches:
		return t.re.Match(s)
	}
	for _, w := range t.want {
		if bytes.Equal(s, w) {
			return true
		}
	}
	return false
}

// fieldNode tests a declared text field.
type fieldNode struct {
	source textSource
	test   textTest
}

func (n *fieldNode) eval(x *scope) (tri, int64) { return truth(n.test.holds(n.source.text(x))), never }

// path is a member of one of the maps: event.properties.a.b, traits.email.
type path struct {
	root pathRoot
	keys []string
}

type pathRoot uint8

const (
	rootProperties pathRoot = iota
	rootContext
	rootEventTraits
	rootTraits
	rootAccount // the account's traits
)

var pathRoots = map[string]pathRoot{
	"event.properties": rootProperties, "event.context": rootContext, "event.traits": rootEventTraits, "traits": rootTraits,
	"account.traits": rootAccount,
}

// value returns what is there. ok is false where CEL would find an error: the member is absent.
func (p *path) value(x *scope) (v lead.Value, ok bool) {
	v, ok = p.member(x, len(p.keys))
	return v, ok && v.Kind != lead.Absent
}

// member follows the first n keys. ok is false when one before the last leads nowhere.
func (p *path) member(x *scope, n int) (v lead.Value, ok bool) {
	i := 1
	switch p.root {
	case rootTraits:
		v = x.trait(p.keys[0])
	case rootAccount:
		v = x.accountTrait(p.keys[0])
	case rootProperties:
		v = x.ev.Properties.Get(p.keys[0])
	case rootContext:
		v = x.ev.Context.Get(p.keys[0])
	case rootEventTraits:
		v = x.eventTraits().Get(p.keys[0])
	}
	for ; i < n; i++ {
		if v.Kind != lead.Map {
			return lead.Value{}, false
		}
		v = v.Object().Get(p.keys[i])
	}
	return v, true
}

// hasNode is has(path): CEL finds an error when what should hold the member is absent, and false when it
// is there and no map.
type hasNode struct{ p path }

func (n *hasNode) eval(x *scope) (tri, int64) {
	last := len(n.p.keys) - 1
	if last == 0 {
		v, _ := n.p.member(x, 1)
		return truth(v.Kind != lead.Absent), never
	}
	v, ok := n.p.member(x, last)
	switch {
	case !ok || v.Kind == lead.Absent || v.Kind == lead.List:
		return triError, never
	case v.Kind != lead.Map:
		return triFalse, never
	}
	return truth(v.Object().Get(n.p.keys[last]).Kind != lead.Absent), never
}

// flagNode is a member that is used as a condition itself: it must be a boolean.
type flagNode struct{ p path }

func (n *flagNode) eval(x *scope) (tri, int64) {
	v, ok := n.p.value(x)
	if !ok {
		return triError, never
	}
	b, ok := v.Bool()
	if !ok {
		return triError, never
	}
	return truth(b), never
}

// memberText tests a member that must be text: an order or a string function.
type memberText struct {
	p    path
	test textTest
}

func (n *memberText) eval(x *scope) (tri, int64) {
	v, ok := n.p.value(x)
	if !ok || v.Kind != lead.String {
		return triError, never
	}
	return truth(n.test.holds(v.Bytes())), never
}

// literal is a literal that members are compared with.
type literal struct {
	kind lead.ValueKind // Null, Bool, Number or String
	num  float64
	str  []byte
	flag bool
}

func (c *literal) equal(v lead.Value) bool {
	if v.Kind != c.kind {
		return false // values of two types are never equal, which is no error
	}
	switch c.kind {
	case lead.Number:
		f, ok := v.Float()
		return ok && f == c.num
	case lead.String:
		return bytes.Equal(v.Bytes(), c.str)
	case lead.Bool:
		b, _ := v.Bool()
		return b == c.flag
	}
	return true
}

// memberIn is `path == c`, `path != c` and `path in [c, ...]`.
type memberIn struct {
	p    path
	want []literal
	not  bool
}

func (n *memberIn) eval(x *scope) (tri, int64) {
	v, ok := n.p.value(x)
	if ok && v.Kind == lead.Number {
		_, ok = v.Float() // one beyond the range of doubles is an error, not another number
	}
	if !ok {
		return triError, never
	}
	for i := range n.want {
		if n.want[i].equal(v) {
			return truth(!n.not), never
		}
	}
	return truth(n.not), never
}

// memberOrder is `path < c` and its like: values of another type than the literal are errors.
type memberOrder struct {
	p  path
	op cmpOp
	c  literal
}

func (n *memberOrder) eval(x *scope) (tri, int64) {
	v, ok := n.p.value(x)
	if !ok || v.Kind != n.c.kind {
		return triError, never
	}
	if v.Kind == lead.String {
		return truth(n.op.holds(float64(bytes.Compare(v.Bytes(), n.c.str)), 0)), never
	}
	f, ok := v.Float()
	if !ok {
		return triError, never
	}
	return truth(n.op.holds(f, n.c.num)), never
}

// leadText are the lead's own ids.
type leadText struct{ user bool }

func (t leadText) text(x *scope) []byte {
	if t.user {
		return asBytes(x.l.UserID)
	}
	return asBytes(x.l.ID)
}
