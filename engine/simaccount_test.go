package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"leadstream/engine/enginetest"
	"leadstream/rules"
	"leadstream/state/lead"
)

// firmRules are testRules with companies: stages of accounts move leads, and the other way round.
const firmRules = `
signals:
  visit: {match: 'event.type == "page"'}
  demo: {match: 'event.name == "Demo Requested"'}
  download: {match: 'event.name == "Downloaded"'}
scores:
  engagement:
    half_life: 7d
    max: 100
    lines:
      - {id: visit, signal: visit, add: 3}
      - {id: demo, signal: demo, add: 40}
      - {id: download, signal: download, add: event.properties.points, limit: {times: 3, per: 1d}}
      - {id: silent, inactive: 10d, add: -5}
      - {id: wanted, enter: sql, add: 7}
  visits: {lines: [{id: page, signal: visit, add: 1}]}
  fit:
    lines:
      - {id: size, when: 'traits.employees >= 200', add: 40}
      - {id: title, when: 'traits.title == "CTO"', add: 40}
      - {id: firm, when: 'account.traits.plan == "gold"', add: 20}
    grades: {A: 75, B: 40, C: 10, D: 0}
stages: [visitor, lead, mql, sql, recycled]
transitions:
  - {from: visitor, to: lead, when: 'score.engagement >= 10'}
  - {from: lead, to: mql, when: 'score.engagement >= 35', reason: engaged}
  - {from: mql, to: sql, when: 'account.stage == "busy"', reason: wanted}
  - {from: sql, to: lead, when: 'account.score.engagement < 15', reason: alone}
  - {from: mql, to: lead, when: 'score.engagement < 20', reason: cooled}
  - {from: mql, to: recycled, when: 'in_stage() >= duration("5d")', reason: stale}
  - {from: recycled, to: visitor, when: 'count("visit", "7d") == 0', reason: quiet}
handoffs:
  - {name: hot, when: 'score.engagement >= 50 && grade.fit in ["A", "B"]', cooldown: 3d, assign: {team: sales}}
  - {name: boss, when: 'account.role == "decider" && account.score.visits > 6'}
identity: {link_by: email}
retention: 22d
erase_grace: 4d
`

const firmAccounts = `
accounts:
  domain: work
  role: buying_role
  roles: {decider: {weight: 2.5, when: 'traits.title == "CTO"'}, selector: {weight: -1}, user: {weight: 1}}
  max_members: 10000
  scores: [engagement, visits]
  stages: [quiet, busy, tired]
  transitions:
    - {from: quiet, to: busy, when: 'account.score.engagement >= 40 && account.members >= 2', min_stay: 1h}
    - {from: busy, to: tired, when: 'in_stage() >= duration("4d")'}
    - {from: [busy, tired], to: quiet, when: 'account.score.engagement < 10'}
  handoffs:
    - {name: crowd, when: 'people("visit", "7d") >= 3', cooldown: 1d}
    - {name: led, when: 'members("decider") > 0 && account.traits.plan == "gold"', assign: {team: enterprise}}
`

// firms are what a life with accounts has of its own.
type firms struct {
	rng  *rand.Rand
	sets []*rules.Set
	// weights are those of deciders; the other roles' are the same in all rule sets.
	weights map[*rules.Set]float64
	sent    int
}

func newFirms(t testing.TB, rng *rand.Rand) *firms {
	f := &firms{rng: rng, weights: map[*rules.Set]float64{}}
	room := fmt.Sprintf("max_members: %d", []int{1, 2, 3, 10_000}[rng.IntN(4)])
	add := func(text string, decider float64) {
		set := mustRules(t, strings.Replace(text, "max_members: 10000", room, 1))
		f.sets, f.weights[set] = append(f.sets, set), decider
	}
	text := firmRules + firmAccounts
	add(text, 2.5)
	add(strings.NewReplacer("weight: 2.5", "weight: 4", "half_life: 7d", "half_life: 5d", "engagement >= 40", "engagement >= 25").Replace(text), 4)
	// Who reads nothing of accounts is under rules without any.
	none := strings.NewReplacer(`'account.stage == "busy"'`, `'score.engagement >= 60'`, "'account.score.engagement < 15'", "'score.engagement < 15'",
		`'account.traits.plan == "gold"'`, "'false'", `'account.role == "decider" && account.score.visits > 6'`, "'false'")
	add(none.Replace(firmRules), 1)
	add(strings.NewReplacer(`people("visit", "7d")`, `people("demo", "9d")`, "stages: [quiet, busy, tired]", "stages: [tired, busy, quiet]", "max_members: 10000", "max_members: 2").Replace(text), 2.5)
	return f
}

// RuleSet implements enginetest.Ledger.
func (f *firms) RuleSet(id lead.RuleSetID) *rules.Set {
	for _, s := range f.sets {
		if s.ID() == id {
			return s
		}
	}
	return nil
}

// Weight implements enginetest.Ledger.
func (f *firms) Weight(set *rules.Set, role string) float64 {
	switch role {
	case "decider":
		return f.weights[set]
	case "selector":
		return -1
	}
	return 1
}

func firmName(rng *rand.Rand) string {
	return []string{"acme.example", "globex", "initech"}[rng.IntN(1+rng.IntN(3))]
}

// work lets somebody do what moves leads between accounts.
func (s *sim) work(at int64) {
	f, rng := s.firms, s.firms.rng
	f.sent++
	key, id := "userId", leadName(rng)
	if rng.IntN(4) == 0 {
		key, id = "anonymousId", deviceName(rng)
	}
	send := func(format string, args ...any) {
		v := fmt.Sprintf(`{%q:%q,"messageId":"f%d","timestamp":%d,%s}`, key, id, f.sent, at, fmt.Sprintf(format, args...))
		s.log.Append("web", rng.Int32N(s.parts["web"]), nil, []byte(v), min(at, s.clock()))
	}
	name := fmt.Sprintf("f%d", f.sent)
	switch rng.IntN(24) {
	case 0:
		send(`"type":"group","groupId":%s`, []string{"null", `""`}[rng.IntN(2)])
	case 1, 2:
		send(`"type":"identify","traits":{"buying_role":%q}`, []string{"decider", "selector", "none"}[rng.IntN(3)])
	case 3, 4:
		send(`"type":"identify","traits":{"work":%q}`, []string{"a@acme.example", "b@gmail.com", "c@globex.example", "nobody"}[rng.IntN(4)])
	case 5:
		send(`"type":"identify","traits":{"email":"%s@home.example"}`, leadName(rng))
	case 6:
		send(`"type":"alias","previousId":%q,"userId":%q`, id, leadName(rng))
	case 7:
		s.tell(id, rules.Command{Kind: rules.Unlink, ID: name})
	case 8:
		s.tell(id, rules.Command{Kind: rules.Link, ID: name, With: leadName(rng)})
	case 9:
		s.tell(id, rules.Command{Kind: rules.Adjust, ID: name, Score: "visits", Points: float64(rng.IntN(9)) - 4})
	case 10:
		s.tell(id, rules.Command{Kind: rules.Retract, ID: name, Message: lead.HashString(fmt.Sprintf("m%d", 1+rng.IntN(1+s.sent)))})
	case 11:
		s.tell(rules.AccountID(firmName(rng)), rules.Command{Kind: rules.Move, ID: name, Stage: []string{"quiet", "busy", "tired"}[rng.IntN(3)]})
	case 12, 13, 14, 15:
		send(`"type":"page"`)
	case 16, 17:
		send(`"type":"track","event":"Demo Requested"`)
	default:
		send(`"type":"group","groupId":%q,"traits":{"plan":%q}`, firmName(rng), []string{"gold", "free"}[rng.IntN(2)])
	}
}

// firmsSeen counts what the lives of one TestSimulation had of accounts in the end.
var firmsSeen struct{ lives, accounts, members, others atomic.Int64 }

// checkFirmsSeen says how many there were, and that a number of lives that should have had some had.
func checkFirmsSeen(t *testing.T, lives int) {
	n := &firmsSeen
	t.Logf("%d lives with accounts: %d accounts, %d members, %d of them beyond the bound", n.lives.Load(), n.accounts.Load(), n.members.Load(), n.others.Load())
	if !t.Failed() && lives >= 200 && (n.members.Load() == 0 || n.others.Load() == 0) {
		t.Error("there was nobody in an account, or nobody beyond its bound: the lives prove nothing of them")
	}
}

// checkFirms compares accounts with their members.
func (s *sim) checkFirms(leads map[string]*lead.Lead, now int64) {
	s.t.Helper()
	if s.firms == nil {
		return
	}
	seen, err := enginetest.CheckAccounts(leads, s.firms, now)
	if err == nil {
		err = enginetest.CheckRest(leads, s.firms, now)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	firmsSeen.lives.Add(1)
	firmsSeen.accounts.Add(int64(seen.Accounts))
	firmsSeen.members.Add(int64(seen.Members))
	firmsSeen.others.Add(int64(seen.Others))
}
