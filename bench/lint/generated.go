package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// The marks around what the reference takes from the code.
const (
	generatedBegin = "<!-- generated from the code by `make generate` -->\n"
	generatedEnd   = "<!-- end of what is generated -->\n"
)

// Generated finds a list of metrics that is not what the code says.
func Generated(t Tree) []Finding {
	now, ok := Regenerate(t)
	switch {
	case !ok:
		return []Finding{{Path: ReferenceGuide, Text: "does not have the marks around what is generated"}}
	case now != t[ReferenceGuide]:
		return []Finding{{Path: ReferenceGuide, Text: "is older than the code: run make generate"}}
	}
	return nil
}

// Regenerate returns the reference with its list of metrics made anew, false if there is no place for it.
func Regenerate(t Tree) (string, bool) {
	before, rest, ok := strings.Cut(t[ReferenceGuide], generatedBegin)
	if !ok {
		return "", false
	}
	_, after, ok := strings.Cut(rest, generatedEnd)
	if !ok {
		return "", false
	}
	helps := metrics(t)
	var table strings.Builder
	table.WriteString("\n| metric | |\n| --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(helps)) {
		fmt.Fprintf(&table, "| `%s` | %s |\n", name, helps[name])
	}
	table.WriteString("\n")
	return before + generatedBegin + table.String() + generatedEnd + after, true
}

var (
	metricName = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	metricHelp = regexp.MustCompile(`^[A-Z0-9].*\.$`)
)

// metrics returns the help of every metric by its name: wherever a name and then a sentence of help
// stand beside each other, as arguments or as Name and Help. A name begins with that of its package unless
// it says so itself.
func metrics(t Tree) map[string]string {
	helps := map[string]string{}
	for _, p := range t.Paths(".go") {
		if isTest(p) || within(p, "bench") {
			continue
		}
		f, _, err := parse(t, p, parser.SkipObjectResolution)
		if err != nil {
			continue // Arrows reports it
		}
		ast.Inspect(f, func(n ast.Node) bool {
			var parts []ast.Expr
			switch n := n.(type) {
			case *ast.CallExpr:
				parts = n.Args
			case *ast.CompositeLit:
				for _, e := range n.Elts {
					if kv, ok := e.(*ast.KeyValueExpr); ok {
						e = kv.Value
					}
					parts = append(parts, e)
				}
			}
			for i := 1; i < len(parts); i++ {
				name := literal(parts[i-1])
				if !metricName.MatchString(name) || !metricHelp.MatchString(literal(parts[i])) {
					continue
				}
				if !strings.HasPrefix(name, module+"_") {
					name = module + "_" + path.Base(path.Dir(p)) + "_" + name
				}
				helps[name] = literal(parts[i])
			}
			return true
		})
	}
	return helps
}
