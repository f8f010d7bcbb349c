package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"leadstream/bench/broker"
	"leadstream/engine"

	"github.com/twmb/franz-go/pkg/kgo"
)

const accountsRules = `
signals:
  pricing: {match: 'event.type == "page"'}
  demo: {match: 'event.name == "Demo Requested"'}
scores:
  plain: {lines: [{signal: pricing, add: 1}, {signal: demo, add: 10}]}
stages: [visitor, wanted]
transitions:
  - {from: visitor, to: wanted, when: 'account.stage == "in_market"'}
accounts:
  role: buying_role
  roles:
    decider: {weight: 3, when: 'traits.title == "CTO"'}
    influencer: {weight: 0.5}
  scores: [plain]
  stages: [new, in_market]
  transitions:
    - {from: new, to: in_market, when: 'people("pricing", "7d") >= 3'}
  handoffs:
    - {name: reading, when: 'people("pricing", "7d") >= 3'}
`

// worker is one person of TestAccountsOnTwoPartitions.
type worker struct {
	company, role string // at the end
	points        float64
	moves         bool
}

var workerWeights = map[string]float64{"decider": 3, "influencer": 0.5, "user": 1}

// staff writes the events of four companies. Five people of each hot one read the pricing page within an hour. Of each cold
// one two do, and a third did eight days ago. Some, who ask for demos only, move from one to another.
type staff struct {
	rng     *rand.Rand
	topic   string
	now     time.Time
	records []*kgo.Record
	workers []*worker
}

// add adds an event of some minutes before ago, keyed by userId, else by anonymousId.
func (s *staff) add(user, device string, ago time.Duration, text string) {
	key := user
	if user == "" {
		key = device
	}
	value := fmt.Sprintf(`{"userId":%q,"anonymousId":%q,"messageId":"m%d","timestamp":%q,%s}`, user, device, len(s.records),
		s.now.Add(-ago-time.Duration(s.rng.IntN(600))*time.Second).UTC().Format(time.RFC3339Nano), text)
	s.records = append(s.records, &kgo.Record{Topic: s.topic, Partition: engine.ShardOf([]byte(key), 2), Key: []byte(key), Value: []byte(value)})
}

// hire adds a person who belongs to each of some companies in turn.
func (s *staff) hire(role string, reads bool, ago time.Duration, companies ...string) {
	i := len(s.workers)
	user, device := fmt.Sprintf("user-%d", i), fmt.Sprintf("phone-%d", i)
	w := &worker{company: companies[len(companies)-1], role: role, moves: len(companies) > 1}
	s.workers = append(s.workers, w)
	s.add(user, device, ago, map[string]string{
		"decider":    `"type":"identify","traits":{"title":"CTO"}`,
		"influencer": `"type":"identify","traits":{"title":"CTO","buying_role":"Influencer"}`,
		"user":       `"type":"identify","traits":{"title":"none"}`,
	}[role])
	for k, company := range companies {
		s.add(user, "", ago+time.Duration(len(companies)-k)*time.Hour, fmt.Sprintf(`"type":"group","groupId":%q`, company))
	}
	if reads {
		s.add(user, "", ago, `"type":"page","properties":{"path":"/pricing"}`)
		w.points++
	}
	for range s.rng.IntN(9) {
		s.add("", device, ago, `"type":"track","event":"Demo Requested"`)
		w.points += 10
	}
}

func (s *staff) draw() {
	roles := []string{"decider", "influencer", "user"}
	for _, hot := range []string{"hot-1", "hot-2"} {
		for i := range 5 {
			s.hire(roles[i%3], true, 0, hot)
		}
	}
	for _, cold := range []string{"cold-1", "cold-2"} {
		s.hire("user", true, 0, cold)
		s.hire("decider", true, 0, cold)
		s.hire("influencer", true, 8*24*time.Hour, cold)
	}
	all := []string{"hot-1", "cold-1", "hot-2", "cold-2"}
	for i := range 12 {
		s.hire(roles[i%3], false, 0, all[i%4], all[(i+1+i/4)%4])
	}
	s.rng.Shuffle(len(s.records), func(i, j int) { s.records[i], s.records[j] = s.records[j], s.records[i] })
}

// TestAccountsOnTwoPartitions writes the events of four companies in any order, and kills the program twice meanwhile. What
// each account is must be what the people who are in it at last say, and each output must be there once.
func TestAccountsOnTwoPartitions(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a broker: not in short tests")
	}
	b := broker.Shared(t)
	p := startProgram(t, testProgramConfig{rules: write(t, "accounts.yaml", accountsRules), brokers: b.Addr(), partitions: 2, shards: 4})
	s := &staff{rng: rand.New(rand.NewPCG(5, 12)), topic: p.topic, now: time.Now()}
	s.draw()
	for part := range 3 {
		from, to := part*len(s.records)/3, (part+1)*len(s.records)/3
		if err := p.client.ProduceSync(t.Context(), s.records[from:to]...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if part < 2 {
			p.kill()
			p.start()
		}
	}
	p.applied()
	deadline := time.Now().Add(time.Minute)
	wrong := s.wrong(p)
	for wrong != "" && time.Now().Before(deadline) { // letters may still be on their way
		p.applied()
		wrong = s.wrong(p)
	}
	if wrong != "" {
		t.Fatal(wrong)
	}
	s.checkOutputs(p)
	t.Logf("%d people, %d events", len(s.workers), len(s.records))
	p.stop()
}

// wrong says what of the accounts is not as it must be, "" if nothing.
func (s *staff) wrong(p *testProgram) string {
	type account struct {
		Stage   string
		Scores  map[string]float64
		Members []struct {
			Lead, Role string
			Scores     map[string]float64
		}
	}
	want, sums := map[string]map[string]string{}, map[string]float64{}
	for i, w := range s.workers {
		var v struct{ ID, Account, Role, Stage string }
		user := fmt.Sprintf("user-%d", i)
		if code := p.get("/v1/leads/"+user, &v); code != 200 || v.Account != w.company || v.Role != w.role {
			return fmt.Sprintf("%s: %d, %+v, want a %s of %s", user, code, v, w.role, w.company)
		}
		if hot := w.company[0] == 'h'; !w.moves && (v.Stage == "wanted") != hot {
			return fmt.Sprintf("%s of %s is in stage %s", user, w.company, v.Stage)
		}
		part := workerWeights[w.role] * w.points
		sums[w.company] += part
		if want[w.company] == nil {
			want[w.company] = map[string]string{}
		}
		want[w.company][v.ID] = fmt.Sprint(w.role, " ", part)
	}
	for company, members := range want {
		var v account
		code := p.get("/v1/accounts/"+company, &v)
		got := map[string]string{}
		for _, m := range v.Members {
			got[m.Lead] = fmt.Sprint(m.Role, " ", m.Scores["plain"])
		}
		stage := map[byte]string{'h': "in_market", 'c': "new"}[company[0]]
		if code != 200 || v.Stage != stage || v.Scores["plain"] != sums[company] || !maps.Equal(got, members) {
			return fmt.Sprintf("%s: %d, %+v, want %s with %v points of %v", company, code, v, stage, sums[company], members)
		}
	}
	return ""
}

// checkOutputs looks whether each account and each lead that stayed where it was has said what it must once.
func (s *staff) checkOutputs(p *testProgram) {
	p.t.Helper()
	ids, accounts, leads := map[string]bool{}, map[string]int{}, map[string]int{}
	for _, topic := range []engine.Topic{engine.TopicTransitions, engine.TopicHandoffs} {
		p.read(topic, func(r *engine.Record) error {
			var o struct {
				Type, ID, Account, Lead, To, Name string
				UserID                            string `json:"user_id"`
			}
			if err := json.Unmarshal(r.Value, &o); err != nil {
				return err
			}
			if ids[o.ID] {
				p.t.Errorf("two outputs with id %s: %s", o.ID, r.Value)
			}
			ids[o.ID] = true
			switch {
			case o.Account != "":
				accounts[o.Account+" "+o.Type+" "+o.To+o.Name]++
			case o.Type == "stage.changed":
				leads[o.UserID]++
			}
			return nil
		})
	}
	want := map[string]int{}
	for _, hot := range []string{"hot-1", "hot-2"} {
		want[hot+" stage.changed in_market"], want[hot+" handoff reading"] = 1, 1
	}
	if !maps.Equal(accounts, want) {
		p.t.Errorf("accounts have said %v, want %v", accounts, want)
	}
	for i, w := range s.workers {
		n := 0
		if w.company[0] == 'h' {
			n = 1
		}
		if user := fmt.Sprintf("user-%d", i); !w.moves && leads[user] != n {
			p.t.Errorf("%s of %s has said %d stage changes, want %d", user, w.company, leads[user], n)
		}
	}
}
