package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const someRules = `signals:
  demo: {match: 'event.name == "Demo Requested"'}
stages: [visitor, lead]
transitions:
  - {from: visitor, to: lead, when: signal("demo"), reason: asked}
`

const someTests = `tests:
  - name: a demo
    given: [{track: Demo Requested, at: 1h}]
    expect: [{stage: visitor > lead, at: 1h}]
  - name: nothing
    given: [{page: /}]
    expect: []
`

// inFolder writes files and goes where they are.
func inFolder(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

func TestRulesTest(t *testing.T) {
	inFolder(t, map[string]string{
		"good.yaml": someRules, "good.test.yaml": someTests,
		"alone.yaml": someRules,
		"fail.yaml":  someRules, "fail.test.yaml": strings.Replace(someTests, "lead, at: 1h", "lead, at: 30m", 1),
		"bad.yaml": "stages: [", "bad.test.yaml": "tests: [{name: x}]",
		"main.yaml": "include: [parts/rules.yaml]\n", "parts/rules.yaml": someRules,
		"wrong.yaml": "include: [parts/nowhere.yaml]\n",
	})
	for _, c := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"good.yaml", exitOK, "ok    good.test.yaml: 2 tests\n", ""},
		{"good.yaml --verbose", exitOK, "good.test.yaml:2: ok: a demo\n  happened:\n    - {stage: visitor > lead, at: 1h, reason: asked}\n" +
			"\ngood.test.yaml:5: ok: nothing\n  happened: nothing\n", ""},
		{"good.yaml --tests fail.test.yaml --tests good.test.yaml", exitTests, "FAIL  fail.test.yaml: 1 of 2 tests\n", "tests failed: 1 of 4"},
		{"main.yaml --tests good.test.yaml", exitOK, "2 tests", ""},
		{"alone.yaml", exitUsage, "", "alone.test.yaml does not exist; name a file with --tests"},
		{"good.yaml --tests nowhere.yaml", exitConfig, "", "no such file"},
		{"good.yaml --tests bad.test.yaml", exitConfig, "", `bad.test.yaml:1:9: test "x" needs given`},
		{"bad.yaml --tests good.test.yaml", exitConfig, "", "bad.yaml:2:1: not YAML"},
		{"wrong.yaml --tests good.test.yaml", exitConfig, "", `wrong.yaml:1:11: include: reading "parts/nowhere.yaml": no such file or directory`},
		{"nowhere.yaml", exitConfig, "", "reading rules: open nowhere.yaml"},
		{"", exitUsage, "", "needs at least one rule file"},
	} {
		out, errOut, code := command(t, append([]string{"rules", "test"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(errOut, c.err) || c.err == "" && errOut != "" {
			t.Errorf("rules test %s: exit code %d, want %d\n%s%s", c.args, code, c.code, out, errOut)
		}
	}
	out, _, _ := command(t, "rules", "test", "fail.yaml")
	want := "\nfail.test.yaml:2: FAIL: a demo\n  - 30m  visitor > lead\n  + 1h   visitor > lead (asked), by step 1 (track Demo Requested)\n"
	if !strings.HasSuffix(out, want) {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestShippedRuleSets(t *testing.T) {
	sets, err := filepath.Glob("../../deploy/rules/*.test.yaml")
	if err != nil || len(sets) < 3 {
		t.Fatalf("found %v: %v", sets, err)
	}
	for _, tests := range sets {
		name := strings.TrimSuffix(tests, ".test.yaml") + ".yaml"
		if out, errOut, code := command(t, "rules", "check", name); code != exitOK || errOut != "" {
			t.Errorf("rules check %s: exit code %d\n%s%s", name, code, out, errOut)
		}
		if out, errOut, code := command(t, "rules", "test", name); code != exitOK || errOut != "" {
			t.Errorf("rules test %s: exit code %d\n%s%s", name, code, out, errOut)
		}
	}
}
