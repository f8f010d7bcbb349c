package ruletest

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"leadstream/rules"
)

// TestGuide runs the example of the guide: its tests pass, and with the change that the guide makes they fail as it
// shows.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules-tools.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(lang, begin string) string {
		m := regexp.MustCompile("(?s)```" + lang + "\n(" + begin + ".*?)```\n").FindSubmatch(text)
		if m == nil {
			t.Fatalf("the guide has no %s block that begins with %s", lang, begin)
		}
		return string(m[1])
	}
	set, err := rules.Parse(rules.File{Name: "rules.yaml", Src: []byte(block("yaml", "signals:"))})
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Warnings()) > 0 {
		t.Errorf("warnings: %v", set.Warnings())
	}
	tests := block("yaml", "tests:")
	for name, c := range map[string]struct {
		from, to string
		fails    bool
	}{
		"as it is": {"", "", false},
		"changed":  {"at: 1d, reason: engaged", "at: 2d, reason: engaged", true},
	} {
		f, err := Parse(set, "rules.test.yaml", []byte(strings.Replace(tests, c.from, c.to, 1)))
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range f.Run() {
			if r.Failed != (c.fails && i == 0) {
				t.Errorf("%s: %s: failed %v\n%s", name, r.Test, r.Failed, r.Diff)
			}
			if shown := block("text", "rules.test.yaml:"); r.Failed && !strings.HasSuffix(shown, r.Test+"\n"+r.Diff) {
				t.Errorf("the guide shows\n%s\nit is\n%s", shown, r.Diff)
			}
		}
	}
}
