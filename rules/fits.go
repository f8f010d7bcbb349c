package rules

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"leadstream/state/lead"
)

// What comes in a letter was written by another process, perhaps of another version, or by whoever may write to the inbox.
// A state that decodes may still have slots that its rule set does not have. It is looked through once, here, so that all else may index.

// ErrUnfit is a letter or a lead that can't be what it says it is. Its text names places, never what is there.
var ErrUnfit = errors.New("does not fit")

func unfit(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnfit, fmt.Sprintf(format, args...))
}

// farthest bounds times: events' are before maxTime, and timers may be due some time later. A lead that is taken to a far time
// fires all timers on the way there.
const farthest = maxTime + 1000*365*day

func soundTime(t int64) bool { return t >= minTime && t <= farthest }

// Check says whether a letter's parts go together, whoever wrote it: what is wrong is an ErrUnfit. Its State is left to Fits.
func (m *Letter) Check() error {
	switch {
	case m.Kind < LinkLetter || m.Kind > AccountLetter:
		return unfit("it is of the unknown kind %d", m.Kind)
	case IsAccount(m.To) != (m.Kind == MemberLetter), m.Kind == ClaimLetter && !IsIdentifier(m.To):
		return unfit("a letter of kind %d does not go there", m.Kind)
	case IsIdentifier(m.Target), IsAccount(m.From), m.Kind != MemberLetter && m.From == "", m.Kind == LinkLetter && m.Target == "":
		return unfit("it names what is no lead")
	case m.Kind != EraseLetter && !soundTime(m.Time):
		return unfit("its time")
	case m.Note == nil:
		return nil
	}
	n := m.Note
	for _, list := range [][]Part{n.Parts, n.Was, n.Seen, n.Facts} {
		if err := checkParts(list, (*Part).sound); err != nil {
			return err
		}
	}
	for i := range n.Instead {
		if err := checkParts(n.Instead[i].Was, (*Part).sound); err != nil {
			return err
		}
	}
	for i := range n.Traits {
		if t := &n.Traits[i]; t.Kind > uint8(lead.Map) || !soundTime(t.Time) || len(t.Name) > maxNameBytes || len(t.Text) > maxTraitBytes {
			return unfit("trait %d", i)
		}
	}
	return nil
}

// checkParts bounds a list of parts, as a letter or a lead has them: an account adds them up.
func checkParts[P any](list []P, sound func(*P) bool) error {
	if len(list) > maxNoted {
		return unfit("it has %d parts, more than %d", len(list), maxNoted)
	}
	for i := range list {
		if !sound(&list[i]) {
			return unfit("part %d", i)
		}
	}
	return nil
}

func (p *Part) sound() bool { return isFinite(p.Value) && soundTime(p.At) }

func soundPart(p *lead.Part) bool { return isFinite(p.Value) && soundTime(p.At) }

// maxNoted bounds the parts and facts of one note: those of a rule set are fewer.
const maxNoted = 10_000

// Fits says whether a decoded lead can be one under this rule set: its lists are as long as the rules' and its slots among theirs,
// its numbers are finite and its lists sorted. What is wrong is an ErrUnfit.
func (s *Set) Fits(l *lead.Lead) error {
	switch {
	case l.Forward != "" || l.Gone || IsAccount(l.ID):
		return unfit("it is no lead")
	case !begun(l):
		return fitNamed(l) // nothing else of it is read
	case len(l.Scores) != len(s.scores):
		return unfit("it has %d scores, the rules %d", len(l.Scores), len(s.scores))
	case len(l.Edges) != len(s.handoffs):
		return unfit("it has %d edges, the rules %d hand-offs", len(l.Edges), len(s.handoffs))
	case int(l.Stage) >= len(s.stages):
		return unfit("it is in stage %d of %d", l.Stage, len(s.stages))
	case len(l.Account) > 1:
		return unfit("it has %d accounts", len(l.Account))
	case l.Events < 0, len(l.Recent) > maxDedupe, l.RecentNext > 0 && int(l.RecentNext) >= len(l.Recent):
		return unfit("its ring of messages")
	}
	for _, t := range []int64{l.Clock, l.FirstSeen, l.LastSeen, l.StageSince} {
		if !soundTime(t) {
			return unfit("its times")
		}
	}
	if l.LastActive != lead.NoTime && !soundTime(l.LastActive) {
		return unfit("its times")
	}
	return cmp.Or(s.fitScores(l), s.fitLines(l), s.fitWindows(l), s.fitHeld(l), fitNamed(l))
}

func (s *Set) fitScores(l *lead.Lead) error {
	for i := range l.Scores {
		if v := &l.Scores[i]; !isFinite(v.Value) || !isFinite(v.Remainder) || !soundTime(v.At) || !soundTime(v.RemainderAt) || !soundTime(v.Gain) {
			return unfit("score %d", i)
		}
	}
	i := 0
	for _, c := range l.Ledger.All() {
		if int(c.Score) >= len(s.scores) || !isFinite(c.Points) || !soundTime(c.Time) || c.Signal != lead.NoSlot && int(c.Signal) >= len(s.signals) ||
			c.Line != lead.NoSlot && (int(c.Line) >= len(s.lines) || s.lines[c.Line].score != int(c.Score)) {
			return unfit("contribution %d", i)
		}
		if d := s.scores[c.Score].decay; d == stateScore || d == derived {
			return unfit("contribution %d is to a score that has none", i)
		}
		i++
	}
	return nil
}

func (s *Set) fitLines(l *lead.Lead) error {
	if !slices.IsSortedFunc(l.Lines, compareLines) {
		return unfit("its lines are not sorted")
	}
	for i := range l.Lines {
		x := &l.Lines[i]
		if int(x.Slot) >= len(s.lines) || !soundTime(x.Fired) || !slices.IsSorted(x.Counted) || len(x.Points) != 0 && len(x.Points) != len(x.Counted) {
			return unfit("line %d", i)
		}
		if lim := s.lines[x.Slot].limit; lim != nil && lim.Points > 0 && !lim.Once && len(x.Points) != len(x.Counted) {
			return unfit("line %d has a limit of points, and not those of what it counted", i)
		}
		if slices.ContainsFunc(x.Counted, func(t int64) bool { return !soundTime(t) }) || slices.ContainsFunc(x.Points, func(v float64) bool { return !isFinite(v) }) {
			return unfit("what line %d counted", i)
		}
	}
	return nil
}

func (s *Set) fitWindows(l *lead.Lead) error {
	for i := range l.Signals {
		x := &l.Signals[i]
		if int(x.Slot) >= len(s.keepers) || i > 0 && x.Slot <= l.Signals[i-1].Slot || x.Last != math.MinInt64 && !soundTime(x.Last) || len(x.Entries) > maxEntries {
			return unfit("window %d", i)
		}
		for _, e := range x.Entries {
			if !soundTime(e.Time) || !isFinite(e.Value) {
				return unfit("an entry of window %d", i)
			}
		}
		for _, b := range x.Buckets {
			if !soundTime(b.Newest) || !isFinite(b.Sum) || b.Count < 0 {
				return unfit("a bucket of window %d", i)
			}
		}
		if !slices.IsSortedFunc(x.Entries, func(a, b lead.Entry) int { return cmp.Compare(a.Time, b.Time) }) ||
			!slices.IsSortedFunc(x.Buckets, func(a, b lead.Bucket) int { return cmp.Compare(a.Newest, b.Newest) }) {
			return unfit("window %d is not sorted", i)
		}
	}
	for i := range l.Rare().Fields {
		if f := &l.Rare().Fields[i]; int(f.Slot) >= len(s.fields) || i > 0 && f.Slot <= l.Rare().Fields[i-1].Slot || !soundTime(f.Time) {
			return unfit("field %d", i)
		}
	}
	return nil
}

func (s *Set) fitHeld(l *lead.Lead) error {
	for i := range l.Rare().Held {
		h := &l.Rare().Held[i]
		var slots int
		switch h.Kind {
		case lead.HeldPoints, lead.HeldLine:
			if slots = len(s.lines); int(h.Slot) < slots && s.lines[h.Slot].signal < 0 {
				return unfit("held points %d are of a line without signal", i)
			}
		case lead.HeldSignal:
			slots = len(s.signals)
		case lead.HeldEntry:
			slots = len(s.keepers)
		case lead.HeldField:
			slots = len(s.fields)
		case lead.HeldTag, lead.HeldDropped, lead.HeldDelivery:
			slots = math.MaxInt
		default:
			return unfit("held %d is of kind %d", i, h.Kind)
		}
		if int(h.Slot) >= slots || !isFinite(h.Points) || !soundTime(h.Time) || !soundTime(h.Due) || i > 0 && h.Due < l.Rare().Held[i-1].Due {
			return unfit("held %d", i)
		}
	}
	return nil
}

// fitNamed looks at what has names.
func fitNamed(l *lead.Lead) error {
	ascending := func(n int, name func(i int) string) bool {
		for i := 1; i < n; i++ {
			if name(i) <= name(i-1) {
				return false
			}
		}
		return true
	}
	if !ascending(len(l.Traits), func(i int) string { return l.Traits[i].Name }) || !ascending(len(l.Rare().Tags), func(i int) string { return l.Rare().Tags[i].Name }) ||
		!ascending(len(l.Rare().Consents), func(i int) string { return l.Rare().Consents[i].Purpose }) || !ascending(len(l.IDs), func(i int) string { return l.IDs[i].ID }) {
		return unfit("its traits, tags, consents or ids are not sorted")
	}
	for i := range l.Rare().Tags {
		if t := &l.Rare().Tags[i]; !isFinite(t.Weight) || !soundTime(t.At) {
			return unfit("tag %d", i)
		}
	}
	for i := range l.Account {
		if len(l.Account[i].Members) > 0 {
			return unfit("it has members")
		}
		if err := cmp.Or(checkParts(l.Account[i].Parts, soundPart), checkParts(l.Account[i].Seen, soundPart)); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(l.Rare().Named, func(id string) bool { return !strings.HasPrefix(id, identifierPrefix) || IsAccount(id) }) {
		return unfit("its identifiers")
	}
	return nil
}
