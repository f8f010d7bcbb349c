package rules

import "fmt"

// Explanation says what a rule set costs, and what can move it. All lists are in the order of the files.
type Explanation struct {
	// State is what a lead keeps, part by part.
	State []StateCost
	// Events are the kinds of events that signals ask for, and what each can touch. An event may be of several kinds: of
	// its name, and of its type.
	Events []EventUse
	// Timed are the rules that time alone can change.
	Timed []TimedRule
	// Untimed is how many conditions only events change.
	Untimed int
}

// StateCost is what one part of a rule set makes each lead keep.
type StateCost struct {
	// Kind is "lead", "score", "line", "signal", "window", "field", "trait", "tags", "held" or "hand-off".
	Kind string
	// Name is that of the part, Keeps what is kept for it.
	Name, Keeps string
	// Typical is what a lead has that is known for some weeks, Worst what one can have at most.
	Typical, Worst Cost
}

// Cost is an amount of state in bytes: as stored and sent, and as held in memory.
type Cost struct{ Stored, Memory int }

// EventUse says what one kind of events can touch.
type EventUse struct {
	// Types are the types of events, nil for any; Name is the event's name, "" for any.
	Types []string
	Name  string
	// Signals are those that ask for such an event.
	Signals []SignalUse
}

// SignalUse says what a signal touches.
type SignalUse struct {
	// Signal is its name; Certain says that every event of the kind is this signal: it asks for nothing else.
	Signal  string
	Certain bool
	// Lines are the score lines that it feeds ("engagement.demo"), tag lines included ("tags[0]").
	Lines []string
	// Kept are the windows and fields that remember it.
	Kept []string
	// Rules are the transitions and hand-offs that ask for it by signal().
	Rules []string
}

// TimedRule is a rule that time alone can change.
type TimedRule struct {
	Rule string
	// On is what in it depends on time.
	On []string
}

// What a typical lead has, and the sizes of texts that the rules do not bound. The explanation says them.
const (
	typicalEntries = 3
	typicalLedger  = 10
	typicalRecent  = 20
	typicalTags    = 5
	typicalValue   = 16
	typicalID      = 36
)

// Explain returns what the rule set costs and what can move it.
func (s *Set) Explain() Explanation {
	x := Explanation{State: s.stateCosts(), Events: s.eventUses()}
	x.Timed, x.Untimed = s.timedRules()
	return x
}

// Assumptions says what Typical and Worst stand for.
func (x *Explanation) Assumptions() string {
	return fmt.Sprintf("Typical is a lead with %d entries in each window and limit, %d contributions in its ledger, %d message ids and %d tags, "+
		"with ids of %d and values of %d bytes; worst is the most that the rules allow, with values of %s. Memory is without the spare "+
		"room that growing lists have.", typicalEntries, typicalLedger, typicalRecent, typicalTags, typicalID, typicalValue, "8 KiB")
}

// Total adds up the state.
func (x *Explanation) Total() (typical, worst Cost) {
	for i := range x.State {
		c := &x.State[i]
		typical.Stored, typical.Memory = typical.Stored+c.Typical.Stored, typical.Memory+c.Typical.Memory
		worst.Stored, worst.Memory = worst.Stored+c.Worst.Stored, worst.Memory+c.Worst.Memory
	}
	return typical, worst
}
