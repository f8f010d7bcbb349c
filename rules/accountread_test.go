package rules

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"leadstream/state/lead"
)

const readAccounts = `
signals:
  visit: {match: 'event.type == "page"'}
scores:
  hot: {half_life: 1d, lines: [{signal: visit, add: 10}]}
  fit:
    lines:
      - {id: more, when: 'account.score.hot > 30', add: 1}
      - {id: least, when: 'account.score.hot >= 30', add: 2}
      - {id: less, when: '30 > account.score.hot', add: 4}
      - {id: most, when: 'account.score.hot <= 30', add: 8}
      - {id: same, when: 'account.score.hot == 30', add: 16}
      - {id: other, when: 'account.score.hot != 30', add: 32}
      - {id: pro, when: 'account.traits.plan == "pro"', add: 64}
      - {id: boss, when: 'account.role == "decider"', add: 128}
      - {id: none, when: 'account.id == ""', add: 256}
      - {id: plans, when: 'has(account.traits.plan) && account.traits.plan.size() == 3', add: 512}
stages: [lead, mql, lost]
transitions:
  - {from: lead, to: mql, when: 'account.stage == "busy" && account.id.startsWith("ac")'}
  - {from: mql, to: lead, when: 'account.stage != "busy"'}
accounts:
  domain: email
  roles: {decider: {weight: 2, when: 'traits.title == "boss"'}}
  scores: [hot]
  stages: [quiet, busy, closed]
  terminal: [closed]
  transitions:
    - {from: quiet, to: busy, when: 'account.score.hot >= 25'}
    - {from: busy, to: quiet, when: 'account.score.hot < 12.5'}
`

// fit returns what a lead's conditions say.
func (w *company) fit(id string, at int64) (score float64, stage string) {
	v := w.e.View(w.node(id), at)
	return v.Scores[1].Value, v.Stage
}

// TestAccountReads follows what a lead is told of its account: when it joins, when a score crosses a constant by events
// and by time alone, when the stage and traits change, and when it leaves.
func TestAccountReads(t *testing.T) {
	w := newCompany(newMerger(t, readAccounts).set)
	at := int64(1_000_000_000)
	check := func(what, id string, want float64, wantStage string) {
		t.Helper()
		if fit, stage := w.fit(id, at); fit != want || stage != wantStage {
			t.Errorf("%s: %s has %v in %s, want %v in %s", what, id, fit, stage, want, wantStage)
		}
	}
	w.event("a", at, lead.Event{Type: lead.Page})
	check("alone", "a", 4+8+32+256, "lead")
	w.event("a", at, lead.Event{Type: lead.Group, GroupID: []byte("acme"), Traits: lead.Object(`{"plan": "pro"}`)})
	check("joined", "a", 4+8+32+64+512, "lead")
	w.event("b", at, lead.Event{Type: lead.Identify, Traits: lead.Object(`{"title": "boss", "email": "x@acme"}`)})
	w.event("b", at, lead.Event{Type: lead.Page})
	w.event("b", at, group("acme"))
	check("30 is reached by another", "a", 2+8+16+64+512, "mql")
	check("on joining", "b", 2+8+16+64+512+128, "mql")
	w.event("a", at, lead.Event{Type: lead.Page})
	check("beyond 30", "b", 1+2+32+64+512+128, "mql")
	back := at + int64(math.Ceil(float64(day)*math.Log2(40.0/30)))
	w.tick(AccountID("acme"), back-1)
	check("before the crossing back", "b", 1+2+32+64+512+128, "mql")
	w.tick(AccountID("acme"), back)
	check("by time alone", "b", 4+8+32+64+512+128, "mql")
	at += 2 * day
	w.tick(AccountID("acme"), at)
	check("another stage by time alone", "a", 4+8+32+64+512, "lead")
	sent := w.sent
	w.event("a", at, lead.Event{Type: lead.Identify, Traits: lead.Object(`{"email": "x@other.example"}`)})
	if w.sent != sent {
		t.Errorf("%d letters of an event that changes nothing for the account", w.sent-sent)
	}
	w.event("a", at, group(""))
	check("left", "a", 4+8+32+256, "lead")
	if v, _ := w.e.ViewAccount(w.node(AccountID("acme")), at); len(v.Members) != 1 || v.Members[0].Lead != "b" || v.Members[0].Role != "decider" {
		t.Errorf("members %+v", v.Members)
	}
	if v := w.command(AccountID("acme"), Command{Kind: Move, Time: at, Stage: "closed"}); v != Applied {
		t.Errorf("an account is put into a stage: %v", v)
	}
	if v := w.command(AccountID("acme"), Command{Kind: Adjust, Time: at, Score: "hot", Points: 1}); v != Refused {
		t.Errorf("points for an account by hand: %v", v)
	}
	last := w.out[len(w.out)-1]
	if last.Account != "acme" || last.To != "closed" || last.Lead != "" || last.MemberCount != 1 || len(last.Members) != 1 {
		t.Errorf("said %+v", last)
	}
}

// TestAccountCause follows one event through its lead, the account and another member: each says that it is the cause,
// whatever the evaluator has seen before.
func TestAccountCause(t *testing.T) {
	w := newCompany(newMerger(t, readAccounts).set)
	at := int64(1_000_000_000)
	w.event("a", at, group("acme"))
	w.event("b", at, group("acme"))
	for range 3 {
		w.out = nil
		w.event("b", at, lead.Event{Type: lead.Page})
	}
	var said []string
	for _, o := range w.out {
		said = append(said, o.Lead+o.Account+" "+o.To+" "+o.Event)
	}
	if want := []string{"acme busy m5", "a mql m5", "b mql m5"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

// TestAccountDomain takes the account from the address, unless a group call has said otherwise.
func TestAccountDomain(t *testing.T) {
	w := newCompany(newMerger(t, readAccounts).set)
	for i, x := range []struct{ email, want string }{
		{"a@Work.example ", "work.example"}, {"a@GMAIL.com", ""}, {"nobody", ""}, {"@x.example", ""}, {"a@b@c.example", "c.example"}, {"a@localhost", ""},
	} {
		id := fmt.Sprint("u", i)
		w.event(id, int64(i+1), lead.Event{Type: lead.Identify, Traits: lead.Object(fmt.Sprintf(`{"email": %q}`, x.email))})
		if got, _ := w.e.Account(w.node(id)); got != x.want {
			t.Errorf("%s is in %q, want %q", x.email, got, x.want)
		}
	}
	w.event("u0", 10, group("g"))
	w.event("u0", 9, group("late"))
	if got, role := w.e.Account(w.node("u0")); got != "g" || role != "user" {
		t.Errorf("in %q as %q", got, role)
	}
	w.event("u0", 11, group(""))
	if got, _ := w.e.Account(w.node("u0")); got != "" {
		t.Errorf("who left is in %q", got)
	}
	if v, _ := w.e.ViewAccount(w.node(AccountID("work.example")), 20); len(v.Members) != 0 {
		t.Errorf("members %+v", v.Members)
	}
}

// TestAccountSwitch changes the rules: weights, the half-life, what is read, and accounts themselves.
func TestAccountSwitch(t *testing.T) {
	texts := []string{
		readAccounts,
		`{signals: {visit: {match: 'event.type == "page"'}}, scores: {hot: {half_life: 1d, lines: [{signal: visit, add: 10}]}}, accounts: {scores: [hot], roles: {user: {weight: 4}}, stages: [busy]}}`,
		`{signals: {visit: {match: 'event.type == "page"'}}, scores: {hot: {half_life: 2d, lines: [{signal: visit, add: 10}]}}}`,
		`{signals: {visit: {match: 'event.type == "page"'}}, scores: {hot: {half_life: 2d, lines: [{signal: visit, add: 10}]}}, stages: [a, b], transitions: [{from: a, to: b, when: 'account.score.hot > 1'}], ` +
			`accounts: {scores: [hot], stages: [x, y], transitions: [{from: x, to: y, when: 'people("visit", "30d") >= 2'}]}}`,
	}
	w := newCompany(newMerger(t, texts[0]).set)
	at := int64(1_000_000_000)
	for _, id := range []string{"a", "b", "c"} {
		w.event(id, at, lead.Event{Type: lead.Page})
		w.event(id, at, group("acme"))
	}
	for i, accountFirst := range []bool{true, false, true, false, true} {
		set := newMerger(t, texts[(i+1)%len(texts)]).set
		at += day / 2
		w.old, w.switched, w.e = w.e.set, at, set.NewEvaluator()
		ids := []string{"a", AccountID("acme"), "b", "c"}
		if accountFirst {
			ids = []string{AccountID("acme"), "c", "b", "a"}
		}
		for _, id := range ids {
			w.migrate(id)
			w.deliver(nil)
		}
		if !set.Accounts() {
			continue
		}
		v, _ := w.e.ViewAccount(w.node(AccountID("acme")), at)
		want := 0.0
		for _, id := range []string{"a", "b", "c"} {
			want += w.e.View(w.node(id), at).Scores[0].Value
		}
		if i == 0 || i == 4 {
			want *= 4
		}
		if len(v.Members) != 3 || v.Scores[0].Value < want*(1-1e-12) || v.Scores[0].Value > want*(1+1e-12) {
			t.Errorf("switch %d: %d members, %v, want %v", i, len(v.Members), v.Scores, want)
		}
		if i == 2 && (v.Stage != "x" || w.e.View(w.node("a"), at).Stage != "b") {
			t.Errorf("after the accounts came back: %s, its member %s", v.Stage, w.e.View(w.node("a"), at).Stage)
		}
	}
}

// TestAccountKeysAreNamed: whoever reads an export finds a name for every key between a lead and its account.
func TestAccountKeysAreNamed(t *testing.T) {
	w := newCompany(newMerger(t, strings.Replace(readAccounts, "account.score.hot < 12.5", `account.score.hot < 12.5 || people("visit", "1d") > 60`, 1)).set)
	w.event("a", 1_000_000_000, lead.Event{Type: lead.Page})
	w.event("a", 1_000_000_000, group("acme"))
	m := w.node("a").Account[0]
	names := w.e.set.Slots().Account
	var found []string
	for _, parts := range [][]lead.Part{m.Parts, m.Seen, m.Facts} {
		for _, p := range parts {
			found = append(found, names[p.Key])
		}
	}
	slices.Sort(found)
	if want := []string{"account.score.hot > 30", "account.score.hot >= 30", "score hot", "signal visit"}; !slices.Equal(found, want) {
		t.Errorf("named %q, want %q", found, want)
	}
}
