package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/engine"
	"leadstream/state/lead"
)

// growthRules are those of the model, a score that merges by adding, and links.
var growthRules = strings.Replace(faultRules, "scores:\n", `scores:
  plain: {lines: [{id: v, signal: visit, add: 1}, {id: d, signal: demo, add: 100}]}
`, 1) + "identity: {link_by: email}\n"

const (
	growthLeads  = 60
	growthPeople = 25
	growthEvents = 9_000
	growthParts  = 8 // of the source: a shard without any follows the wall clock, and the events are of the past
)

// growth is a workload of ordered leads, which the model knows, and of people whose events come under several ids.
type growth struct {
	t       *testing.T
	records []*kgo.Record
	events  map[string][]modelEvent // of ordered leads
	points  map[int]float64         // of people
	counts  map[int]int
	until   int64
	outs    map[string][]growthOut // by lead
}

type growthOut struct {
	id, text string
	said
}

func newGrowth(t *testing.T, topic string, seed uint64) *growth {
	g := &growth{t: t, events: map[string][]modelEvent{}, points: map[int]float64{}, counts: map[int]int{}, outs: map[string][]growthOut{}}
	rng := rand.New(rand.NewPCG(seed, 3))
	at := time.Now().UnixMilli() - 75*faultDay
	add := func(key, value string) {
		g.records = append(g.records, &kgo.Record{Topic: topic, Partition: engine.ShardOf([]byte(key), growthParts), Key: []byte(key), Value: []byte(value), Timestamp: time.UnixMilli(at)})
	}
	for i := range growthEvents {
		at += rng.Int64N(2 * 60 * faultDay / growthEvents)
		body, points := `"type":"page","properties":{"path":"/pricing"}`, 3.0
		demo := rng.IntN(9) == 0
		if demo {
			body, points = `"type":"track","event":"Demo Requested"`, 40
		}
		if rng.IntN(4) > 0 {
			id, msg := fmt.Sprintf("ordered-%d", rng.IntN(growthLeads)), fmt.Sprintf("m%d", i)
			g.events[id] = append(g.events[id], modelEvent{msg, at, points})
			add(id, fmt.Sprintf(`{"userId":%q,"messageId":%q,"timestamp":%d,%s}`, id, msg, at, body))
			continue
		}
		n := rng.IntN(growthPeople)
		user, device := fmt.Sprintf("user-%d", n), fmt.Sprintf("%s-%d", []string{"phone", "laptop"}[rng.IntN(2)], n)
		g.counts[n]++
		switch g.counts[n] {
		case 1, 2, 3: // one of each makes them one
			device = fmt.Sprintf("%s-%d", []string{"phone", "laptop", "phone"}[g.counts[n]-1], n)
			key := user
			if g.counts[n] == 3 {
				user, device = fmt.Sprintf("crm-%d", n), ""
				key = user
			}
			add(key, fmt.Sprintf(`{"userId":%q,"anonymousId":%q,"messageId":"p%d","timestamp":%d,"type":"identify","traits":{"email":"p%d@example.com"}}`, user, device, i, at, n))
			continue
		}
		g.points[n]++
		if demo {
			g.points[n] += 99
		}
		if rng.IntN(2) == 0 {
			user = ""
		}
		key := user
		if user == "" {
			key = device
		}
		add(key, fmt.Sprintf(`{"userId":%q,"anonymousId":%q,"messageId":"p%d","timestamp":%d,%s}`, user, device, i, at, body))
	}
	g.until = at + faultDay
	at = g.until
	for p := range int32(growthParts) {
		add(idOnShard("end", p, growthParts), fmt.Sprintf(`{"userId":%q,"timestamp":%d,"type":"page"}`, idOnShard("end", p, growthParts), g.until))
	}
	return g
}

// produce writes some of the records, a few at a time: slowly if another has something to do meanwhile.
func (g *growth) produce(cl *kgo.Client, from, to int, pause time.Duration) {
	for i := from; i < to; i += 50 {
		if err := cl.ProduceSync(g.t.Context(), g.records[i:min(i+50, to)]...).FirstErr(); err != nil {
			g.t.Errorf("producing: %v", err)
		}
		time.Sleep(pause)
	}
}

// hear takes in what was put out so far. What was heard before must come with the same bytes.
func (g *growth) hear(p *testProgram) (again int) {
	g.t.Helper()
	by := map[string]string{}
	for _, outs := range g.outs {
		for _, o := range outs {
			by[o.id] = o.text
		}
	}
	seen := map[string]bool{}
	for _, topic := range []engine.Topic{engine.TopicTransitions, engine.TopicHandoffs} {
		p.read(topic, func(r *engine.Record) error {
			var o struct{ ID, Lead string }
			if err := json.Unmarshal(r.Value, &o); err != nil {
				return err
			}
			if !strings.HasPrefix(o.Lead, "ordered-") {
				return nil
			}
			if seen[o.ID] {
				g.t.Fatalf("output %s of %s is there twice", o.ID, o.Lead)
			}
			seen[o.ID] = true
			if before, ok := by[o.ID]; ok {
				again++
				if before != string(r.Value) {
					g.t.Fatalf("output %s was\n%s\nand is now\n%s", o.ID, before, r.Value)
				}
				return nil
			}
			all := map[string][]said{}
			if err := hear(all, topic, r); err != nil {
				return err
			}
			g.outs[o.Lead] = append(g.outs[o.Lead], growthOut{o.ID, string(r.Value), all[o.Lead][0]})
			return nil
		})
	}
	return again
}

// check compares all that was heard with the model, and people with what they did.
func (g *growth) check(p *testProgram) {
	g.t.Helper()
	n := 0
	for id, events := range g.events {
		var got, want [2][]said
		split := func(to *[2][]said, s said) {
			i := 0
			if s.what == "handoff hot" {
				i = 1
			}
			to[i] = append(to[i], s)
		}
		for _, o := range g.outs[id] {
			split(&got, o.said)
		}
		for _, s := range modelLead(events, g.until) {
			split(&want, s)
		}
		if !slices.Equal(got[0], want[0]) || !slices.Equal(got[1], want[1]) {
			g.t.Fatalf("lead %s said\n  %v\nthe model says\n  %v", id, got, want)
		}
		n += len(want[0]) + len(want[1])
	}
	if n < 200 {
		g.t.Fatalf("only %d outputs: the test tests nothing", n)
	}
	g.t.Logf("%d outputs equal the model's: lost 0, doubled 0", n)
	g.checkPeople(p)
}

func (g *growth) checkPeople(p *testProgram) {
	g.t.Helper()
	type view struct {
		ID     string             `json:"id"`
		Events int                `json:"events"`
		Scores map[string]float64 `json:"scores"`
	}
	wrong := ""
	right := func() bool {
		wrong = ""
		for i := range growthPeople {
			root := ""
			for _, id := range []string{"user", "phone", "laptop", "crm"} {
				var v view
				code := p.get(fmt.Sprintf("/v1/leads/%s-%d", id, i), &v)
				if code != 200 || v.Scores["plain"] != g.points[i] || v.Events != g.counts[i] || root != "" && v.ID != root {
					wrong = fmt.Sprintf("%s-%d: %d, %+v, want %v points of %d events", id, i, code, v, g.points[i], g.counts[i])
					return false
				}
				root = v.ID
			}
		}
		return true
	}
	for deadline := time.Now().Add(time.Minute); !right(); p.applied() {
		if time.Now().After(deadline) {
			g.t.Fatal(wrong)
		}
	}
}

// states are the encoded ordered leads, without what depends on when they were written.
func (g *growth) states(p *testProgram) map[string]string {
	g.t.Helper()
	all := map[string]string{}
	p.read(engine.TopicState, func(r *engine.Record) error {
		var l lead.Lead
		if !strings.HasPrefix(string(r.Key), "ordered-") {
			return nil
		}
		if err := lead.Decode(r.Value, &l); err != nil {
			return err
		}
		l.Epoch = 0
		all[l.ID] = string(lead.AppendEncode(nil, &l))
		return nil
	})
	return all
}

// sameStates compares the ordered leads of two applications that have stopped.
func (g *growth) sameStates(p, q *testProgram) {
	g.t.Helper()
	a, b := g.states(p), g.states(q)
	if len(a) != growthLeads || !maps.Equal(a, b) {
		for id := range a {
			if a[id] != b[id] {
				var x, y lead.Lead
				_, _ = lead.Decode([]byte(a[id]), &x), lead.Decode([]byte(b[id]), &y)
				g.t.Fatalf("lead %s is\n%+v\nwithout interruption\n%+v", id, x, y)
			}
		}
		g.t.Fatalf("%d leads, %d without interruption", len(a), len(b))
	}
}

// uninterrupted runs another application over the same source from its beginning to its end.
func (g *growth) uninterrupted(p *testProgram) *testProgram {
	g.t.Helper()
	q := *p
	q.dir, q.app, q.ended = g.t.TempDir(), p.app+"x", make(chan error, 1)
	q.config = filepath.Join(q.dir, "leadstream.yaml")
	g.rewrite(p, &q, "app: "+p.app+"\n", "app: "+q.app+"\n")
	q.start()
	q.applied()
	q.stop()
	return &q
}

// rewrite writes q's configuration: p's with something else in it.
func (g *growth) rewrite(p, q *testProgram, old, now string) {
	g.t.Helper()
	text, err := os.ReadFile(p.config)
	if err == nil && !strings.Contains(string(text), old) {
		err = fmt.Errorf("no %q in the configuration", old)
	}
	if err == nil {
		err = os.WriteFile(q.config, []byte(strings.Replace(string(text), old, now, 1)), 0o600)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

// forget deletes all that a cluster has of an application.
func forget(t *testing.T, p *testProgram) {
	t.Helper()
	adm := kadm.NewClient(p.client)
	var names []string
	for _, topic := range engine.Topics() {
		names = append(names, engine.TopicName(p.app, topic))
	}
	if _, err := adm.DeleteTopics(t.Context(), names...); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		have, err := adm.ListTopics(t.Context(), names...)
		left := slices.ContainsFunc(names, func(n string) bool { return !errors.Is(have[n].Err, kerr.UnknownTopicOrPartition) })
		if _, gerr := adm.DeleteGroup(t.Context(), p.app); err == nil && !left && (gerr == nil || errors.Is(gerr, kerr.GroupIDNotFound)) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the application is still there: %v", err)
		}
	}
}

func (p *testProgram) admin() *kadm.Client { return kadm.NewClient(p.client) }
