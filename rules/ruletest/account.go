package ruletest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"leadstream/rules"
	"leadstream/state/lead"
)

// wantedMembers are an account's members: how many there are, and where roles is not nil who they are.
type wantedMembers struct {
	count int64
	roles []wantedText // by lead
}

// members reads a number, or a mapping from leads to their roles.
func (r *fileReader) members(n *yaml.Node) *wantedMembers {
	w := &wantedMembers{}
	if n.Kind == yaml.ScalarNode {
		if n.Decode(&w.count) != nil || w.count < 0 {
			r.errorf(n, "members must be a whole number, or leads with their roles like {ann: decider}, found %s", found(n))
		}
		return w
	}
	w.roles = []wantedText{}
	r.pairs(n, "members", func(name, v *yaml.Node) {
		w.roles = append(w.roles, wantedText{name.Value, r.name(v, "role", r.text(v, "the role of "+name.Value), rules.Roles())})
	})
	w.count = int64(len(w.roles))
	slices.SortFunc(w.roles, func(a, b wantedText) int { return cmp.Compare(a.name, b.name) })
	return w
}

// membersOf returns the members that a look saw.
func membersOf(k *look, named bool) *wantedMembers {
	w := &wantedMembers{count: int64(len(k.members)) + k.others}
	if named {
		w.roles = []wantedText{}
		for _, m := range k.members { // by id
			w.roles = append(w.roles, wantedText{m.Lead, m.Role})
		}
	}
	return w
}

// text writes them as a line of a diff.
func (w *wantedMembers) text() string {
	if w.count == 0 {
		return "no members"
	}
	if w.roles == nil {
		return times(w.count, "member")
	}
	var list []string
	for _, m := range w.roles {
		list = append(list, m.name+" "+m.text)
	}
	if more := w.count - int64(len(list)); more > 0 {
		list = append(list, fmt.Sprintf("%d more", more))
	}
	return "members " + strings.Join(list, ", ")
}

// accounts are the entities of accounts that something was expected of, or that something came of, in the order in which
// they came up.
func (t *test) accounts(b *bench) (ids []string) {
	add := func(id string) {
		if rules.IsAccount(id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for i := range t.expect {
		add(t.expect[i].lead)
	}
	for i := range b.out {
		add(entityOf(&b.out[i]))
	}
	return ids
}

// entityOf is the id of the entity that an output is of.
func entityOf(o *lead.Output) string {
	if o.Account != "" {
		return rules.AccountID(o.Account)
	}
	return o.Lead
}

// word is what an id is of.
func word(id string) string {
	if rules.IsAccount(id) {
		return "account"
	}
	return "lead"
}

// entity writes an id with what it is of.
func entity(id string) string {
	if rules.IsAccount(id) {
		return "account " + rules.AccountOf(id)
	}
	return "lead " + id
}
