package rules

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"go.yaml.in/yaml/v4"
)

// place says where an expression stands, which decides what it may read.
type place uint8

const (
	inDefine    place = iota // anything; it is checked again where the name is used
	inMatch                  // a signal: the event and nothing else
	inCondition              // a transition or hand-off: anything
	inState                  // a state line: nothing of the event
	inAdd                    // a line's points, a limit's key: anything
	inTimerAdd               // points of a line that a timer fires: nothing of the event
	inDerived                // the sum that a score is derived from: scores and nothing else
)

// text is one expression as it stands in a rule file.
type text struct {
	n     ynode
	what  string // what it is, for error texts: "transitions[2].when"
	src   string
	place place
}

// expression reads a scalar as an expression. Numbers and booleans are expressions too.
func (ld *loader) expression(n ynode, what string, p place) (text, bool) {
	if n.Kind != yaml.ScalarNode || n.isNull() || strings.TrimSpace(n.Value) == "" {
		ld.errorf(n, "%s must be an expression, found %s", what, n.kindName())
		return text{}, false
	}
	if len(n.Value) > maxExpression {
		ld.errorf(n, "%s: the expression is longer than %d bytes", what, maxExpression)
		return text{}, false
	}
	return text{n: n, what: what, src: n.Value, place: p}, true
}

// problemAt reports a mistake at a place of an expression, as near in the file as can be told.
func (ld *loader) problemAt(t text, loc common.Location, format string, args ...any) {
	p := Problem{File: t.n.f.name, Line: t.n.Line, Column: t.n.Column, Message: t.what + ": " + fmt.Sprintf(format, args...)}
	lines := strings.Split(t.src, "\n")
	line, column := 1, 0
	if loc != nil && loc.Line() >= 1 {
		line, column = loc.Line(), max(loc.Column(), 0)
	}
	if line <= len(lines) {
		p.Text, p.Caret = cutLine(lines[line-1], column)
	}
	p.Line, p.Column = t.n.position(line, column)
	ld.add(p)
}

// cutLine shortens a long line to what is around the caret.
func cutLine(s string, caret int) (string, int) {
	const before, width = 60, 110
	r := []rune(s)
	caret = min(caret, len(r))
	from := 0
	if caret > before && len(r) > width {
		from = caret - before
	}
	to := min(len(r), from+width)
	return string(r[from:to]), caret - from
}

// position maps a place in a scalar's text (line from 1, column from 0) to one in the file.
func (n ynode) position(line, column int) (int, int) {
	switch n.Style &^ yaml.TaggedStyle {
	case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
		if line == 1 {
			return n.Line, n.Column + 1 + column
		}
	case yaml.LiteralStyle:
		if i := n.Line + line - 1; i < len(n.f.lines) {
			s := n.f.lines[i]
			return i + 1, len(s) - len(strings.TrimLeft(s, " ")) + column + 1
		}
	case yaml.FoldedStyle:
	default:
		if line == 1 {
			return n.Line, n.Column + column
		}
	}
	return n.Line, n.Column
}

// parsed is an expression that CEL has parsed and that is ready to be checked.
type parsed struct {
	text
	ast *cel.Ast
}

func (p *parsed) location(e ast.Expr) common.Location {
	return p.ast.NativeRep().SourceInfo().GetStartLocation(e.ID())
}

// celTree is an expression's tree.
type celTree = ast.Expr

// parse parses an expression, puts definitions in their places, and checks names.
func (ld *loader) parse(t text) (*parsed, bool) {
	p, ok := ld.inlined(t)
	if !ok {
		return nil, false
	}
	tree := p.ast.NativeRep().Expr()
	names := &nameCheck{ld: ld, p: p, fac: ast.NewExprFactory()}
	names.check(tree, nil)
	if names.failed {
		return nil, false
	}
	rewriteLiterals(tree)
	return p, true
}

// parseTree returns an expression's tree with definitions in their places and nothing else done to it.
func (ld *loader) parseTree(t text) (celTree, bool) {
	p, ok := ld.inlined(t)
	if !ok {
		return nil, false
	}
	return p.ast.NativeRep().Expr(), true
}

func (ld *loader) inlined(t text) (*parsed, bool) {
	a, iss := ld.env.Parse(t.src)
	if iss.Err() != nil {
		ld.syntaxErrors(t, iss)
		return nil, false
	}
	if n := ast.NodeCount(a.NativeRep()); n > maxExpressionNodes {
		ld.problemAt(t, nil, "the expression has %d parts, more than %d", n, maxExpressionNodes)
		return nil, false
	}
	in := &inliner{ld: ld, info: a.NativeRep().SourceInfo(), next: ast.MaxID(a.NativeRep()) + 1, fac: ast.NewExprFactory()}
	if !in.inline(a.NativeRep().Expr(), nil) {
		return nil, false // the definition's own mistake is reported where it stands
	}
	if ld.set.ofAccounts() {
		ownAccount(a.NativeRep().Expr(), in.fac)
	}
	if ast.NodeCount(a.NativeRep()) > maxExpressionNodes || ast.ExceedsDepth(a.NativeRep(), 4*maxExpressionDepth) {
		ld.problemAt(t, nil, "with its definitions put in, the expression is too large")
		return nil, false
	}
	return &parsed{t, a}, true
}

// compile parses and type-checks an expression.
func (ld *loader) compile(t text) (*parsed, bool) {
	p, ok := ld.parse(t)
	if !ok {
		return nil, false
	}
	checked, iss := ld.env.Check(p.ast)
	if iss.Err() != nil {
		for _, e := range iss.Errors() {
			ld.problemAt(t, e.Location, "%s", typeErrorText(e.Message))
		}
		return nil, false
	}
	return &parsed{t, checked}, true
}

// syntaxHints are words and signs of other languages, as they appear in CEL's messages.
var syntaxHints = [][2]string{{"'and'", "&&"}, {"'or'", "||"}, {"'not'", "!"}, {"'= ", "=="}, {"'='", "=="}}

// syntaxErrors reports what CEL's parser says in fewer words.
func (ld *loader) syntaxErrors(t text, iss *cel.Issues) {
	for i, e := range iss.Errors() {
		if i == 3 {
			break // what follows a syntax error is mostly its echo
		}
		msg := strings.TrimPrefix(e.Message, "Syntax error: ")
		if at := strings.Index(msg, " expecting "); at >= 0 {
			msg = msg[:at]
		}
		msg = strings.ReplaceAll(msg, "'<EOF>'", "the end")
		hint := ""
		for _, h := range syntaxHints {
			if strings.Contains(msg, h[0]) {
				hint = "; write " + h[1]
			}
		}
		ld.problemAt(t, e.Location, "syntax: %s%s", msg, hint)
	}
}

var operatorNames = strings.NewReplacer(
	"_&&_", "&&", "_||_", "||", "!_", "!", "_==_", "==", "_!=_", "!=", "_<=_", "<=", "_<_", "<", "_>=_", ">=", "_>_", ">",
	"_+_", "+", "_-_", "-", "_*_", "*", "_/_", "/", "_%_", "%", "-_", "-", "_[_]", "[]", "@in", "in", "_?_:_", "?:",
)

// celNames are CEL's words for what rule files call otherwise.
var celNames = strings.NewReplacer(" (in container '')", "", "google.protobuf.Duration", "duration",
	"google.protobuf.Timestamp", "timestamp", "invalid matches argument", "the pattern is no regular expression (RE2)")

// typeErrorText says a type error of CEL in the words of a rule file.
func typeErrorText(msg string) string {
	msg = celNames.Replace(msg)
	rest, found := strings.CutPrefix(msg, "found no matching overload for '")
	if !found {
		return msg
	}
	name, args, _ := strings.Cut(rest, "' applied to '")
	args = strings.TrimSuffix(args, "'")
	msg = fmt.Sprintf("%s cannot be applied to %s", operatorNames.Replace(name), args)
	switch {
	case strings.Contains(args, "duration") && strings.Contains(args, "string"):
		msg += `; write duration("5d") for a duration`
	case strings.Contains(args, "int") && strings.Contains(args, "double"):
		msg += "; double(x) makes a whole number a double"
	case name == "_%_":
		msg += "; % is for whole numbers: int(x) makes one"
	}
	return msg
}

// inliner puts definitions in the places of their names.
type inliner struct {
	ld   *loader
	info *ast.SourceInfo
	next int64
	fac  ast.ExprFactory
}

func (in *inliner) inline(e ast.Expr, locals []string) bool {
	switch e.Kind() {
	case ast.IdentKind:
		return in.inlineName(e, locals)
	case ast.SelectKind:
		return in.inline(e.AsSelect().Operand(), locals)
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		inner := append(slices.Clone(locals), c.IterVar(), c.IterVar2(), c.AccuVar())
		return in.inline(c.IterRange(), locals) && in.inline(c.AccuInit(), locals) &&
			in.inline(c.LoopCondition(), inner) && in.inline(c.LoopStep(), inner) && in.inline(c.Result(), inner)
	}
	for _, x := range children(e) {
		if !in.inline(x, locals) {
			return false
		}
	}
	return true
}

func (in *inliner) inlineName(e ast.Expr, locals []string) bool {
	name := e.AsIdent()
	def := in.ld.defines[name]
	if def == nil || slices.Contains(locals, name) {
		return true
	}
	if !in.ld.resolve(def) {
		return false
	}
	at, _ := in.info.GetOffsetRange(e.ID())
	body := in.fac.CopyExpr(def.expr)
	body.RenumberIDs(func(int64) int64 {
		id := in.next
		in.next++
		in.info.SetOffsetRange(id, at)
		return id
	})
	e.SetKindCase(body)
	return true
}

// children returns the direct parts of a call, list or map.
func children(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.CallKind:
		c := e.AsCall()
		if c.IsMemberFunction() {
			return append([]ast.Expr{c.Target()}, c.Args()...)
		}
		return c.Args()
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.MapKind:
		var all []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			all = append(all, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
		return all
	}
	return nil
}

// stringLiteral returns the value of a string literal.
func stringLiteral(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok && utf8.ValidString(string(s))
}
