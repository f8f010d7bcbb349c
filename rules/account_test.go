package rules

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"leadstream/state/lead"
)

// company is leads and accounts that hear of each other at once.
type company struct {
	e     *Evaluator
	nodes map[string]*lead.Lead
	out   []lead.Output
	sent  int
	n     int
	// old are the rules before a switch, which was at switched.
	old      *Set
	switched int64
}

func newCompany(set *Set) *company {
	return &company{e: set.NewEvaluator(), nodes: map[string]*lead.Lead{}}
}

func (w *company) node(id string) *lead.Lead {
	if w.nodes[id] == nil {
		w.nodes[id] = w.e.set.NewLead(id, 1)
	}
	return w.nodes[id]
}

// deliver brings letters to where they go, in order, and those that follow from them.
func (w *company) deliver(letters []Letter) {
	queue := append(w.e.Pending(), letters...)
	for len(queue) > 0 {
		m := queue[0]
		queue = queue[1:]
		w.sent++
		if err := m.Check(); err != nil {
			panic(err)
		}
		var from *lead.Lead
		if m.State != nil {
			from = new(lead.Lead)
			if err := lead.Decode(m.State, from); err != nil {
				panic(err)
			}
			if err := w.e.set.Fits(from); err != nil {
				panic(err)
			}
		}
		var more []Letter
		w.migrate(m.To)
		queue = append(queue, w.e.Pending()...)
		w.out, more, _ = w.e.Receive(w.node(m.To), from, &m, w.out, nil)
		queue = append(append(queue, w.e.Pending()...), more...)
	}
}

// migrate brings a node under the rules in force.
func (w *company) migrate(id string) {
	if l := w.node(id); l.Rules != w.e.set.ID() {
		w.out = w.e.Migrate(l, w.old, max(l.Clock, w.switched), w.out)
	}
}

// event applies an event to a lead.
func (w *company) event(id string, at int64, ev lead.Event) {
	w.n++
	ev.Time, ev.UserID, ev.RoutingID, ev.MessageID = at, []byte(id), []byte(id), fmt.Appendf(nil, "m%d", w.n)
	ev.MessageHash = lead.HashID(ev.MessageID)
	l := w.node(id)
	w.out, _ = w.e.Apply(l, &ev, w.out)
	w.deliver(w.e.Links(l, &ev, nil))
}

// tick fires what is due.
func (w *company) tick(id string, at int64) {
	w.out = w.e.Fire(w.node(id), at, w.out)
	w.deliver(nil)
}

func (w *company) command(id string, c Command) Verdict {
	var v Verdict
	w.out, v = w.e.Command(w.node(id), &c, w.out)
	w.deliver(nil)
	return v
}

func group(id string) lead.Event {
	return lead.Event{Type: lead.Group, GroupID: []byte(id)}
}

const fastAccounts = `
signals:
  visit: {match: 'event.type == "page"'}
scores:
  hot: {half_life: 700ms, lines: [{signal: visit, add: event.properties.n}]}
accounts:
  role: title
  roles: {decider: {weight: 3}, user: {weight: 1}}
  scores: hot
  stages: [cold, warm, crowded]
  transitions:
    - {from: cold, to: warm, when: 'account.score.hot >= 10'}
    - {from: warm, to: crowded, when: 'people("visit", "900ms") >= 3'}
    - {from: crowded, to: warm, when: 'people("visit", "900ms") < 2'}
    - {from: warm, to: cold, when: 'account.score.hot < 4'}
`

// TestAccountCrossings draws what leads of one account do within seconds, and compares each transition of the account
// with a model that looks at every ms.
func TestAccountCrossings(t *testing.T) {
	set := newMerger(t, fastAccounts).set
	timed := 0
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 5))
		w, m := newCompany(set), accountModel{members: map[string]*modelMember{}}
		at := int64(1_000_000)
		for range 30 {
			next := at + rng.Int64N(900)
			for ms := at + 1; ms <= next; ms++ {
				m.look(ms, true)
			}
			w.tick(AccountID("acme"), next)
			at = next
			id := fmt.Sprintf("u%d", rng.IntN(5))
			x := m.members[id]
			if x == nil {
				x = &modelMember{weight: 1, seen: math.MinInt64 / 2}
				m.members[id] = x
			}
			told := false
			switch k := rng.IntN(10); {
			case k < 6:
				n := 1 + rng.IntN(9)
				w.event(id, at, lead.Event{Type: lead.Page, Properties: lead.Object(fmt.Sprintf(`{"n":%d}`, n))})
				x.value, x.at, x.seen, told = x.now(at)+float64(n), at, at, x.in
			case k < 8:
				w.event(id, at, group("acme"))
				told, x.in = !x.in, true
			case k == 8:
				w.event(id, at, group(""))
				told, x.in = x.in, false
			default:
				title, weight := "decider", 3.0
				if rng.IntN(2) == 0 {
					title, weight = "nobody", 1
				}
				w.event(id, at, lead.Event{Type: lead.Identify, Traits: lead.Object(fmt.Sprintf(`{"title":%q}`, title))})
				told, x.weight = x.in && x.weight != weight, weight
			}
			if told {
				m.look(at, false)
			}
		}
		var got []string
		for _, o := range w.out {
			if o.Account == "acme" {
				got = append(got, fmt.Sprintf("%s at %d", o.To, o.At))
			}
		}
		if !slices.Equal(got, m.said) {
			t.Fatalf("seed %d:\n got %v\nwant %v", seed, got, m.said)
		}
		timed += m.timed
	}
	if timed < 250 {
		t.Errorf("only %d transitions by time alone", timed)
	}
}

type modelMember struct {
	value, weight float64
	at, seen      int64
	in            bool
}

func (x *modelMember) now(at int64) float64 { return x.value * math.Exp2(-float64(at-x.at)/700) }

type accountModel struct {
	members map[string]*modelMember
	stage   int
	said    []string
	timed   int
}

// lines says which of the account's conditions are true at a time.
func (m *accountModel) lines(at int64) [4]bool {
	sum, people := 0.0, 0
	for _, x := range m.members {
		if x.in {
			sum += x.weight * x.now(at)
			if at-x.seen < 900 {
				people++
			}
		}
	}
	return [4]bool{sum >= 10, people >= 3, people < 2, sum < 4}
}

func (m *accountModel) look(at int64, byTime bool) {
	from, to := [4]int{0, 1, 2, 1}, [4]int{1, 2, 1, 0}
	names := []string{"cold", "warm", "crowded"}
	var fired [4]bool
	for entered := false; ; {
		now, before := m.lines(at), m.lines(at-1)
		moved := false
		for i := range now {
			if from[i] == m.stage && now[i] && !fired[i] && (!byTime || entered || !before[i]) {
				m.stage, fired[i], moved, entered = to[i], true, true, true
				m.said = append(m.said, fmt.Sprintf("%s at %d", names[m.stage], at))
				if byTime {
					m.timed++
				}
				break
			}
		}
		if !moved {
			return
		}
	}
}

// TestAccountBound has more members than an account keeps one by one: their points are exact all the same.
func TestAccountBound(t *testing.T) {
	set := newMerger(t, `
signals: {visit: {match: 'event.type == "page"'}}
scores: {hot: {half_life: 7d, lines: [{signal: visit, add: 3}]}, all: {lines: [{signal: visit, add: 1}]}}
accounts: {max_members: 90, scores: [hot, all]}
`).set
	w := newCompany(set)
	rng := rand.New(rand.NewPCG(1, 1))
	at := int64(1_000_000_000)
	for range 6000 {
		at += rng.Int64N(hour)
		id := fmt.Sprintf("u%03d", rng.IntN(300))
		switch k := rng.IntN(10); {
		case k < 6:
			w.event(id, at, lead.Event{Type: lead.Page})
		case k < 9:
			w.event(id, at, group("acme"))
		default:
			w.event(id, at, group(""))
		}
	}
	n := w.node(AccountID("acme"))
	v, _ := w.e.ViewAccount(n, at)
	members, hot, all := int64(0), 0.0, 0.0
	for id, l := range w.nodes {
		if !IsAccount(id) && len(l.Account) > 0 && l.Account[0].Group == "acme" {
			members++
			x := w.e.View(l, at)
			hot, all = hot+x.Scores[0].Value, all+x.Scores[1].Value
		}
	}
	if got := int64(len(v.Members)) + v.Others; len(v.Members) != 90 || v.Others < 20 || got != members {
		t.Errorf("%d members and %d others, want %d", len(v.Members), v.Others, members)
	}
	if d := math.Abs(v.Scores[0].Value-hot) / hot; d > 1e-9 || v.Scores[1].Value != all {
		t.Errorf("scores %v, want %v and %v", v.Scores, hot, all)
	}
	if c := w.e.Counts(); c.Crowded == 0 || c.Told == 0 {
		t.Errorf("counts %+v", c)
	}
}
