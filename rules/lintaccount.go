package rules

import (
	"slices"
	"strconv"
)

// The rules of accounts are linted as those of leads are, by a linter of their own. This file has what only they ask for, and what
// leads' rules ask of their account.

// who is what the rules move.
func (l *linter) who() string {
	if l.set.ofAccounts() {
		return "account"
	}
	return "lead"
}

// possibleRoles are those that a member can have.
func (r *accountRules) possibleRoles() []string {
	list := []string{defaultRole}
	for i := range r.roles {
		if x := &r.roles[i]; x.name != defaultRole && (r.roleTrait != "" || x.when != nil) {
			list = append(list, x.name)
		}
	}
	return list
}

// roles warns of roles that no lead has.
func (l *linter) roles() {
	r := l.set.accounts
	if r == nil {
		return
	}
	possible := r.possibleRoles()
	for i := range r.roles {
		x := &r.roles[i]
		switch {
		case x.when == nil && !slices.Contains(possible, x.name):
			l.warnf(l.accounts.roleNodes[i], "accounts.roles: no lead is %s: neither when nor a trait named by role says so", x.name)
		case x.when == nil:
		case l.fs.ways(x.when.node, true).never():
			l.warnf(l.where(x.when), "accounts.roles.%s.when is never true%s", x.name, because(l.fs.ways(x.when.node, true)))
		default:
			l.shadowedRole(r, i)
		}
	}
}

// shadowedRole warns of a condition of a role that is only true where an earlier one is.
func (l *linter) shadowedRole(r *accountRules, j int) {
	later := r.roles[j].when
	for i := range j {
		first := r.roles[i].when
		if first != nil && (l.fs.ways(later.node, true).implies(l.fs.ways(first.node, true)) || l.sameText(first, later)) {
			l.warnf(l.where(later), "accounts.roles.%s.when decides nothing: whoever it is true of is %s, which is tried first", r.roles[j].name, r.roles[i].name)
			return
		}
	}
}

// members are the ways to compare how many members an account has, or how many of a role.
func (fs *formulas) members(t memberTerm, f fact) ways {
	all := compared(opGE, 0)
	if t.role != "" && !slices.Contains(fs.roles, t.role) {
		all = between(0, 0)
	}
	name := "members()"
	if t.role != "" {
		name = "members(" + strconv.Quote(t.role) + ")"
	}
	return one(name, f.meet(all).whole())
}

// possibleText is what a declared text field of a lead's account can be.
func (fs *formulas) possibleText(name string) fact {
	r := fs.set.accounts
	switch {
	case r == nil:
	case name == "account.role":
		return oneOfThese(append(r.possibleRoles(), "")...)
	case name == "account.stage":
		return oneOfThese(append(r.set.Stages(), "")...)
	}
	return fact{}
}
