package rules

import (
	"slices"
	"strings"
	"testing"

	"leadstream/state/lead"
)

const consentRulesText = `
signals:
  visit: {match: 'event.type == "page"'}
  yes: {match: 'event.name == "Confirmed"'}
  no: {match: 'event.name == "Unsubscribed"'}
consent:
  purposes:
    email: {grant: yes, withdraw: [no]}
    profiling: {}
    ads:
  gate: profiling
scores:
  warm: {lines: [{signal: visit, add: 10}, {signal: no, add: -1}]}
  reach: {lines: [{when: 'consent["email"]', add: 5}, {id: ads, when: 'size(["a"].filter(x, consent["ads"])) == 1', add: 2}]}
stages: [a, b]
transitions:
  - {from: a, to: b, when: 'consent["email"] && score.warm >= 10'}
handoffs:
  - {name: h, when: '!consent["email"] && stage == "b"'}
`

// said makes an event that says in its context what is consented to.
func said(days float64, id, preferences string) *lead.Event {
	ev := at(days, "page", id)
	ev.Context = lead.Object(`{"consent":{"categoryPreferences":` + preferences + `}}`)
	return ev
}

func TestConsent(t *testing.T) {
	m := newMerger(t, consentRulesText)
	check := func(l *lead.Lead, days, warm, reach float64, outputs int, consents string) {
		t.Helper()
		m.want(l, days, map[string]float64{"warm": warm, "reach": reach})
		if len(m.out) != outputs {
			t.Errorf("%d outputs, want %d: %v", len(m.out), outputs, m.out)
		}
		var names []string
		for _, c := range m.ev.View(l, max(l.Clock, int64(days*float64(day)))).Consents {
			sign := "-"
			if c.Granted {
				sign = "+"
			}
			names = append(names, sign+c.Purpose+" "+c.Source)
		}
		if got := strings.Join(names, ", "); got != consents {
			t.Errorf("consents are %q, want %q", got, consents)
		}
	}
	apply := func(l *lead.Lead, ev *lead.Event) { m.out, _ = m.ev.Apply(l, ev, m.out) }

	// Without the gate's consent nothing counts but what is said about consent.
	l := m.lead("l", at(0, "page", "1"), at(0, "Confirmed", "2"))
	check(l, 0, 0, 5, 0, "+email yes")
	// The event that grants the gate counts itself; what came before does not.
	apply(l, said(1, "3", `{"profiling":true,"ads":true,"other":true}`))
	check(l, 1, 10, 7, 1, "+ads context, +email yes, +profiling context")
	// What is no boolean says nothing, and an older event does not undo a newer one.
	apply(l, said(2, "4", `{"profiling":"no","ads":null}`))
	apply(l, said(0.5, "5", `{"profiling":false}`))
	check(l, 2, 30, 7, 1, "+ads context, +email yes, +profiling context")
	// A withdrawal changes conditions at once; it counts as a signal itself.
	apply(l, at(3, "Unsubscribed", "6"))
	check(l, 3, 29, 2, 2, "+ads context, -email no, +profiling context")
	if m.out[1].Kind != lead.HandOff {
		t.Errorf("a %v, want a hand-off", m.out[1].Kind)
	}
	// At the same time the withdrawal counts, whichever comes first.
	apply(l, at(3, "Confirmed", "7"))
	check(l, 3, 29, 2, 2, "+ads context, -email no, +profiling context")

	for _, c := range []struct {
		purpose string
		granted bool
		want    Verdict
	}{{"profiling", false, Applied}, {"unknown", true, Refused}} {
		var v Verdict
		m.out, v = m.ev.Command(l, &Command{Kind: Consent, Time: 4 * day, Purpose: c.purpose, Granted: c.granted, ID: c.purpose, Source: "phone"}, m.out)
		if v != c.want {
			t.Errorf("consent to %s: verdict %d, want %d", c.purpose, v, c.want)
		}
	}
	before := m.ev.Counts().Gated
	apply(l, at(5, "page", "8"))
	check(l, 5, 29, 2, 2, "+ads context, -email no, -profiling phone")
	if n := m.ev.Counts().Gated - before; n != 1 {
		t.Errorf("%d events were gated, want 1", n)
	}
}

func TestMergedConsentIsTheStricter(t *testing.T) {
	m := newMerger(t, strings.ReplaceAll(consentRulesText, "  gate: profiling\n", ""))
	a := m.lead("a", said(3, "1", `{"email":true,"ads":false,"profiling":true}`))
	b := m.lead("b", said(1, "2", `{"email":false,"ads":false}`))
	for _, pair := range [][2]*lead.Lead{{a, b}, {b, a}} {
		l := pair[0].Clone()
		m.merge(l, pair[1])
		want := []lead.Consent{{Purpose: "ads", Time: 3 * day, Source: "context"}, {Purpose: "email", Time: day, Source: "context"},
			{Purpose: "profiling", Granted: true, Time: 3 * day, Source: "context"}}
		if !slices.Equal(l.Rare().Consents, want) {
			t.Errorf("merged into %s: %v, want %v", l.ID, l.Rare().Consents, want)
		}
	}
}

func TestConsentAfterASwitch(t *testing.T) {
	m := newMerger(t, consentRulesText)
	l := m.lead("l", said(1, "1", `{"email":true,"profiling":true,"ads":true}`))
	if _, err := Parse(File{Name: "new", Src: []byte(strings.ReplaceAll(consentRulesText, "    ads:\n", "    ads2:\n"))}); err == nil {
		t.Fatal("a purpose that an expression reads is gone, and that is no error")
	}
	to, err := Parse(File{Name: "new", Src: []byte(strings.ReplaceAll(consentRulesText, "ads", "ads2"))})
	if err != nil {
		t.Fatal(err)
	}
	to.NewEvaluator().Migrate(l, m.set, 2*day, nil)
	if len(l.Rare().Consents) != 2 || l.Rare().Consents[0].Purpose != "email" || l.Rare().Consents[1].Purpose != "profiling" {
		t.Errorf("after the switch the lead's consents are %v", l.Rare().Consents)
	}
}

func TestConsentMistakes(t *testing.T) {
	base := "signals: {s: {match: 'event.name == \"s\"'}}\nhandoffs: [{name: h, when: 'WHEN'}]\n"
	for _, c := range []struct{ section, when, want string }{
		{"", `consent["email"]`, "1: handoffs[0].when: no purposes are declared"},
		{"consent: {purposes: {email: {}}}", `consent["emial"]`, `unknown purpose "emial" (did you mean "email"?)`},
		{"consent: {purposes: {email: {}}}", `consent[event.name]`, "only be read by a constant purpose"},
		{"consent: {purposes: {email: {}}}", `consent == null`, "only be read by a constant purpose"},
		{"consent: {purposes: {email: {grant: t}}}", `true`, `unknown signal "t"`},
		{"consent: {purposes: [email]}", `true`, "consent.purposes must be a mapping"},
		{"consent: {purposes: {email: {given: s}}}", `true`, `unknown key "given"`},
		{"consent: {purposes: {email: {}}, gate: mail}", `true`, `consent.gate: unknown purpose "mail"`},
	} {
		_, err := Parse(File{Name: "r", Src: []byte(strings.Replace(base, "WHEN", strings.ReplaceAll(c.when, `'`, `''`), 1) + c.section + "\n")})
		if err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(c.want, "1: ")) {
			t.Errorf("%s %s: got %v, want %s", c.section, c.when, err, c.want)
		}
	}
}
