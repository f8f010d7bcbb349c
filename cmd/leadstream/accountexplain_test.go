package main

import (
	"encoding/json"
	"strings"
	"testing"

	"leadstream/connectors/httpapi"
)

func TestExplainAccount(t *testing.T) {
	var v httpapi.AccountView
	if err := json.Unmarshal([]byte(`{
		"id": "acme.example", "stage": "in_market", "stage_since": "2026-11-21T09:12:00Z", "as_of": "2026-11-21T21:12:00Z", "rule_set": "8b55f7dfa92abb58",
		"scores": {"engagement": 40.5},
		"members": [
			{"lead": "bob", "role": "user", "weight": 1, "scores": {"engagement": 9}},
			{"lead": "cy", "role": "user", "weight": 1, "scores": {"engagement": 0}},
			{"lead": "ann", "role": "decider", "weight": 2, "scores": {"engagement": 16.5}}],
		"others": {"count": 7, "scores": {"engagement": 15}},
		"conditions": [
			{"type": "stage.changed", "to": "in_market", "reason": "three_look", "when": "people(\"pricing_view\", \"7d\") >= 3\n  || false", "open": false, "holds": true},
			{"type": "stage.changed", "to": "new", "when": "account.score.engagement < 10", "open": true, "holds": false, "not_before": "2026-11-22T09:12:00Z"},
			{"type": "handoff", "name": "buying_team", "team": "enterprise", "when": "members(\"decider\") > 0", "open": true, "holds": true}]
	}`), &v); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := explainAccount(&out, &v); err != nil {
		t.Fatal(err)
	}
	const want = `acme.example: in_market since 2026-11-21T09:12:00.000Z; as of 2026-11-21T21:12:00.000Z, rule set 8b55f7dfa92abb58

SCORE engagement is 40.50, the sum of

PART   MEMBER    HOW
16.50  ann       8.25 as decider, weight 2
9.00   bob       9.00 as user, weight 1
0.00   1 more    nothing, or a weight of 0
15.00  7 others  beyond max_members, kept as one sum

CONDITIONS that count in stage in_market

HOLDS  RULE                                         WHEN
no     to new, not before 2026-11-22T09:12:00.000Z  account.score.engagement < 10
yes    hand-off buying_team                         members("decider") > 0

CONDITIONS of other stages

HOLDS  RULE                       WHEN
yes    to in_market (three_look)  people("pricing_view", "7d") >= 3 || false
`
	if out.String() != want {
		t.Errorf("it is\n%s", out.String())
	}
}
