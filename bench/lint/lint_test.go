package lint

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

var checks = map[string]func(Tree) []Finding{
	"arrows":       Arrows,
	"length":       Length,
	"goroutines":   Goroutines,
	"clocks":       Clocks,
	"shared rare":  SharedRare,
	"layout":       Layout,
	"text":         Text,
	"requirements": Requirements,
	"docs":         Docs,
	"reference":    Reference,
	"generated":    Generated,
}

// TestRepository holds the repository to its own rules.
func TestRepository(t *testing.T) {
	tree, err := Load(top(t))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tree.Paths(".go")); n < 20 {
		t.Fatalf("found only %d Go files: this is not the repository", n)
	}
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			for _, f := range check(tree) {
				t.Error(f)
			}
		})
	}
}

// TestExceptions keeps the lists of exceptions from outliving what they speak of.
func TestExceptions(t *testing.T) {
	tree, err := Load(top(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range []struct {
		files map[string]string
		check func(Tree) []Finding
	}{{starters, Goroutines}, {timed, Clocks}} {
		for p := range list.files {
			text, ok := tree[p]
			// The same file in a place that has no exception must have findings.
			if moved := path.Dir(p) + "/moved.go"; !ok || len(list.check(Tree{moved: text})) == 0 {
				t.Errorf("%s needs no exception", p)
			}
		}
	}
}

// top returns the directory of go.mod.
func top(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = parent
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.go": "package a\n", "rules/b.go": "package b\n", "bin/c.go": "package c\n", ".git/d.go": "x", "e.bin": "x\x00y",
	} {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(tree.Paths(""), " "); got != "a.go rules/b.go" {
		t.Errorf("loaded %q", got)
	}
	if _, err := Load(filepath.Join(dir, "absent")); err == nil {
		t.Error("an absent directory was loaded")
	}
}

func TestFindingString(t *testing.T) {
	for want, f := range map[string]Finding{
		"a.go: long":  {Path: "a.go", Text: "long"},
		"a.go:3: bad": {"a.go", 3, "bad"},
	} {
		if got := f.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
