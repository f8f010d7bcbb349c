package rules

import "leadstream/state/lead"

// tri is CEL's three-valued logic: an error can be outweighed by the other side of && and ||.
type tri uint8

const (
	triFalse tri = iota
	triTrue
	triError
)

func truth(b bool) tri {
	if b {
		return triTrue
	}
	return triFalse
}

// never is the validUntil of what time alone does not change.
const never = lead.Never

// node is a compiled boolean expression. eval returns its value at x.at and the first ms after that at
// which time alone may change it; a ms before the true one is allowed, a later one is not.
type node interface {
	eval(x *scope) (tri, int64)
}

// cond is a compiled condition.
type cond struct {
	node node
	rule int // who is blamed for errors: an index into Set.rules
	deps deps
	src  string // its text, for explanations
}

// deps says what a condition reads.
type deps struct {
	// event: fields of the event; signalNow: signal().
	event, signalNow bool
	// windows are the signals whose history is read; scores those whose value or grade is read.
	windows, scores, fields []int
	traits                  []string
	stage, lead             bool
	tags, consent           bool
	// timed says that the value may change with time alone.
	timed bool
}

// test evaluates a condition. An error makes it false and is counted, but for that of a trait that the lead does
// not have: most leads lack most traits, and a count of them would hide the mistakes.
func (x *scope) test(c *cond) (bool, int64) {
	lacking := x.lacking
	x.lacking = false
	v, until := c.node.eval(x)
	if v == triError && !x.lacking {
		x.failed(c.rule)
	}
	x.lacking = lacking
	return v == triTrue, until
}

// holds is test for who does not ask until when: where a curve crosses a constant is then not searched.
func (x *scope) holds(c *cond) bool {
	outer := x.nowOnly
	x.nowOnly = true
	on, _ := x.test(c)
	x.nowOnly = outer
	return on
}

type constNode struct{ v tri }

func (n constNode) eval(*scope) (tri, int64) { return n.v, never }

type notNode struct{ a node }

func (n *notNode) eval(x *scope) (tri, int64) {
	v, until := n.a.eval(x)
	switch v {
	case triTrue:
		return triFalse, until
	case triFalse:
		return triTrue, until
	}
	return triError, until
}

type andNode struct{ parts []node }

func (n *andNode) eval(x *scope) (tri, int64) {
	result, until := triTrue, never
	for _, p := range n.parts {
		v, u := p.eval(x)
		if v == triFalse {
			// It stays false as long as this part does, whatever the others do.
			return triFalse, u
		}
		until = min(until, u)
		if v == triError {
			result = triError
		}
	}
	return result, until
}

type orNode struct{ parts []node }

func (n *orNode) eval(x *scope) (tri, int64) {
	result, until := triFalse, never
	for _, p := range n.parts {
		v, u := p.eval(x)
		if v == triTrue {
			return triTrue, u
		}
		until = min(until, u)
		if v == triError {
			result = triError
		}
	}
	return result, until
}

type choiceNode struct{ test, yes, no node }

func (n *choiceNode) eval(x *scope) (tri, int64) {
	v, until := n.test.eval(x)
	if v == triError {
		return triError, until
	}
	branch := n.no
	if v == triTrue {
		branch = n.yes
	}
	w, u := branch.eval(x)
	return w, min(until, u)
}

// eventOnly is a part that reads the event: it is false while there is none.
type eventOnly struct{ a node }

func (n *eventOnly) eval(x *scope) (tri, int64) {
	if x.ev == nil {
		return triFalse, never
	}
	return n.a.eval(x)
}

// signalNode is signal("s").
type signalNode struct{ slot int }

func (n *signalNode) eval(x *scope) (tri, int64) {
	return truth(x.signalsOn && x.matched[n.slot] == x.stamp), never
}

// clockNode compares the time since something with a constant.
type clockNode struct {
	signal int // -1: the stage was entered
	op     cmpOp
	ms     int64
}

func (n *clockNode) eval(x *scope) (tri, int64) {
	since := x.l.StageSince
	if n.signal >= 0 {
		s := x.signalState(n.signal)
		if s == nil { // greater than every constant
			return truth(n.op == opGT || n.op == opGE || n.op == opNE), never
		}
		since = s.Last
	}
	holds, until := compareAge(since, x.at, n.op, n.ms)
	return truth(holds), until
}

// compareAge tells whether (at - since) op ms, and from when on it does not any more.
func compareAge(since, at int64, op cmpOp, ms int64) (bool, int64) {
	age := at - since
	holds := op.holds(float64(age), float64(ms))
	reaches, passes := addSpan(since, ms), addSpan(since, ms+1)
	switch op {
	case opGE, opLT:
		if age < ms {
			return holds, reaches
		}
	case opGT, opLE:
		if age <= ms {
			return holds, passes
		}
	default: // == and != change twice
		if age < ms {
			return holds, reaches
		}
		if age == ms {
			return holds, passes
		}
	}
	return holds, never
}

// matrixNode is `matrix.x == "A1"`, `matrix.x in ["A1", "A2"]`.
type matrixNode struct {
	matrix int
	in     []bool
}

func (n *matrixNode) eval(x *scope) (tri, int64) {
	cell, until := x.cellAt(n.matrix)
	return truth(n.in[cell]), until
}

// intCompare compares one of the lead's counters with a constant.
type intCompare struct {
	read func(l *lead.Lead) int64
	op   cmpOp
	c    float64
}

func (n *intCompare) eval(x *scope) (tri, int64) {
	return truth(n.op.holds(float64(n.read(x.l)), n.c)), never
}

// stageNode is `stage == "..."`, `stage in [...]`.
type stageNode struct{ in []bool }

func (n *stageNode) eval(x *scope) (tri, int64) { return truth(n.in[x.l.Stage]), never }

// gradeNode is `grade.x == "A"`, `grade.x in ["A", "B"]`.
type gradeNode struct {
	score int
	in    []bool
}

func (n *gradeNode) eval(x *scope) (tri, int64) {
	g, until := x.gradeAt(n.score)
	return truth(n.in[g]), until
}

// scoreNode compares a linear combination of scores with a constant.
type scoreNode struct {
	parts []weight
	op    cmpOp
	c     float64
}

// weight is one score, or one tag, in a linear combination.
type weight struct {
	score int // -1 for a tag
	tag   string
	by    float64
}

func (n *scoreNode) eval(x *scope) (tri, int64) {
	holds, until := x.compareScores(n.parts, n.op, n.c)
	return truth(holds), until
}
