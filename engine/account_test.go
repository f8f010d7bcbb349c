package engine_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

var accountCases = flag.Int("accounts", 1_000, "how many cases TestAccounts draws")
var accountFirst = flag.Int("accounts-first", 0, "the first of them")

const companyRules = `
signals:
  visit: {match: 'event.type == "page"'}
  demo: {match: 'event.name == "Demo Requested"'}
scores:
  plain: {max: 9, lines: [{signal: visit, add: 1}]}
  warm: {half_life: 7d, lines: [{signal: visit, add: 3}, {signal: demo, add: 40}, {id: again, enter: again, set: 5}]}
  seen: {lines: [{id: often, when: 'count("visit", "30d") >= 3', add: 7}, {id: known, when: 'account.stage == "busy" || account.score.warm >= 60', add: 2}]}
stages: [visitor, lead, again]
transitions:
  - {from: visitor, to: lead, when: 'score.warm >= 20'}
  - {from: lead, to: again, when: 'score.warm < 2'}
identity: {link_by: email, never: [shared@example.com]}
accounts:
  domain: work
  role: title
  roles: {decider: {weight: 2.5}, influencer: {weight: 0.1, when: 'traits.title == "writer"'}, user: {weight: 1}}
  scores: [plain, warm]
  stages: [quiet, busy]
  transitions:
    - {from: quiet, to: busy, when: 'account.score.warm >= 50 && members() >= 2'}
    - {from: busy, to: quiet, when: 'account.score.warm < 10'}
  handoffs:
    - {name: crowd, when: 'people("visit", "7d") >= 3'}
`

// TestAccounts draws people as TestPeople does, who join companies, move, get other roles, are merged, separated, adjusted
// and taken back, on 1 to 16 shards whose epochs are cut, aborted and lost anywhere. At the end the members of each
// account must be the leads that say they belong to it, their parts what the leads' own scores say, and the
// account's scores the sums of these.
func TestAccounts(t *testing.T) {
	engines := map[int32]*engine.Engine{}
	n := *accountCases
	if testing.Short() {
		n = 300
	}
	members, messages, faults := 0, 0, 0
	for seed := *accountFirst; seed < *accountFirst+n && !t.Failed(); seed++ {
		rng := rand.New(rand.NewPCG(uint64(seed), 12))
		shards := 1 + rng.Int32N(1+rng.Int32N(16))
		if engines[shards] == nil {
			engines[shards] = quietEngine(t, shards, companyRules)
		}
		c := &companies{crowd: crowd{t: t, rng: rng, seed: seed, now: base, shards: shards, fleet: engine.NewFleet(engines[shards], rng, base),
			groups: map[string]string{}, known: map[string]string{}, byID: map[string][]*happening{}}}
		c.again = fmt.Sprintf("go test ./engine -run TestAccounts -accounts 1 -accounts-first %d", seed)
		c.fleet.Stores = rng.IntN(10) == 0
		c.draw()
		c.work()
		c.deliverAll()
		members += c.check()
		messages, faults = messages+c.fleet.Messages, faults+c.fleet.Faults
		if err := c.fleet.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if members < n {
		t.Errorf("only %d members in %d cases", members, n)
	}
	t.Logf("%d cases, %d members, %d messages between shards, %d aborts and crashes", n, members, messages, faults)
}

// companies is one case.
type companies struct{ crowd }

// work draws where people work, and what is done to them.
func (c *companies) work() {
	for range 6 + c.rng.IntN(24) {
		id := c.ids[c.rng.IntN(len(c.ids))]
		switch c.rng.IntN(12) {
		case 0:
			c.command(id, rules.Command{Kind: rules.Adjust, Score: "warm", Points: float64(c.rng.IntN(50)) - 20})
		case 1:
			c.command(id, rules.Command{Kind: rules.Retract, Message: lead.HashString(fmt.Sprintf("m%d", c.rng.IntN(len(c.happen))))})
		case 2:
			c.raw(id, "identify", fmt.Sprintf(`"traits":{"title":%q}`, []string{"decider", "writer", "user", "none"}[c.rng.IntN(4)]))
		case 3:
			c.raw(id, "identify", fmt.Sprintf(`"traits":{"work":%q}`, []string{"a@acme.example", "b@GMAIL.com", "nobody"}[c.rng.IntN(3)]))
		case 4:
			c.raw(id, "group", `"groupId":null`)
		default:
			c.raw(id, "group", fmt.Sprintf(`"groupId":%q,"traits":{"plan":"x"}`, []string{"acme.example", "globex", "initech"}[c.rng.IntN(3)]))
		}
	}
	c.rng.Shuffle(len(c.happen), func(i, j int) { c.happen[i], c.happen[j] = c.happen[j], c.happen[i] })
}

// raw is an event of one id.
func (c *companies) raw(id, kind, extra string) {
	h := c.add(id, kind)
	key := "userId"
	if id[0] == 'a' {
		key = "anonymousId"
	}
	h.value = fmt.Sprintf(`{"type":%q,%q:%q,"messageId":%q,"timestamp":%d,%s}`, kind, key, id, h.message, h.at, extra)
}

// check compares accounts with the leads, and returns how many members there are.
func (c *companies) check() int {
	set := mustRules(c.t, companyRules)
	ev := set.NewEvaluator()
	leads := map[string]*lead.Lead{}
	for _, id := range c.ids {
		if n := c.root(id); n != nil && rules.Begun(n) {
			leads[n.ID] = n
		}
	}
	want := map[string]map[string]string{"acme.example": {}, "globex": {}, "initech": {}}
	for id, l := range leads {
		if account, role := ev.Account(l); account != "" {
			want[account][id] = role
		}
	}
	if !c.loose && !c.erases {
		c.checkGroups(leads, ev)
	}
	count := 0
	for _, account := range slices.Sorted(keys(want)) {
		n, err := c.fleet.Node(rules.AccountID(account))
		if err != nil {
			c.fatalf("%v", err)
		}
		if n == nil {
			if len(want[account]) > 0 {
				c.fatalf("there is no account %s", account)
			}
			continue
		}
		count += len(want[account])
		for _, at := range []int64{max(c.now, n.Clock), max(c.now, n.Clock) + 9*86_400_000} {
			c.checkAccount(ev, n, want[account], leads, at)
		}
	}
	return count
}

func (c *companies) checkAccount(ev *rules.Evaluator, n *lead.Lead, want map[string]string, leads map[string]*lead.Lead, at int64) {
	v, ok := ev.ViewAccount(n, at)
	if !ok || len(v.Members) != len(want) {
		c.fatalf("account %s has members %+v, want %v", v.Account, v.Members, want)
	}
	weights := map[string]float64{"decider": 2.5, "influencer": 0.1, "user": 1}
	sums := make([]float64, 2)
	for _, m := range v.Members {
		l := leads[m.Lead]
		if l == nil || want[m.Lead] != m.Role {
			c.fatalf("account %s has member %s as %s, want %q", v.Account, m.Lead, m.Role, want[m.Lead])
		}
		own := ev.View(l, at)
		for i := range sums {
			part := weights[m.Role] * own.Scores[i].Value
			sums[i] += part
			if !near(m.Parts[i].Value, part) {
				c.fatalf("account %s: part of %s in %s is %v, want %v", v.Account, m.Lead, m.Parts[i].Name, m.Parts[i].Value, part)
			}
		}
	}
	for i := range sums {
		if !near(v.Scores[i].Value, sums[i]) {
			c.fatalf("account %s: %s is %v, want %v", v.Account, v.Scores[i].Name, v.Scores[i].Value, sums[i])
		}
	}
	for _, m := range v.Members { // what the account says has come to all of them
		x := leads[m.Lead].Account[0]
		if x.Stage != ev.AccountStage(n) || !slices.Equal(x.Facts, n.Account[0].Facts) {
			c.fatalf("account %s is %s %v, its member %s thinks %s %v", v.Account, ev.AccountStage(n), n.Account[0].Facts, m.Lead, x.Stage, x.Facts)
		}
	}
}

// checkGroups looks whether each lead is where the newest group call of its ids says.
func (c *companies) checkGroups(leads map[string]*lead.Lead, ev *rules.Evaluator) {
	newest := map[string]*happening{}
	for _, h := range c.happen {
		g := find(c.groups, h.to)
		if h.kind == "group" && (newest[g] == nil || h.at > newest[g].at) {
			newest[g] = h
		}
	}
	for id, l := range leads {
		h := newest[find(c.groups, id)]
		if h == nil {
			continue
		}
		if l.Account == nil || l.Account[0].Time != h.at {
			c.fatalf("lead %s is in %+v, its newest group call is %s", id, l.Account, h.value)
		}
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a), math.Abs(b)) }
