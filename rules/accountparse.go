package rules

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
)

// accountLoader is what a loader knows of the section `accounts`.
type accountLoader struct {
	rules accountRules
	sub   *loader
	n     ynode
	// scores are the forwarded scores as the file has them.
	scores     []string
	scoreNodes []ynode
	// facts are the comparisons that leads' conditions ask for.
	facts []askedFact
	// roleNodes are where roles stand.
	roleNodes []ynode
}

// askedFact is one comparison of an account's score with a constant.
type askedFact struct {
	score string
	op    cmpOp
	c     float64
}

// readAccounts reads the section. Its stages, transitions and hand-offs make a rule set of their own, read by a loader
// of its own with the same words.
func (ld *loader) readAccounts(n ynode) {
	sub := newLoader(ld.order)
	sub.set.side = &accountSide{}
	a := &accountLoader{sub: sub, n: n, rules: accountRules{most: defaultMaxMembers, freeMail: slices.Clone(freeMail)}}
	ld.accounts = a
	ld.object(n, "accounts",
		field{key: "domain", read: func(v ynode) {
			a.rules.domain, _ = ld.name(v, "accounts.domain")
			ld.traitNames[a.rules.domain] = true
		}},
		field{key: "free_mail", read: func(v ynode) { ld.readFreeMail(v, &a.rules) }},
		field{key: "role", read: func(v ynode) {
			a.rules.roleTrait, _ = ld.name(v, "accounts.role")
			ld.traitNames[a.rules.roleTrait] = true
		}},
		field{key: "roles", read: func(v ynode) { ld.readRoles(v, &a.rules) }},
		field{key: "max_members", read: func(v ynode) { setInt(ld, v, "accounts.max_members", 1, mostMembers, &a.rules.most) }},
		field{key: "scores", read: func(v ynode) {
			ld.list(v, "accounts.scores", true, func(v ynode) {
				if name, ok := ld.name(v, "accounts.scores"); ok {
					a.scores, a.scoreNodes = append(a.scores, name), append(a.scoreNodes, v)
				}
			})
		}},
		field{key: "define", read: sub.readDefines},
		field{key: "stages", read: sub.once("stages", sub.readStages)},
		field{key: "terminal", read: sub.readTerminal},
		field{key: "transitions", read: sub.readTransitions},
		field{key: "handoffs", read: sub.readHandoffs},
	)
}

func (ld *loader) readFreeMail(n ynode, r *accountRules) {
	ld.list(n, "accounts.free_mail", true, func(v ynode) {
		s, ok := ld.text(v, "accounts.free_mail")
		switch {
		case !ok:
		case len(r.freeMail) >= maxFreeMail:
			ld.errorf(v, "accounts.free_mail: more than %d", maxFreeMail)
		default:
			r.freeMail = append(r.freeMail, strings.ToLower(strings.TrimSpace(s)))
		}
	})
	slices.Sort(r.freeMail)
}

// readRoles reads {decider: {weight: 2, when: ...}, user: {weight: 1}}.
func (ld *loader) readRoles(n ynode, r *accountRules) {
	ld.pairs(n, "accounts.roles", "roles to {weight: ..., when: ...}", func(key, v ynode) {
		name := key.Value
		if !slices.Contains(roleNames, name) {
			ld.errorf(key, "accounts.roles: unknown role %q%s: expected %s", shorten(name), suggest(name, roleNames), oneOf(roleNames))
		}
		slot, what := len(r.roles), "accounts.roles."+name
		r.roles = append(r.roles, role{name: name, weight: 1})
		ld.accounts.roleNodes = append(ld.accounts.roleNodes, key)
		ld.object(v, what,
			field{key: "weight", read: func(v ynode) {
				if w, ok := ld.number(v, what+".weight"); ok && math.Abs(w) <= 1e6 {
					r.roles[slot].weight = w
				} else if ok {
					ld.errorf(v, "%s.weight must be between -1000000 and 1000000", what)
				}
			}},
			field{key: "when", read: func(v ynode) {
				t, ok := ld.expression(v, what+".when", inCondition)
				if !ok {
					return
				}
				ld.later = append(ld.later, func() {
					c := ld.condition(t, ld.rule("role", name))
					if c == nil {
						return
					}
					if d := &c.deps; d.event || d.signalNow || d.windows != nil || d.scores != nil || d.fields != nil || d.stage || d.lead || d.tags || d.consent || d.timed {
						ld.problemAt(t, nil, "a role depends on traits and on nothing else: it must hold until they change")
						return
					}
					ld.accounts.rules.roles[slot].when = c
				})
			}},
		)
	})
}

// beginAccounts gives the accounts' rules their names, when those of leads are known.
func (ld *loader) beginAccounts() {
	a := ld.accounts
	if a == nil {
		return
	}
	sub := a.sub
	sub.set.timezone = ld.set.timezone
	for i, name := range a.scores {
		slot, ok := ld.scoreAt[name]
		switch {
		case !ok:
			ld.errorf(a.scoreNodes[i], "accounts.scores: unknown score %q%s", shorten(name), suggest(name, ld.scoreNames))
			continue
		case ld.set.scores[slot].decay != decayNone:
			ld.errorf(a.scoreNodes[i], "accounts.scores: score %q can't be forwarded; only those with half_life, or without decay, add up exactly", name)
			continue
		case len(sub.set.scores) >= maxForwarded:
			ld.errorf(a.scoreNodes[i], "accounts.scores: more than %d", maxForwarded)
			continue
		}
		if !sub.declare(a.scoreNodes[i], "score", name, sub.scoreAt, len(sub.set.scores), maxScores) {
			continue
		}
		half := ld.set.scores[slot].halfLife
		sub.set.scores = append(sub.set.scores, score{name: name, halfLife: half, min: -math.MaxFloat64, max: math.MaxFloat64})
		sub.scoreNames, sub.derivedNodes = append(sub.scoreNames, name), append(sub.derivedNodes, ynode{})
		a.rules.scores, a.rules.keys = append(a.rules.scores, slot), append(a.rules.keys, scoreKey(name, half))
	}
	for i := range ld.set.signals {
		sub.set.signals = append(sub.set.signals, signal{name: ld.set.signals[i].name, used: true})
		sub.signalAt[ld.set.signals[i].name] = i
	}
	sub.signalNames = ld.signalNames
	sub.finishStages()
	sub.finishNames()
}

// finishAccounts compiles the accounts' rules, when those of leads have said what they read of them.
func (ld *loader) finishAccounts() {
	a := ld.accounts
	if a == nil {
		return
	}
	sub, r := a.sub, &a.rules
	slices.Sort(r.traits)
	r.traits = slices.Compact(r.traits)
	sub.compileLater(a.n.f.name)
	side := sub.set.side
	side.keys, side.normal, side.readsStage, side.traits, side.most = r.keys, len(sub.set.handoffs), r.readsStage, r.traits, r.most
	for _, name := range r.traits {
		sub.traitNames[name] = true
	}
	for _, f := range a.facts {
		slot := sub.scoreAt[f.score]
		sub.set.handoffs = append(sub.set.handoffs, handoff{
			name: fmt.Sprintf("\x00%s %d %v", f.score, f.op, f.c), fact: factKey(f.score, f.op, f.c),
			when: &cond{node: &scoreNode{[]weight{{score: slot, by: 1}}, f.op, f.c}, deps: deps{scores: []int{slot}, timed: true}},
		})
	}
	for i := range sub.set.keepers {
		name, _ := strconv.Unquote(strings.TrimPrefix(sub.set.keepers[i].name, "people "))
		slot := ld.signalAt[name]
		ld.set.signals[slot].used = true
		side.people, side.names = append(side.people, signalKey(name)), append(side.names, name)
		r.signals = append(r.signals, forwarded{ld.signalKeeper(slot), signalKey(name)})
	}
	if len(r.signals) > maxForwarded {
		ld.errorf(a.n, "accounts: the conditions count the people of %d signals, more than %d", len(r.signals), maxForwarded)
	}
	sub.roles = r.possibleRoles()
	sub.finish()
	ld.errors = append(ld.errors, sub.errors...)
	for _, w := range sub.warnings {
		w.Message = "accounts: " + w.Message
		ld.warnings = append(ld.warnings, w)
	}
	for i := range sub.set.rules {
		sub.set.rules[i] = "account " + sub.set.rules[i]
	}
	r.set = sub.set
	ld.set.accounts = r
	ld.set.accountRule, ld.set.rules = len(ld.set.rules), append(ld.set.rules, sub.set.rules...)
}

// accountName returns the field of account.field, account.score.x or account.traits.x as names; the checker may have
// made it one identifier.
func accountName(e ast.Expr) ([]string, bool) {
	if e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() {
		head, ok := accountName(e.AsSelect().Operand())
		return append(head, e.AsSelect().FieldName()), ok
	}
	name, ok := qualified(e)
	if !ok || rootOf(name) != "account" {
		return nil, false
	}
	return strings.Split(name, ".")[1:], true
}

// ownAccount makes what an account's rules call account.x what they are: its score is score.x, its members are
// members().
func ownAccount(e ast.Expr, fac ast.ExprFactory) {
	if e.Kind() == ast.SelectKind {
		sel := e.AsSelect()
		if o := sel.Operand(); o.Kind() == ast.IdentKind && o.AsIdent() == "account" && !sel.IsTestOnly() {
			switch f := sel.FieldName(); f {
			case "score", "stage", "traits":
				e.SetKindCase(fac.NewIdent(e.ID(), f))
			case "members":
				e.SetKindCase(fac.NewCall(e.ID(), "members"))
			}
			return
		}
	}
	if e.Kind() == ast.SelectKind {
		ownAccount(e.AsSelect().Operand(), fac)
		return
	}
	if e.Kind() == ast.ComprehensionKind {
		c := e.AsComprehension()
		for _, x := range []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			ownAccount(x, fac)
		}
		return
	}
	for _, x := range children(e) {
		ownAccount(x, fac)
	}
}

// sideAllows says whether a variable or a function may be used by the rules of accounts, or by those of leads.
func (c *nameCheck) sideAllows(e ast.Expr, root string) bool {
	if !c.ld.set.ofAccounts() {
		if root == "people()" || root == "members()" {
			c.errorf(e, "%s counts the members of an account: it is for the conditions under accounts", root)
			return false
		}
		return true
	}
	switch root {
	case "score", "stage", "traits", "local", "account", "people()", "members()", "in_stage()", "until()":
		return true
	}
	c.errorf(e, "an account has no %s; its conditions read account.score, account.stage, account.traits, account.members, people(\"signal\", \"7d\") and members(\"decider\")", root)
	return false
}
