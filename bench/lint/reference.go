package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ReferenceGuide is the guide that lists every key, exit code and metric.
const ReferenceGuide = "docs/operations.md"

// row matches a table row of the reference that begins with a name in code or with a number.
var row = regexp.MustCompile("^\\| (?:`([^`]+)`|([0-9]+)) \\|")

// Reference finds keys and exit codes that the reference does not list, and those that it lists although
// they do not exist. One counts as listed when a row of its section's table begins with it.
func Reference(t Tree) []Finding {
	var out []Finding
	for _, part := range []struct {
		section string
		exist   map[string]string // name -> file that defines it
	}{
		{"## Configuration", yamlKeys(t, "cmd", "config")},
		{"## Importing old data", yamlKeys(t, "connectors/importer", "Mapping")},
		{"## Exit codes", exitCodes(t)},
	} {
		listed := rows(t[ReferenceGuide], part.section)
		for _, name := range slices.Sorted(maps.Keys(part.exist)) {
			if listed[name] == 0 {
				out = append(out, Finding{Path: part.exist[name], Text: name + " is missing in " + ReferenceGuide + ", " + part.section[3:]})
			}
		}
		for _, name := range slices.Sorted(maps.Keys(listed)) {
			if part.exist[name] == "" {
				out = append(out, Finding{ReferenceGuide, listed[name], name + " does not exist"})
			}
		}
	}
	return out
}

// exitCodes returns the program's exit codes: cmd's constants that are called exit and what it means.
func exitCodes(t Tree) map[string]string {
	codes := map[string]string{}
	for _, p := range t.Paths(".go") {
		if !within(p, "cmd") || isTest(p) {
			continue
		}
		f, _, err := parse(t, p, parser.SkipObjectResolution)
		if err != nil {
			continue // Arrows reports it
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != len(spec.Names) {
				return true
			}
			for i, name := range spec.Names {
				lit, ok := spec.Values[i].(*ast.BasicLit)
				if ok && lit.Kind == token.INT && strings.HasPrefix(name.Name, "exit") {
					codes[lit.Value] = p
				}
			}
			return true
		})
	}
	return codes
}

// rows returns the names that begin a table row in a section, with their lines.
func rows(text, section string) map[string]int {
	names := map[string]int{}
	inside, n := false, 0
	for line := range strings.Lines(text) {
		n++
		if strings.HasPrefix(line, "## ") {
			inside = strings.TrimSpace(line) == section
		}
		if m := row.FindStringSubmatch(line); inside && m != nil {
			names[m[1]+m[2]] = n
		}
	}
	return names
}

// yamlKeys returns the keys of a YAML file, read from the yaml tags of the type that it is read into, and
// of the types that one is made of. Entries of a list are written list[].key, those of a map map.NAME.key.
func yamlKeys(t Tree, dir, root string) map[string]string {
	structs := map[string]*ast.StructType{}
	files := map[string]string{}
	for _, p := range t.Paths(".go") {
		if !within(p, dir) || isTest(p) {
			continue
		}
		f, _, err := parse(t, p, parser.SkipObjectResolution)
		if err != nil {
			continue // Arrows reports it
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					structs[spec.Name.Name], files[spec.Name.Name] = s, p
				}
			}
			return true
		})
	}
	keys := map[string]string{}
	var walk func(name, prefix string)
	walk = func(name, prefix string) {
		for _, field := range structs[name].Fields.List {
			key := yamlKey(field)
			if key == "" {
				continue
			}
			of, infix := elem(field.Type)
			if structs[of] == nil {
				keys[prefix+key] = files[name]
				continue
			}
			walk(of, prefix+key+infix+".")
		}
	}
	if structs[root] != nil {
		walk(root, "")
	}
	return keys
}

func yamlKey(f *ast.Field) string {
	if f.Tag == nil {
		return ""
	}
	tag, err := strconv.Unquote(f.Tag.Value)
	if err != nil {
		return "" // the parser has accepted it, so this is never reached
	}
	key, _, _ := strings.Cut(reflect.StructTag(tag).Get("yaml"), ",")
	return key
}

// elem returns the name of the type that a field holds, and how its place in a list or map is written.
func elem(e ast.Expr) (name, infix string) {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name, ""
	case *ast.StarExpr:
		return elem(e.X)
	case *ast.ArrayType:
		name, _ := elem(e.Elt)
		return name, "[]"
	case *ast.MapType:
		name, _ := elem(e.Value)
		return name, ".NAME"
	}
	return "", ""
}
