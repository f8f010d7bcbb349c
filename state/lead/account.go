package lead

// Membership is a lead's place in an account, or what an account's own entity keeps. Its slices but Members are never
// changed in place: who changes one replaces it, so clones share them.
type Membership struct {
	// Group is where the newest group call put the lead, "" when it left; Time and Message are that call's, Time NoTime
	// when there was none.
	Group   string
	Time    int64
	Message uint64
	// Account is the account that counts the lead, "" for none. Role and Parts are what it was told last, Seen when
	// the lead last did what accounts' conditions look at.
	Account, Role string
	Parts, Seen   []Part
	// Stage, Facts and Traits are what the account has said last. Facts are comparisons of its scores: Value is 1 for one
	// that holds. Of an account's own entity they are what its members were told.
	Stage  string
	Facts  []Part
	Traits sharedTraits
	// Members are those of an account, sorted by id; Others counts those beyond its bound, of which Rest keeps the sum.
	Members []Member
	Others  int64
	Rest    []Part
}

type sharedTraits []Trait

// Part is a number that belongs to a name: the points of one score, as of At. Key is the hash of what it is, in words
// of package rules.
type Part struct {
	Key   uint64
	Value float64
	At    int64
}

// Member is one lead of an account, as the lead said it last. Its slices are never changed in place.
type Member struct {
	ID, Role string
	// Pointer is the lead's Node.Pointer: an id that was a pointer in between is another lead.
	Pointer     uint64
	Parts, Seen []Part
}

const (
	membershipFields = 13
	partFields       = 3
	memberFields     = 5
)

func (e *encoder) memberships(s []Membership) {
	e.array(len(s) * membershipFields)
	for i := range s {
		m := &s[i]
		e.str(m.Group)
		e.time(m.Time)
		e.uint(m.Message)
		e.str(m.Account)
		e.str(m.Role)
		e.parts(m.Parts)
		e.parts(m.Seen)
		e.str(m.Stage)
		e.parts(m.Facts)
		e.traits(m.Traits)
		e.members(m.Members)
		e.int(m.Others)
		e.parts(m.Rest)
	}
}

func (e *encoder) parts(s []Part) {
	e.array(len(s) * partFields)
	for i := range s {
		e.uint(s[i].Key)
		e.float(s[i].Value)
		e.time(s[i].At)
	}
}

func (e *encoder) members(s []Member) {
	e.array(len(s) * memberFields)
	for i := range s {
		e.str(s[i].ID)
		e.str(s[i].Role)
		e.uint(s[i].Pointer)
		e.parts(s[i].Parts)
		e.parts(s[i].Seen)
	}
}

func (d *decoder) memberships(s []Membership) []Membership {
	s = resize(s, d.array("account", membershipFields))
	for i := range s {
		m := &s[i]
		m.Group, m.Time, m.Message = d.str("group", m.Group), d.time("group time"), d.uint("group message")
		m.Account, m.Role = d.str("account id", m.Account), d.str("account role", m.Role)
		m.Parts, m.Seen = d.parts("account parts"), d.parts("account seen")
		m.Stage, m.Facts, m.Traits = d.str("account stage", m.Stage), d.parts("account facts"), d.traits(nil)
		m.Members, m.Others, m.Rest = d.members(m.Members), d.int("others"), d.parts("rest")
	}
	return s
}

// parts reads into memory of its own: clones share the old one's.
func (d *decoder) parts(what string) []Part {
	n := d.array(what, partFields)
	if n == 0 {
		return nil
	}
	s := make([]Part, n)
	for i := range s {
		s[i] = Part{Key: d.uint(what), Value: d.float(what), At: d.time(what)}
	}
	return s
}

func (d *decoder) members(s []Member) []Member {
	s = resize(s, d.array("members", memberFields))
	for i := range s {
		m := &s[i]
		m.ID, m.Role = d.str("member id", m.ID), d.str("member role", m.Role)
		m.Pointer = d.uint("member pointer")
		m.Parts, m.Seen = d.parts("member parts"), d.parts("member seen")
	}
	return s
}

// accountBytes is what a lead's place in an account, or an account's members, take.
func (l *Lead) accountBytes() int {
	n := arrayBytes(l.Account)
	for i := range l.Account {
		m := &l.Account[i]
		n += len(m.Group) + len(m.Account) + len(m.Role) + len(m.Stage)
		n += arrayBytes(m.Parts) + arrayBytes(m.Seen) + arrayBytes(m.Facts) + arrayBytes(m.Traits)
		for j := range m.Traits {
			n += len(m.Traits[j].Name) + cap(m.Traits[j].Value.Text)
		}
		n += arrayBytes(m.Members) + arrayBytes(m.Rest)
		for j := range m.Members {
			x := &m.Members[j]
			n += len(x.ID) + len(x.Role) + arrayBytes(x.Parts) + arrayBytes(x.Seen)
		}
	}
	return n
}
