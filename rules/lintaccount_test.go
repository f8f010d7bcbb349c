package rules

import (
	"slices"
	"strings"
	"testing"
)

// TestAccountWarnings: rules of accounts, and what leads' rules ask of their account, are warned of as others are.
func TestAccountWarnings(t *testing.T) {
	set := newMerger(t, `
signals:
  visit: {match: 'event.type == "page"'}
  buy: {match: 'event.name == "Bought"'}
scores: {hot: {half_life: 7d, lines: [{signal: visit, add: 3}]}}
stages: [a, b]
transitions:
  - {from: a, to: b, when: 'account.score.hot >= 50 && account.score.hot < 20'}
  - {from: a, to: b, when: 'account.role == "selector" && signal("visit")'}
  - {from: a, to: b, when: 'account.role == "decider" && account.stage == "warm"'}
  - {from: b, to: a, when: 'account.stage == "warm" && account.stage != "warm"'}
  - {from: b, to: a, when: 'account.role != "user" && account.score.hot == 3.0'}
handoffs:
  - {name: none, when: 'account.role != "user" && account.role != "decider" && account.role != "influencer" && account.role != ""', assign: x}
accounts:
  roles:
    decider: {weight: 2, when: 'traits.title == "CEO"'}
    influencer: {when: 'traits.title in ["CEO"]'}
    selector: {weight: 3}
    user: {when: 'traits.plan == "a" && traits.plan == "b"'}
  scores: [hot]
  stages: [cold, warm, gone, odd, top]
  transitions:
    - {from: cold, to: warm, when: 'account.score.hot > 5 && account.score.hot < 2'}
    - {from: cold, to: warm, when: 'people("visit", "7d") > 3 && people("visit", "7d") < 4'}
    - {from: cold, to: warm, when: 'people("visit", "7d") >= 2 && members("decider") >= 1'}
    - {from: warm, to: cold, when: 'members("selector") >= 1'}
    - {from: warm, to: cold, when: 'members() < 0 || in_stage() > duration("5d") && in_stage() < duration("3d")'}
    - {from: warm, to: gone, when: 'members() > 0.2 && members() < 0.8'}
    - {from: warm, to: cold, when: '!(account.traits.plan == "pro")'}
    - {from: warm, to: top, when: 'people("visit", "7d") >= 2 && members("decider") >= 1'}
    - {from: warm, to: top, when: 'people("visit", "7d") >= 3 && members("decider") >= 2'}
  handoffs:
    - {name: never, when: 'account.stage == "warm" && account.stage == "cold"', assign: x}
    - {name: fine, when: 'account.stage == "warm" && members("decider") > 0', assign: x}
`).set
	var got []string
	for _, w := range set.Warnings() {
		got = append(got, strings.SplitN(w.Message, "\n", 2)[0])
	}
	slices.Sort(got)
	want := []string{
		`accounts.roles.influencer.when decides nothing: whoever it is true of is decider, which is tried first`,
		`accounts.roles.user.when is never true: what it asks of traits.plan is impossible`,
		`accounts.roles: no lead is selector: neither when nor a trait named by role says so`,
		`accounts: hand-off "never" never fires: what it asks of the stage is impossible`,
		`accounts: no account comes to stage "gone" but by a command: transitions on the way to it never fire`,
		`accounts: no transition leads to stage "odd"; only a command can`,
		`accounts: transitions[0] never fires: what it asks of score.hot is impossible`,
		`accounts: transitions[1] never fires: what it asks of people "visit" within 7d is impossible`,
		`accounts: transitions[3] never fires: what it asks of members("selector") is impossible`,
		`accounts: transitions[4] never fires: what it asks of members() is impossible`,
		`accounts: transitions[5] never fires: what it asks of members() is impossible`,
		`accounts: transitions[6].when: where traits.plan is absent, what is negated here is an error and counts as false, not as true; say !has(traits.plan) || ... if it should be true then, has(traits.plan) && ... if not`,
		`accounts: transitions[8] never fires: whenever it is true, transitions[7] (rules:31), which is tried first, is true as well`,
		`hand-off "none" never fires: what it asks of account.role is impossible`,
		`nothing uses signal "buy"`,
		`transitions[0] never fires: what it asks of account.score.hot is impossible`,
		`transitions[1] never fires: what it asks of account.role is impossible`,
		`transitions[3] never fires: what it asks of account.stage is impossible`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("warnings are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
