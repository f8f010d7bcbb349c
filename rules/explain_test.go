package rules

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"leadstream/state/lead"
)

// TestExplainIsNotExceeded sends leads of the shipped rule sets through years of events: none may get bigger than what
// is said to be the worst, and nothing in it may be missing in the explanation.
func TestExplainIsNotExceeded(t *testing.T) {
	files, err := filepath.Glob("../deploy/rules/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, "../cmd/leadstream/testdata/explain.yaml")
	for _, file := range files {
		if strings.HasSuffix(file, ".test.yaml") {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set, err := Parse(File{Name: file, Src: src})
		if err != nil {
			t.Fatal(err)
		}
		x := set.Explain()
		typical, worst := x.Total()
		most := busyLead(t, set, &x)
		if most > worst.Stored {
			t.Errorf("%s: a lead of %d bytes, the worst is said to be %d", file, most, worst.Stored)
		}
		if most < typical.Stored || typical.Stored >= worst.Stored || typical.Memory >= worst.Memory {
			t.Errorf("%s: typical %+v, worst %+v, a busy lead has %d bytes", file, typical, worst, most)
		}
	}
}

// busyLead returns the most bytes that a lead took while everything happened to it that its rules know.
func busyLead(t *testing.T, set *Set, x *Explanation) int {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	names := []string{"Other"}
	for i := range set.signals {
		names = append(names, set.signals[i].match.names...)
	}
	eval, l := set.NewEvaluator(), set.NewLead(strings.Repeat("x", typicalID), 1)
	now, most := sizeClock-3000*day, 0
	for step := range 3000 {
		now += r.Int64N(day)
		if r.IntN(3) == 0 {
			now -= r.Int64N(day)
		}
		ev := &lead.Event{
			Type: []lead.Type{lead.Track, lead.Page, lead.Identify}[r.IntN(3)], Time: now, Name: names[r.IntN(len(names))],
			UserID: []byte(l.ID), MessageID: fmt.Append(nil, step), MessageHash: lead.HashString(fmt.Sprint(step)),
			Properties: lead.Object(fmt.Sprintf(`{"path": "/%s/%d", "email_id": "%[2]d", "event_id": "e%[2]d", "content": "c%[2]d", "product_id": %[2]d,
				"topic": "t%[2]d", "category": "c%[2]d", "total": %[2]d.5, "value": "%s", "minutes": 40, "stars": 5, "rating": 1, "kind": "soft", "shop": %[2]d, "vip": true}`,
				[]string{"pricing", "blog", "customers", "compare"}[r.IntN(4)], r.IntN(100), strings.Repeat("v", r.IntN(9000)))),
			Traits: lead.Object(fmt.Sprintf(`{"email": "%s@x", "employees": %d, "title": "CEO", "budget": 5, "use_case": "u", "country": "DE"}`,
				strings.Repeat("e", r.IntN(9000)), r.IntN(500))),
		}
		_, _ = eval.Apply(l, ev, nil)
		most = max(most, len(lead.AppendEncode(nil, l)))
		if step%500 == 0 {
			nothingMissing(t, set, x, l)
		}
	}
	return most
}

// nothingMissing sees that all that a lead has is in the explanation.
func nothingMissing(t *testing.T, set *Set, x *Explanation, l *lead.Lead) {
	t.Helper()
	has := func(kind, name string) {
		if !slices.ContainsFunc(x.State, func(c StateCost) bool { return c.Kind == kind && c.Name == name && c.Worst.Stored > 0 }) {
			t.Errorf("a lead has %s %q, which is not explained", kind, name)
		}
	}
	for i := range l.Lines {
		has("line", set.lineName(int(l.Lines[i].Slot)))
	}
	for i := range l.Signals {
		has("window", set.keepers[l.Signals[i].Slot].name)
	}
	for i := range l.Fields {
		has("field", set.fields[l.Fields[i].Slot].name)
	}
	for i := range l.Traits {
		has("trait", l.Traits[i].Name)
	}
	if len(l.Tags) > 0 {
		has("tags", "")
	}
	if len(l.Held) > 0 {
		has("held", "")
	}
}
