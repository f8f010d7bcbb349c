package rules

import (
	"strings"
	"testing"

	"leadstream/state/lead"
)

// rowsRules have room for one member.
const rowsRules = `
signals:
  visit: {match: 'event.type == "page"'}
scores:
  points: {lines: [{signal: visit, add: 10}]}
stages: [lead, mql]
transitions:
  - {from: lead, to: mql, when: 'account.stage == "busy"'}
accounts:
  max_members: 1
  scores: [points]
  stages: [quiet, busy]
  transitions:
    - {from: quiet, to: busy, when: 'account.score.points >= 50'}
`

// TestWhoGetsARowHearsOfTheAccount has a member beyond the bound, who hears nothing of a new stage, get a row: it is told then.
func TestWhoGetsARowHearsOfTheAccount(t *testing.T) {
	w := newCompany(newMerger(t, rowsRules).set)
	at := int64(1_000_000_000)
	w.event("a", at, group("acme"))
	w.event("b", at, group("acme"))
	for range 5 {
		w.event("a", at, lead.Event{Type: lead.Page})
	}
	stage := func(id string) string { return w.e.View(w.node(id), at).Stage }
	if a, b := stage("a"), stage("b"); a != "mql" || b != "lead" {
		t.Fatalf("a is %s, b, beyond the bound, %s", a, b)
	}
	w.event("a", at, group("other"))
	w.event("b", at, lead.Event{Type: lead.Page})
	if v, _ := w.e.ViewAccount(w.node(AccountID("acme")), at); len(v.Members) != 1 || v.Others != 0 || stage("b") != "mql" {
		t.Errorf("b is %s, and the account %+v", stage("b"), v)
	}
}

// TestOneIDTwoLeads has an id join an account, be merged into another lead, be separated and join once more, while the letter of
// who it was merged into is still on its way. Whether it had a row or counted without one, each point is there once.
func TestOneIDTwoLeads(t *testing.T) {
	e := newMerger(t, rowsRules).set.NewEvaluator()
	key := e.set.accounts.keys[0]
	tell := func(n *lead.Lead, from string, note Note, points float64) {
		if points != 0 {
			note.Parts = []Part{{Key: key, Value: points, At: 1000}}
		}
		e.Receive(n, nil, &Letter{Kind: MemberLetter, To: n.ID, From: from, Time: 1000, Note: &note}, nil, nil)
	}
	for _, crowded := range []bool{false, true} {
		n := e.set.NewLead(AccountID("acme"), 1)
		was := []Part{{Key: key, Value: 3, At: 1000}}
		if crowded {
			tell(n, "x", Note{}, 5)
		}
		tell(n, "a", Note{Pointer: 1}, 3)
		if crowded {
			tell(n, "x", Note{Gone: true, Known: true, Was: []Part{{Key: key, Value: 5, At: 1000}}}, 0)
		}
		tell(n, "a", Note{Pointer: 2}, 20)
		tell(n, "b", Note{Instead: []Place{{ID: "a", Pointer: 1, Was: was}}}, 103)
		v, _ := e.ViewAccount(n, 1000)
		if len(v.Members) != 1 || v.Members[0].Lead != "a" || v.Others != 1 || v.Scores[0].Value != 123 {
			t.Errorf("crowded %t: %+v, want a with 20 points and b with 103 beyond the bound", crowded, v)
		}
		tell(n, "b", Note{Gone: true, Known: true, Was: []Part{{Key: key, Value: 103, At: 1000}}}, 0)
		tell(n, "a", Note{Gone: true, Known: true, Pointer: 2, Was: []Part{{Key: key, Value: 20, At: 1000}}}, 0)
		v, _ = e.ViewAccount(n, 1000)
		if len(v.Members) != 0 || v.Others != 0 || v.Scores[0].Value != 0 || len(n.Account[0].Rest) != 0 {
			t.Errorf("crowded %t: nobody is left, but %+v", crowded, v)
		}
	}
}

// TestJoiningUnderRulesWithoutAccounts has a lead join while its account's shard follows rules without accounts, which
// can't answer. Once they have accounts again all members are told what it is.
func TestJoiningUnderRulesWithoutAccounts(t *testing.T) {
	set := newMerger(t, rowsRules).set
	none := newMerger(t, "stages: [lead]\n").set
	e, at := set.NewEvaluator(), int64(1_000_000_000)
	n := set.NewLead(AccountID("acme"), 1)
	join := func(e *Evaluator, id string) []Letter {
		e.Receive(n, nil, &Letter{Kind: MemberLetter, To: n.ID, From: id, Time: at, Note: &Note{}}, nil, nil)
		return e.Pending()
	}
	if answers := join(e, "a"); len(answers) != 1 || answers[0].Note.Stage != "quiet" {
		t.Fatalf("the first is told %+v", answers)
	}
	without := none.NewEvaluator()
	without.Migrate(n, set, at, nil)
	if answers := join(without, "b"); len(answers) != 0 {
		t.Fatalf("rules without accounts say %+v", answers)
	}
	e.Migrate(n, none, at, nil)
	told := map[string]string{}
	for _, m := range e.Pending() {
		told[m.To] = m.Note.Stage
	}
	if told["a"] != "quiet" || told["b"] != "quiet" {
		t.Errorf("members are told %v", told)
	}
}

// TestAnErasedIDJoinsAgain has a member be merged into a lead, and its id be erased and join once more, before that lead
// hears of it: what the lead says then takes away who it was before, not who it is now.
func TestAnErasedIDJoinsAgain(t *testing.T) {
	w := newCompany(newMerger(t, strings.Replace(rowsRules, "max_members: 1", "max_members: 9", 1)).set)
	at := int64(1_000_000_000)
	w.event("a", at, group("acme"))
	link := LinkCommand("a", &Command{Kind: Link, With: "u", Time: at})
	var letters []Letter
	_, letters, _ = w.e.Receive(w.node("a"), nil, &link, nil, nil)
	if len(letters) != 1 || letters[0].Kind != StateLetter {
		t.Fatalf("linking says %+v", letters)
	}
	if _, removed := w.e.EraseNode(w.node("a"), &Letter{Kind: EraseLetter, To: "a", From: "u", Cause: ByErasure, Time: at - 1, Known: true}, nil); !removed {
		t.Fatal("the id is not erased")
	}
	w.nodes["a"] = w.e.set.NewLead("a", 2)
	w.event("a", at, group("acme"))
	w.deliver(letters)
	v, _ := w.e.ViewAccount(w.node(AccountID("acme")), at)
	if len(v.Members) != 2 || v.Members[0].Lead != "a" || v.Members[1].Lead != "u" {
		t.Errorf("members %+v", v.Members)
	}
}
