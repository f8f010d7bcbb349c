package rules

import (
	"math"
	"strconv"

	"leadstream/state/lead"
)

// Set is a checked, compiled rule set. It is immutable and safe for concurrent use.
type Set struct {
	id       lead.RuleSetID
	version  string
	source   []byte
	warnings []Problem

	dedupe             int
	maxLate, maxFuture int64
	// retention is how long a lead stays of which nothing is heard, 0 for ever; eraseGrace how long what was erased bars
	// old events.
	retention, eraseGrace int64

	signals   []signal
	dispatch  dispatch
	traits    []string       // those that rules read, sorted
	traitSlot map[string]int // the same by name
	keepers   []keeper       // leads keep them by slot; those of signals come first
	scores    []score
	scoreSlot map[string]int
	fields    []fieldKeeper
	matrices  []matrix
	tags      tagRules
	consent   consentRules
	retracts  []retractRule
	machines  machines
	identity  identityRules
	// accounts is nil without accounts; accountRule is where the names of their rules begin among rules.
	accounts    *accountRules
	accountRule int
	// side is set in the rule set that moves accounts.
	side *accountSide
	// holds says that something is held back, at most for longestHold ms.
	holds       bool
	longestHold int64
	timezone    string
	usesLocal   bool
	entering    [][]int // by stage: the lines that its entering runs, in file order
	lines       []line
	inactive    []int // inactivity lines, in file order
	stages      []stage
	// mergeRank lists stages from the lowest rank on; nil is their own order.
	mergeRank []int
	// transitions and handoffs are in file order; from holds for each stage the transitions possible there.
	transitions []transition
	from        [][]int
	handoffs    []handoff
	readers     readerIndex
	// rules names whatever can be blamed for an error at run time.
	rules []string
}

// decay says how a score is kept and what time does to it.
type decay uint8

const (
	decayNone    decay = iota // none and half_life: one value; halfLife 0 is none
	decayAll                  // expire_after: each contribution counts for span, then not at all
	decayLine                 // linear_over: each contribution falls to 0 over span
	decayStepped              // step: one value, multiplied by keep every span after the latest gain
	stateScore                // the sum of the lines that hold
	derived                   // a weighted sum of other scores
)

// score is one score.
type score struct {
	name     string
	decay    decay
	halfLife int64 // ms, 0 none
	span     int64 // expire_after, linear_over and step, ms
	keep     float64
	keeper   int // where expire_after and linear_over keep their contributions
	min, max float64
	lines    []int
	// A derived score is the sum of parts, scores that are not derived, and base.
	parts []weight
	base  float64
	// timed says that it may change with time alone.
	timed bool
	// kept says that leads keep the sum of its state lines: time does not change it.
	kept bool
	// Grades from the highest floor to the lowest; empty without grades.
	gradeNames  []string
	gradeFloors []float64
}

// clamped says that the score is limited when it is read, not when something is added.
func (s *score) clamped() bool {
	return s.decay != decayNone && s.decay != decayStepped && (s.min > -math.MaxFloat64 || s.max < math.MaxFloat64)
}

// matrix is two grades side by side.
type matrix struct {
	name       string
	rows, cols int // scores
	cells      []string
}

// line is one line of a score.
type line struct {
	id     string
	score  int
	signal int // -1 unless it is a signal's line
	add    *number
	limit  *limit
	by     *keyExpr
	// State lines: the first tier whose condition is true counts. A line with `when` has one.
	tiers []tierLine
	hold  int64 // ms that its points are held back
	// Inactivity lines.
	inactive int64
	of       []int // signals; nil: track, page and screen
	repeat   bool
	// Stage lines: enter is a stage, -1 for other lines. set says that add is the score's new value.
	enter int
	set   bool
}

// tierLine is one entry of a state line.
type tierLine struct {
	when *cond
	add  *number
}

type stage struct {
	name     string
	terminal bool
}

// transition is one line of transitions.
type transition struct {
	from    []bool // by stage
	to      int
	when    *cond
	reason  string
	minStay int64
}

// handoff is one hand-off.
type handoff struct {
	name         string
	when         *cond
	cooldown     int64
	team         string
	acceptWithin int64
	// fact is not 0 for what is no hand-off but a comparison that leads' conditions ask their account for.
	fact uint64
}

// ID names the rule set by its content: the first 8 bytes of the hash that Version shows.
func (s *Set) ID() lead.RuleSetID { return s.id }

// Version returns the first 16 hexadecimal digits of the content's hash.
func (s *Set) Version() string { return s.version }

// Warnings returns what is allowed but probably a mistake, by place in the files.
func (s *Set) Warnings() []Problem { return s.warnings }

// MaxFuture returns by how many ms an event's own time may be after its record's; 0 is not at all.
func (s *Set) MaxFuture() int64 { return s.maxFuture }

// Rules names what Counts.Errors counts, in its order.
func (s *Set) Rules() []string { return s.rules }

// Handoffs returns the names of the hand-offs in file order, those of accounts after those of leads.
func (s *Set) Handoffs() []string {
	names := make([]string, len(s.handoffs))
	for i := range s.handoffs {
		names[i] = s.handoffs[i].name
	}
	if a := s.accounts; a != nil {
		names = append(names, a.set.Handoffs()[:a.set.side.normal]...)
	}
	return names
}

// Stages returns the names of the stages in file order.
func (s *Set) Stages() []string {
	names := make([]string, len(s.stages))
	for i := range s.stages {
		names[i] = s.stages[i].name
	}
	return names
}

// NewLead returns a lead that nothing has happened to yet. It begins with the first event applied to it.
func (s *Set) NewLead(id string, incarnation uint32) *lead.Lead {
	if IsAccount(id) && !s.ofAccounts() {
		return s.newAccount(id, incarnation)
	}
	return &lead.Lead{
		ID: id, Incarnation: incarnation, Rules: s.id, Due: never, LastActive: lead.NoTime,
		Scores: make([]lead.Score, len(s.scores)), Edges: make([]lead.Edge, len(s.handoffs)),
		Node: lead.Node{Pointer: uint64(max(incarnation, 1)-1) << pointerBits},
	}
}

// pointerBits keep the pointers of a node's incarnations apart: letters that name one of before may still be on their way.
const pointerBits = 20

// Counts are what an Evaluator counted since its Reset. All are plain numbers for metrics.
type Counts struct {
	// Late counts events older than their lead's clock; TooLate those of them older than max_late.
	Late, TooLate int64
	// Gated counts events whose signals did not count because a consent was not there.
	Gated int64
	// Duplicates counts events that were dropped because their message had been applied.
	Duplicates int64
	// Timers counts timers that did something, Idle those that changed nothing.
	Timers, Idle int64
	// Machines counts held signals and points that were dropped as a machine's; HeldFull those for which there
	// was no room.
	Machines, HeldFull int64
	// Linked counts nodes that became pointers, Merged leads that were merged into others, Claimed identifiers that
	// leads named.
	Linked, Merged, Claimed int64
	// Told counts letters of leads to their accounts, Answered those of accounts to their members. Crowded counts leads that
	// came to an account with no room for one more member of its own.
	Told, Answered, Crowded int64
	// Refused counts links that were refused, by the Why of a lead.Refusal.
	Refused [NumWhys]int64
	// Missed counts retractions by events of which nothing was known.
	Missed int64
	// Stopped counts leads that rest until their next event, because time alone moved them for too long.
	Stopped int64
	// LongGroups counts group calls whose id was too long; they put nobody anywhere.
	LongGroups int64
	// LongTraits counts trait values that were too long and kept as null.
	LongTraits int64
	// Errors counts evaluations that ended in an error, by Set.Rules.
	Errors []int64
	// Dropped counts rising edges inside a cooldown, by Set.Handoffs.
	Dropped []int64
}

func (s *Set) newCounts() *Counts {
	n := len(s.handoffs)
	if s.accounts != nil {
		n += s.accounts.set.side.normal
	}
	return &Counts{Errors: make([]int64, len(s.rules)), Dropped: make([]int64, n)}
}

// add adds what accounts counted, whose rules and hand-offs come after others.
func (c *Counts) add(a *Counts, rules, handoffs int) {
	c.Late, c.Timers, c.Idle, c.Stopped = c.Late+a.Late, c.Timers+a.Timers, c.Idle+a.Idle, c.Stopped+a.Stopped
	c.Answered, c.Duplicates = c.Answered+a.Answered, c.Duplicates+a.Duplicates
	for i, n := range a.Errors {
		c.Errors[rules+i] += n
	}
	for i := range len(c.Dropped) - handoffs {
		c.Dropped[handoffs+i] += a.Dropped[i]
	}
}

// Reset sets all counts to 0.
func (c *Counts) Reset() {
	clear(c.Errors)
	clear(c.Dropped)
	*c = Counts{Errors: c.Errors, Dropped: c.Dropped}
}

// failed counts an error of a rule.
func (x *scope) failed(rule int) {
	if !x.quiet {
		x.counts.Errors[rule]++
	}
}

// rule notes who is blamed for an error at run time.
func (ld *loader) rule(format string, args ...string) int {
	name := format
	for _, a := range args {
		name += " " + strconv.Quote(a)
	}
	ld.set.rules = append(ld.set.rules, name)
	return len(ld.set.rules) - 1
}
