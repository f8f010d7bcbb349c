package rules

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"leadstream/state/lead"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]int64{
		"30d": 30 * day, "1d12h": 36 * hour, "15m": 15 * minute, "90s": 90 * second, "250ms": 250, "1m30s": 90 * second,
		"0s": 0, "1h5ms": hour + 5,
	} {
		got, err := parseDuration(text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
		if back, err := parseDuration(formatDuration(got)); err != nil || back != got {
			t.Errorf("%q: %d is written %q, which reads %d, %v", text, got, formatDuration(got), back, err)
		}
	}
	for _, text := range []string{"", "d", "5", "5 d", "-5d", "1.5d", "5w", "12h1d", "1d1d", "5D", "36700d", "999999999999999999d", "1d2", "ms"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q: accepted as %d", text, got)
		}
	}
}

func TestSourceRoundTrip(t *testing.T) {
	files := []File{
		{Name: "a.yaml", Src: []byte("signals:\n  s: {match: 'event.name == \"x\"'}\nstages: [a]\n")},
		{Name: "b.yaml", Src: []byte("scores:\n  e: {lines: [{signal: s, add: 1}]}\n")},
	}
	set, err := Parse(files...)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseSource(set.Source())
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != set.ID() || again.Version() != set.Version() || !bytes.Equal(again.Source(), set.Source()) {
		t.Errorf("%s came back as %s", set.Version(), again.Version())
	}
	if want := fmt.Sprintf("%016x", uint64(set.ID())); set.Version() != want || len(set.Version()) != 16 {
		t.Errorf("version %s, id %s", set.Version(), want)
	}
	other, err := Parse(files[1], files[0])
	if err != nil {
		t.Fatal(err)
	}
	if other.ID() == set.ID() {
		t.Error("files in another order are the same rule set, though transitions could be in another order")
	}
	for _, bad := range []string{"", "leadstream rules 2\n", "leadstream rules 1\n\x05ab", "leadstream rules 1\n\x01a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if _, err := ParseSource([]byte(bad)); !errors.Is(err, ErrSource) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestProblemsAcrossFiles(t *testing.T) {
	_, err := Parse(
		File{Name: "b.yaml", Src: []byte("stages: [x, y]\ndedupe: 5000\n")},
		File{Name: "a.yaml", Src: []byte("stages: [z]\nsignals:\n  s: {match: 'event.name ==='}\n")},
	)
	ps, ok := errors.AsType[*Problems](err)
	if !ok {
		t.Fatalf("%v", err)
	}
	var where []string
	for _, p := range ps.List {
		where = append(where, fmt.Sprintf("%s:%d", p.File, p.Line))
	}
	if got := strings.Join(where, " "); got != "b.yaml:2 a.yaml:1 a.yaml:3 a.yaml:3" {
		t.Errorf("problems at %s:\n%v", got, err)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("signals:\n")
	for i := range 300 {
		fmt.Fprintf(&b, "  s%d: {match: 'nope'}\n", i)
	}
	_, err := Parse(File{Name: "r", Src: []byte(b.String())})
	ps, ok := errors.AsType[*Problems](err)
	if !ok || len(ps.List) != maxProblems || ps.More != 200 {
		t.Fatalf("%v", err)
	}
}

func TestBounds(t *testing.T) {
	deep := strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300)
	long := "true" + strings.Repeat(" && true", maxExpression)
	wide := "[" + strings.Repeat("1, ", maxExpressionNodes) + "1] == []"
	bomb := "define:\n  d0: 1 + 1\n"
	for i := range 30 {
		bomb += fmt.Sprintf("  d%d: d%d + d%d\n", i+1, i, i)
	}
	aliases := "a0: &a0 [x, x]\n"
	for i := range 30 {
		aliases += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	var many strings.Builder
	many.WriteString("scores:\n  s:\n    lines:\n")
	for i := range maxLines + 2 {
		fmt.Fprintf(&many, "      - {id: l%d, when: 'true', add: 1}\n", i)
	}
	for name, src := range map[string]string{
		"deep": "stages: [a, b]\ntransitions: [{from: a, to: b, when: '" + deep + "'}]",
		"long": "stages: [a, b]\ntransitions: [{from: a, to: b, when: '" + long + "'}]",
		"wide": "stages: [a, b]\ntransitions: [{from: a, to: b, when: '" + wide + "'}]",
		"bomb": bomb, "aliases": aliases, "lines": many.String(),
	} {
		if _, err := Parse(File{Name: name, Src: []byte(src)}); err == nil {
			t.Errorf("%s: accepted", name)
		} else if len(err.Error()) > 20_000 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

func TestPageFields(t *testing.T) {
	for u, want := range map[string][2]string{
		"https://www.example.com/a/b?q#f": {"/a/b", "www.example.com"}, "http://example.com": {"/", "example.com"},
		"//cdn.example.com:80/x": {"/x", "cdn.example.com"}, "/only/path?q": {"/only/path", ""}, "nothing": {"", ""}, "": {"", ""},
		"https://u:p@H.de?x": {"/", "h.de"}, "http://[::1]:80/y": {"/y", "[::1]"}, "mailto:a//b": {"", ""},
	} {
		if path, host := string(urlPath([]byte(u))), string(urlHost([]byte(u))); path != want[0] || host != want[1] {
			t.Errorf("%q: path %q, host %q; want %q, %q", u, path, host, want[0], want[1])
		}
	}
}

// FuzzParse reads any rule file and applies whatever it accepts.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		if src, err := os.ReadFile(file); err == nil {
			f.Add(src)
		}
	}
	f.Add([]byte("stages: [a, b]\ntransitions: [{from: a, to: b, when: 'count(\"x\", \"1d\") > 0'}]\nsignals: {x: {match: 'true'}}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		set, err := Parse(File{Name: "fuzz", Src: src})
		if err != nil {
			if len(err.Error()) == 0 {
				t.Error("an error without a word")
			}
			return
		}
		again, err := ParseSource(set.Source())
		if err != nil || again.ID() != set.ID() {
			t.Fatalf("the source does not come back: %v", err)
		}
		e, l := set.NewEvaluator(), set.NewLead("l", 1)
		for i, typ := range []lead.Type{lead.Page, lead.Track, lead.Identify} {
			ev := &lead.Event{Type: typ, Name: "Demo Requested", Time: int64(i) * day, Properties: lead.Object(`{"minutes": 30, "path": "/pricing"}`),
				Traits: lead.Object(`{"email": "a@b.c", "employees": 300}`)}
			e.Apply(l, ev, nil)
			e.Fire(l, ev.Time+hour, nil)
			checkLedger(t, e.View(l, ev.Time+hour))
		}
		e.Migrate(l, again, 5*day, nil)
	})
}
