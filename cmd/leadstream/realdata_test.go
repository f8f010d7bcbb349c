package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"leadstream/bench/broker"
)

// realSet is a set of data with the mapping and the rules that are shipped for it.
type realSet struct {
	mapping, rules, sample string
	// real is where the whole set is, among data that is not part of the project.
	real     []string
	first    string
	newRules func(*bruteLead) bruteRules
	read     func(line string) (id string, e pastEvent)
}

var realSets = map[string]realSet{
	"bpi12w": {"bpi12w.yaml", "bpi12w-rules.yaml", "bpi12w-sample.csv", []string{"bpi12w", "bpi_12_w.csv.gz"}, "new", newLoanDesk, readLoanDesk},
	"cdnow":  {"cdnow.yaml", "cdnow-rules.yaml", "cdnow-sample.txt", []string{"cdnow", "CDNOW_master.txt.gz"}, "new", newShop, readShop},
}

func readLoanDesk(line string) (string, pastEvent) {
	f := strings.Split(line, ",")
	at, err := time.Parse(time.DateTime, f[2])
	if err != nil {
		panic(err)
	}
	name := map[string]string{"1": "Lead Handled", "2": "Fraud Checked", "3": "Application Completed", "4": "Incomplete File Chased",
		"5": "Called After Offer", "6": "Application Validated"}[f[1]]
	return "case-" + f[0], pastEvent{at: at.UnixMilli(), name: name}
}

func readShop(line string) (string, pastEvent) {
	f := strings.Fields(line)
	at, err := time.Parse("20060102", f[1])
	if err != nil {
		panic(err)
	}
	revenue, err := strconv.ParseFloat(f[3], 64)
	if err != nil {
		panic(err)
	}
	return "customer-" + f[0], pastEvent{at: at.UnixMilli(), name: "Order Completed", revenue: revenue}
}

func importPath(name string) string { return filepath.Join("..", "..", "deploy", "import", name) }

// realFile finds a file of the real data sets, which are not part of the project.
func realFile(t *testing.T, name ...string) string {
	t.Helper()
	dir := os.Getenv("LEADSTREAM_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(append([]string{dir}, name...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the real data sets are not here (LEADSTREAM_DATA or %s): %v", dir, err)
	}
	return path
}

// readPast reads a file's events by lead, each in order of time. The first line is a header.
func (s *realSet) readPast(t *testing.T, path string) map[string][]pastEvent {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var text io.Reader = file
	if strings.HasSuffix(path, ".gz") {
		if text, err = gzip.NewReader(file); err != nil {
			t.Fatal(err)
		}
	}
	past := map[string][]pastEvent{}
	lines := bufio.NewScanner(text)
	for lines.Scan(); lines.Scan(); {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			id, e := s.read(line)
			past[id] = append(past[id], e)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	for _, events := range past {
		slices.SortStableFunc(events, func(a, b pastEvent) int { return int(a.at - b.at) })
	}
	return past
}

// TestShippedRules keeps the shipped rule sets free of mistakes and warnings.
func TestShippedRules(t *testing.T) {
	for name, s := range realSets {
		out, errOut, code := command(t, "rules", "check", importPath(s.rules))
		if code != exitOK || errOut != "" {
			t.Errorf("%s: exit code %d\n%s%s", name, code, out, errOut)
		}
	}
}

// TestSamples imports the samples that are shipped beside the mappings, which everybody has.
func TestSamples(t *testing.T) {
	for name, s := range realSets {
		t.Run(name, func(t *testing.T) {
			runReal(t, &s, importPath(s.sample), testProgramConfig{shards: 2}, 10)
		})
	}
}

// TestRealData imports whole real data sets, into the broker inside the process and into a real one, and compares
// every stage change and hand-off with a model.
func TestRealData(t *testing.T) {
	if testing.Short() {
		t.Skip("140,000 real events take half a minute: not in short tests")
	}
	for name, s := range realSets {
		t.Run(name+"/embedded", func(t *testing.T) {
			runReal(t, &s, realFile(t, s.real...), testProgramConfig{shards: 4}, 10_000)
		})
		t.Run(name+"/broker", func(t *testing.T) {
			path := realFile(t, s.real...)
			b := broker.Shared(t)
			runReal(t, &s, path, testProgramConfig{brokers: b.Addr(), partitions: 3, shards: 4}, 10_000)
		})
	}
}

// runReal is the way of old data from a file to a funnel.
func runReal(t *testing.T, s *realSet, path string, c testProgramConfig, atLeast int) {
	t.Helper()
	past := s.readPast(t, path)
	c.rules, c.history = importPath(s.rules), true
	p := startProgram(t, c)
	began := time.Now()
	p.imports(s, path, "--close")
	p.applied()
	t.Logf("imported and applied in %s", time.Since(began).Round(time.Millisecond))
	s.check(p, past, began.UnixMilli(), atLeast)
	p.stop()
}

// TestImportInParts imports one half, lets more time pass than sources may be silent, loses the process, and imports the
// other half: time has waited, and in the end everything is as if it had come at once.
func TestImportInParts(t *testing.T) {
	s := realSets["cdnow"]
	past := s.readPast(t, importPath(s.sample))
	text, err := os.ReadFile(importPath(s.sample))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSpace(string(text)), "\n")
	header := lines[0]
	slices.SortStableFunc(lines[1:], func(a, b string) int { return strings.Compare(strings.Fields(a)[1], strings.Fields(b)[1]) })
	half := len(lines) / 2
	first, second := write(t, "first.txt", header+strings.Join(lines[1:half], "")), write(t, "second.txt", header+strings.Join(lines[half:], ""))
	p := startProgram(t, testProgramConfig{rules: importPath(s.rules), shards: 2, history: true})
	began := time.Now()
	p.imports(&s, first)
	p.applied()
	silent := time.Now()
	p.wait("more than idle_after has passed", func() bool { return time.Since(silent) > 1500*time.Millisecond })
	p.kill()
	p.start()
	p.imports(&s, first) // once more, which counts nothing twice
	p.imports(&s, second)
	p.applied()
	if _, errOut, code := command(t, "source", "close", "past", "--config", p.config); code != exitOK {
		t.Fatalf("closing: exit code %d\n%s", code, errOut)
	}
	s.check(p, past, began.UnixMilli(), 10)
	p.stop()
}

// imports runs the import command.
func (p *testProgram) imports(s *realSet, path string, more ...string) {
	p.t.Helper()
	_, errOut, code := command(p.t, append([]string{"import", "--mapping", importPath(s.mapping), "--config", p.config, "--source", "past", path}, more...)...)
	if code != exitOK {
		p.t.Fatalf("import: exit code %d\n%s", code, errOut)
	}
}

// check compares what the program has said, once the source is closed, with the model.
func (s *realSet) check(p *testProgram, past map[string][]pastEvent, until int64, atLeast int) {
	t := p.t
	t.Helper()
	// Once the source is closed, leads follow the wall clock: all that time does to them has happened by now.
	p.reach(until)
	p.finish()
	got := p.said()
	stages, outputs := map[string]int{}, 0
	wanted, kinds := map[string]*bruteLead{}, map[string]int{}
	for id, events := range past {
		want := bruteForce(s.newRules, s.first, events, until)
		wanted[id] = want
		compareSaid(t, id, got[id], want.out)
		stages[want.stage]++
		outputs += len(want.out)
		for _, o := range want.out {
			kinds[o.what]++
		}
		if t.Failed() {
			t.Fatalf("lead %s has %v", id, events)
		}
	}
	for id := range got {
		if past[id] == nil && !strings.HasPrefix(id, "end-") {
			t.Errorf("something was said of %q, which is not in the data", id)
		}
	}
	if outputs < atLeast {
		t.Fatalf("only %d outputs: the test tests nothing", outputs)
	}
	checkLeads(t, p, past, wanted)
	t.Logf("%d leads, %d outputs equal the model's: lost 0, doubled 0\n%s", len(past), outputs, funnel(got, len(past), s.first))
	t.Logf("in the end %v; %v", stages, kinds)
}

// compareSaid compares what was said of a lead with the model's, topic by topic.
func compareSaid(t *testing.T, id string, got, want []said) {
	t.Helper()
	parts := func(all []said) (x [2][]said) {
		for _, s := range all {
			i := 0
			if strings.HasPrefix(s.what, "handoff ") {
				i = 1
			}
			x[i] = append(x[i], s)
		}
		return x
	}
	g, w := parts(got), parts(want)
	if !slices.Equal(g[0], w[0]) || !slices.Equal(g[1], w[1]) {
		t.Errorf("of lead %s was said\n  %v\nthe model says\n  %v", id, got, want)
	}
}

// checkLeads asks the API for some leads and compares their stage.
func checkLeads(t *testing.T, p *testProgram, past map[string][]pastEvent, want map[string]*bruteLead) {
	t.Helper()
	ids := slices.Sorted(maps.Keys(past))
	for i := 0; i < len(ids); i += max(1, len(ids)/200) {
		var view struct {
			Stage      string
			StageSince time.Time `json:"stage_since"`
			Events     int
		}
		if code := p.get("/v1/leads/"+ids[i], &view); code != 200 {
			t.Errorf("lead %s: %d", ids[i], code)
		}
		if w := want[ids[i]]; view.Stage != w.stage || view.StageSince.UnixMilli() != w.since || view.Events != len(past[ids[i]]) {
			t.Errorf("lead %s: the API says %+v, the model %s since %d after %d events", ids[i], view, w.stage, w.since, len(past[ids[i]]))
		}
	}
}

// funnel is a table of how many leads were in each stage at the end of each quarter of the time that the data spans.
func funnel(got map[string][]said, leads int, first string) string {
	type change struct {
		from, to string
		at       int64
	}
	var changes []change
	for id, all := range got {
		for _, s := range all {
			if from, to, ok := strings.Cut(s.what, ">"); ok && !strings.HasPrefix(id, "end-") {
				changes = append(changes, change{from, to, s.at})
			}
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return int(a.at - b.at) })
	in := map[string]int{first: leads}
	var b strings.Builder
	for i, c := range changes {
		in[c.from]--
		in[c.to]++
		if (i+1)%(max(4, len(changes))/4) == 0 {
			fmt.Fprintf(&b, "  %s %v\n", time.UnixMilli(c.at).UTC().Format(time.DateOnly), in)
		}
	}
	return b.String()
}
