package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// topLevel is everything that may stand at the top of the repository, beside dot-files.
var topLevel = []string{
	"cmd", "engine", "state", "rules", "connectors", "bench", "docs", "deploy",
	"go.mod", "go.sum", "Makefile", "README.md", "LICENSE", "CHANGELOG.md",
}

// vague are names that say nothing about what a package holds.
var vague = []string{"utils", "util", "common", "types", "models", "helpers", "misc"}

// Layout finds files outside of the agreed layout.
func Layout(t Tree) []Finding {
	var out []Finding
	for _, p := range t.Paths("") {
		parts := strings.Split(p, "/")
		if top := parts[0]; !strings.HasPrefix(top, ".") && !slices.Contains(topLevel, top) {
			out = append(out, Finding{Path: p, Text: top + " does not belong at the top level"})
		}
		for _, dir := range parts[:len(parts)-1] {
			if slices.Contains(vague, dir) {
				out = append(out, Finding{Path: p, Text: "a package called " + dir + " says nothing: put it beside its caller"})
			}
		}
	}
	return out
}

// The patterns below are put together from pieces so that this file does not match them itself.
var (
	// hosts are servers that packages and images are fetched from. Which one a user's tools ask is
	// the user's own setting; a name in the source would override it or leak ours.
	hosts = regexp.MustCompile(strings.Join([]string{
		`\b(proxy|sum|index)\.` + `golang\.org`, `\bgo` + `proxy\.(io|cn)`, `\brepo1?\.maven\.` + `(apache\.)?org`,
		`\bregistry\.` + `(npmjs|yarnpkg|terraform)`, `\bpypi\.` + `org`, `\bfiles\.python` + `hosted\.org`,
		`\b(docker|ghcr|quay|gcr)\.` + `io/`, `\bdeb\.` + `debian\.org`, `\barchive\.` + `ubuntu\.com`,
	}, "|"))
	// machine are absolute paths that exist on one machine only.
	machine = regexp.MustCompile(`(^|[\s"'=(` + "`" + `:,])/(work|root|home|Users|` + `tmp)/[A-Za-z0-9_.-]+`)
	// unfinished are notes to oneself.
	unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b|\bnot implemented` + ` yet\b`)
)

// Text finds lines that must not be in any file of the project, testdata and sums left out.
func Text(t Tree) []Finding {
	var out []Finding
	t.lines(func(p string, n int, line string) {
		if p == "go.sum" || p == "LICENSE" || strings.Contains(p, "testdata/") {
			return
		}
		for what, re := range map[string]*regexp.Regexp{"registry host": hosts, "path of one machine": machine, "left open": unfinished} {
			if m := re.FindString(line); m != "" {
				out = append(out, Finding{p, n, fmt.Sprintf("%s: %s", what, strings.TrimSpace(m))})
			}
		}
	})
	slices.SortStableFunc(out, func(a, b Finding) int { return strings.Compare(a.String(), b.String()) })
	return out
}
