package engine_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/rules"
	"leadstream/state/lead"
)

var accountCases = flag.Int("accounts", 2_000, "how many cases TestAccounts draws")
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
// taken back and erased, on 1 to 16 shards whose epochs are cut, aborted and lost anywhere. In some cases accounts have room for a few members
// only. At the end each account must hold what its members make of it.
func TestAccounts(t *testing.T) {
	engines := map[string]map[int32]*engine.Engine{}
	n := *accountCases
	if testing.Short() {
		n = 300
	}
	members, others, messages, faults := 0, 0, 0, 0
	for seed := *accountFirst; seed < *accountFirst+n && !t.Failed(); seed++ {
		rng := rand.New(rand.NewPCG(uint64(seed), 12))
		shards := 1 + rng.Int32N(1+rng.Int32N(16))
		text := companyRules
		if seed%4 == 0 {
			text += fmt.Sprintf("  max_members: %d\n", 1+seed/4%2)
		}
		if engines[text] == nil {
			engines[text] = map[int32]*engine.Engine{}
		}
		if engines[text][shards] == nil {
			engines[text][shards] = quietEngine(t, shards, text)
		}
		c := &companies{set: mustRules(t, text), crowd: crowd{t: t, rng: rng, seed: seed, now: base, shards: shards, fleet: engine.NewFleet(engines[text][shards], rng, base),
			groups: map[string]string{}, known: map[string]string{}, byID: map[string][]*happening{}}}
		c.again = fmt.Sprintf("go test ./engine -run TestAccounts -accounts 1 -accounts-first %d", seed)
		c.fleet.Stores = rng.IntN(10) == 0
		c.draw()
		c.work()
		c.deliverAll()
		seen := c.check()
		members, others = members+seen.Members, others+seen.Others
		messages, faults = messages+c.fleet.Messages, faults+c.fleet.Faults
		if err := c.fleet.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if members < n || others < n/20 {
		t.Errorf("only %d members, %d of them beyond the bound, in %d cases", members, others, n)
	}
	t.Logf("%d cases, %d members, %d of them beyond the bound, %d messages between shards, %d aborts and crashes", n, members, others, messages, faults)
}

// companies is one case.
type companies struct {
	crowd
	set *rules.Set
}

// RuleSet implements enginetest.Ledger.
func (c *companies) RuleSet(lead.RuleSetID) *rules.Set { return c.set }

// Weight implements enginetest.Ledger.
func (c *companies) Weight(_ *rules.Set, role string) float64 {
	return map[string]float64{"decider": 2.5, "influencer": 0.1, "user": 1}[role]
}

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

// check compares accounts with the leads, now and some days on.
func (c *companies) check() (seen enginetest.AccountsSeen) {
	all := map[string]*lead.Lead{}
	if err := c.fleet.Each(func(l *lead.Lead) { all[l.ID] = l }); err != nil {
		c.fatalf("%v", err)
	}
	if !c.loose && !c.erases {
		leads := map[string]*lead.Lead{}
		for _, id := range c.ids {
			if n := c.root(id); n != nil && rules.Begun(n) {
				leads[n.ID] = n
			}
		}
		c.checkGroups(leads)
	}
	now := c.now
	for _, l := range all {
		now = max(now, l.Clock)
	}
	for _, at := range []int64{now, now + 9*86_400_000} {
		var err error
		if seen, err = enginetest.CheckAccounts(all, c, at); err != nil {
			c.fatalf("%v", err)
		}
	}
	return seen
}

// checkGroups looks whether each lead is where the newest group call of its ids says.
func (c *companies) checkGroups(leads map[string]*lead.Lead) {
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
