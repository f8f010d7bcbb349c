package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

const root = "../.."

// TestTextsAreThere: whoever changes a line that a mutant breaks says what is to be broken now.
func TestTextsAreThere(t *testing.T) {
	if err := mutate(t.Context(), root, ".", true); err != nil {
		t.Fatal(err)
	}
	all, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 15 {
		t.Errorf("only %d mutants", len(all))
	}
	for i := range all {
		names, err := filepath.Glob(filepath.Join(root, all[i].Package, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			found = found || regexp.MustCompile(`(?m)^func (`+all[i].Test+`)\(`).Match(text)
		}
		if !found {
			t.Errorf("mutant %q: there is no test %s in %s", all[i].Name, all[i].Test, all[i].Package)
		}
	}
}

// TestSomeAreKilled tries the runner with a few of them; make mutants tries all.
func TestSomeAreKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the engine three times")
	}
	if err := mutate(t.Context(), root, "^(tick-off-by-one|mutate-in-place|publish-before-commit)$", false); err != nil {
		t.Fatal(err)
	}
}

// TestSurvivorsAreFound: a change that no test can notice is reported, and so are those that can't be tried.
func TestSurvivorsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles the engine")
	}
	m := mutant{Name: "harmless", File: "engine/partition.go", Old: "case 3:", New: "case 3: // three", Package: "./engine", Test: "TestTooLargeToForward"}
	for what, change := range map[string]func(*mutant){
		"harmless":     func(*mutant) {},
		"no such test": func(m *mutant) { m.Test = "TestNothing" },
		"no program":   func(m *mutant) { m.New = "case 3 three" },
		"no such text": func(m *mutant) { m.Old = "case 4:" },
	} {
		x := m
		change(&x)
		if said, err := x.kill(t.Context(), root); err == nil {
			t.Errorf("%s: it counts as killed: %s", what, said)
		}
	}
}
