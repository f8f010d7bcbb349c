package ruletest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"leadstream/rules"
)

// shipped are the rule sets that people copy, without their tests.
func shipped(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("../../deploy/rules/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sets := slices.DeleteFunc(all, func(name string) bool { return strings.HasSuffix(name, ".test.yaml") })
	if len(sets) < 3 {
		t.Fatalf("found %v", sets)
	}
	return sets
}

var reasonKey = regexp.MustCompile(`reason: (\w+)`)

// TestShipped runs the tests of the shipped rule sets, which must load without a warning, and sees that the tests
// leave no hand-off and no reason for a stage change out.
func TestShipped(t *testing.T) {
	for _, name := range shipped(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			files, err := rules.Expand(os.ReadFile, name)
			if err != nil {
				t.Fatal(err)
			}
			set := readSet(t, name)
			for _, w := range set.Warnings() {
				t.Errorf("warning: %s", w)
			}
			f, err := readTests(t, set, strings.TrimSuffix(name, ".yaml")+".test.yaml")
			if err != nil {
				t.Fatal(err)
			}
			var happened strings.Builder
			for _, r := range f.Run() {
				if r.Failed {
					t.Errorf("%s:%d: %s\n%s", f.Name(), r.Line, r.Test, r.Diff)
				}
				happened.WriteString(r.Happened)
			}
			var want []string
			for _, h := range set.Handoffs() {
				want = append(want, "handoff: "+h)
			}
			for _, m := range reasonKey.FindAllString(string(files[0].Src), -1) {
				want = append(want, m)
			}
			for _, w := range want {
				if !strings.Contains(happened.String(), w+",") && !strings.Contains(happened.String(), w+"}") {
					t.Errorf("no test comes to %s", w)
				}
			}
		})
	}
}
