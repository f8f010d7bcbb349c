package lead

import "math"

// Never is the due time of a timer that is not armed.
const Never = int64(math.MaxInt64)

// NoTime is the time of what has not happened yet.
const NoTime = int64(math.MinInt64)

// RuleSetID names a rule set: the first 8 bytes of its content hash, big endian. 0 is no rule set.
type RuleSetID uint64

// Lead is everything kept about one lead. Slots are indexes into the rule set named by Rules;
// package rules owns their meaning. Slices that are marked sparse hold only slots with something to
// remember, in ascending slot order.
//
// A Lead reachable by readers is immutable: the engine clones it before the first change in an epoch.
type Lead struct {
	// ID is the lead id: the routing id it was created for. Never empty.
	ID string
	// Epoch is the shard epoch in which this version was made. Set by the engine only.
	Epoch uint64
	// Incarnation counts how often a lead of this id was created anew; part of output ids.
	Incarnation uint32
	// RecentNext is the place in Recent of the next message hash, once that is full.
	RecentNext uint32
	// Seq counts the outputs this incarnation has put out; part of output ids.
	Seq uint64
	// Rules is the rule set whose slots the fields below follow.
	Rules RuleSetID

	// Clock is the latest of: event times applied, timers that did something. It never goes back.
	Clock int64
	// FirstSeen and LastSeen are the earliest and latest event time of any event applied.
	FirstSeen, LastSeen int64
	// LastActive is the latest time of a track, page or screen event; NoTime until there is one.
	LastActive int64
	// Events counts applied events, duplicates not included.
	Events int64
	// UserID is the latest userId seen, "" while the lead is anonymous.
	UserID string
	// Zone is the IANA name from context.timezone, "" when never given.
	Zone string

	// StageSince is when Stage, a slot in the rule set's stages, was entered.
	StageSince int64
	Stage      uint16
	// Ready says that a transition of the stage is true and has not fired, because only time made it so
	// or because it had fired before: the next event fires it.
	Ready bool
	// Says that Recent is also that of earlier versions; see Fork.
	sharedRecent bool

	// Spins counts the outputs of timers since the last event or command. Package rules bounds it.
	Spins uint32

	// Due is the armed timer: no later than the first millisecond at which time alone can change
	// something. Never when nothing is armed.
	Due int64

	// Scores holds one entry for every score of the rule set, by slot.
	Scores []Score
	// Lines is sparse: what limits, once and inactivity remember.
	Lines []Line
	// Signals is sparse: the windows of the signals that conditions read.
	Signals []Signal
	// Edges holds one entry for every hand-off (and trigger) of the rule set, by slot.
	Edges []Edge
	// Traits are sorted by name; only those that rules read are kept.
	Traits []Trait
	// Recent is the ring of the newest message hashes.
	Recent []uint64
	// Ledger holds the newest contributions, oldest first.
	Ledger Ledger
	// Node is what the id itself keeps, whether it is a lead or was merged into another.
	Node
	// IDs are the ids that belong to the lead beside its own, sorted: the IDs of the lead as long as it is one,
	// those that came with it once it was merged into another.
	IDs []LinkedID
	// Account is the lead's place in an account, or an account's members: one element, none where there is neither.
	Account []Membership

	rare *Rare // nil where there is nothing in it
}

// Consent is what a lead last said about one purpose.
type Consent struct {
	Purpose string
	Granted bool
	// Time is the event's or command's; Source where it was said, in words of package rules.
	Time   int64
	Source string
}

// Node is the place of an id among those of one person. Every id is a node: a lead, or a forward pointer
// to the id that it was linked to; an identifier is a pointer to the lead that names it.
type Node struct {
	// Forward is the id that this one was linked to, "" for a lead. A node with one has no other state of a lead.
	Forward string
	// Pointer counts how often Forward was set or removed: with the id it names one pointer among all there ever were.
	Pointer uint64
	// User says that the id was used as a user's; Known that it belongs, or belonged when it was linked, to such an id.
	User, Known bool
	// Identifier says that this is no id of a person but something that persons share: Forward is then the lead that
	// names it, FirstSeen that lead's as it was known.
	Identifier bool
	// Gone says that nothing is left of the node but its id, and that only until the redo point has passed it. UserID
	// is then the request that it was erased by, "" for others, and Due NoTime, so that a restart finds it.
	Gone bool
	// After bars events up to this time: the id was erased then, and they are of who it was before. 0 bars nothing,
	// Never all.
	After int64
	// Apart are ids that this one was separated from by hand and is not linked to again by what events say.
	Apart []string
}

// LinkedID is an id of a lead beside its own.
type LinkedID struct {
	ID string
	// Merged says that it was merged into the lead; else the link has been asked for.
	Merged bool
}

// Refusal is a link that was refused.
type Refusal struct {
	// ID was not linked to With at Time; Why is the reason, in words of package rules.
	ID, With string
	Time     int64
	Why      uint8
}

// Score is the stored value of one score: Value at time At. Reads decay it from At to the time asked
// for; only additions and merges re-anchor it. Of scores that are not one value, which package rules can
// tell, Value and At are its own notes.
type Score struct {
	Value float64
	At    int64
	// Remainder is what contributions pushed out of the ledger still add, as of RemainderAt.
	Remainder   float64
	RemainderAt int64
	// Gain is the time of the latest gain, from which a step score's steps are counted; Steps how many have
	// passed up to At since the lead began. Both are 0 for other scores.
	Gain  int64
	Steps int64
}

// Line is what a score line remembers.
type Line struct {
	Slot uint16
	// Key tells the values of a `by:` expression apart: HashID of the value, 0 without `by:`.
	Key uint64
	// Fired is the time of the last inactivity firing, or of the contribution that `once` let through; 0 if none.
	Fired int64
	// Counted are the times of the newest counted contributions, ascending.
	Counted []int64
	// Points are the points of Counted, kept only by lines with a points limit.
	Points []float64
}

// Signal is the window of one signal.
type Signal struct {
	Slot uint16
	// Last is the latest time of the signal.
	Last int64
	// Entries are the newest entries in (Time, Message) order.
	Entries []Entry
	// Buckets hold entries pushed out of Entries, ascending by time.
	Buckets []Bucket
}

// Entry is one occurrence of a signal.
type Entry struct {
	Time    int64
	Message uint64
	// Value is the field that sum, first or last reads; unused otherwise.
	Value float64
}

// Bucket counts entries pushed out of a window: all are taken to have the time of the newest.
type Bucket struct {
	Newest int64
	Count  int64
	Sum    float64
}

// Edge is the memory of a rising-edge rule.
type Edge struct {
	// On is the condition's value when it was last evaluated.
	On bool
	// Until is when the cooldown ends; 0 if it never fired.
	Until int64
}

// Trait is one trait of a lead with the event that set it; the greater (Time, Message) wins.
// A Null value is kept as a tombstone, so that an older event cannot bring the trait back.
type Trait struct {
	Name    string
	Value   Value
	Time    int64
	Message uint64
}

// Field is a field of one event of a signal: the first or the last one.
type Field struct {
	Slot    uint16
	Value   Value
	Time    int64
	Message uint64
}

// Tag is the weight of a tag: Weight at time At.
type Tag struct {
	Name   string
	Weight float64
	At     int64
}

// HeldKind tells what is held.
type HeldKind uint8

// The kinds of what is held. Those from HeldLine to HeldTag belong to the HeldSignal before them.
const (
	// HeldPoints are the points of one line.
	HeldPoints HeldKind = iota + 1
	// HeldSignal is a whole signal.
	HeldSignal
	// HeldLine are the points that one line makes of it.
	HeldLine
	// HeldEntry is what a window keeps of it, HeldField what a field keeps.
	HeldEntry
	HeldField
	// HeldTag is the weight it gives to a tag.
	HeldTag
	// HeldDropped and HeldDelivery do nothing when they are due: they remember what was dropped as a
	// machine's, and when a mail was delivered.
	HeldDropped
	HeldDelivery
)

// Held is something that is delayed: it counts at Due, as of its own time.
type Held struct {
	Kind HeldKind
	// Slot is that of the line, signal, window, field or tag line.
	Slot uint16
	// Due is when it is released.
	Due int64
	// Time and Message are those of the event.
	Time    int64
	Message uint64
	// Key is the key of the line's limit; Points what it adds, before limits.
	Key    uint64
	Points float64
	// Value is a field's value, a tag's name.
	Value Value
	// Mail and Link are hashes of the e-mail and of the link in it that a held open or click belongs to.
	Mail, Link uint64
}

// NoSlot marks an absent slot.
const NoSlot = uint16(math.MaxUint16)
