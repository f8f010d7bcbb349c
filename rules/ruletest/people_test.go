package ruletest

import (
	"strings"
	"testing"

	"leadstream/rules"
)

// TestSeveralIDs tests one person with several ids in one test file.
func TestSeveralIDs(t *testing.T) {
	set, err := rules.Parse(rules.File{Name: "rules.yaml", Src: []byte(`
signals: {visit: {match: 'event.type == "page"'}}
scores: {n: {lines: [{signal: visit, add: 1}]}}
stages: [visitor, lead]
transitions: [{from: visitor, to: lead, when: score.n >= 3}]
identity: {link_by: email}
`)})
	if err != nil {
		t.Fatal(err)
	}
	const good = `
tests:
  - name: a device, a user, an alias, a shared address, a separation
    given:
      - {lead: dev, anonymous_id: dev, page: /a}
      - {at: 1d, lead: ann, page: /b}
      - {at: 2d, lead: ann, user_id: ann, anonymous_id: dev, page: /c}
      - {at: 3d, lead: bob, page: /d}
      - {at: 4d, lead: ann, alias: bob}
      - {at: 5d, lead: cid, identify: {email: X@y.z}}
      - {at: 6d, lead: ann, identify: {email: x@Y.z}}
      - {at: 7d, lead: dev, anonymous_id: dev, page: /e}
      - {at: 8d, unlink: dev}
      - {at: 9d, lead: dev, link: ann}
    expect:
      - {lead: ann, merged: dev, at: 2d, reason: event}
      - {lead: ann, stage: visitor > lead, at: 2d}
      - {lead: ann, merged: bob, at: 4d, reason: alias}
      - {lead: ann, merged: cid, at: 6d, reason: trait}
      - {lead: ann, merged: dev, at: 9d, reason: command}
      - {lead: dev, at: 7d, scores: {n: 5}}
      - {lead: dev, at: 8d, scores: {n: 2}}
      - {lead: bob, at: 9d, scores: {n: 5}}
`
	for text, passes := range map[string]bool{good: true, strings.Replace(good, "reason: trait", "reason: alias", 1): false, strings.Replace(good, "{n: 2}", "{n: 1}", 1): false} {
		f, err := Parse(set, "rules.test.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if r := f.Run()[0]; r.Failed == passes {
			t.Errorf("failed %t:\n%s\n%s", r.Failed, r.Diff, r.Happened)
		}
	}
}
