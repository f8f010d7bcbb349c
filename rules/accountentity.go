package rules

import (
	"slices"
	"strings"

	"leadstream/state/lead"
)

// An account keeps a row for each member: what the lead said last. A score of the account is the sum of its rows'
// parts, each decayed from its own time to now: sums of one half-life decay as one value does, so that sum is kept as
// a stored score and crosses constants exactly as a lead's does. Up to exactMembers rows it is made anew after each letter.
// Beyond, the difference is added, and the sum made anew after as many changes as there are rows, so that its error
// stays that of so many additions at a cost that does not grow with the rows.
//
// Members beyond the bound have no row: their parts are in one sum, Rest, from which a letter takes what it says that
// the lead told before. They count as members and with their points, not in people() and not by role.

// rows is what an account keeps of its members. Who changes it has had membership make it.
func rows(n *lead.Lead) *lead.Membership {
	if len(n.Account) == 0 {
		return &lead.Membership{}
	}
	return &n.Account[0]
}

// memberLetter applies a lead's letter to the account that it came to.
func (e *Evaluator) memberLetter(n *lead.Lead, m *Letter, out []lead.Output) []lead.Output {
	if m.Note == nil {
		return out
	}
	membership(n)
	t := clampTime(m.Time)
	a := e.accountsEval()
	if a == nil { // newer rules have accounts, and these will be followed: what is said must not be lost
		(&rowChange{most: mostMembers}).apply(n, m)
		noteTraits(n, m.Note.Traits)
		n.Clock, n.FirstSeen = max(n.Clock, t), min(n.FirstSeen, t)
		n.Events++
		return out
	}
	begins := !begun(n)
	if begins {
		a.start(n, t)
	}
	out = a.Fire(n, min(t, never-1), out)
	a.begin(n, out)
	n.Clock = max(n.Clock, t)
	a.enter(n, n.Clock, nil)
	a.because(m.Event, nil)
	a.touchEverything()
	if begins {
		a.enterStage()
	}
	n.Events++
	n.FirstSeen, n.LastSeen = min(n.FirstSeen, t), max(n.LastSeen, t)
	noteTraits(n, m.Note.Traits)
	c := rowChange{most: e.set.accounts.most}
	c.apply(n, m)
	e.counts.Crowded += c.crowded
	a.resum(&c)
	a.changed()
	a.evaluate(byEvent)
	a.settle()
	joined := ""
	if !m.Note.Gone && (c.fresh || !m.Note.Known) {
		joined = m.From
	}
	a.answer(joined)
	out = a.Fire(n, n.Clock, a.out)
	e.takeLetters(a)
	return out
}

// rowChange changes the rows of an account and notes what that takes from its sums and adds to them.
type rowChange struct {
	most          int
	minus, plus   [][]lead.Part
	shrunk, grown []seenBy
	fresh         bool // the lead has a row that it had not
	crowded       int64
}

// seenBy is when a member last did something that conditions look at.
type seenBy struct {
	id string
	lead.Part
}

func (c *rowChange) apply(n *lead.Lead, m *Letter) {
	for _, p := range m.Note.Instead {
		c.drop(n, &p)
	}
	switch {
	case m.From == "":
	case m.Note.Gone && m.Note.Known:
		c.drop(n, &Place{ID: m.From, Pointer: m.Note.Pointer, Was: m.Note.Was})
	case !m.Note.Gone:
		c.put(n, m)
	}
}

func findMember(n *lead.Lead, id string) (int, bool) {
	return slices.BinarySearchFunc(rows(n).Members, id, func(x lead.Member, id string) int { return strings.Compare(x.ID, id) })
}

// drop takes a lead out. A row of its id may already be that of the lead that the id has become since; then it has none.
func (c *rowChange) drop(n *lead.Lead, p *Place) {
	i, found := findMember(n, p.ID)
	switch {
	case !found || rows(n).Members[i].Pointer != p.Pointer:
		c.leaveRest(n, p.Was)
	default:
		x := rows(n).Members[i]
		rows(n).Members = slices.Delete(rows(n).Members, i, i+1)
		c.minus = append(c.minus, x.Parts)
		c.sees(p.ID, x.Seen, nil)
	}
}

// leaveRest takes a lead without a row out.
func (c *rowChange) leaveRest(n *lead.Lead, was []Part) {
	if rows(n).Others == 0 {
		return
	}
	rows(n).Others--
	if rows(n).Others == 0 {
		c.minus, rows(n).Rest = append(c.minus, rows(n).Rest), nil
		return
	}
	parts := partsOf(was)
	c.minus = append(c.minus, parts)
	rows(n).Rest = addParts(rows(n).Rest, parts, -1)
}

// put makes a lead's row what it says now.
func (c *rowChange) put(n *lead.Lead, m *Letter) {
	row := lead.Member{ID: m.From, Role: m.Note.Role, Pointer: m.Note.Pointer, Parts: partsOf(m.Note.Parts), Seen: partsOf(m.Note.Seen)}
	i, found := findMember(n, m.From)
	if found && rows(n).Members[i].Pointer != row.Pointer {
		// The id was another lead before, and who that was merged into has not said so yet: it counts without a row until then.
		old := rows(n).Members[i]
		rows(n).Members = slices.Delete(rows(n).Members, i, i+1)
		c.sees(row.ID, old.Seen, nil)
		rows(n).Others++
		rows(n).Rest = addParts(rows(n).Rest, old.Parts, 1)
		found = false
	}
	if found {
		c.minus = append(c.minus, rows(n).Members[i].Parts)
		c.sees(row.ID, rows(n).Members[i].Seen, row.Seen)
		rows(n).Members[i] = row
		c.plus = append(c.plus, row.Parts)
		return
	}
	if m.Note.Known {
		c.leaveRest(n, m.Note.Was)
	}
	c.plus = append(c.plus, row.Parts)
	if len(rows(n).Members) >= c.most || len(rows(n).Members) >= roomyMembers && memberBytes(n)+rowBytes(&row) > maxMemberBytes {
		c.crowded++
		rows(n).Others++
		rows(n).Rest = addParts(rows(n).Rest, row.Parts, 1)
		return
	}
	rows(n).Members = slices.Insert(rows(n).Members, i, row)
	c.fresh = true
	c.sees(row.ID, nil, row.Seen)
}

// roomyMembers is how many members fit whatever they are called.
const roomyMembers = 100

func rowBytes(x *lead.Member) int { return len(x.ID) + 16 + 24*len(x.Parts) + 18*len(x.Seen) }

func memberBytes(n *lead.Lead) (sum int) {
	for i := range rows(n).Members {
		sum += rowBytes(&rows(n).Members[i])
	}
	return sum
}

// sees notes which signals of a row are another time's now.
func (c *rowChange) sees(id string, was, now []lead.Part) {
	for _, p := range was {
		if i := slices.IndexFunc(now, func(x lead.Part) bool { return x.Key == p.Key }); i < 0 || now[i].At < p.At {
			c.shrunk = append(c.shrunk, seenBy{id, p})
		}
	}
	for _, p := range now {
		if i := slices.IndexFunc(was, func(x lead.Part) bool { return x.Key == p.Key }); i < 0 || was[i].At < p.At {
			c.grown = append(c.grown, seenBy{id, p})
		}
	}
}

// addParts adds parts, or takes them away, with keys told apart. The list is a new one. A key's times are brought to the
// later one by half-lives that only an evaluator knows, so parts of several times stay side by side up to a bound: those
// of one key and time are one.
func addParts(list, parts []lead.Part, by float64) []lead.Part {
	list = slices.Clone(list)
	for _, p := range parts {
		i := slices.IndexFunc(list, func(x lead.Part) bool { return x.Key == p.Key && x.At == p.At })
		if i < 0 {
			list = append(list, lead.Part{Key: p.Key, Value: float64(by * p.Value), At: p.At})
			continue
		}
		list[i].Value = finite(list[i].Value + float64(by*p.Value))
	}
	return slices.DeleteFunc(list, func(x lead.Part) bool { return x.Value == 0 })
}

// resum brings the present account's scores and windows up to a change of its rows.
func (e *Evaluator) resum(c *rowChange) {
	l := e.l
	e.foldRest()
	for i, key := range e.set.side.keys {
		s, v := &e.set.scores[i], &l.Scores[i]
		was, now := s.decayedParts(key, e.at, c.minus...), s.decayedParts(key, e.at, c.plus...)
		if was == 0 && now == 0 || sameParts(c, key) {
			continue
		}
		before := s.stored(v, e.at)
		v.Steps++
		v.Value, v.At = finite(before-was+now), e.at
		if len(rows(l).Members) <= exactMembers || v.Steps >= int64(len(rows(l).Members)) || v.Value*1024 < before {
			v.Value, v.Steps = e.sumRows(key, s), 0
		}
	}
	for k, key := range e.set.side.people {
		e.seePeople(k, key, c)
	}
}

// sameParts says that a change takes away of a score what it adds: its stored value keeps its time.
func sameParts(c *rowChange, key uint64) bool {
	if len(c.minus) != 1 || len(c.plus) != 1 {
		return false
	}
	var p, q lead.Part
	for _, x := range c.minus[0] {
		if x.Key == key {
			p = x
		}
	}
	for _, x := range c.plus[0] {
		if x.Key == key {
			q = x
		}
	}
	return p == q
}

// decayedParts is what a score's parts in lists are worth at a time, together.
func (s *score) decayedParts(key uint64, at int64, lists ...[]lead.Part) (sum float64) {
	for _, list := range lists {
		for _, p := range list {
			if p.Key == key {
				sum = finite(sum + decayHalfLife(p.Value, p.At, at, s.halfLife))
			}
		}
	}
	return sum
}

// sumRows is the present value of a score, made anew.
func (e *Evaluator) sumRows(key uint64, s *score) float64 {
	lists := make([][]lead.Part, 0, len(rows(e.l).Members)+1)
	for i := range rows(e.l).Members {
		lists = append(lists, rows(e.l).Members[i].Parts)
	}
	return s.decayedParts(key, e.at, append(lists, rows(e.l).Rest)...)
}

// maxRest is how many parts Rest may have before they are folded.
const maxRest = 256

// foldRest makes one part of each score's parts in Rest. A score that these rules do not know is left as it is: up to
// maxRest of its parts, the newest.
func (e *Evaluator) foldRest() {
	l := e.l
	if len(rows(l).Rest) <= maxRest {
		return
	}
	var list []lead.Part
	for i, key := range e.set.side.keys {
		s := &e.set.scores[i]
		if v := s.decayedParts(key, e.at, rows(l).Rest); v != 0 {
			list = append(list, lead.Part{Key: key, Value: v, At: e.at})
		}
	}
	for _, p := range rows(l).Rest {
		if !slices.Contains(e.set.side.keys, p.Key) {
			list = append(list, p)
		}
	}
	rows(l).Rest = list[max(0, len(list)-maxRest):]
}

// seePeople brings the window of a signal's people up to a change. Of a member only the newest time counts; where that
// goes back, or more have been seen than the window keeps, it is made anew.
func (e *Evaluator) seePeople(slot int, key uint64, c *rowChange) {
	for _, p := range c.shrunk {
		if p.Key == key {
			e.countPeople(slot, key)
			return
		}
	}
	for _, p := range c.grown {
		if p.Key == key {
			e.set.keepers[slot].insertDistinct(e.keep(slot), lead.Entry{Time: p.At, Message: lead.HashString(p.id)})
		}
	}
}

func (e *Evaluator) countPeople(slot int, key uint64) {
	l := e.l
	var all []lead.Entry
	for i := range rows(l).Members {
		for _, p := range rows(l).Members[i].Seen {
			if p.Key == key {
				all = append(all, lead.Entry{Time: p.At, Message: lead.HashString(rows(l).Members[i].ID)})
			}
		}
	}
	if i, found := slices.BinarySearchFunc(l.Signals, uint16(slot), compareSignal); found {
		l.Signals = slices.Delete(l.Signals, i, i+1)
	}
	if len(all) == 0 {
		return
	}
	slices.SortFunc(all, func(a, b lead.Entry) int {
		if entryLess(a, b) {
			return -1
		}
		return 1
	})
	sig := e.keep(slot)
	sig.Last = all[len(all)-1].Time
	sig.Entries = all[max(0, len(all)-maxEntries):]
}

// remake makes the present account's scores and windows from its rows, after a rule switch.
func (e *Evaluator) remake() {
	l := e.l
	for i, key := range e.set.side.keys {
		v := &l.Scores[i]
		if now := e.sumRows(key, &e.set.scores[i]); now != e.set.scores[i].stored(v, e.at) {
			*v = lead.Score{Value: now, At: e.at}
		}
	}
	for k, key := range e.set.side.people {
		e.countPeople(k, key)
	}
}

// noteTraits sets an account's traits; the greater (time, message) wins.
func noteTraits(n *lead.Lead, notes []TraitNote) {
	for _, x := range notes {
		if x.Kind > uint8(lead.Map) {
			continue
		}
		t := x.trait()
		i, found := findTrait(n, t.Name)
		switch {
		case !found:
			n.Traits = slices.Insert(n.Traits, i, t)
		case t.Time > n.Traits[i].Time || t.Time == n.Traits[i].Time && t.Message >= n.Traits[i].Message:
			n.Traits[i] = t
		}
	}
}

// migrateAccount is Migrate for an account.
func (e *Evaluator) migrateAccount(l *lead.Lead, old *Set, at int64, out []lead.Output) []lead.Output {
	a := e.accountsEval()
	switch {
	case a == nil: // the rules have no accounts: nothing of it moves, but who its members are is kept. Who joins hears nothing, so all do later
		if len(l.Account) > 0 {
			l.Account[0].Stage, l.Account[0].Facts, l.Account[0].Traits = "", nil, nil
		}
		l.Scores, l.Edges, l.Signals, l.Due = nil, nil, nil, never
		l.Stage, l.Ready, l.Rules = 0, false, e.set.id
		return out
	case old.accounts == nil: // it begins now
		fresh := a.set.NewLead(l.ID, l.Incarnation)
		l.Scores, l.Edges, l.Signals, l.Rules = fresh.Scores, fresh.Edges, nil, a.set.id
		if !begun(l) {
			return out
		}
		l.Clock, l.StageSince = max(l.Clock, at), at
		l.Traits = slices.DeleteFunc(l.Traits, func(t lead.Trait) bool { _, read := a.set.traitSlot[t.Name]; return !read })
		a.begin(l, out)
		a.enter(l, l.Clock, nil)
		a.because(byRules, nil)
		a.remake()
		a.touchEverything()
		a.evaluate(bySwitch)
		a.settle()
		a.say()
		out = a.Fire(l, l.Clock, a.out)
	default:
		out = a.Migrate(l, old.accounts.set, at, out)
	}
	e.takeLetters(a)
	return out
}

// accountCommand is Command for an account: it can be put into a stage.
func (e *Evaluator) accountCommand(l *lead.Lead, c *Command, out []lead.Output) ([]lead.Output, Verdict) {
	a := e.accountsEval()
	if a == nil || c.Kind != Move {
		return out, Refused
	}
	out, v := a.Command(l, c, out)
	e.takeLetters(a)
	return out, v
}
