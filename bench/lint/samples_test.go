package lint

import (
	"maps"
	"strings"
	"testing"
)

// sample is a file that a check must find, or must leave alone when want is "".
type sample struct {
	name, check, path, text, want string
}

var samples = []sample{
	// Arrows: one bad and one good import per rule.
	{"state imports rules", "arrows", "state/a.go", `import "leadstream/rules"`, "imports point down"},
	{"state imports the vocabulary", "arrows", "state/a.go", `import "leadstream/state/lead"`, ""},
	{"vocabulary imports state", "arrows", "state/lead/a.go", `import "leadstream/state"`, "imports point down"},
	{"rules import engine", "arrows", "rules/a.go", `import "leadstream/engine"`, "imports point down"},
	{"rules import state", "arrows", "rules/a.go", `import "leadstream/state"`, "imports point down"},
	{"engine imports connectors", "arrows", "engine/a.go", `import "leadstream/connectors/kafka"`, "imports point down"},
	{"engine imports connectors in a test", "arrows", "engine/a_test.go", `import "leadstream/connectors/kafka"`, "imports point down"},
	{"engine imports both below", "arrows", "engine/a.go", "import (\n\"leadstream/rules\"\n\"leadstream/state\"\n)", ""},
	{"engine's test support imports engine", "arrows", "engine/enginetest/a.go", `import "leadstream/engine"`, ""},
	{"connectors import engine", "arrows", "connectors/kafka/a.go", `import "leadstream/engine"`, ""},
	{"connectors import cmd", "arrows", "connectors/kafka/a.go", `import "leadstream/cmd/leadstream"`, "imports point down"},
	{"bench imports connectors", "arrows", "bench/broker/a.go", `import "leadstream/connectors/kafka"`, ""},
	{"cmd imports bench", "arrows", "cmd/leadstream/a.go", `import "leadstream/bench"`, "imports point down"},
	{"pebble in engine", "arrows", "engine/a.go", `import "github.com/cockroachdb/pebble/v2"`, "talks to the store"},
	{"pebble in a test of engine", "arrows", "engine/a_test.go", `import "github.com/cockroachdb/pebble/v2/vfs"`, ""},
	{"pebble in a test of rules", "arrows", "rules/a_test.go", `import "github.com/cockroachdb/pebble/v2/vfs"`, "talks to the store"},
	{"pebble in state", "arrows", "state/a.go", `import "github.com/cockroachdb/pebble/v2/vfs"`, ""},
	{"pebble in the vocabulary", "arrows", "state/lead/a.go", `import "github.com/cockroachdb/pebble/v2"`, "another module"},
	{"CEL in engine", "arrows", "engine/a.go", `import "cel.dev/cel-go/cel"`, "expression language"},
	{"CEL in rules", "arrows", "rules/a.go", `import "cel.dev/cel-go/cel"`, ""},
	{"Kafka in cmd", "arrows", "cmd/leadstream/a.go", `import "github.com/twmb/franz-go/pkg/kgo"`, "talk to Kafka"},
	{"Kafka in a test of cmd", "arrows", "cmd/leadstream/a_test.go", `import "github.com/twmb/franz-go/pkg/kgo"`, ""},
	{"Kafka in a test of engine", "arrows", "engine/a_test.go", `import "github.com/twmb/franz-go/pkg/kgo"`, "talk to Kafka"},
	{"a test against a broker", "arrows", "connectors/kafka/a_test.go", `import "leadstream/bench/broker"`, ""},
	{"a broker outside of tests", "arrows", "connectors/kafka/a.go", `import "leadstream/bench/broker"`, "imports point down"},
	{"Kafka in bench", "arrows", "bench/a.go", `import "github.com/twmb/franz-go/pkg/kgo"`, ""},
	{"YAML in the vocabulary", "arrows", "state/lead/a.go", `import "go.yaml.in/yaml/v4"`, "another module"},
	{"msgpack in the vocabulary", "arrows", "state/lead/a.go", `import "github.com/vmihailenco/msgpack/v5"`, ""},
	{"cobra in connectors", "arrows", "connectors/kafka/a.go", `import "github.com/spf13/cobra"`, "flags"},
	{"metrics in rules", "arrows", "rules/a.go", `import "github.com/prometheus/client_golang/prometheus"`, "another module"},
	{"files in rules", "arrows", "rules/a.go", `import "os"`, "no I/O"},
	{"files in a test of rules", "arrows", "rules/a_test.go", `import "os"`, ""},
	{"logs in the vocabulary", "arrows", "state/lead/a.go", `import "log/slog"`, "no I/O"},
	{"a file that is no Go", "arrows", "rules/a.go", `import import`, "parsing"},

	{"too long", "length", "engine/a.go", strings.Repeat("\n", 451), "limit is 450"},
	{"just short enough", "length", "engine/a.go", strings.Repeat("\n", 448), ""},

	{"goroutine in a shard", "goroutines", "engine/shard.go", "func f() { go f() }", "goroutine started"},
	{"goroutine by a group", "goroutines", "engine/shard.go", "func f() { g.Go(f) }", "goroutine started"},
	{"goroutine in rules", "goroutines", "rules/a.go", "func f() { go f() }", "goroutine started"},
	{"goroutine in the vocabulary", "goroutines", "state/lead/a.go", "func f() { go f() }", "goroutine started"},
	{"goroutine where it belongs", "goroutines", "engine/engine.go", "func f() { go f() }", ""},
	{"goroutine in a test", "goroutines", "engine/a_test.go", "func f() { go f() }", ""},
	{"goroutine in a connector", "goroutines", "connectors/kafka/a.go", "func f() { go f() }", ""},

	{"clock in rules", "clocks", "rules/a.go", "import \"time\"\nvar x = time.Now()", "time is an input"},
	{"clock under another name", "clocks", "state/lead/a.go", "import clock \"time\"\nvar x = clock.Since", "time is an input"},
	{"clock where it is measured", "clocks", "engine/loop.go", "import \"time\"\nvar x = time.Now()", ""},
	{"clock in engine", "clocks", "engine/shard.go", "import \"time\"\nvar x = time.NewTimer(1)", "time is an input"},
	{"chance in rules", "clocks", "rules/a.go", "import \"math/rand/v2\"\nvar x = rand.Int()", "the same bytes"},
	{"a duration is no clock", "clocks", "rules/a.go", "import \"time\"\nvar x = time.Second", ""},
	{"another thing called time", "clocks", "rules/a.go", "var time struct{ Now int }\nvar x = time.Now", ""},
	{"clock in cmd", "clocks", "cmd/leadstream/a.go", "import \"time\"\nvar x = time.Now()", ""},

	{"a change for all leads", "shared rare", "rules/a.go", "func f() { l.Rare().Tags = nil }", "OwnRare"},
	{"a way to change it", "shared rare", "rules/a.go", "func f() { g(&l.Rare().Tags) }", "OwnRare"},
	{"a change of one's own", "shared rare", "rules/a.go", "func f() { l.OwnRare().Tags = append(l.Rare().Tags, t) }", ""},

	{"stray directory", "layout", "scripts/a.sh", "", "top level"},
	{"stray file", "layout", "NOTES.md", "", "top level"},
	{"vague package", "layout", "engine/utils/a.go", "", "says nothing"},
	{"a dot-file", "layout", ".editorconfig", "", ""},

	{"registry", "text", "docs/a.md", "set it to https://proxy" + ".golang.org", "registry host"},
	{"image with its registry", "text", "deploy/a.yaml", "image: ghcr" + ".io/x/y", "registry host"},
	{"image without registry", "text", "deploy/a.yaml", "image: apache/kafka:4.3.1", ""},
	{"home directory", "text", "docs/a.md", "see /home" + "/me/x", "path of one machine"},
	{"working directory", "text", "engine/a.go", `// "/tmp` + `/x"`, "path of one machine"},
	{"a path of every machine", "text", "docs/a.md", "data_dir: /var/lib/leadstream", ""},
	{"left open", "text", "engine/a.go", "// TO" + "DO: later", "left open"},
	{"a word that contains it", "text", "docs/a.md", "mastodont TODOS", ""},

	{"a bare requirement", "requirements", "go.mod", "require (\n\texample.org/a v1.0.0\n)", "does not say"},
	{"a bare requirement in one line", "requirements", "go.mod", "require example.org/a v1.0.0", "does not say"},
	{"a requirement with a reason", "requirements", "go.mod", "require (\n\texample.org/a v1.0.0 // reads a\n)", ""},
	{"an indirect requirement", "requirements", "go.mod", "require (\n\texample.org/b v1.0.0 // indirect\n)", ""},

	{"absent command", "docs", "docs/a.md", "type `leadstream dance`", "no such command"},
	{"absent flag", "docs", "docs/a.md", "type `leadstream run --shoes`", "no flag"},
	{"absent target", "docs", "docs/a.md", "```sh\n$ CI=1 make dance # for joy\n```", "no such target"},
	{"absent target after another", "docs", "docs/a.md", "```sh\nmake test && make dance\n```", "no such target"},
	{"a value of two words", "docs", "docs/a.md", "```sh\nmake test FLAGS=\"-a b -c\" RUN='x y'\n```", ""},
	{"what exists", "docs", "docs/a.md", "```sh\n./bin/leadstream run --config=x.yaml\nmake test RUN=x\n```\n`make`, `leadstream --help`", ""},
	{"no command", "docs", "docs/a.md", "leadstream dances; `leadstream_engine_epochs_total`", ""},
	{"dead link", "docs", "docs/a.md", "[b](b.md#part)", "does not exist"},
	{"live links", "docs", "docs/a.md", "[r](../README.md) [c](../cmd) [o](https://example.org/) [h](#here)", ""},
}

var keyed = `type config struct {
	App string ` + "`yaml:\"app\"`" + `
	List []part ` + "`yaml:\"list\"`" + `
	Map map[string]part ` + "`yaml:\"map\"`" + `
}
type part struct { Size *int ` + "`yaml:\"size,omitempty\"`" + `; hidden int }`

var referenceSamples = []struct{ name, path, code, guide, want string }{
	{"all keys", "cmd/leadstream/c.go", keyed, "## Configuration\n| `app` | x |\n| `list[].size` |\n| `map.NAME.size` |\n", ""},
	{"a key is missing", "cmd/leadstream/c.go", keyed, "## Configuration\n| `app` | x |\n| `list[].size` |\n", "map.NAME.size is missing"},
	{"a key too many", "cmd/leadstream/c.go", "", "## Configuration\n| `app` | x |\n", "app does not exist"},
	{"a mapping's key", "connectors/importer/c.go", "type Mapping struct { Sort bool `yaml:\"sort\"` }", "## Importing old data\n| `sort` |\n", ""},
	{"an exit code is missing", "cmd/leadstream/c.go", "const exitOK, exitUsage = 0, 2", "## Exit codes\n| 0 | fine |\n", "2 is missing"},
	{"an exit code too many", "cmd/leadstream/c.go", "const exitOK = 0", "## Exit codes\n| 0 | fine |\n| 7 | odd |\n", "7 does not exist"},
	{"a key in another section", "cmd/leadstream/c.go", "", "## Other\n| `app` | x |\n", ""},
}

func TestReference(t *testing.T) {
	for _, s := range referenceSamples {
		t.Run(s.name, func(t *testing.T) {
			got := Reference(Tree{s.path: "package a\n" + s.code + "\n", ReferenceGuide: s.guide})
			switch {
			case s.want == "" && len(got) > 0:
				t.Errorf("found %v", got)
			case s.want != "" && (len(got) != 1 || !strings.Contains(got[0].Text, s.want)):
				t.Errorf("found %v, want one with %q", got, s.want)
			}
		})
	}
}

func TestGenerated(t *testing.T) {
	code := `package a
var (
	a = f(1, "epochs_total", "How many.", nil)
	b = o{Name: "leadstream_up", Help: "It is up."}
	c = f("no", "metric")
)
`
	guide := "## Metrics\n" + generatedBegin + "old\n" + generatedEnd + "rest\n"
	tree := Tree{"engine/metrics.go": code, ReferenceGuide: guide}
	if got := Generated(tree); len(got) != 1 || !strings.Contains(got[0].Text, "older than the code") {
		t.Errorf("found %v in an old guide", got)
	}
	now, ok := Regenerate(tree)
	want := "## Metrics\n" + generatedBegin +
		"\n| metric | |\n| --- | --- |\n| `leadstream_engine_epochs_total` | How many. |\n| `leadstream_up` | It is up. |\n\n" +
		generatedEnd + "rest\n"
	if !ok || now != want {
		t.Errorf("got %q, want %q", now, want)
	}
	tree[ReferenceGuide] = now
	if got := Generated(tree); len(got) != 0 {
		t.Errorf("found %v in a new guide", got)
	}
	for _, bad := range []string{"", generatedBegin} {
		if got := Generated(Tree{ReferenceGuide: bad}); len(got) != 1 || !strings.Contains(got[0].Text, "marks") {
			t.Errorf("found %v without marks", got)
		}
	}
}

// ground is what every sample stands on.
var ground = Tree{
	"README.md":  "# leadstream\n",
	"Makefile":   "test: build ## run\nbuild:\n",
	"bench/a.go": "package a\nimport _ \"example.org/a\"\n",
	"cmd/leadstream/run.go": `package main
var c = cobra.Command{Use: "run [flags]"}
func init() { f.StringVar(&s, "config", "", "the file") }
`,
}

// TestSamples proves that each check can fail, and does not where it should not.
func TestSamples(t *testing.T) {
	failed := map[string]bool{}
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) {
			tree := maps.Clone(ground)
			text := s.text
			if strings.HasSuffix(s.path, ".go") {
				text = "package a\n" + text + "\n"
			}
			tree[s.path] = text
			got := checks[s.check](tree)
			switch {
			case s.want == "" && len(got) > 0:
				t.Errorf("found %v", got)
			case s.want != "" && (len(got) != 1 || got[0].Path != s.path || !strings.Contains(got[0].Text, s.want)):
				t.Errorf("found %v, want one with %q", got, s.want)
			}
		})
		failed[s.check] = failed[s.check] || s.want != ""
	}
	for name := range checks {
		if !failed[name] && name != "reference" && name != "generated" { // these have tests of their own
			t.Errorf("no sample shows that %s can fail", name)
		}
	}
}

func TestMisplaced(t *testing.T) {
	tree := Tree{
		"go.mod":     "require (\n\texample.org/d v1.0.0 // for d\n\texample.org/a v1.0.0 // indirect\n\texample.org/a/b v1.0.0 // indirect; for b\n\texample.org/c v1.0.0 // indirect\n)\n",
		"rules/a.go": "package a\nimport _ \"example.org/a/b/c\"\n",
	}
	got := Requirements(tree)
	if len(got) != 2 || !strings.HasPrefix(got[0].Text, "example.org/a/b is imported") ||
		!strings.HasPrefix(got[1].Text, "example.org/d is required, but") {
		t.Errorf("found %v", got)
	}
}
