package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	target   = regexp.MustCompile(`(?m)^([a-z][a-z-]*):`)
	fence    = regexp.MustCompile("^\\s*```\\s*([a-z]*)")
	codeSpan = regexp.MustCompile("`([^`]+)`")
	quoted   = regexp.MustCompile(`"[^"]*"|'[^']*'`)
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	command  = regexp.MustCompile(`^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\./)?(?:bin/)?(leadstream|make)((?:\s+\S+)*)$`)
)

// Docs finds commands, flags and files that the guides name and that do not exist.
func Docs(t Tree) []Finding {
	known := knownCommands(t)
	var out []Finding
	for _, p := range t.Paths(".md") {
		shell, fenced, n := false, false, 0
		for line := range strings.Lines(t[p]) {
			n++
			if m := fence.FindStringSubmatch(line); m != nil {
				fenced = !fenced
				shell = fenced && slices.Contains([]string{"sh", "bash", "console"}, m[1])
				continue
			}
			for _, c := range commandsIn(line, fenced, shell) {
				if why := known.wrong(c); why != "" {
					out = append(out, Finding{p, n, why})
				}
			}
			if fenced {
				continue
			}
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if why := deadLink(t, p, m[1]); why != "" {
					out = append(out, Finding{p, n, why})
				}
			}
		}
	}
	return out
}

// commandsIn returns what a line of a guide tells the reader to type.
func commandsIn(line string, fenced, shell bool) []string {
	var cs []string
	switch {
	case shell:
		line, _, _ = strings.Cut(line, " #")
		for _, part := range regexp.MustCompile(`&&|;|\|`).Split(line, -1) {
			cs = append(cs, strings.TrimSpace(part))
		}
	case !fenced:
		for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
			cs = append(cs, m[1])
		}
	}
	return cs
}

// commands is what can be typed: the Makefile's targets, and the program's subcommands and words
// that may be flags.
type commands struct {
	targets, subcommands, words map[string]bool
}

// knownCommands reads targets from the Makefile and subcommands from the cobra commands in cmd.
func knownCommands(t Tree) commands {
	c := commands{map[string]bool{}, map[string]bool{"help": true}, map[string]bool{"help": true, "version": true}}
	for _, m := range target.FindAllStringSubmatch(t["Makefile"], -1) {
		c.targets[m[1]] = true
	}
	for _, p := range t.Paths(".go") {
		if !within(p, "cmd") || isTest(p) {
			continue
		}
		f, _, err := parse(t, p, parser.SkipObjectResolution)
		if err != nil {
			continue // Arrows reports it
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Use" {
					if fields := strings.Fields(literal(n.Value)); len(fields) > 0 {
						c.subcommands[fields[0]] = true
					}
				}
			case *ast.BasicLit:
				c.words[literal(n)] = true
			}
			return true
		})
	}
	return c
}

func literal(n ast.Expr) string {
	lit, ok := n.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return ""
	}
	s, err := strconv.Unquote(lit.Value)
	if err != nil {
		return "" // the parser has accepted it, so this is never reached
	}
	return s
}

// wrong returns what does not exist in the command line, "" if all of it does or it is none of ours.
func (c commands) wrong(line string) string {
	m := command.FindStringSubmatch(line)
	if m == nil {
		return ""
	}
	args := strings.Fields(quoted.ReplaceAllString(m[2], "quoted"))
	if m[1] == "make" {
		for _, a := range args {
			if !strings.Contains(a, "=") && !strings.HasPrefix(a, "-") && !c.targets[a] {
				return "make " + a + ": no such target"
			}
		}
		return ""
	}
	for i, a := range args {
		if flag, ok := strings.CutPrefix(a, "--"); ok {
			name, _, _ := strings.Cut(flag, "=")
			if !c.words[name] {
				return "leadstream: no flag --" + name
			}
		} else if i == 0 && !c.subcommands[a] {
			return "leadstream " + a + ": no such command"
		}
	}
	return ""
}

// deadLink returns what is wrong with a relative link in the file at p, "" if nothing is.
func deadLink(t Tree, p, to string) string {
	if strings.Contains(to, "://") || strings.HasPrefix(to, "#") || strings.HasPrefix(to, "mailto:") {
		return ""
	}
	to, _, _ = strings.Cut(to, "#")
	full := path.Join(path.Dir(p), to)
	for q := range t {
		if within(q, full) {
			return ""
		}
	}
	return "link to " + to + ", which does not exist"
}
