package rules

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"leadstream/state/lead"
)

// What leads' conditions read of their account. A lead knows its account and its role; the stage, traits and
// comparisons of scores are what the account said last.

var accountFields = []string{"id", "role", "stage", "traits", "score"}

const accountScorePrefix = "account.score."

// accountScoreName returns x of account.score.x; the checker has made it one identifier.
func accountScoreName(e ast.Expr) string {
	if e.Kind() == ast.IdentKind {
		if s := e.AsIdent(); strings.HasPrefix(s, accountScorePrefix) {
			return s[len(accountScorePrefix):]
		}
	}
	return ""
}

func isAccountTraits(e ast.Expr, locals []string) bool {
	path, ok := accountName(e)
	return ok && len(path) == 1 && path[0] == "traits" && !slices.Contains(locals, "account")
}

// accountScores are the scores of accounts that leads' conditions may read.
func (ld *loader) accountScores() []string {
	if ld.accounts == nil {
		return nil
	}
	return ld.accounts.sub.scoreNames
}

// account checks account.field.
func (c *nameCheck) account(e ast.Expr, path []string) {
	a := c.ld.accounts
	always := e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly()
	switch {
	case !c.allow(e, "account"):
	case c.ld.set.ofAccounts():
		if len(path) != 1 || path[0] != "id" {
			c.errorf(e, "an account has account.id, account.score, account.stage, account.traits and account.members, no account.%s", strings.Join(path, "."))
		}
	case a == nil:
		c.errorf(e, "there are no accounts; declare accounts first")
	case path[0] == "traits" && len(path) > 1:
		if len(path[1]) > maxNameBytes {
			c.errorf(e, "a trait's name is longer than %d bytes", maxNameBytes)
		}
		a.rules.traits = append(a.rules.traits, path[1])
	case path[0] == "traits":
		c.errorf(e, `account.traits may only be read one by one, with a constant name: account.traits.plan`)
	case path[0] == "score" && len(path) != 2:
		c.errorf(e, "account.score needs a field: %s", oneOf(prefixed("account.score", a.sub.scoreNames)))
	case path[0] == "score" && !slices.Contains(a.sub.scoreNames, path[1]):
		c.errorf(e, "accounts have no score %q%s; list it under accounts.scores", path[1], suggest(path[1], a.sub.scoreNames))
	case !slices.Contains(accountFields, path[0]) || path[0] != "score" && len(path) != 1:
		c.errorf(e, "unknown account field %q%s: expected %s", strings.Join(path, "."), suggest(path[0], accountFields), oneOf(accountFields))
	case always:
		c.errorf(e, `account.%s is always there, so has() says nothing; compare it, for text with ""`, strings.Join(path, "."))
	}
}

// readsAccount notes that a condition reads what belongs to the account.
func (b *builder) readsAccount(name string) {
	b.deps.lead = true
	if a := b.ld.accounts; a != nil && name == "account.stage" {
		a.rules.readsStage = true
	}
}

// neverIs refuses constants that a stage or role of an account can't be.
func (b *builder) neverIs(src textSource, right []ast.Expr) {
	t, ok := src.(accountText)
	if !ok || b.ld.accounts == nil || t == "account.id" {
		return
	}
	known := b.ld.accounts.sub.stageNames
	if t == "account.role" {
		known = roleNames
	}
	for _, x := range right {
		if s, ok := stringLiteral(x); ok && s != "" && !slices.Contains(known, s) {
			b.errorf(x, "%s is never %q%s: it is %s", string(t), shorten(s), suggest(s, known), oneOf(known))
		}
	}
}

// accountComparison builds the comparison of an account's score with a constant, and makes the account say it.
func (b *builder) accountComparison(e ast.Expr, op cmpOp, left, right ast.Expr) node {
	name := accountScoreName(left)
	if name == "" {
		name, right, op = accountScoreName(right), left, op.swapped()
	}
	c, ok := constantNumber(right)
	if !ok || !isFinite(c) {
		b.errorf(e, "%s%s may only be compared with a constant, as in %s%s >= 50: the account says when it crosses it", accountScorePrefix, name, accountScorePrefix, name)
		return constNode{triError}
	}
	b.readsAccount("account.score")
	n := &factNode{score: name, op: op, c: c}
	if op != opGT && op != opLE {
		n.least = b.ld.ask(name, opGE, c)
	}
	if op != opGE && op != opLT {
		n.more = b.ld.ask(name, opGT, c)
	}
	return n
}

// ask makes accounts say a comparison, and returns its key.
func (ld *loader) ask(score string, op cmpOp, c float64) uint64 {
	f := askedFact{score, op, c}
	if a := ld.accounts; !slices.Contains(a.facts, f) {
		a.facts = append(a.facts, f)
	}
	return factKey(score, op, c)
}

// factNode is account.score.x op c, as the account said it. Who has no account, or has not heard of it, has 0.
type factNode struct {
	score       string
	least, more uint64 // keys of score >= c and score > c
	op          cmpOp
	c           float64
}

func (n *factNode) eval(x *scope) (tri, int64) {
	least, more := x.fact(n.least, 0 >= n.c), x.fact(n.more, 0 > n.c)
	switch n.op {
	case opGE:
		return truth(least), never
	case opLT:
		return truth(!least), never
	case opGT:
		return truth(more), never
	case opLE:
		return truth(!more), never
	case opEQ:
		return truth(least && !more), never
	}
	return truth(!least || more), never
}

func (x *scope) fact(key uint64, unknown bool) bool {
	if len(x.l.Account) > 0 {
		for _, f := range x.l.Account[0].Facts {
			if f.Key == key {
				return f.Value == 1
			}
		}
	}
	return unknown
}

// accountText is account.id, account.role or account.stage.
type accountText string

func (t accountText) text(x *scope) []byte {
	switch t {
	case "account.id":
		if x.set.ofAccounts() {
			return asBytes(AccountOf(x.l.ID))
		}
		return asBytes(x.set.accountOf(x.l))
	case "account.role":
		if x.set.accountOf(x.l) == "" {
			return nil
		}
		return asBytes(x.roleOf().name)
	}
	if len(x.l.Account) == 0 {
		return nil
	}
	return asBytes(x.l.Account[0].Stage)
}

// accountTrait is a trait of the account, as it said it.
func (x *scope) accountTrait(name string) lead.Value {
	v := lead.Value{}
	if len(x.l.Account) > 0 {
		for i := range x.l.Account[0].Traits {
			if t := &x.l.Account[0].Traits[i]; t.Name == name && t.Value.Kind != lead.Null {
				v = t.Value
			}
		}
	}
	if v.Kind == lead.Absent {
		x.lacking = true
	}
	return v
}

func (x *scope) accountTraitKeys() []string {
	var keys []string
	if len(x.l.Account) > 0 {
		for i := range x.l.Account[0].Traits {
			if t := &x.l.Account[0].Traits[i]; t.Value.Kind != lead.Null {
				keys = append(keys, t.Name)
			}
		}
	}
	return keys
}

// account is account.field for CEL.
func (a *activation) account(name string) (any, bool) {
	if name == "account.traits" {
		return &traitsVal{mapVal{keys: a.x.accountTraitKeys, get: a.x.accountTrait}}, true
	}
	return types.String(accountText(name).text(a.x)), true
}

// memberTerm is members() or members("role") of an account.
type memberTerm struct{ role string }

func (b *builder) memberTerm(c ast.CallExpr) memberTerm {
	b.deps.lead = true
	if len(c.Args()) == 0 {
		return memberTerm{}
	}
	s, _ := stringLiteral(c.Args()[0])
	return memberTerm{s}
}

func (t memberTerm) num(x *scope) (float64, int64) {
	if t.role == "" {
		return float64(int64(len(rows(x.l).Members)) + rows(x.l).Others), never
	}
	n := 0
	for i := range rows(x.l).Members {
		if rows(x.l).Members[i].Role == t.role {
			n++
		}
	}
	return float64(n), never
}

func (t memberTerm) compare(x *scope, op cmpOp, c float64) (bool, int64) {
	v, until := t.num(x)
	return op.holds(v, c), until
}

// accountVariables are what expressions of leads' rules know of accounts.
var accountVariables = []cel.EnvOption{
	cel.Variable("account.id", cel.StringType),
	cel.Variable("account.role", cel.StringType),
	cel.Variable("account.stage", cel.StringType),
	cel.Variable("account.traits", celMapType),
	cel.Function("people",
		cel.Overload("people_string_string", []*cel.Type{cel.StringType, cel.StringType}, cel.DoubleType),
		cel.Overload("people_string_duration", []*cel.Type{cel.StringType, cel.DurationType}, cel.DoubleType)),
	cel.Function("members", cel.Overload("members", nil, cel.DoubleType), cel.Overload("members_string", []*cel.Type{cel.StringType}, cel.DoubleType)),
}
