package enginetest

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"leadstream/rules"
	"leadstream/state/lead"
)

// What accounts hold is what their members tell them. Once nothing is on its way any more it can be computed from the
// leads alone, with nothing known of the letters: that is what is compared here.

// AccountsSeen counts what CheckAccounts has looked at.
type AccountsSeen struct {
	// Accounts are those that there are, Members the leads that belong to one, Others those of them that have no row.
	Accounts, Members, Others int
}

// Ledger finds what the check of accounts needs: the rule set of an id, and the weights of its roles, in the words of the test that
// wrote the rules. A role that is not there has weight 1.
type Ledger interface {
	RuleSet(id lead.RuleSetID) *rules.Set
	Weight(set *rules.Set, role string) float64
}

// CheckAccounts compares accounts with the leads, all at rest: each lead is a member of the one account that its rules
// say and of no other, no account has a member that is no lead, each row is what its lead told last and what that is
// now, scores are the sums of the members' weighted scores, people are those of the rows, and members know what
// their account has said. What an account makes of its rows is not looked at in the middle of a rule switch. at is not before any clock, in ms.
func CheckAccounts(leads map[string]*lead.Lead, ledger Ledger, at int64) (seen AccountsSeen, err error) {
	c := &accountCheck{leads: leads, ledger: ledger, at: at, of: map[string]map[string]*lead.Lead{}, evs: map[lead.RuleSetID]*rules.Evaluator{}}
	for _, id := range slices.Sorted(maps.Keys(leads)) {
		if err := c.lead(leads[id]); err != nil {
			return seen, fmt.Errorf("lead %q: %w", id, err)
		}
	}
	for _, account := range slices.Sorted(maps.Keys(c.of)) {
		if leads[rules.AccountID(account)] == nil {
			return seen, fmt.Errorf("there is no account %q, but %d members", account, len(c.of[account]))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(leads)) {
		if !rules.IsAccount(id) {
			continue
		}
		if err := c.account(leads[id], c.of[rules.AccountOf(id)]); err != nil {
			return seen, fmt.Errorf("account %q: %w", rules.AccountOf(id), err)
		}
		seen.Accounts++
		seen.Members += len(c.of[rules.AccountOf(id)])
		seen.Others += int(rows(leads[id]).Others)
	}
	return seen, nil
}

type accountCheck struct {
	leads  map[string]*lead.Lead
	ledger Ledger
	at     int64
	of     map[string]map[string]*lead.Lead // members by account and id
	evs    map[lead.RuleSetID]*rules.Evaluator
}

func rows(l *lead.Lead) lead.Membership {
	if len(l.Account) == 0 {
		return lead.Membership{}
	}
	return l.Account[0]
}

func (c *accountCheck) ev(id lead.RuleSetID) *rules.Evaluator {
	if c.evs[id] == nil {
		c.evs[id] = c.ledger.RuleSet(id).NewEvaluator()
	}
	return c.evs[id]
}

// lead looks where a lead belongs.
func (c *accountCheck) lead(l *lead.Lead) error {
	if rules.IsIdentifier(l.ID) {
		return nil
	}
	told := rows(l)
	if l.Forward != "" || !rules.Begun(l) {
		if told.Account != "" {
			return fmt.Errorf("it is none, and belongs to account %q", told.Account)
		}
		return nil
	}
	if set := c.ledger.RuleSet(l.Rules); set.Accounts() {
		account, role := c.ev(l.Rules).Account(l)
		if account != told.Account || account != "" && role != told.Role {
			return fmt.Errorf("it is %q of account %q, and told %q that it is %q", role, account, told.Account, told.Role)
		}
	}
	if told.Account != "" {
		if c.of[told.Account] == nil {
			c.of[told.Account] = map[string]*lead.Lead{}
		}
		c.of[told.Account][l.ID] = l
	}
	return nil
}

// CheckRest looks whether each lead that has begun is where its rules leave it at a time, in ms, when nothing is due any more: looking at it
// once more must change nothing.
func CheckRest(leads map[string]*lead.Lead, ledger Ledger, at int64) error {
	evs := map[lead.RuleSetID]*rules.Evaluator{}
	for _, id := range slices.Sorted(maps.Keys(leads)) {
		l := leads[id]
		if rules.IsIdentifier(id) || l.Forward != "" || !rules.Begun(l) || l.Spins > 0 { // the last may be going round in a circle
			continue
		}
		if evs[l.Rules] == nil {
			evs[l.Rules] = ledger.RuleSet(l.Rules).NewEvaluator()
		}
		outs, v := evs[l.Rules].Command(l.Clone(), &rules.Command{Kind: rules.Retract, Message: 1, Time: max(l.Clock, at)}, nil)
		if v != rules.Missed || len(outs) > 0 {
			return fmt.Errorf("lead %q does not rest: %d, %+v", id, v, outs)
		}
	}
	return nil
}

// account compares an account with its members.
func (c *accountCheck) account(a *lead.Lead, members map[string]*lead.Lead) error {
	m := rows(a)
	set := c.ledger.RuleSet(a.Rules)
	moves := set.Accounts() && rules.Begun(a)
	for _, l := range members {
		moves = moves && l.Rules == a.Rules // else a rule switch is on its way, and so are letters
	}
	for i := range m.Members {
		row := &m.Members[i]
		l := members[row.ID]
		if l == nil {
			return fmt.Errorf("it has member %q, which belongs elsewhere", row.ID)
		}
		told := rows(l)
		if row.Pointer != l.Pointer || row.Role != told.Role || !slices.Equal(row.Parts, told.Parts) || !slices.Equal(row.Seen, told.Seen) {
			return fmt.Errorf("its row of %q is %+v, that told it %+v as %d", row.ID, *row, told, l.Pointer)
		}
		if moves && (told.Stage != m.Stage || !slices.Equal(told.Facts, m.Facts) || !slices.EqualFunc(told.Traits, m.Traits, sameTrait)) {
			return fmt.Errorf("its member %q thinks that it is %q %v %v, it is %q %v %v", row.ID, told.Stage, told.Facts, told.Traits, m.Stage, m.Facts, m.Traits)
		}
	}
	if n := len(m.Members) + int(m.Others); n != len(members) || m.Others < 0 || m.Others == 0 && len(m.Rest) > 0 {
		return fmt.Errorf("it has %d members and %d others (%v), %d leads belong to it", len(m.Members), m.Others, m.Rest, len(members))
	}
	if !moves {
		return nil
	}
	if err := c.people(a, &m); err != nil {
		return err
	}
	return c.sums(a, set, members)
}

func sameTrait(a, b lead.Trait) bool {
	return a.Name == b.Name && a.Value.Kind == b.Value.Kind && string(a.Value.Text) == string(b.Value.Text)
}

// people compares the windows of an account with its rows, as far as windows keep all.
func (c *accountCheck) people(a *lead.Lead, m *lead.Membership) error {
	type one struct {
		at  int64
		who uint64
	}
	var want, got []one
	for i := range m.Members {
		for _, p := range m.Members[i].Seen {
			want = append(want, one{p.At, lead.HashString(m.Members[i].ID)})
		}
	}
	for i := range a.Signals {
		for _, e := range a.Signals[i].Entries {
			got = append(got, one{e.Time, e.Message})
		}
	}
	compare := func(a, b one) int {
		if a.at < b.at || a.at == b.at && a.who < b.who {
			return -1
		}
		return 1
	}
	slices.SortFunc(want, compare)
	slices.SortFunc(got, compare)
	if len(m.Members) <= keptPeople && !slices.Equal(got, want) {
		return fmt.Errorf("it has seen %v, its rows %v", got, want)
	}
	return nil
}

// keptPeople is how many people a window keeps.
const keptPeople = 64

// sums compares an account's scores with its members', at the present moment.
func (c *accountCheck) sums(a *lead.Lead, set *rules.Set, members map[string]*lead.Lead) error {
	v, ok := c.ev(a.Rules).ViewAccount(a, max(c.at, a.Clock))
	if !ok {
		return fmt.Errorf("it can't be viewed")
	}
	parts := map[string][]lead.NamedScore{}
	for i := range v.Members {
		parts[v.Members[i].Lead] = v.Members[i].Parts
	}
	sums := make([]float64, len(v.Scores))
	for _, id := range slices.Sorted(maps.Keys(members)) {
		l := members[id]
		own := c.ev(l.Rules).View(l, max(c.at, a.Clock))
		for i := range v.Scores {
			j := slices.IndexFunc(own.Scores, func(s lead.NamedScore) bool { return s.Name == v.Scores[i].Name })
			part := float64(c.ledger.Weight(set, rows(l).Role) * own.Scores[j].Value)
			sums[i] += part
			if p := parts[id]; p != nil && !near(p[i].Value, part) {
				return fmt.Errorf("the part of %q in %s is %v, by its own score %v", id, v.Scores[i].Name, p[i].Value, part)
			}
		}
	}
	for i := range sums {
		if !near(v.Scores[i].Value, sums[i]) {
			return fmt.Errorf("%s is %v, the sum of its %d members' %v", v.Scores[i].Name, v.Scores[i].Value, len(members), sums[i])
		}
	}
	return nil
}

// near allows for sums that were made in another order.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }
