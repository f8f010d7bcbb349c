package lead

// Kind is the kind of an output.
type Kind uint8

// The kinds of outputs. The zero Kind is invalid.
const (
	StageChanged Kind = iota + 1
	HandOff
	LeadMerged
	// LeadErased is a lead that was erased: Lead is a hash of its id. LeadExpired is one that nothing was heard of for too long.
	LeadErased
	LeadExpired
)

// String returns the name used in the record's "type" field.
func (k Kind) String() string {
	switch k {
	case StageChanged:
		return "stage.changed"
	case HandOff:
		return "handoff"
	case LeadMerged:
		return "lead.merged"
	case LeadErased:
		return "lead.erased"
	case LeadExpired:
		return "lead.expired"
	}
	return ""
}

// Output is one thing the engine says to the world about a lead. It owns its memory.
type Output struct {
	Kind Kind
	// ID is deterministic: OutputID of lead, incarnation and counter.
	ID string
	// Lead is the lead id; UserID its latest userId, "" while anonymous. Of an account both are "", and Account is its id;
	// elsewhere that is "".
	Lead    string
	UserID  string
	Account string
	// At is the lead's clock when it happened: for a timer the exact due time, however late the machine was.
	At int64
	// Event is the messageId that did it, or the timer's kind ("timer:crossing", "timer:inactivity", ...).
	Event string
	// RuleSet is the version of the rule set that decided it.
	RuleSet string

	// From, To, Reason, EnteredAt and InStage (ms) are set for stage changes; To is the present stage for hand-offs. Of a
	// merge From is the id that was merged, To the lead that it was merged into, Reason what linked them.
	From, To, Reason string
	EnteredAt        int64
	InStage          int64

	// Name, Team and AcceptWithin (ms, 0 none) are set for hand-offs.
	Name, Team   string
	AcceptWithin int64

	// Scores are the values at At, in the rule set's order. Grades are those of scores that have them.
	Scores []NamedScore
	// Matrices are the cells of the rule set's matrices, in its order.
	Matrices []NamedCell
	// Top are contributions by present value: the top 5 for a stage change, all in the ledger that
	// still count for a hand-off (at most 64).
	Top []NamedContribution

	// MemberCount and Members, the 5 that add most, are set for accounts, which have no Top.
	MemberCount int64
	Members     []NamedMember
}

// NamedMember is a member of an account with what it adds to the account's scores.
type NamedMember struct {
	Lead, Role string
	Scores     []NamedScore
}

// NamedScore is a score's value, and its grade where it has one.
type NamedScore struct {
	Name  string
	Value float64
	Grade string
}

// NamedCell is a matrix and the cell that a lead is in: two grades side by side.
type NamedCell struct {
	Name, Cell string
}

// NamedContribution is a ledger entry in the rule set's words.
type NamedContribution struct {
	Score, Line, Signal string
	// Time is the event time; Points what it added then; Now what is left of it at the output's At.
	Time        int64
	Points, Now float64
}
