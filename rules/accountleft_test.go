package rules

import (
	"testing"

	"leadstream/state/lead"
)

// TestWhoLeavesReadsNothing has leads leave an account that is busy, in each way there is: what they read of it is gone in the evaluation of
// what made them leave, not with their next event.
func TestWhoLeavesReadsNothing(t *testing.T) {
	at := int64(1_000_000_000)
	ways := map[string]func(w *company){
		"a group call":    func(w *company) { w.event("a", at, group("")) },
		"another account": func(w *company) { w.event("a", at, group("acorn")) },
		"another address": func(w *company) {
			w.event("a", at, lead.Event{Type: lead.Identify, Traits: lead.Object(`{"email": "x@acorn.example"}`)})
		},
		"a merge": func(w *company) {
			w.event("z", at, lead.Event{Type: lead.Page})
			w.event("z", at+1, group(""))
			m := LinkCommand("z", &Command{Kind: Link, With: "a", Time: at + 1})
			w.deliver([]Letter{m})
		},
	}
	for what, leave := range ways {
		w := newCompany(newMerger(t, readAccounts).set)
		w.event("a", at, lead.Event{Type: lead.Identify, Traits: lead.Object(`{"email": "x@acme.example"}`)})
		for range 3 {
			w.event("b", at, lead.Event{Type: lead.Page})
		}
		if what != "another address" {
			w.event("a", at, group("acme.example"))
		}
		w.event("b", at, group("acme.example"))
		if _, stage := w.fit("a", at); stage != "mql" {
			t.Fatalf("%s: a is %s in a busy account", what, stage)
		}
		leave(w)
		if _, stage := w.fit("a", at+1); stage != "lead" {
			t.Errorf("%s: a has left the busy account and is %s", what, stage)
		}
	}
}

// TestAMergeKeepsWhatTheAccountSaid merges a member of a busy account into another lead, which has no account or one of its own: what they read of it goes with the
// place, so nobody goes back and forth.
func TestAMergeKeepsWhatTheAccountSaid(t *testing.T) {
	at := int64(1_000_000_000)
	for _, before := range []string{"", "acorn"} {
		w := newCompany(newMerger(t, readAccounts).set)
		for range 3 {
			w.event("b", at, lead.Event{Type: lead.Page})
		}
		w.event("user", at, lead.Event{Type: lead.Page})
		if before != "" {
			w.event("user", at, group(before))
		}
		for i, id := range []string{"anonymous", "b"} {
			w.event(id, at+1+int64(i), group("acme"))
		}
		if _, stage := w.fit("anonymous", at); stage != "mql" {
			t.Fatalf("the member is %s", stage)
		}
		w.out = nil
		w.deliver([]Letter{LinkCommand("anonymous", &Command{Kind: Link, With: "user", Time: at + 9})})
		for _, o := range w.out {
			if o.Lead == "user" && o.Kind == lead.StageChanged && o.To != "mql" {
				t.Errorf("before in %q: said %+v", before, o)
			}
		}
		if _, stage := w.fit("user", at+9); stage != "mql" {
			t.Errorf("before in %q: the lead is %s", before, stage)
		}
	}
}

// TestErasedMemberLeavesItsAccount: the letter by which it does is not one that asks an id to go, which would be waited for.
func TestErasedMemberLeavesItsAccount(t *testing.T) {
	w := newCompany(newMerger(t, readAccounts).set)
	w.event("a", 1_000_000_000, group("acme"))
	_, letters, found := w.e.Erase(w.node("a"), &Command{Kind: Erase, Time: 1_000_000_001, ID: "r", Salt: []byte("s")}, new(Route), nil, nil)
	if !found || len(letters) != 1 || letters[0].To != AccountID("acme") || !letters[0].Note.Gone || Asked(letters) != 0 {
		t.Errorf("found %v, letters %+v, asked %d", found, letters, Asked(letters))
	}
}
