package lint

import (
	"go/ast"
	"go/parser"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ReferenceGuide is the guide that lists every configuration key and every metric.
const ReferenceGuide = "docs/operations.md"

// row matches a table row of the reference that begins with a name.
var row = regexp.MustCompile("^\\| `([^`]+)`")

// Reference finds configuration keys that the reference does not list, and those that it lists although
// they do not exist. A key counts as listed when a row of the section's table begins with it.
func Reference(t Tree) []Finding {
	const section = "## Configuration"
	exist, listed := configKeys(t), rows(t[ReferenceGuide], section)
	var out []Finding
	for _, key := range slices.Sorted(maps.Keys(exist)) {
		if listed[key] == 0 {
			out = append(out, Finding{Path: exist[key], Text: key + " is missing in " + ReferenceGuide + ", " + section[3:]})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(listed)) {
		if exist[key] == "" {
			out = append(out, Finding{ReferenceGuide, listed[key], key + " does not exist"})
		}
	}
	return out
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
			names[m[1]] = n
		}
	}
	return names
}

// configKeys returns the keys of the configuration file, read from the yaml tags of cmd's type config
// and the types it is made of. Entries of a list are written list[].key, those of a map map.NAME.key.
func configKeys(t Tree) map[string]string {
	structs := map[string]*ast.StructType{}
	files := map[string]string{}
	for _, p := range t.Paths(".go") {
		if !within(p, "cmd") || isTest(p) {
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
	if structs["config"] != nil {
		walk("config", "")
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
