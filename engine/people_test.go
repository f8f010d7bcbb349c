package engine_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"leadstream/engine"
	"leadstream/engine/enginetest"
	"leadstream/rules"
	"leadstream/state"

	"github.com/cockroachdb/pebble/v2/vfs"
)

var peopleCases = flag.Int("people", 10_000, "how many cases TestPeople draws")
var peopleFirst = flag.Int("people-first", 0, "the first of them")

const peopleRules = `
signals:
  visit: {match: 'event.type == "page"'}
  demo: {match: 'event.name == "Demo Requested"'}
scores:
  plain: {lines: [{signal: visit, add: 1}]}
  warm: {half_life: 7d, lines: [{signal: visit, add: 3}, {signal: demo, add: 40}]}
  fresh: {expire_after: 20d, lines: [{signal: visit, add: 5}]}
  falling: {linear_over: 30d, lines: [{signal: demo, add: 9}]}
  seen: {lines: [{id: often, when: 'count("visit", "30d") >= 3', add: 7}]}
stages: [visitor, lead]
identity: {link_by: email, never: [shared@example.com]}
erase_grace: 3650d
`

// TestPeople draws people: anonymous ids, ids of users, e-mail addresses, devices, aliases (circles as well), events
// that come twice or for another id of the same person. Their events come on any partition, in any order, to 1 to
// 16 shards whose epochs are cut anywhere, aborted, and lost in crashes. Where no link is refused, the leads at the
// end must be those of a union-find model, and their scores, counts and times those of one lead that got all
// of it. Some are erased meanwhile: nothing of before is left of them then, nor comes back. Where two users share a device, no two known users may be joined, and each point must be on one lead.
func TestPeople(t *testing.T) {
	engines := map[int32]*engine.Engine{}
	n := *peopleCases
	if testing.Short() {
		n = 500
	}
	var messages, faults int
	for seed := *peopleFirst; seed < *peopleFirst+n && !t.Failed(); seed++ {
		rng := rand.New(rand.NewPCG(uint64(seed), 11))
		shards := 1 + rng.Int32N(1+rng.Int32N(16))
		if engines[shards] == nil {
			engines[shards] = quietEngine(t, shards, peopleRules)
		}
		c := &crowd{t: t, rng: rng, seed: seed, now: base, shards: shards, fleet: engine.NewFleet(engines[shards], rng, base),
			groups: map[string]string{}, known: map[string]string{}, byID: map[string][]*happening{}}
		c.again = fmt.Sprintf("go test ./engine -run TestPeople -people 1 -people-first %d", seed)
		c.fleet.Stores = rng.IntN(10) == 0
		c.draw()
		c.run()
		messages, faults = messages+c.fleet.Messages, faults+c.fleet.Faults
		if err := c.fleet.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d cases, %d messages between shards, %d aborts and crashes", n, messages, faults)
}

// quietEngine makes an engine that does not run.
func quietEngine(t testing.TB, shards int32, text string) *engine.Engine {
	st, err := state.Open(state.Options{Dir: "people", App: "app", ClusterID: "c", Instance: "x", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	c := enginetest.New("app", shards, func() int64 { return base }).Client("x")
	e, err := engine.New(engine.Config{App: "app", Shards: shards, Sources: []engine.SourceConfig{enginetest.Source("web", "web", false)},
		SourcePartitions: map[string]int32{"web": shards}, Rules: mustRules(t, text), Clock: func() int64 { return base },
		Inputs: c, Group: c, Committer: c, History: c, Store: st})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// happening is one event, or a command.
type happening struct {
	to        string // the id that it comes to
	message   string
	at        int64
	kind      string
	value     string
	command   *rules.Command
	delivered int
}

// crowd is one case.
type crowd struct {
	t      *testing.T
	rng    *rand.Rand
	seed   int
	now    int64
	shards int32
	fleet  *engine.Fleet
	happen []*happening
	byID   map[string][]*happening // by message
	groups map[string]string       // union-find over all ids and addresses
	known  map[string]string       // union-find over users, joined by aliases only
	ids    []string
	loose  bool // links may be refused, ids separated
	erases bool // people are erased meanwhile
	again  string
}

func find(m map[string]string, id string) string {
	for m[id] != "" && m[id] != id {
		id = m[id]
	}
	return id
}

func unite(m map[string]string, a, b string) {
	if a, b = find(m, a), find(m, b); a != b {
		m[a] = b
	}
}

func (c *crowd) id(kind string, person, i int) string {
	id := fmt.Sprintf("%s%d-%d-%x", kind, person, i, c.rng.IntN(1<<12))
	c.ids = append(c.ids, id)
	return id
}

// draw makes people and what they do.
func (c *crowd) draw() {
	c.loose = c.rng.IntN(4) == 0
	var devices, users []string
	for p := range 1 + c.rng.IntN(3) {
		var mine, anonymous []string
		for i := range c.rng.IntN(4) {
			anonymous = append(anonymous, c.id("a", p, i))
		}
		for i := range 1 + c.rng.IntN(3) {
			mine = append(mine, c.id("u", p, i))
		}
		devices, users = append(devices, anonymous...), append(users, mine...)
		c.life(mine, anonymous, p)
	}
	if c.loose {
		for range 1 + c.rng.IntN(4) { // two people on one device
			if len(devices) > 0 {
				c.event(users[c.rng.IntN(len(users))], devices[c.rng.IntN(len(devices))], "page", "")
			}
		}
		for range c.rng.IntN(3) { // someone is separated from someone by hand
			id := c.ids[c.rng.IntN(len(c.ids))]
			c.command(id, rules.Command{Kind: rules.Unlink})
		}
	}
	if c.rng.IntN(3) == 0 {
		c.erases = true
		c.erasures()
	}
	c.rng.Shuffle(len(c.happen), func(i, j int) { c.happen[i], c.happen[j] = c.happen[j], c.happen[i] })
}

// life draws what one person does.
func (c *crowd) life(users, anonymous []string, p int) {
	pick := func(list []string) string { return list[c.rng.IntN(len(list))] }
	for i := 1; i < len(users); i++ { // all users of a person are one, in the end
		a, b := users[i], users[c.rng.IntN(i)]
		if c.rng.IntN(2) == 0 {
			a, b = b, a
		}
		c.join(a, b)
	}
	for range c.rng.IntN(3) { // some say it again, and the other way round
		if a, b := pick(users), pick(users); a != b {
			c.join(a, b)
		}
	}
	address := fmt.Sprintf("p%d.%d@example.com", p, c.seed)
	for range 2 + c.rng.IntN(16) {
		user, device := pick(users), ""
		if len(anonymous) > 0 {
			device = pick(anonymous)
		}
		switch c.rng.IntN(6) {
		case 0:
			device = ""
		case 1, 2:
			if device != "" {
				user = ""
			}
		}
		kind := "page"
		email := ""
		switch c.rng.IntN(8) {
		case 0, 1:
			kind = "track"
		case 2:
			// By an address users are joined, too: it stays out of the cases that count known users.
			if !c.loose {
				kind, email = "identify", []string{address, strings.ToUpper(address), "shared@example.com"}[c.rng.IntN(3)]
			}
		}
		c.event(user, device, kind, email)
	}
	if len(anonymous) > 1 && c.rng.IntN(3) == 0 && !c.loose { // two anonymous ids, by hand
		a, b := pick(anonymous), pick(anonymous)
		if a != b {
			unite(c.groups, a, b)
			c.command(a, rules.Command{Kind: rules.Link, With: b})
			// The one may be a second user's by now: somebody of the same person joins them.
			for _, id := range []string{a, b} {
				c.event(users[0], id, "page", "")
			}
		}
	}
}

func (c *crowd) join(a, b string) {
	unite(c.groups, a, b)
	unite(c.known, a, b)
	if c.rng.IntN(4) == 0 {
		c.command(a, rules.Command{Kind: rules.Link, With: b})
		return
	}
	h := c.add(a, "alias")
	h.value = fmt.Sprintf(`{"type":"alias","previousId":%q,"userId":%q,"messageId":%q,"timestamp":%d}`, a, b, h.message, h.at)
}

func (c *crowd) add(to, kind string) *happening {
	c.now += c.rng.Int64N(2 * 86_400_000)
	h := &happening{to: to, message: fmt.Sprintf("m%d", len(c.happen)), at: c.now, kind: kind}
	c.happen = append(c.happen, h)
	c.byID[h.message] = append(c.byID[h.message], h)
	return h
}

func (c *crowd) command(id string, k rules.Command) {
	h := c.add(id, "command")
	k.Time, k.ID = h.at, h.message
	h.command = &k
}

func (c *crowd) event(user, device, kind, email string) {
	to := user
	if user == "" {
		to = device
	}
	h := c.add(to, kind)
	if user != "" && device != "" && !c.loose {
		unite(c.groups, user, device)
	}
	extra := `"event":"Demo Requested"`
	if kind == "page" {
		extra = `"x":1`
	}
	if kind == "identify" {
		extra = fmt.Sprintf(`"traits":{"email":%q}`, email)
		if !strings.HasPrefix(email, "shared") {
			unite(c.groups, to, strings.ToLower(email))
		}
	}
	value := func(user, device string) string {
		return fmt.Sprintf(`{"type":%q,"userId":%q,"anonymousId":%q,"messageId":%q,"timestamp":%d,%s}`, kind, user, device, h.message, h.at, extra)
	}
	h.value = value(user, device)
	if user != "" && device != "" && c.rng.IntN(12) == 0 && !c.loose {
		// The same message once more, without the user: it comes to another node.
		again := *h
		again.to, again.value = device, value("", device)
		c.happen = append(c.happen, &again)
	}
}

// run delivers all of it, and looks at what has become of it.
func (c *crowd) run() {
	c.deliverAll()
	c.check()
	if c.rng.IntN(2) == 0 {
		c.fleet.Clean = false
		c.farewell()
	}
}

// deliverAll delivers all of it, until nothing is left to do.
func (c *crowd) deliverAll() {
	for _, h := range c.happen {
		c.deliver(h)
		if c.rng.IntN(10) == 0 && h.command == nil {
			c.deliver(h)
		}
		for c.rng.IntN(3) > 0 {
			c.step()
		}
	}
	c.drain()
}

// drain lets the shards work until nothing is left to do.
func (c *crowd) drain() {
	limit := 2000 + 400*len(c.happen)
	for steps := 0; len(c.fleet.Waiting()) > 0; steps++ {
		if steps > limit {
			c.fatalf("there is no end of messages: %d", c.fleet.Messages)
		}
		c.fleet.Clean = steps > limit/2
		c.step()
	}
}

func (c *crowd) fatalf(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("%s\nagain: %s", fmt.Sprintf(format, args...), c.again)
}

func (c *crowd) step() {
	waiting := c.fleet.Waiting()
	if len(waiting) == 0 {
		return
	}
	if err := c.fleet.Step(waiting[c.rng.IntN(len(waiting))]); err != nil {
		c.fatalf("%v", err)
	}
}

func (c *crowd) deliver(h *happening) {
	h.delivered++
	c.fleet.Wall = max(c.fleet.Wall, c.now)
	if h.command != nil {
		m, _, err := engine.CommandLead(h.to, *h.command, c.shards)
		if err != nil {
			c.fatalf("%v", err)
		}
		c.fleet.Append(c.fleet.Inbox(h.to), nil, m)
		return
	}
	c.fleet.Append(engine.TopicPartition{Topic: "web", Partition: c.rng.Int32N(c.shards)}, []byte(h.to), []byte(h.value))
}
