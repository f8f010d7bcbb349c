package lead

// The bits of a node.
const (
	bitUser = 1 << iota
	bitKnown
	bitIdentifier
	bitGone
	nodeBits = 1<<iota - 1
)

func (e *encoder) node(n *Node) {
	e.str(n.Forward)
	e.uint(n.Pointer)
	bits := uint64(0)
	for i, on := range []bool{n.User, n.Known, n.Identifier, n.Gone} {
		if on {
			bits |= 1 << i
		}
	}
	e.uint(bits)
	e.strs(n.Apart)
}

func (e *encoder) strs(s []string) {
	e.array(len(s))
	for _, x := range s {
		e.str(x)
	}
}

func (e *encoder) linked(s []LinkedID) {
	e.array(len(s) * linkedFields)
	for i := range s {
		e.str(s[i].ID)
		e.bool(s[i].Merged)
	}
}

func (e *encoder) refused(s []Refusal) {
	e.array(len(s) * refusalFields)
	for i := range s {
		e.str(s[i].ID)
		e.str(s[i].With)
		e.time(s[i].Time)
		e.uint(uint64(s[i].Why))
	}
}

func (e *encoder) consents(s []Consent) {
	e.array(len(s) * consentFields)
	for i := range s {
		e.str(s[i].Purpose)
		e.bool(s[i].Granted)
		e.time(s[i].Time)
		e.str(s[i].Source)
	}
}
