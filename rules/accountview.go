package rules

import (
	"cmp"
	"slices"

	"leadstream/state/lead"
)

// AccountView is an account in the words of its rules, at one instant.
type AccountView struct {
	// View is the account's stage, scores and next change. Its ledger is empty: Parts of Members add up to the scores.
	View
	// Account is the account's id; Traits are those that rules read, by name.
	Account string
	Traits  []lead.Trait
	// Members are by id. Others counts those beyond the bound, of which OthersParts is the sum.
	Members     []NamedMember
	Others      int64
	OthersParts []lead.NamedScore
	// Conditions are those of the account's transitions and hand-offs, in file order.
	Conditions []NamedCondition
}

// NamedMember is one member of an account.
type NamedMember struct {
	Lead, Role string
	// Weight is the role's.
	Weight float64
	// Parts are what the lead adds to the account's scores now, weighted by its role.
	Parts []lead.NamedScore
	// Seen are the signals that the account's conditions look at, with their latest times in ms.
	Seen []NamedTime
}

// NamedTime is when something last was.
type NamedTime struct {
	Name string
	At   int64
}

// ViewAccount shows an account's entity at an instant not before its clock. ok is false when the rules have no accounts.
func (e *Evaluator) ViewAccount(l *lead.Lead, at int64) (v AccountView, ok bool) {
	a := e.accountsEval()
	if a == nil || !IsAccount(l.ID) {
		return v, false
	}
	v = AccountView{View: a.View(l, at), Account: AccountOf(l.ID), Traits: l.Traits, Others: rows(l).Others}
	v.Ledger = nil
	for i := range rows(l).Members {
		m := &rows(l).Members[i]
		n := NamedMember{Lead: m.ID, Role: m.Role, Weight: e.set.weightOf(m.Role), Parts: a.namedParts(m.Parts, v.At)}
		for k, key := range a.set.side.people {
			for _, p := range m.Seen {
				if p.Key == key {
					n.Seen = append(n.Seen, NamedTime{a.set.side.names[k], p.At})
				}
			}
		}
		v.Members = append(v.Members, n)
	}
	if rows(l).Others > 0 {
		v.OthersParts = a.namedParts(rows(l).Rest, v.At)
	}
	v.Conditions = a.namedConditions(l, v.At)
	return v, true
}

// topMembers are the members that add most to the present account's scores together, at most most of them.
func (e *Evaluator) topMembers(most int) []lead.NamedMember {
	type ranked struct {
		member int
		sum    float64
	}
	l := e.l
	all := make([]ranked, len(rows(l).Members))
	for i := range rows(l).Members {
		all[i].member = i
		for _, s := range e.namedParts(rows(l).Members[i].Parts, e.at) {
			all[i].sum = finite(all[i].sum + s.Value)
		}
	}
	slices.SortStableFunc(all, func(a, b ranked) int { return cmp.Compare(b.sum, a.sum) })
	list := make([]lead.NamedMember, min(len(all), most))
	for i := range list {
		m := &rows(l).Members[all[i].member]
		list[i] = lead.NamedMember{Lead: m.ID, Role: m.Role, Scores: e.namedParts(m.Parts, e.at)}
	}
	return list
}

// namedParts is what parts add to each score at a time, in the rules' order.
func (e *Evaluator) namedParts(parts []lead.Part, at int64) []lead.NamedScore {
	list := make([]lead.NamedScore, len(e.set.scores))
	for i := range e.set.scores {
		s := &e.set.scores[i]
		list[i] = lead.NamedScore{Name: s.name, Value: s.decayedParts(e.set.side.keys[i], at, parts)}
	}
	return list
}

// AccountNames are the names of the stages, scores and hand-offs of accounts, in file order; nil where the rules have no accounts.
func (s *Set) AccountNames() (stages, scores, handoffs []string) {
	if s.accounts == nil {
		return nil, nil, nil
	}
	a := s.accounts.set
	for i := range a.scores {
		scores = append(scores, a.scores[i].name)
	}
	return a.Stages(), scores, a.Handoffs()[:a.side.normal]
}

// Roles are the names of the roles that members can have.
func Roles() []string { return slices.Clone(roleNames) }

// Accounts says that the rules have accounts.
func (s *Set) Accounts() bool { return s.accounts != nil }

// Account returns the account that a lead belongs to and its role there, both "" for none.
func (e *Evaluator) Account(l *lead.Lead) (account, role string) {
	if account = e.set.accountOf(l); account == "" {
		return "", ""
	}
	e.enter(l, l.Clock, nil)
	return account, e.roleOf().name
}

// AccountStage is the present stage of an account's entity.
func (e *Evaluator) AccountStage(l *lead.Lead) string {
	if a := e.accountsEval(); a != nil {
		return a.set.stages[l.Stage].name
	}
	return ""
}
