package rules

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"

	"leadstream/state/lead"
)

// TestNothingRefersToAnEvent applies the same events to two leads. Those of one are overwritten as soon as they were applied,
// as the memory of a record is: what the leads are, what is said of them and whom they write to must be the same.
func TestNothingRefersToAnEvent(t *testing.T) {
	for _, file := range []string{"../deploy/rules/b2b-saas.yaml", "../deploy/rules/e-commerce.yaml", "../deploy/rules/accounts.yaml", "testdata/everything.good.yaml", "held"} {
		src, err := os.ReadFile(file)
		if file == "held" {
			src, err = []byte(heldRules), nil
		}
		if err != nil {
			t.Fatal(err)
		}
		set, err := Parse(File{Name: file, Src: src})
		if err != nil {
			t.Fatal(err)
		}
		names := []string{"Other"}
		for i := range set.signals {
			names = append(names, set.signals[i].match.names...)
		}
		for seed := range uint64(8) {
			r, again := rand.New(rand.NewPCG(seed, 4)), rand.New(rand.NewPCG(seed, 4))
			lasting, fleeting := newApart(set), newApart(set)
			at := int64(1_700_000_000_000)
			for n := range 200 {
				at += int64(n*7919%86_400) * 1000
				ev := variedEvent(again, n, at, names)
				lasting.apply(variedEvent(r, n, at, names))
				fleeting.apply(ev)
				overwriteEvent(ev)
				if !reflect.DeepEqual(lasting.outs, fleeting.outs) || !reflect.DeepEqual(lasting.letters, fleeting.letters) ||
					!bytes.Equal(lead.AppendEncode(nil, lasting.l), lead.AppendEncode(nil, fleeting.l)) {
					t.Fatalf("%s, seed %d, event %d: one refers to its event\n%+v\n%+v", file, seed, n, lasting.l, fleeting.l)
				}
			}
		}
	}
}

// heldRules keep back what an event says until its signal counts.
const heldRules = `
signals:
  read: {match: 'event.name == "Read"', hold: 3d}
scores:
  reads: {lines: [{signal: read, add: 5, limit: {times: 1, per: 30d, by: event.properties.content}}]}
  fit:
    lines:
      - {id: last, when: 'last("read", "topic") == "t3"', add: 10}
      - {id: first, when: 'first("read", "content") == "c5"', add: 10}
tags:
  lines: [{signal: read, tag: event.properties.topic}]
stages: [new, hot]
transitions:
  - {from: new, to: hot, when: score.reads + score.fit >= 15}
`

// apart is a lead with an evaluator of its own, and all that was said of it.
type apart struct {
	ev      *Evaluator
	l       *lead.Lead
	outs    []lead.Output
	letters []Letter
}

func newApart(set *Set) *apart { return &apart{ev: set.NewEvaluator(), l: set.NewLead("ann", 1)} }

func (a *apart) apply(ev *lead.Event) {
	a.outs, _ = a.ev.Apply(a.l, ev, a.outs)
	a.letters = append(a.ev.Links(a.l, ev, a.letters), a.ev.Pending()...)
	if a.l.Forward != "" { // events of a pointer go elsewhere
		a.l = a.ev.set.NewLead("ann", a.l.Incarnation+1)
	}
}

// variedEvent is a fullEvent with all that an event can have.
func variedEvent(r *rand.Rand, n int, at int64, names []string) *lead.Event {
	ev := fullEvent(r, "ann", n, at, names)
	k := r.IntN(30)
	ev.AnonymousID, ev.Category, ev.Channel = fmt.Appendf(nil, "device-%d", k), fmt.Appendf(nil, "c%d", k), []byte("web")
	ev.GroupID = fmt.Appendf(nil, "firm-%d", k%4)
	ev.Traits = lead.Object(fmt.Sprintf(`{"email": "a%d@acme%[1]d.example", "phone": "+49 30 1234%[1]d", "employees": %[1]d, "title": "CEO %[1]d", "budget": %[1]d, "plan": "pro %[1]d"}`, k))
	ev.Context = lead.Object(fmt.Sprintf(`{"timezone": %q, "page": {"url": "https://a.example/x/%d", "title": "t%[2]d"}, "traits": {"industry": "i%[2]d", "country": "c%[2]d"}}`,
		[]string{"Europe/Berlin", "America/New_York", "Asia/Tokyo"}[k%3], k))
	if k == 0 {
		ev.Type, ev.PreviousID = lead.Alias, []byte("ann")
		ev.UserID = []byte("bob")
	}
	return ev
}

func overwriteEvent(ev *lead.Event) {
	v := reflect.ValueOf(ev).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Slice {
			for j, b := 0, f.Bytes(); j < len(b); j++ {
				b[j] = 0xDB
			}
		}
	}
}
