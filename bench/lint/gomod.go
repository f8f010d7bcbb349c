package lint

import (
	"go/parser"
	"maps"
	"slices"
	"strings"
)

// Requirements finds requirements in go.mod that do not say what they are for, and those that stand in
// the wrong place.
func Requirements(t Tree) []Finding {
	var out []Finding
	direct := map[string]bool{} // by module: whether it is required directly
	inRequire, n := false, 0
	for line := range strings.Lines(t["go.mod"]) {
		n++
		code, comment, _ := strings.Cut(strings.TrimSpace(line), "//")
		fields := strings.Fields(code)
		switch {
		case len(fields) == 2 && fields[0] == "require" && fields[1] == "(":
			inRequire = true
			continue
		case len(fields) == 1 && fields[0] == ")":
			inRequire = false
			continue
		case len(fields) == 3 && fields[0] == "require":
			fields = fields[1:]
		case !inRequire || len(fields) != 2:
			continue
		}
		comment = strings.TrimSpace(comment)
		direct[fields[0]] = comment != "indirect" && !strings.HasPrefix(comment, "indirect;")
		if comment == "" {
			out = append(out, Finding{"go.mod", n, fields[0] + " does not say what it is for"})
		}
	}
	return append(out, misplaced(t, direct)...)
}

// misplaced finds modules that are imported by this one and that go.mod calls indirect, and the reverse.
func misplaced(t Tree, direct map[string]bool) []Finding {
	modules := slices.Sorted(maps.Keys(direct))
	imported := map[string]bool{}
	for _, p := range t.Paths(".go") {
		f, _, err := parse(t, p, parser.ImportsOnly)
		if err != nil {
			continue // Arrows reports it
		}
		for _, name := range importNames(f) {
			// Sorted, so the last that fits is the longest: a nested module wins over the one around it.
			owner := ""
			for _, m := range modules {
				if within(name, m) {
					owner = m
				}
			}
			if owner != "" {
				imported[owner] = true
			}
		}
	}
	var out []Finding
	for _, m := range modules {
		switch {
		case imported[m] && !direct[m]:
			out = append(out, Finding{Path: "go.mod", Text: m + " is imported, but marked indirect"})
		case direct[m] && !imported[m]:
			out = append(out, Finding{Path: "go.mod", Text: m + " is required, but imported by nothing"})
		}
	}
	return out
}
