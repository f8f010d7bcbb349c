package ruletest

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"leadstream/rules"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected files under testdata")

func testSet(t testing.TB) *rules.Set {
	t.Helper()
	return readSet(t, "testdata/rules.yaml")
}

func readSet(t testing.TB, names ...string) *rules.Set {
	t.Helper()
	files, err := rules.Expand(os.ReadFile, names...)
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Parse(files...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func readTests(t testing.TB, set *rules.Set, name string) (*File, error) {
	t.Helper()
	src, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(set, name[strings.LastIndexByte(name, '/')+1:], src)
}

func TestPass(t *testing.T) {
	f, err := readTests(t, testSet(t), "testdata/pass.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range f.Run() {
		if r.Failed {
			t.Errorf("%s:%d: %s\n%s%s%s", f.Name(), r.Line, r.Test, r.Diff, r.Happened, strings.Join(r.Notes, "\n"))
		}
	}
}

func TestGoldenFailures(t *testing.T) {
	f, err := readTests(t, testSet(t), "testdata/fail.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, r := range f.Run() {
		if !r.Failed {
			t.Errorf("%s:%d: %s passed", f.Name(), r.Line, r.Test)
		}
		fmt.Fprintf(&got, "%s:%d: %s\n%s%s", f.Name(), r.Line, r.Test, r.Diff, r.Happened)
		for _, n := range r.Notes {
			got.WriteString("note: " + n + "\n")
		}
		got.WriteString("\n")
	}
	golden(t, "testdata/fail.golden", got.String())
}

func TestGoldenMistakes(t *testing.T) {
	_, err := readTests(t, testSet(t), "testdata/bad.test.yaml")
	if err == nil {
		t.Fatal("accepted")
	}
	golden(t, "testdata/bad.golden", err.Error()+"\n")
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test ./rules/ruletest -rewrite writes what it got:\n%s", file, got)
	}
}

func TestNoTests(t *testing.T) {
	for src, want := range map[string]string{
		"":                  "there are no tests in it",
		"tests: []":         "tests is empty",
		"start: 2026-01-01": "needs tests",
		"- x":               "must be a mapping",
		"tests: {}":         "must be a list",
		"a: 1\n---\nb: 2":   "one YAML document",
		"tests: [":          "not YAML",
		"tests: [{name: x, given: &a [*a], expect: []}]": "given[1] must be a mapping",
	} {
		if _, err := Parse(testSet(t), "x", []byte(src)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", src, err)
		}
	}
	deep := "tests: [{name: x, given: [{identify: &a {a: *a}}], expect: []}]"
	if _, err := Parse(testSet(t), "x", []byte(deep)); err == nil || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("a value in itself: %v", err)
	}
}

// TestHappenedCanBeExpected: what a test prints as having happened passes as its expectation.
func TestHappenedCanBeExpected(t *testing.T) {
	set := testSet(t)
	given := "tests:\n- name: x\n  given: [{identify: {email: a}}, {at: 1h, track: Demo Requested, times: 2}, {wait: 40d}]\n  expect:"
	f, err := Parse(set, "x", []byte(given+" []\n"))
	if err != nil {
		t.Fatal(err)
	}
	first := f.Run()[0]
	if !first.Failed || strings.Count(first.Happened, "\n") != 4 {
		t.Fatalf("happened:\n%s", first.Happened)
	}
	f, err = Parse(set, "x", []byte(given+"\n  "+strings.ReplaceAll(first.Happened, "\n", "\n  ")))
	if err != nil {
		t.Fatal(err)
	}
	if again := f.Run()[0]; again.Failed {
		t.Errorf("%s\n%s", first.Happened, again.Diff)
	}
}

// FuzzParse: whatever a test file says, it is refused with a place or it runs.
func FuzzParse(f *testing.F) {
	set := testSet(f)
	for _, name := range []string{"pass", "fail", "bad"} {
		src, err := os.ReadFile("testdata/" + name + ".test.yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 8<<10 || strings.Contains(string(src), "times") {
			return // thousands of events are no better test than a few
		}
		file, err := Parse(set, "x", src)
		if err != nil {
			return
		}
		for _, r := range file.Run() {
			if r.Failed != (r.Diff != "") {
				t.Errorf("%s: failed %v with the difference %q", r.Test, r.Failed, r.Diff)
			}
		}
	})
}
