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

// maxLines is the longest a Go file may be. The aim is 400.
const maxLines = 450

// Length finds Go files that have grown too long to be read in one sitting.
func Length(t Tree) []Finding {
	var out []Finding
	for _, p := range t.Paths(".go") {
		if n := strings.Count(t[p], "\n"); n > maxLines {
			out = append(out, Finding{Path: p, Text: fmt.Sprintf("%d lines, the limit is %d: split it", n, maxLines)})
		}
	}
	return out
}

// single are directories whose code runs on the goroutine of its caller.
var single = []string{"rules", "state", "engine"}

// starters are the files there that may start goroutines, and why.
var starters = map[string]string{
	"engine/engine.go": "starts all of the engine's goroutines and orders their end",
	"state/fatal.go":   "a call into a failed store may never return, so that its caller must not wait in it",
}

// Goroutines finds goroutines started where nobody would look for who stops them.
func Goroutines(t Tree) []Finding {
	return inspect(t, func(p string) bool { return withinAny(p, single) && starters[p] == "" }, func(n ast.Node, _ map[string]string) string {
		switch n := n.(type) {
		case *ast.GoStmt:
			return "goroutine started where nobody looks for who stops it"
		case *ast.CallExpr:
			// sync.WaitGroup and its kin.
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Go" && len(n.Args) == 1 {
				return "goroutine started where nobody looks for who stops it"
			}
		}
		return ""
	})
}

// timeless are directories whose code must give the same bytes for the same input, whenever it runs.
var timeless = []string{"rules", "state", "engine"}

// timed are the files there that wait and measure, and why: no time that they read reaches a decision.
var timed = map[string]string{
	"engine/commit.go": "measures epochs, and waits between attempts",
	"engine/engine.go": "measures commits",
	"engine/loop.go":   "wakes the engine when there is nothing to read",
	"state/fatal.go":   "slows down what fails again and again",
}

// clocks are the functions of package time that know what time it is.
var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

// Clocks finds readings of the wall clock and sources of chance in code that must be a function of
// its arguments. Only cmd picks a real clock.
func Clocks(t Tree) []Finding {
	return inspect(t, func(p string) bool { return withinAny(p, timeless) && timed[p] == "" }, func(n ast.Node, imports map[string]string) string {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return ""
		}
		id, ok := sel.X.(*ast.Ident)
		if !ok {
			return ""
		}
		switch pkg := imports[id.Name]; {
		case pkg == "time" && slices.Contains(clocks, sel.Sel.Name):
			return "time." + sel.Sel.Name + ": time is an input here"
		case pkg == "math/rand", pkg == "math/rand/v2", pkg == "crypto/rand":
			return pkg + ": the same input must give the same bytes"
		}
		return ""
	})
}

// SharedRare finds changes of what lead.Rare returns, which leads that have nothing of it share.
func SharedRare(t Tree) []Finding {
	return inspect(t, func(string) bool { return true }, func(n ast.Node, _ map[string]string) string {
		var changed []ast.Expr
		switch n := n.(type) {
		case *ast.AssignStmt:
			changed = n.Lhs
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				changed = []ast.Expr{n.X}
			}
		}
		for _, x := range changed {
			if field, ok := x.(*ast.SelectorExpr); ok {
				if call, ok := field.X.(*ast.CallExpr); ok {
					if sel, ok := call.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Rare" {
						return "a change of what Rare returns: OwnRare is for that"
					}
				}
			}
		}
		return ""
	})
}

// inspect calls fn with every node of the Go files that in selects, tests left out, and the file's
// imports by the name they have there. What fn returns is a finding unless it is empty.
func inspect(t Tree, in func(p string) bool, fn func(n ast.Node, imports map[string]string) string) []Finding {
	var out []Finding
	for _, p := range t.Paths(".go") {
		if isTest(p) || !in(p) {
			continue
		}
		f, fset, err := parse(t, p, parser.SkipObjectResolution)
		if err != nil {
			out = append(out, Finding{Path: p, Text: err.Error()})
			continue
		}
		imports := importNames(f)
		ast.Inspect(f, func(n ast.Node) bool {
			if n == nil {
				return false
			}
			if text := fn(n, imports); text != "" {
				out = append(out, Finding{p, fset.Position(n.Pos()).Line, text})
			}
			return true
		})
	}
	return out
}

// importNames maps the name by which f knows an import to its path. An unnamed import is known by the
// last element of its path that is no version.
func importNames(f *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has accepted it, so this is never reached
		}
		name := path.Base(p)
		if strings.HasPrefix(name, "v") && strings.Trim(name[1:], "0123456789") == "" {
			name = path.Base(path.Dir(p))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = p
	}
	return names
}
