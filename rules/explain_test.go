package rules

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
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
	for i := range l.Rare().Fields {
		has("field", set.fields[l.Rare().Fields[i].Slot].name)
	}
	for i := range l.Traits {
		has("trait", l.Traits[i].Name)
	}
	if len(l.Rare().Tags) > 0 {
		has("tags", "")
	}
	if len(l.Rare().Held) > 0 {
		has("held", "")
	}
}

// TestEveryConditionIsKnown: what lint does not know is never warned of, and conditions within a condition that eachNode
// does not know are left out of the explanation. So a new kind of condition is looked at here once: lintformula.go must
// say what it asks for, or leave it as it is; eachNode and timedIn must look into it.
func TestEveryConditionIsKnown(t *testing.T) {
	known := []string{
		"andNode", "celNode", "choiceNode", "clockNode", "consentNode", "constNode", "dateNode", "eventOnly", "factNode", "fieldNode", "flagNode", "gradeNode", "hasNode",
		"intCompare", "matrixNode", "memberIn", "memberOrder", "memberText", "notNode", "numCompare", "orNode", "scoreNode", "signalNode",
		"stageNode", "thenNode", "withoutNode",
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	method := regexp.MustCompile(`(?m)^func \(\w* ?\*?(\w+)\) eval\(\w* ?\*scope\) \(tri, int64\)`)
	var found []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range method.FindAllStringSubmatch(string(src), -1) {
			found = append(found, m[1])
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, known) {
		t.Errorf("kinds of conditions are\n%v\nknown to lint and explain are\n%v", found, known)
	}
}

// TestEveryStateIsExplained: a new field of a lead needs its place in explainstate.go.
func TestEveryStateIsExplained(t *testing.T) {
	explained := []string{
		"ID", "Epoch", "Incarnation", "Seq", "Rules", "Clock", "FirstSeen", "LastSeen", "LastActive", "Events", "UserID", "Zone", "Stage",
		"StageSince", "Ready", "Spins", "Due", "Scores", "Lines", "Signals", "Edges", "Traits", "Recent", "RecentNext", "Ledger", "Fields", "Tags", "Held", "Early", "Node", "IDs", "Claims", "Refused", "Named", "Consents", "Account",
	}
	for _, of := range []reflect.Type{reflect.TypeFor[lead.Lead](), reflect.TypeFor[lead.Rare]()} {
		for i := range of.NumField() {
			if f := of.Field(i); f.IsExported() && !slices.Contains(explained, f.Name) {
				t.Errorf("what %s costs is not explained", f.Name)
			}
		}
	}
}
