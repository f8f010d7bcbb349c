package ruletest

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"leadstream/rules"
)

// TestAccountGuide runs the example of the page about accounts.
func TestAccountGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/accounts.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```\n").FindAllSubmatch(text, -1)
	if len(blocks) != 2 {
		t.Fatalf("the page has %d blocks", len(blocks))
	}
	set, err := rules.Parse(rules.File{Name: "rules.yaml", Src: blocks[0][1]})
	if err != nil || len(set.Warnings()) > 0 {
		t.Fatal(err, set.Warnings())
	}
	f, err := Parse(set, "rules.test.yaml", blocks[1][1])
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.Run() {
		if r.Failed {
			t.Errorf("%s:\n%s\n%s", r.Test, r.Diff, r.Happened)
		}
	}
}

const accountRules = `
signals: {visit: {match: 'event.type == "page"'}}
scores: {hot: {half_life: 1d, lines: [{signal: visit, add: 8}]}}
stages: [a, b]
transitions: [{from: a, to: b, when: 'account.score.hot >= 20'}, {from: b, to: a, when: 'account.score.hot < 10'}]
accounts:
  scores: [hot]
  stages: [cold, warm]
  transitions: [{from: cold, to: warm, when: account.members >= 3}]
  handoffs: [{name: call, when: 'account.stage == "warm"', assign: sales}]
`

const accountGiven = `
tests:
- name: x
  given:
    - {lead: ann, group: acme}
    - {lead: bob, group: acme}
    - {lead: cy, group: initech}
    - {lead: ann, page: /a, at: 1h, times: 3}
    - {lead: cy, group: acme, at: 2h}
    - {wait: 3d}
  expect:
`

func runAccounts(t *testing.T, expect string) (Result, error) {
	t.Helper()
	set, err := rules.Parse(rules.File{Name: "rules.yaml", Src: []byte(accountRules)})
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(set, "x", []byte(accountGiven+expect))
	if err != nil {
		return Result{}, err
	}
	return f.Run()[0], nil
}

// TestAccountDiff: what comes of an account that no expectation is of fails the test, and is shown under its name; what
// happened can be expected.
func TestAccountDiff(t *testing.T) {
	r, err := runAccounts(t, `
    - {lead: ann, stage: a > b, at: 1h}
    - {lead: bob, stage: a > b, at: 1h}
    - {lead: cy, stage: a > b, at: 2h}
    - {lead: ann, stage: b > a, at: ~1d7h}
    - {lead: bob, stage: b > a}
    - {lead: cy, stage: b > a}
    - {account: initech, at: 0d, members: {cy: decider, dan: user}, stage: warm}
    - {account: initech, at: 3d, members: 0}
    - {account: nobody, at: 3d, stage: cold}
    - {account: acme, stage: cold > warm, at: 2h, members: 2, scores: {hot: 23.32}}
`)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/accounts.golden", r.Diff+r.Happened)
	again, err := runAccounts(t, "    "+strings.ReplaceAll(strings.TrimSpace(r.Happened), "\n", "\n    "))
	if err != nil || again.Failed {
		t.Errorf("what happened, expected: %v\n%s", err, again.Diff)
	}
}

func TestAccountMistakes(t *testing.T) {
	for expect, want := range map[string]string{
		"    - {account: acme, at: 1h, stage: b}":                                           `no stage of accounts "b"`,
		"    - {account: acme, stage: a > b}":                                               `no stage of accounts "a"`,
		"    - {lead: ann, at: 1h, stage: warm}":                                            `no stage "warm"`,
		"    - {lead: ann, handoff: call}":                                                  `no hand-off "call"`,
		"    - {account: acme, handoff: cal}":                                               `no hand-off of accounts "cal" (did you mean "call"?)`,
		"    - {account: acme, at: 1h, scores: {cold: 1}}":                                  `no score of accounts "cold"`,
		"    - {account: acme, at: 1h, tags: {x: 1}}":                                       "no grades, matrix and tags",
		"    - {account: acme, merged: ann}":                                                "not into an account",
		"    - {account: acme, lead: ann, at: 1h, stage: cold}":                             "not both",
		"    - {lead: ann, at: 1h, members: 1}":                                             "only an account has members",
		"    - {account: acme, at: 1h, members: some}":                                      "a whole number, or leads with their roles",
		"    - {account: acme, at: 1h, members: -1}":                                        "a whole number, or leads with their roles",
		"    - {account: acme, at: 1h, members: {ann: boss}}":                               `no role "boss"`,
		"    - {account: acme, stage: cold > warm, members: {ann: user}}":                   "outputs say how many",
		"    - {account: acme, at: 1h}":                                                     "needs stage, handoff, scores or members",
		"    []\n- {name: y, given: [{account: acme, page: /x}], expect: []}":               "only a move is of an account",
		"    []\n- {name: y, given: [{account: acme, lead: ann, move: warm}], expect: []}":  "not both",
		"    []\n- {name: y, given: [{account: acme, move: b}], expect: []}":                `no stage of accounts "b"`,
		"    []\n- {name: y, given: [{account: acme, move: warm}], expect: [{stage: a>b}]}": "nothing can be expected of a test without events",
	} {
		if _, err := runAccounts(t, expect); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n%v", expect, err)
		}
	}
	if _, err := Parse(testSet(t), "x", []byte("tests: [{name: x, given: [{account: acme, move: lead}], expect: []}]")); err == nil || !strings.Contains(err.Error(), "the rules have no accounts") {
		t.Error(err)
	}
}
