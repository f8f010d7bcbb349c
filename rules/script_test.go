package rules

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"leadstream/state/lead"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected files under testdata")

// TestScripts runs testdata/evaluate/*.txt. A script is a list of commands, each with its input, a line
// of dashes, and the expected output; an empty line ends it. Times are ms or durations, also negative.
//
//	rules                   the input is a rule file; the lead starts anew
//	switch at=T             the input is a rule file that the lead is brought under
//	event at=T [id=M]       the input is a message; outputs are printed
//	fire to=T               fires timers up to T, as the shard's tick would
//	command at=T [id=M] adjust=SCORE points=N | retract=M | move=STAGE [reason=R]
//	view at=T               scores, stage and the next change
//	ledger at=T             what the scores consist of
//	state                   what the lead remembers
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/evaluate/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { runScript(t, file) })
	}
}

type script struct {
	t    *testing.T
	set  *Set
	eval *Evaluator
	lead *lead.Lead
}

func runScript(t *testing.T, file string) {
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t}
	var got strings.Builder
	lines := strings.Split(strings.TrimRight(string(src), "\n"), "\n")
	for i := 0; i < len(lines); {
		line := lines[i]
		if line == "" || strings.HasPrefix(line, "#") {
			got.WriteString(line + "\n")
			i++
			continue
		}
		j := i + 1
		for j < len(lines) && lines[j] != "----" {
			j++
		}
		if j == len(lines) {
			t.Fatalf("%s:%d: no ---- after %q", file, i+1, line)
		}
		input := lines[i+1 : j]
		out := s.run(line, strings.Join(input, "\n"))
		for _, l := range lines[i : j+1] {
			got.WriteString(l + "\n")
		}
		got.WriteString(out)
		for i = j + 1; i < len(lines) && lines[i] != ""; i++ {
		}
	}
	matchGolden(t, file, got.String(), string(src))
}

func matchGolden(t *testing.T, file, got, want string) {
	t.Helper()
	got, want = strings.TrimRight(got, "\n")+"\n", strings.TrimRight(want, "\n")+"\n"
	if got == want {
		return
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s: go test ./rules -rewrite writes what it got\n%s", file, firstDifference(got, want))
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return fmt.Sprintf("line %d:\n got %s\nwant %s", i+1, a, b)
		}
	}
	return ""
}

func (s *script) run(command, input string) string {
	words := strings.Fields(command)
	args := make(map[string]string)
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		args[k] = v
	}
	if words[0] != "rules" && s.set == nil {
		s.t.Fatalf("%s comes before rules", command)
	}
	switch words[0] {
	case "rules":
		set, err := Parse(File{Name: "rules", Src: []byte(input)})
		if err != nil {
			s.set = nil
			return err.Error() + "\n"
		}
		s.set, s.eval, s.lead = set, set.NewEvaluator(), set.NewLead("ann", 1)
		return warnings(set)
	case "switch":
		set, err := Parse(File{Name: "rules", Src: []byte(input)})
		if err != nil {
			return err.Error() + "\n"
		}
		old := s.set
		s.set, s.eval = set, set.NewEvaluator()
		return warnings(set) + s.outputs(s.eval.Migrate(s.lead, old, s.time(args["at"]), nil))
	case "event":
		ev := testEvent(s.t, input, s.time(args["at"]), args["id"])
		out, verdict := s.eval.Apply(s.lead, ev, nil)
		if verdict == Duplicate {
			return "duplicate\n"
		}
		return s.outputs(out) + s.errors()
	case "fire":
		out := s.eval.Fire(s.lead, s.time(args["to"]), nil)
		return s.outputs(out) + s.errors()
	case "command":
		return s.command(args)
	case "view":
		return s.view(s.time(args["at"]))
	case "ledger":
		return s.ledger(s.time(args["at"]))
	case "state":
		return s.state()
	}
	s.t.Fatalf("unknown command %q", command)
	return ""
}

func (s *script) command(args map[string]string) string {
	c := &Command{Time: s.time(args["at"]), ID: args["id"], Score: args["adjust"], Stage: args["move"], Reason: args["reason"]}
	switch {
	case args["adjust"] != "":
		c.Kind = Adjust
		c.Points, _ = strconv.ParseFloat(args["points"], 64)
	case args["retract"] != "":
		c.Kind, c.Message = Retract, lead.HashString(args["retract"])
	default:
		c.Kind = Move
	}
	out, verdict := s.eval.Command(s.lead, c, nil)
	names := map[Verdict]string{Duplicate: "duplicate\n", Missed: "missed\n", Refused: "refused\n"}
	return names[verdict] + s.outputs(out) + s.errors()
}

func (s *script) time(text string) int64 {
	s.t.Helper()
	t, err := testTime(text)
	if err != nil {
		s.t.Fatalf("time %q: %v", text, err)
	}
	return t
}

// testTime reads ms, a duration, or sums of them: 7d, -7d, 799502112, 7d+1.
func testTime(text string) (int64, error) {
	text = strings.ReplaceAll(text, "-", "+-")
	var sum int64
	for part := range strings.SplitSeq(strings.TrimPrefix(text, "+"), "+") {
		digits, negative := strings.CutPrefix(part, "-")
		v, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			if v, err = parseDuration(digits); err != nil {
				return 0, err
			}
		}
		if negative {
			v = -v
		}
		sum += v
	}
	return sum, nil
}

func showTime(t int64) string {
	switch {
	case t == never:
		return "never"
	case t < 0:
		return fmt.Sprintf("%d (-%s)", t, formatDuration(-t))
	}
	return fmt.Sprintf("%d (%s)", t, formatDuration(t))
}

// testEvent reads a message as a decoder would, for the fields that rules look at.
func testEvent(t testing.TB, text string, at int64, id string) *lead.Event {
	t.Helper()
	var m struct {
		Type, Event, Name, UserID, AnonymousID, GroupID, Category, Channel string
		Properties, Context, Traits                                        json.RawMessage
	}
	if text == "" {
		text = "{}"
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("event %s: %v", text, err)
	}
	ev := &lead.Event{
		Type: lead.Track, Time: at, Name: m.Event, Source: "test", UserID: []byte(m.UserID), AnonymousID: []byte(m.AnonymousID),
		GroupID: []byte(m.GroupID), Category: []byte(m.Category), Channel: []byte(m.Channel),
		Properties: lead.Object(m.Properties), Context: lead.Object(m.Context), Traits: lead.Object(m.Traits),
	}
	if m.Type != "" {
		ev.Type = typeNamed(m.Type)
	}
	if m.Name != "" {
		ev.Name = m.Name
	}
	if id != "" {
		ev.MessageID, ev.MessageHash = []byte(id), lead.HashString(id)
	}
	return ev
}

func warnings(set *Set) string {
	var b strings.Builder
	for _, w := range set.Warnings() {
		b.WriteString("warning: " + w.String() + "\n")
	}
	return b.String()
}

func number3(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

func showScores(list []lead.NamedScore) string {
	var parts []string
	for _, n := range list {
		p := n.Name + "=" + number3(n.Value)
		if n.Grade != "" {
			p += " " + n.Grade
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, ", ")
}

func (s *script) outputs(list []lead.Output) string {
	var b strings.Builder
	for _, o := range list {
		fmt.Fprintf(&b, "%s at %s by %s: ", o.Kind, showTime(o.At), o.Event)
		if o.Kind == lead.StageChanged {
			fmt.Fprintf(&b, "%s -> %s (%s) after %s", o.From, o.To, o.Reason, formatDuration(o.InStage))
		} else {
			fmt.Fprintf(&b, "%s to %q in stage %s", o.Name, o.Team, o.To)
		}
		fmt.Fprintf(&b, "; %s;", showScores(o.Scores))
		for _, c := range o.Top {
			fmt.Fprintf(&b, " %s.%s %s", c.Score, c.Line, number3(c.Now))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// errors prints what was counted since the last command.
func (s *script) errors() string {
	var b strings.Builder
	c := s.eval.Counts()
	for i, n := range c.Errors {
		if n > 0 {
			fmt.Fprintf(&b, "errors: %s: %d\n", s.set.Rules()[i], n)
		}
	}
	for i, n := range c.Dropped {
		if n > 0 {
			fmt.Fprintf(&b, "dropped: %s\n", s.set.Handoffs()[i])
		}
	}
	if c.Machines > 0 {
		fmt.Fprintf(&b, "machines: %d\n", c.Machines)
	}
	if c.TooLate > 0 {
		b.WriteString("too late\n")
	} else if c.Late > 0 {
		b.WriteString("late\n")
	}
	c.Reset()
	return b.String()
}

func (s *script) view(at int64) string {
	before := fmt.Sprintf("%+v", *s.lead)
	v := s.eval.View(s.lead, at)
	if after := fmt.Sprintf("%+v", *s.lead); after != before {
		s.t.Errorf("View changed the lead from\n%s to\n%s", before, after)
	}
	checkLedger(s.t, v)
	return fmt.Sprintf("%s since %s; %s; next change %s\n", v.Stage, showTime(v.StageSince), showScores(v.Scores), showTime(v.NextChange))
}

// checkLedger checks that each score is the sum of its ledger entries.
func checkLedger(t testing.TB, v View) {
	t.Helper()
	for _, sc := range v.Scores {
		sum, size := 0.0, 1.0
		for _, c := range v.Ledger {
			if c.Score == sc.Name {
				sum += c.Now
				size = max(size, c.Now, -c.Now)
			}
		}
		if d := sum - sc.Value; d > 1e-9*size || d < -1e-9*size {
			t.Errorf("score %s is %v, its ledger adds up to %v", sc.Name, sc.Value, sum)
		}
	}
}

func (s *script) ledger(at int64) string {
	var b strings.Builder
	for _, c := range s.eval.View(s.lead, at).Ledger {
		fmt.Fprintf(&b, "%s.%s %s at %s, now %s\n", c.Score, c.Line, number3(c.Points), showTime(c.Time), number3(c.Now))
	}
	return b.String()
}

func (s *script) state() string {
	l := s.lead
	var b strings.Builder
	fmt.Fprintf(&b, "clock %s, due %s, first seen %s, last seen %s, %d events\n", showTime(l.Clock), showTime(l.Due), showTime(l.FirstSeen), showTime(l.LastSeen), l.Events)
	for _, x := range l.Traits {
		fmt.Fprintf(&b, "trait %s = %s at %s\n", x.Name, x.Value.Text, showTime(x.Time))
	}
	for _, x := range l.Signals {
		fmt.Fprintf(&b, "%s: last %s, %d entries, %d buckets\n", s.set.keepers[x.Slot].name, showTime(x.Last), len(x.Entries), len(x.Buckets))
	}
	for _, x := range l.Lines {
		ln := &s.set.lines[x.Slot]
		fmt.Fprintf(&b, "line %s.%s: fired %d, counted %v, points %v\n", s.set.scores[ln.score].name, ln.id, x.Fired, x.Counted, x.Points)
	}
	for _, x := range l.Rare().Fields {
		fmt.Fprintf(&b, "%s: %s at %s\n", s.set.fields[x.Slot].name, x.Value.Text, showTime(x.Time))
	}
	for _, x := range l.Rare().Tags {
		fmt.Fprintf(&b, "tag %s: %s at %s\n", x.Name, number3(x.Weight), showTime(x.At))
	}
	for _, x := range l.Rare().Held {
		fmt.Fprintf(&b, "held %d: due %s, of %s, %g points\n", x.Kind, showTime(x.Due), showTime(x.Time), x.Points)
	}
	for i, x := range l.Edges {
		fmt.Fprintf(&b, "edge %s: %v until %d\n", s.set.handoffs[i].name, x.On, x.Until)
	}
	return b.String()
}

// TestRuleFiles checks that every *.good.yaml loads, with the warnings beside it, and that every
// *.bad.yaml is refused with the text beside it.
func TestRuleFiles(t *testing.T) {
	good, _ := filepath.Glob("testdata/*.good.yaml")
	bad, _ := filepath.Glob("testdata/*.bad.yaml")
	if len(good) == 0 || len(bad) == 0 {
		t.Fatal("no rule files")
	}
	for _, file := range slices.Concat(good, bad) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			set, err := Parse(File{Name: filepath.Base(file), Src: src})
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			var got string
			switch {
			case err != nil && slices.Contains(good, file):
				t.Fatalf("refused:\n%v", err)
			case err == nil && slices.Contains(bad, file):
				t.Fatal("accepted")
			case err != nil:
				got = err.Error()
			default:
				got = warnings(set)
			}
			want, err := os.ReadFile(golden)
			if err != nil && !*rewrite {
				t.Fatal(err)
			}
			matchGolden(t, golden, got, string(want))
		})
	}
}
