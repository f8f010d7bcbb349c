package lint

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Tree is the text files of a checkout by their slash-separated path from its top.
type Tree map[string]string

// Finding is one breach of a rule. Line is 0 when it concerns the file as a whole.
type Finding struct {
	Path string
	Line int
	Text string
}

// String returns path:line: text, which editors turn into a link.
func (f Finding) String() string {
	if f.Line == 0 {
		return fmt.Sprintf("%s: %s", f.Path, f.Text)
	}
	return fmt.Sprintf("%s:%d: %s", f.Path, f.Line, f.Text)
}

// skipped are directories that hold no source: what git keeps, and what the Makefile builds and fetches.
var skipped = []string{".git", ".cache", "bin", "dist", "data"}

// Load reads all text files under root. Files with a NUL byte near their start are left out.
func Load(root string) (Tree, error) {
	t := Tree{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if slices.Contains(skipped, rel) {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if bytes.IndexByte(text[:min(len(text), 8000)], 0) < 0 {
			t[rel] = string(text)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the checkout: %w", err)
	}
	return t, nil
}

// Paths returns the tree's paths with the suffix, sorted.
func (t Tree) Paths(suffix string) []string {
	var ps []string
	for p := range t {
		if strings.HasSuffix(p, suffix) {
			ps = append(ps, p)
		}
	}
	slices.Sort(ps)
	return ps
}

// lines calls fn with every line of every file, in order; the first line is 1.
func (t Tree) lines(fn func(p string, n int, line string)) {
	for _, p := range t.Paths("") {
		n := 0
		for line := range strings.Lines(t[p]) {
			n++
			fn(p, n, strings.TrimRight(line, "\r\n"))
		}
	}
}

// within reports whether p is in dir or below it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// isTest reports whether the Go file p is compiled into tests only: a test file, or a package that
// exists for tests (named like connectortest).
func isTest(p string) bool {
	return strings.HasSuffix(p, "_test.go") || strings.HasSuffix(path.Dir(p), "test")
}
