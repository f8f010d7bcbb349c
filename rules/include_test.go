package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// folder is files by path.
type folder map[string]string

func (f folder) read(name string) ([]byte, error) {
	text, ok := f[filepath.ToSlash(name)]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

func TestExpandOrder(t *testing.T) {
	dir := folder{
		"main.yaml":          "include: [parts/scores.yaml, parts/stages.yaml]\n",
		"parts/scores.yaml":  "include: signals.yaml\n",
		"parts/stages.yaml":  "include:\n  - ./signals.yaml\n  - ../common.yaml\n",
		"parts/signals.yaml": "signals: {}\n",
		"common.yaml":        "",
	}
	for _, c := range []struct{ names, want string }{
		{"main.yaml", "parts/signals.yaml parts/scores.yaml common.yaml parts/stages.yaml main.yaml"},
		{"./main.yaml main.yaml", "parts/signals.yaml parts/scores.yaml common.yaml parts/stages.yaml ./main.yaml"},
		{"common.yaml main.yaml", "common.yaml parts/signals.yaml parts/scores.yaml parts/stages.yaml main.yaml"},
		{"parts/stages.yaml", "parts/signals.yaml common.yaml parts/stages.yaml"},
	} {
		files, err := Expand(dir.read, strings.Fields(c.names)...)
		if err != nil {
			t.Errorf("%s: %v", c.names, err)
		}
		var got []string
		for _, f := range files {
			got = append(got, filepath.ToSlash(f.Name))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.names, got, c.want)
		}
	}
}

func TestExpandMistakes(t *testing.T) {
	for _, c := range []struct {
		name string
		dir  folder
		want string
	}{
		{"missing", folder{"a.yaml": "# a\ninclude: [b.yaml]\n"}, `a.yaml:2:11: include: reading "b.yaml": file does not exist`},
		{"missing further in", folder{"a.yaml": "include: [d/b.yaml]", "d/b.yaml": "include: c.yaml"},
			`d/b.yaml:1:10: include: reading "d/c.yaml": file does not exist`},
		{"itself", folder{"a.yaml": "include: [./a.yaml]\n"}, "a.yaml:1:11: include: the files include each other: a.yaml -> a.yaml"},
		{"a circle", folder{"a.yaml": "include: [b.yaml]", "b.yaml": "include: [c.yaml]", "c.yaml": "stages: [x]\ninclude: [b.yaml]"},
			"c.yaml:2:11: include: the files include each other: b.yaml -> c.yaml -> b.yaml"},
		{"two mistakes", folder{"a.yaml": "include: [b.yaml, 5, '']"}, "a.yaml:1:11: include: reading \"b.yaml\": file does not exist\n" +
			"a.yaml:1:19: include must be text, found the number 5\na.yaml:1:22: include must be the name of a file, found \"\""},
		{"a mapping", folder{"a.yaml": "include: {b: c}"}, "a.yaml:1:10: include must be a list, found a mapping"},
	} {
		files, err := Expand(c.dir.read, "a.yaml")
		if err == nil {
			t.Errorf("%s: accepted as %v", c.name, files)
		} else if got := filepath.ToSlash(err.Error()); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
	if _, err := Expand(folder{}.read, "a.yaml", "b.yaml"); err == nil || strings.Count(err.Error(), "not exist") != 2 {
		t.Errorf("two files that are not there: %v", err)
	}
	many := folder{}
	for i := range maxFiles + 5 {
		many[fmt.Sprintf("%d.yaml", i)] = fmt.Sprintf("include: ['%d.yaml']", i+1)
	}
	if _, err := Expand(many.read, "0.yaml"); err == nil || !strings.Contains(err.Error(), "more than 1000 files") {
		t.Errorf("too many files: %v", err)
	}
}

// TestExpandLeavesTheRest: what is no include is for Parse to complain about, with everything else.
func TestExpandLeavesTheRest(t *testing.T) {
	files, err := Expand(folder{"a.yaml": "include: [b.yaml]\nstaegs: [x]\n", "b.yaml": "- x\n"}.read, "a.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Parse(files...)
	if err == nil || !strings.Contains(err.Error(), "b.yaml:1:1: a rule file must be") || !strings.Contains(err.Error(), `a.yaml:2:1: unknown key "staegs"`) {
		t.Errorf("got %v", err)
	}
}

// TestIncludeNeedsExpand: rules that were left out must not go unnoticed.
func TestIncludeNeedsExpand(t *testing.T) {
	dir := folder{"a.yaml": "include: [b.yaml]\nscores:\n  e: {lines: [{signal: s, add: 1}]}\n", "b.yaml": "signals:\n  s: {match: 'event.name == \"x\"'}\n"}
	if _, err := Parse(File{Name: "a.yaml", Src: []byte(dir["a.yaml"])}); err == nil || !strings.Contains(err.Error(), "a.yaml:1:10: include: the files that it names were not read") {
		t.Errorf("not expanded: %v", err)
	}
	files, err := Expand(dir.read, "a.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := Parse(files...)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseSource(set.Source())
	if err != nil || again.ID() != set.ID() {
		t.Errorf("published and read again: %v", err)
	}
}

// TestSameNameInTwoFiles: nothing is overridden; whatever has a name has it once, over all files.
func TestSameNameInTwoFiles(t *testing.T) {
	a := "signals: {s: {match: 'event.name == \"x\"'}}\ndefine: {d: '1'}\nscores: {e: {lines: [{signal: s, add: 1}]}}\n" +
		"stages: [x, y]\nterminal: [y]\nhandoffs: [{name: h, when: signal(\"s\")}]\ndedupe: 1\nmax_late: 1d\nmax_future: 1m\n"
	_, err := Parse(File{Name: "a.yaml", Src: []byte(a)}, File{Name: "b.yaml", Src: []byte(a)})
	ps, ok := errors.AsType[*Problems](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	want := []string{"signal \"s\" is there twice; first in a.yaml:1", "definition \"d\" is there twice; first in a.yaml:2",
		"score \"e\" is there twice; first in a.yaml:3", "stages is set twice; first in a.yaml:4", "terminal is set twice; first in a.yaml:5",
		"hand-off \"h\" is there twice; first in a.yaml:6", "dedupe is set twice; first in a.yaml:7", "max_late is set twice; first in a.yaml:8",
		"max_future is set twice; first in a.yaml:9"}
	for i, w := range want {
		found := false
		for _, p := range ps.List {
			found = found || p.File == "b.yaml" && p.Line == i+1 && p.Message == w
		}
		if !found {
			t.Errorf("missing: %s", w)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}
