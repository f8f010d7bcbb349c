package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
)

// TestScoresTellLeadsApart is a sanity check of meaning: scores of real leads, each read at a moment, foretell what
// those leads did later at least as well as the plainest weights did when the data was chosen.
func TestScoresTellLeadsApart(t *testing.T) {
	if testing.Short() {
		t.Skip("120,000 real events take a while: not in short tests")
	}
	t.Run("bpi12w", loanDeskScores)
	t.Run("cdnow", shopScores)
}

// loanDeskScores reads momentum 3, 7 and 14 days after each lead's first event: stages that only time moves put out the
// scores at exactly those moments.
func loanDeskScores(t *testing.T) {
	s := realSets["bpi12w"]
	path := realFile(t, s.real...)
	text, err := os.ReadFile(importPath(s.rules))
	if err != nil {
		t.Fatal(err)
	}
	scores, _, _ := strings.Cut(string(text), "\nstages:")
	rules := write(t, "rules.yaml", scores+`
stages: [begun, "3", "7", "14"]
transitions:
  - {from: begun, to: "3", when: 'in_stage() >= duration("3d")'}
  - {from: "3", to: "7", when: 'in_stage() >= duration("4d")'}
  - {from: "7", to: "14", when: 'in_stage() >= duration("7d")'}
`)
	p := startProgram(t, testProgramConfig{rules: rules, shards: 4, history: true})
	importAll(t, p, s, path)
	past := s.readPast(t, path)
	label := map[string]bool{}
	for id, events := range past {
		label[id] = slices.ContainsFunc(events, func(e pastEvent) bool { return e.name == "Application Validated" })
	}
	got := map[string]map[string]float64{"3": {}, "7": {}, "14": {}}
	p.read(engine.TopicTransitions, func(r *engine.Record) error {
		var o struct {
			Lead, To string
			At       int64
			Scores   map[string]float64
		}
		if err := json.Unmarshal(r.Value, &o); err != nil {
			return err
		}
		if past[o.Lead] != nil {
			got[o.To][o.Lead] = o.Scores["momentum"]
		}
		return nil
	})
	p.stop()
	for days, floor := range map[string]float64{"3": 0.719, "7": 0.801, "14": 0.883} {
		if auc := areaUnderROC(t, got[days], label); auc < floor {
			t.Errorf("after %s days the area under the curve is %.4f, want at least %.3f", days, auc, floor)
		} else {
			t.Logf("after %s days the area under the curve is %.4f (floor %.3f)", days, auc, floor)
		}
	}
}

// shopScores imports what was bought until the end of September 1997 and asks the API for everybody's recency; the label
// is whether they bought again. The moment is one at which all of time's own work is done. Which one it is does not
// matter: who is ahead stays ahead while all scores decay alike.
func shopScores(t *testing.T) {
	s := realSets["cdnow"]
	path := realFile(t, s.real...)
	cut := time.Date(1997, 10, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	known := filepath.Join(t.TempDir(), "until-september.txt")
	until(t, path, known, func(line string) bool { _, e := s.read(line); return e.at < cut })
	label := map[string]bool{}
	for id, events := range s.readPast(t, path) {
		label[id] = events[len(events)-1].at >= cut
	}
	p := startProgram(t, testProgramConfig{rules: importPath(s.rules), shards: 4, history: true})
	importAll(t, p, s, known)
	const later = "1999-10-01T00:00:00Z"
	got := map[string]float64{}
	for id := range s.readPast(t, known) {
		var view struct {
			AsOf   time.Time `json:"as_of"`
			Scores map[string]float64
		}
		if code := p.get("/v1/leads/"+id+"?at="+later, &view); code != 200 || view.AsOf.Format(time.RFC3339) != later {
			t.Fatalf("lead %s: %d, as of %s", id, code, view.AsOf)
		}
		got[id] = view.Scores["recency"]
	}
	p.stop()
	const floor = 0.768
	if auc := areaUnderROC(t, got, label); auc < floor {
		t.Errorf("the area under the curve is %.4f, want at least %.3f", auc, floor)
	} else {
		t.Logf("the area under the curve is %.4f (floor %.3f)", auc, floor)
	}
}

// importAll imports a file and waits until all that follows from it has happened.
func importAll(t *testing.T, p *testProgram, s realSet, path string) {
	t.Helper()
	p.imports(&s, path, "--close")
	p.applied()
	p.reach(time.Now().UnixMilli() - 60_000)
	p.finish()
}

// until copies the header and those lines that belong to the past.
func until(t *testing.T, from, to string, past func(line string) bool) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	lines := bufio.NewScanner(z)
	for n := 0; lines.Scan(); n++ {
		if n == 0 || past(lines.Text()) {
			b.WriteString(lines.Text() + "\n")
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// areaUnderROC is the chance that a lead with the label has the higher score of two; equal scores count half.
func areaUnderROC(t *testing.T, score map[string]float64, label map[string]bool) float64 {
	t.Helper()
	if len(score) != len(label) {
		t.Errorf("%d leads have a score, of %d", len(score), len(label))
	}
	ids := slices.SortedFunc(maps.Keys(score), func(a, b string) int {
		switch {
		case score[a] < score[b]:
			return -1
		case score[a] > score[b]:
			return 1
		}
		return 0
	})
	ranks, with := 0.0, 0.0
	for i := 0; i < len(ids); {
		j := i
		for j < len(ids) && score[ids[j]] == score[ids[i]] {
			j++
		}
		for _, id := range ids[i:j] {
			if label[id] {
				ranks += float64(i+1+j) / 2
				with++
			}
		}
		i = j
	}
	without := float64(len(ids)) - with
	return (ranks - with*(with+1)/2) / (with * without)
}
