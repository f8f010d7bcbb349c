package rules

import (
	"slices"
	"testing"

	"leadstream/state/lead"
)

// TestAccountConditions looks at what is said of an account's conditions while they wait, hold and are held back.
func TestAccountConditions(t *testing.T) {
	w := newCompany(newMerger(t, `
signals: {visit: {match: 'event.type == "page"'}}
scores: {hot: {lines: [{signal: visit, add: 10}]}}
accounts:
  roles: {user: {weight: 0.5}, decider: {weight: 4}}
  scores: [hot]
  stages: [cold, warm]
  transitions:
    - {from: cold, to: warm, when: 'account.score.hot >= 10', reason: hot}
    - {from: warm, to: cold, when: 'members() < 5', min_stay: 1d}
  handoffs:
    - {name: call, when: 'account.stage == "warm"', assign: sales, cooldown: 7d}
`).set)
	at := int64(1_000_000_000)
	w.event("ann", at, group("acme"))
	w.event("ann", at, lead.Event{Type: lead.Page})
	look := func(at int64) []NamedCondition {
		v, ok := w.e.ViewAccount(w.node(AccountID("acme")), at)
		if !ok || len(v.Members) != 1 || v.Members[0].Weight != 0.5 {
			t.Fatalf("%+v", v)
		}
		return v.Conditions
	}
	up := NamedCondition{Kind: lead.StageChanged, When: "account.score.hot >= 10", To: "warm", Reason: "hot", Open: true}
	down := NamedCondition{Kind: lead.StageChanged, When: "members() < 5", To: "cold", Holds: true}
	call := NamedCondition{Kind: lead.HandOff, When: `account.stage == "warm"`, Name: "call", Team: "sales", Open: true}
	if got := look(at); !slices.Equal(got, []NamedCondition{up, down, call}) {
		t.Errorf("at first:\n%+v", got)
	}
	w.event("ann", at+1, lead.Event{Type: lead.Page})
	up.Open, up.Holds, down.Open, call.Holds = false, true, true, true
	down.NotBefore, call.NotBefore = at+1+day, at+1+7*day
	if got := look(at + 2); !slices.Equal(got, []NamedCondition{up, down, call}) {
		t.Errorf("after it moved:\n%+v", got)
	}
	down.NotBefore, call.NotBefore = 0, 0
	if got := look(at + 1 + 7*day); !slices.Equal(got, []NamedCondition{up, down, call}) {
		t.Errorf("when nothing holds them back:\n%+v", got)
	}
	if n := w.e.Counts().Dropped[0]; n != 0 {
		t.Errorf("%d hand-offs were dropped by looking", n)
	}
}
