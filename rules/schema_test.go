package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
)

// TestSchemaKeys compares the keys of each object in the schema with those that Parse accepts there, in both
// directions. What Parse accepts is found out by asking it: every word in this package's source is tried as a key.
func TestSchemaKeys(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal(Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	w := schemaWalk{t: t, defs: doc["$defs"].(map[string]any), objects: make(map[string][]string)}
	w.walk("", doc)
	if len(w.objects) < 10 {
		t.Fatalf("found %v", slices.Sorted(maps.Keys(w.objects)))
	}
	candidates := wordsOfSource(t)
	for _, path := range slices.Sorted(maps.Keys(w.objects)) {
		inSchema := w.objects[path]
		accepted := acceptedKeys(t, path, candidates)
		for _, key := range accepted {
			if !slices.Contains(inSchema, key) {
				t.Errorf("schema.json: %s: Parse accepts the key %q, the schema does not have it", shown(path), key)
			}
		}
		for _, key := range inSchema {
			if !slices.Contains(accepted, key) {
				t.Errorf("schema.json: %s: the schema has the key %q, Parse does not accept it", shown(path), key)
			}
		}
	}
}

func shown(path string) string {
	if path == "" {
		return "the top level"
	}
	return strings.TrimPrefix(path, ".")
}

// schemaWalk collects the objects with fixed keys that a schema describes, by where they stand in a rule file:
// ".scores.*.lines[]" is an element of the list that is the lines of any score.
type schemaWalk struct {
	t       *testing.T
	defs    map[string]any
	objects map[string][]string
}

func (w *schemaWalk) walk(path string, s map[string]any) {
	if ref, ok := s["$ref"].(string); ok {
		def, ok := w.defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		if !ok {
			w.t.Fatalf("%s: no definition %s", path, ref)
		}
		w.walk(path, def)
	}
	if s["additionalProperties"] == false {
		props := s["properties"].(map[string]any)
		w.objects[path] = slices.Sorted(maps.Keys(props))
		for key, v := range props {
			prop := v.(map[string]any)
			if prop["description"] == nil && w.refDescription(prop) == nil {
				w.t.Errorf("%s.%s has no description", shown(path), key)
			}
			w.walk(path+"."+key, prop)
		}
	}
	if names, ok := s["additionalProperties"].(map[string]any); ok {
		w.walk(path+".*", names)
	}
	if items, ok := s["items"].(map[string]any); ok {
		w.walk(path+"[]", items)
	}
	for _, key := range []string{"oneOf", "anyOf"} {
		list, _ := s[key].([]any)
		for _, v := range list {
			w.walk(path, v.(map[string]any))
		}
	}
}

func (w *schemaWalk) refDescription(prop map[string]any) any {
	ref, _ := prop["$ref"].(string)
	def, _ := w.defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	return def["description"]
}

// wordsOfSource returns all string literals of this package that could be keys.
func wordsOfSource(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	word := regexp.MustCompile(`^[a-z][a-z_]*$`)
	words := make(map[string]bool)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil && word.MatchString(s) {
					words[s] = true
				}
			}
			return true
		})
	}
	if !words["half_life"] || len(words) < 100 {
		t.Fatalf("found %d words", len(words))
	}
	return slices.Sorted(maps.Keys(words))
}

// siblings are keys without which Parse does not look into an object.
var siblings = map[string]string{".scores.*.lines[].limit": "signal: s"}

var unknownKey = regexp.MustCompile(`^unknown key "(\w+)"`)

// acceptedKeys asks Parse which of the words it accepts in the object at a path.
func acceptedKeys(t *testing.T, path string, words []string) []string {
	t.Helper()
	var accepted []string
	for chunk := range slices.Chunk(words, 30) {
		text := documentAt(path, "{\n'"+strings.Join(chunk, "': null,\n'")+"': null\n}")
		_, err := Parse(File{Name: "f", Src: []byte(text), expanded: true})
		ps, ok := errors.AsType[*Problems](err)
		if !ok || ps.More > 0 {
			t.Fatalf("%s: %v", path, err)
		}
		first := strings.Count(strings.SplitAfter(text, "{\n'"+chunk[0])[0], "\n") + 1
		refused := make(map[string]bool)
		for _, p := range ps.List {
			if m := unknownKey.FindStringSubmatch(p.Message); m != nil {
				refused[m[1]] = true
			}
			if i := p.Line - first; strings.HasPrefix(p.Message, "not supported by this version") && i >= 0 && i < len(chunk) {
				refused[chunk[i]] = true
			}
		}
		for _, key := range chunk {
			if !refused[key] {
				accepted = append(accepted, key)
			}
		}
	}
	return accepted
}

var step = regexp.MustCompile(`\.[a-z_]+|\.\*|\[\]`)

// documentAt writes a rule file that consists of what leads to an object.
func documentAt(path, object string) string {
	var open, end string
	at := ""
	for _, s := range step.FindAllString(path, -1) {
		at += s
		switch {
		case s == "[]":
			open, end = open+"[", "]"+end
		case s == ".*":
			open, end = open+"{x: ", "}"+end
		default:
			open, end = open+"{"+s[1:]+": ", "}"+end
			if more := siblings[at]; more != "" {
				end = ", " + more + end
			}
		}
	}
	return open + object + end
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plain turns what YAML gives into what JSON has.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = plain(x)
		}
	case map[any]any:
		m := make(map[string]any)
		for k, x := range v {
			m[fmt.Sprint(k)] = plain(x)
		}
		return m
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return v
}

func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var doc any
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if doc == nil {
		return nil
	}
	return s.Validate(plain(doc))
}

// TestSchemaAcceptsRuleSets: all rule sets that are shipped or that tests use are valid.
func TestSchemaAcceptsRuleSets(t *testing.T) {
	s := compileSchema(t)
	found := 0
	for _, pattern := range []string{
		"testdata/*.good.yaml", "ruletest/testdata/rules.yaml", "../deploy/rules.yaml", "../deploy/rules/*.yaml",
		"../deploy/import/*rules.yaml", "../cmd/leadstream/demo/rules.yaml",
	} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v %v", pattern, files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, ".test.yaml") {
				continue
			}
			found++
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(t, s, string(text)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
	if found < 7 {
		t.Errorf("found %d rule sets", found)
	}
}

// TestSchemaAcceptsWhatParseAccepts goes through the rule sets of the scripts.
func TestSchemaAcceptsWhatParseAccepts(t *testing.T) {
	s := compileSchema(t)
	files, err := filepath.Glob("testdata/evaluate/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?m)^(?:rules|switch)[^\n]*\n((?:.*\n)*?)----`)
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatch(string(text), -1) {
			if _, err := Parse(File{Name: file, Src: []byte(m[1])}); err != nil {
				continue
			}
			found++
			if err := validate(t, s, m[1]); err != nil {
				t.Errorf("%s: %v\n%s", file, err, m[1])
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d rule sets", found)
	}
}

// TestSchemaRefuses: mistakes that an editor should show, all of which Parse refuses, too.
func TestSchemaRefuses(t *testing.T) {
	s := compileSchema(t)
	for _, text := range []string{
		"staegs: [x]", "stages: []", "stages: x", "dedupe: -1", "dedupe: 5000", "max_late: 7", "max_late: 7w", "max_late: ''", "include: {}",
		"signals: {s: {}}", "signals: {s: {match: true, mach: 1}}", "signals: {s: {match: []}}", "signals: []",
		"define: {1a: 1}", "scores: {a-b: {lines: []}}", "scores: {s: {max: -1}}", "scores: {s: {min: 1}}", "scores: {s: {lines: [{add: 1}]}}",
		"scores: {s: {lines: [{id: x, when: true, tiers: [{when: true, add: 1}]}]}}", "scores: {s: {half_life: 1d, linear_over: 1d}}",
		"scores: {s: {step: {every: 1d}}}", "scores: {s: {step: {every: 1d, keep: 1}}}", "scores: {s: {grades: {}}}", "scores: {s: {grades: {A: x}}}",
		"scores: {s: {lines: [{inactive: 1d, add: 1, repeat: maybe}]}}", "scores: {s: {lines: [{inactive: 1d, add: 1, limit: {times: 0, per: 1d}}]}}",
		"scores: {s: {derived: 'score.t', half_life: 1d}, t: {}}", "matrix: {m: [a]}", "tags: {lines: [{signal: s}]}",
		"stages: [a, b]\ntransitions: [{from: a, to: b}]", "stages: [a, b]\ntransitions: [{from: [], to: b, when: true}]",
		"handoffs: [{name: h}]", "handoffs: [{name: h, when: true, assign: [a]}]", "handoffs: [{name: h, when: true, cooldown: 5}]",
	} {
		if validate(t, s, text) == nil {
			t.Errorf("the schema accepts %s", text)
		}
		if _, err := Parse(File{Name: "f", Src: []byte(text), expanded: true}); err == nil {
			t.Errorf("Parse accepts %s", text)
		}
	}
}
