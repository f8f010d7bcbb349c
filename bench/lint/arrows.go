package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// module is the path of this module.
const module = "leadstream"

// layer says what the packages in and below a directory may import of this module. The longest
// directory that fits a file decides. A package may always import those below itself.
type layer struct {
	dir string
	// may are the directories whose packages it may import, not those below them.
	may []string
	// below are the directories that it may import including everything below them.
	below []string
	// outside, when not nil, are the only other modules that non-test files may import.
	outside []string
	// noStd are packages of the standard library that non-test files must not import.
	noStd []string
}

// impure are packages by which the outside world, time or chance could get into a decision.
var impure = []string{"net", "os", "log", "math/rand", "crypto/rand", "syscall", "runtime"}

// layers is the picture in docs/architecture.md, "Packages".
var layers = []layer{
	{dir: "state/lead", outside: []string{"github.com/vmihailenco/msgpack", "github.com/cespare/xxhash"}, noStd: impure},
	{dir: "state", may: []string{"state/lead"}},
	{dir: "rules", may: []string{"state/lead"}, noStd: impure,
		outside: []string{"cel.dev/cel-go", "go.yaml.in/yaml", "google.golang.org/protobuf"}},
	{dir: "engine", may: []string{"state/lead", "state", "rules"}},
	{dir: "connectors", may: []string{"state/lead", "state", "rules", "engine", "engine/enginetest"}},
	{dir: "cmd", below: []string{"state", "rules", "engine", "connectors"}},
	{dir: "bench", below: []string{"state", "rules", "engine", "connectors"}},
	{dir: "deploy", below: []string{"rules"}},
}

// owned lists modules that only some directories may import; tests of the directories in tests may, too.
var owned = []struct {
	module      string
	dirs, tests []string
	why         string
}{
	// Tests of the engine crash the disk under the store: that disk is Pebble's in-memory one.
	{"github.com/cockroachdb/pebble", []string{"state"}, []string{"engine"}, "only package state talks to the store"},
	{"cel.dev/cel-go", []string{"rules"}, nil, "only package rules knows the expression language"},
	// The program's tests stand outside of it, where its users are: they produce and consume by themselves.
	{"github.com/twmb/franz-go", []string{"connectors", "bench"}, []string{"cmd"}, "only connectors and bench talk to Kafka"},
	{"github.com/spf13", []string{"cmd"}, nil, "only cmd reads flags"},
}

// forTests are packages that any test may import: they import none of those that are tested with them.
var forTests = []string{"bench/broker", "bench/workload"}

// Arrows finds imports that point the wrong way.
func Arrows(t Tree) []Finding {
	var out []Finding
	for _, p := range t.Paths(".go") {
		f, fset, err := parse(t, p, parser.ImportsOnly)
		if err != nil {
			out = append(out, Finding{Path: p, Text: err.Error()})
			continue
		}
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // the parser has accepted it, so this is never reached
			}
			if why := arrow(p, name); why != "" {
				out = append(out, Finding{p, fset.Position(spec.Pos()).Line, fmt.Sprintf("imports %s: %s", name, why)})
			}
		}
	}
	return out
}

// arrow returns what is wrong with the file at p importing name, "" if nothing is.
func arrow(p, name string) string {
	dir := path.Dir(p)
	for _, o := range owned {
		if within(name, o.module) && !withinAny(dir, o.dirs) && !(isTest(p) && withinAny(dir, o.tests)) {
			return o.why
		}
	}
	l := layerOf(dir)
	switch own, isOwn := strings.CutPrefix(name, module+"/"); {
	case l == nil:
		return ""
	case isOwn:
		if within(own, dir) || withinAny(own, l.below) || isTest(p) && (within(dir, own) || slices.Contains(forTests, own)) {
			return ""
		}
		if slices.Contains(l.may, own) || within(own, l.dir) {
			return ""
		}
		return "imports point down, see docs/architecture.md"
	case isTest(p):
		return ""
	case !strings.Contains(strings.Split(name, "/")[0], "."):
		if withinAny(name, l.noStd) {
			return "no I/O, clock or chance in " + l.dir
		}
	case l.outside != nil && !withinAny(name, l.outside):
		return "another module in " + l.dir
	}
	return ""
}

func layerOf(dir string) *layer {
	var best *layer
	for i := range layers {
		if within(dir, layers[i].dir) && (best == nil || len(layers[i].dir) > len(best.dir)) {
			best = &layers[i]
		}
	}
	return best
}

func withinAny(p string, dirs []string) bool {
	for _, d := range dirs {
		if within(p, d) {
			return true
		}
	}
	return false
}

func parse(t Tree, p string, mode parser.Mode) (*ast.File, *token.FileSet, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, p, t[p], mode)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing: %w", err)
	}
	return f, fset, nil
}
