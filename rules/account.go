package rules

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"leadstream/state/lead"
)

// A company is an entity of its own: a lead.Lead whose id no event can have, moved by a second rule set that is
// compiled from the section `accounts`. So transitions, hand-offs, windows, timers, switches and checkpoints are those
// of leads. Leads tell their account by letters what they add to it (accounttell.go); it keeps what each said last
// (accountentity.go); what leads' conditions read of their account comes back the same way (accountread.go).

// accountPrefix begins the ids of accounts' entities. It begins with that of identifiers: no event can have such an id.
const accountPrefix = identifierPrefix + "@"

// AccountID returns the id of the entity of an account.
func AccountID(account string) string { return accountPrefix + account }

// IsAccount says that an id is that of an account's entity.
func IsAccount(id string) bool { return strings.HasPrefix(id, accountPrefix) }

// AccountOf returns the account of such an id.
func AccountOf(id string) string { return strings.TrimPrefix(id, accountPrefix) }

const (
	defaultMaxMembers = 10_000
	mostMembers       = 10_000
	maxFreeMail       = 10_000
	// maxMemberBytes bounds what an account's members take, encoded, so that it fits a record of the state topic.
	maxMemberBytes = 512 << 10
	// exactMembers is up to how many members a sum is always made anew.
	exactMembers = 64
	// maxForwarded bounds the signals and scores that leads tell of.
	maxForwarded = 64
)

// accountRules are what a lead's rule set knows of accounts.
type accountRules struct {
	// set moves the accounts.
	set *Set
	// scores are those that are forwarded, keys what they are called between entities.
	scores []int
	keys   []uint64
	// signals are those that accounts' conditions look at.
	signals []forwarded
	// roles are in file order; roleTrait names one, "" if no trait does.
	roles     []role
	roleTrait string
	// domain is the trait whose domain is the account of who is in no group, "" for none; freeMail are domains that are nobody's.
	domain   string
	freeMail []string
	most     int
	// What leads' conditions read of accounts.
	readsStage bool
	traits     []string
}

// forwarded is a signal: the window in which leads keep its latest time.
type forwarded struct {
	keeper int
	key    uint64
}

// role is what a lead is to its company.
type role struct {
	name   string
	weight float64
	when   *cond // nil: only the trait, or nothing else, says so
}

// defaultRole is the role of who has no other.
const defaultRole = "user"

var roleNames = []string{"user", "selector", "influencer", "decider"}

// accountSide is what an account's own rule set knows beside the rules.
type accountSide struct {
	keys []uint64 // by score
	// people are, by keeper, the signals that they count the people of.
	people []uint64
	names  []string
	// normal is how many hand-offs there are; those after them are comparisons that leads' conditions ask for.
	normal     int
	readsStage bool
	traits     []string // that leads' conditions read, sorted
	most       int
}

// scoreKey is what a score is called between entities. A score with another half-life is another one.
func scoreKey(name string, halfLife int64) uint64 {
	return lead.HashID(binary.BigEndian.AppendUint64([]byte("score "+name+"\x00"), uint64(halfLife)))
}

func signalKey(name string) uint64 { return lead.HashString("signal " + name) }

// factKey is what the comparison of an account's score is called: with more, or at least as much, as a constant.
func factKey(score string, op cmpOp, c float64) uint64 {
	return lead.HashID(binary.BigEndian.AppendUint64([]byte(score+"\x00"+string(rune('0'+op))), math.Float64bits(c)))
}

// ofAccounts says that the rule set is that of accounts.
func (s *Set) ofAccounts() bool { return s.side != nil }

// newAccount returns an account that nothing has happened to.
func (s *Set) newAccount(id string, incarnation uint32) *lead.Lead {
	if s.accounts != nil {
		return s.accounts.set.NewLead(id, incarnation)
	}
	return &lead.Lead{ID: id, Incarnation: incarnation, Rules: s.id, Due: never, LastActive: lead.NoTime}
}

// accountsEval returns the evaluator of accounts, nil if the rules have none.
func (e *Evaluator) accountsEval() *Evaluator {
	if e.acct == nil && e.set.accounts != nil {
		e.acct = e.set.accounts.set.NewEvaluator()
	}
	return e.acct
}

// takeLetters takes over what an account wrote.
func (e *Evaluator) takeLetters(from *Evaluator) { e.letters = append(e.letters, from.Pending()...) }

// fireAccount is Fire for an account.
func (e *Evaluator) fireAccount(l *lead.Lead, due int64, out []lead.Output) []lead.Output {
	a := e.accountsEval()
	if a == nil {
		l.Due = never
		return out
	}
	out = a.Fire(l, due, out)
	e.takeLetters(a)
	return out
}

// domainOf returns the domain of an e-mail address, in lower case, "" if it has none.
func domainOf(v lead.Value) string {
	if v.Kind != lead.String {
		return ""
	}
	s := strings.ToLower(strings.TrimSpace(v.Str()))
	i := strings.LastIndexByte(s, '@')
	if i < 1 || len(s)-i-1 > maxNameBytes || !strings.Contains(s[i+1:], ".") {
		return ""
	}
	return s[i+1:]
}

// accountOf returns the account that a lead belongs to, "" for none: what the newest group call says, else its
// domain's.
func (s *Set) accountOf(l *lead.Lead) string {
	r := s.accounts
	if r == nil {
		return ""
	}
	if len(l.Account) > 0 && l.Account[0].Time != lead.NoTime {
		return l.Account[0].Group
	}
	if r.domain == "" {
		return ""
	}
	d := domainOf(traitValue(l, r.domain))
	if _, free := slices.BinarySearch(r.freeMail, d); free {
		return ""
	}
	return d
}

// roleOf returns the role of the present lead.
func (x *scope) roleOf() *role {
	r := x.set.accounts
	if r.roleTrait != "" {
		name := traitValue(x.l, r.roleTrait)
		for i := range r.roles {
			if name.Kind == lead.String && strings.EqualFold(name.Str(), r.roles[i].name) {
				return &r.roles[i]
			}
		}
	}
	for i := range r.roles {
		if w := r.roles[i].when; w != nil && x.holds(w) {
			return &r.roles[i]
		}
	}
	for i := range r.roles {
		if r.roles[i].name == defaultRole {
			return &r.roles[i]
		}
	}
	return &plainRole
}

var plainRole = role{name: defaultRole, weight: 1}
