package rules

import (
	"testing"

	"leadstream/state/lead"
)

const retractAllText = `
dedupe: 200
signals:
  visit: {match: 'event.type == "page"'}
  yes: {match: 'event.name == "Confirmed"'}
  no: {match: 'event.name == "Unsubscribed"'}
consent: {purposes: {email: {grant: yes, withdraw: no, retract: true}, ads: {}}}
scores:
  plain: {max: 150, lines: [{signal: visit, add: 2, limit: {times: 250, per: 100d}}, {signal: no, add: 7}]}
  warm: {half_life: 30d, lines: [{signal: visit, add: 3}]}
  stairs: {step: {every: 5d, keep: 0.5}, lines: [{signal: visit, add: 3}]}
  fresh: {expire_after: 90d, lines: [{signal: visit, add: 5}]}
  falling: {linear_over: 90d, lines: [{signal: visit, add: 5}]}
  often: {lines: [{id: often, when: 'count("visit", "90d") >= 1', add: 9}]}
  fit: {lines: [{id: mail, when: 'has(traits.email)', add: 4}]}
`

// TestWithdrawalTakesBack takes back what few and what very many messages gave, and goes on from there.
func TestWithdrawalTakesBack(t *testing.T) {
	for _, visits := range []int{1, 5, 64, 90, 150} {
		m := newMerger(t, retractAllText)
		l := m.lead("l", at(0, "Confirmed", "yes"))
		id := func(i int) string { return string(rune('A'+i/26)) + string(rune('a'+i%26)) }
		for i := range visits {
			m.out, _ = m.ev.Apply(l, at(1+float64(i)/10, "page", id(i)), m.out)
		}
		mail := at(20, "identify", "mail")
		mail.Type, mail.Traits = lead.Identify, lead.Object(`{"email":"a@b.c"}`)
		m.out, _ = m.ev.Apply(l, mail, m.out)
		m.out, _ = m.ev.Command(l, &Command{Kind: Adjust, ID: "adjust", Score: "warm", Points: 11, Time: 20 * day}, m.out)
		// A withdrawal of what was not granted, or of another purpose, takes nothing back.
		m.out, _ = m.ev.Command(l, &Command{Kind: Consent, ID: "ads", Purpose: "ads", Time: 20 * day}, m.out)
		if v := m.ev.View(l, 20*day); v.Scores[0].Value == 0 || v.Scores[3].Value == 0 || v.Scores[5].Value != 9 {
			t.Fatalf("before: %+v", v.Scores)
		}
		m.out, _ = m.ev.Apply(l, at(20, "Unsubscribed", "no"), m.out)
		m.want(l, 20, map[string]float64{"plain": 7, "warm": 11, "stairs": 0, "fresh": 0, "falling": 0, "often": 0, "fit": 4})
		m.out, _ = m.ev.Apply(l, at(20, "page", "later"), m.out)
		m.want(l, 20, map[string]float64{"plain": 9, "warm": 14, "stairs": 3, "fresh": 5, "falling": 5, "often": 9, "fit": 4})
		// What comes once more is known.
		m.out, _ = m.ev.Apply(l, at(1, "page", id(0)), m.out)
		m.want(l, 20, map[string]float64{"plain": 9, "warm": 14, "fresh": 5})
	}
}
