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
