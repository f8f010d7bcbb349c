package lint

import (
	"strings"
	"testing"

	"leadstream/rules"
)

// TestExamples checks the rule sets that the guides show whole: those that begin with their signals and
// have stages.
func TestExamples(t *testing.T) {
	tree, err := Load(top(t))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, p := range tree.Paths(".md") {
		for _, text := range blocks(tree[p], "yaml") {
			if !strings.HasPrefix(text, "signals:") || !strings.Contains(text, "\nstages:") {
				continue
			}
			found++
			if _, err := rules.Parse(rules.File{Name: p, Src: []byte(text)}); err != nil {
				t.Errorf("%v\nin the example:\n%s", err, text)
			}
		}
	}
	if found < 2 {
		t.Errorf("found %d whole rule sets; the README and the reference have one each", found)
	}
}

// leftOut are rule sets that use one part of the language each that docs/scoring.md says is left out. When
// one of them is understood, the page and this list lose a line.
var leftOut = map[string]string{
	"triggers":   "triggers: []",
	"caps":       "caps: {}",
	"on_timeout": "handoffs: [{name: h, when: 'true', on_timeout: return}]",
	"calendar":   "handoffs: [{name: h, when: 'true', calendar: office}]",
}

// TestLeftOut keeps the page's list of what is left out true.
func TestLeftOut(t *testing.T) {
	tree, err := Load(top(t))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(tree["docs/scoring.md"], "## What this version leaves out")
	list, _, _ = strings.Cut(list, "\n## ")
	for word, text := range leftOut {
		if !strings.Contains(list, "`"+word+"`") {
			t.Errorf("docs/scoring.md does not say that %s is left out", word)
		}
		_, err := rules.Parse(rules.File{Name: "rules.yaml", Src: []byte(text)})
		if err == nil || !strings.Contains(err.Error(), "not supported by this version") {
			t.Errorf("docs/scoring.md says that %s is left out, but %s gives %v", word, text, err)
		}
	}
}

// blocks returns the texts of the fenced blocks of a language.
func blocks(text, lang string) []string {
	var bs []string
	var b *strings.Builder
	for line := range strings.Lines(text) {
		m := fence.FindStringSubmatch(line)
		switch {
		case m == nil:
			if b != nil {
				b.WriteString(line)
			}
		case b != nil:
			bs, b = append(bs, b.String()), nil
		case m[1] == lang:
			b = new(strings.Builder)
		}
	}
	return bs
}

func TestBlocks(t *testing.T) {
	got := blocks("a\n```yaml\nx: 1\n```\n```sh\nmake\n```\n```yaml\ny: 2\n```\n", "yaml")
	if len(got) != 2 || got[0] != "x: 1\n" || got[1] != "y: 2\n" {
		t.Errorf("got %q", got)
	}
}
