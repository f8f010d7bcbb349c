package rules

import (
	"slices"

	"leadstream/state/lead"
)

// LetterKind is what a letter is about.
type LetterKind uint8

// The kinds of letters.
const (
	// LinkLetter asks the lead that To belongs to to become a pointer to Target.
	LinkLetter LetterKind = iota + 1
	// StateLetter brings what From was to the lead that it points to.
	StateLetter
	// ClaimLetter tells an identifier that the lead From names it.
	ClaimLetter
	// SplitLetter says that From no longer points to To.
	SplitLetter
	// EraseLetter says that the lead From was erased, and asks a node that may have been part of it to go.
	EraseLetter
	// MemberLetter tells an account what the lead From is to it; AccountLetter tells a member what the account From is.
	MemberLetter
	AccountLetter
)

// Cause is why ids are linked.
type Cause uint8

// The causes of links.
const (
	// ByEvent is an event with both a userId and an anonymousId.
	ByEvent Cause = iota + 1
	// ByAlias is an alias event, ByTrait a shared trait, ByCommand an operator.
	ByAlias
	ByTrait
	ByCommand
	// BySplit is what goes back to an id that was separated.
	BySplit
	// ByErasure is what follows an erasure, ByRetention the end of a lead of which nothing was heard for too long.
	ByErasure
	ByRetention
)

// String returns the word that lead.merged has for it.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return ""
}

var causeNames = [...]string{ByEvent: "event", ByAlias: "alias", ByTrait: "trait", ByCommand: "command", BySplit: "unlink", ByErasure: "erasure", ByRetention: "retention"}

// The reasons of refused links, in lead.Refusal.
const (
	// WhySecondUser is a second known user on a device, WhyNever an id that is in identity.never, WhyMaxIDs a lead with too
	// many ids, WhyApart a pair that was separated by hand, WhyTooLarge a lead that no letter can hold: its ids are too many
	// and too long.
	WhySecondUser uint8 = iota + 1
	WhyNever
	WhyMaxIDs
	WhyApart
	WhyTooLarge
	// NumWhys bounds them.
	NumWhys
)

// WhyName returns the word for a reason of a refusal.
func WhyName(why uint8) string {
	if why < NumWhys {
		return whyNames[why]
	}
	return ""
}

var whyNames = [...]string{"", "second_user", "never", "max_ids", "apart", "too_large"}

// Letter is what one node says to another. Field order is the format.
type Letter struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	Kind     LetterKind
	// To is the id of the node that it goes to; From that of the node it is about.
	To, From string
	// Target is what a LinkLetter links to.
	Target string
	Cause  Cause
	// Time is the sender's clock. Event is the messageId that began it, "" if it had none.
	Time  int64
	Event string
	// Known says that a known user is on the other side of the link.
	Known bool
	// Room is how many ids the target can still take, for ByEvent.
	Room int
	// First is when the lead of a ClaimLetter was first seen.
	First int64
	// State is an encoded lead, nil when From never was one.
	State []byte
	// IDs are those that leave with From, in a SplitLetter.
	// Of an EraseLetter they are the erased lead's, where it is not sure that To is one of them.
	IDs   []string
	Route Route
	// Salt and Suppress are those of the Erase, in an EraseLetter.
	Salt     []byte
	Suppress bool
	// Note is that of a MemberLetter or an AccountLetter.
	Note *Note
}

// Route is the way of a message through pointers.
type Route struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	// Path are the pointers that were followed, in order.
	Path []Hop
	// Drop is set when the message goes to the smallest id of a circle of pointers: the one that is to be dropped.
	Drop uint64
	// Known says that one of the ids passed belongs to a known user.
	Known bool
}

// Hop is one pointer among all that there ever were.
type Hop struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	ID       string
	Pointer  uint64
}

// MaxHops bounds the pointers that one message follows.
const MaxHops = 2_000

// Passes says whether something that comes to a node by a route goes on to another with nothing to be changed here.
func Passes(n *lead.Lead, r *Route) bool {
	return n.Forward != "" && !n.Identifier && r.Drop == 0 && !r.passed(n)
}

func (r *Route) passed(n *lead.Lead) bool { return r.place(n) >= 0 }

func (r *Route) place(n *lead.Lead) int {
	return slices.IndexFunc(r.Path, func(h Hop) bool { return h.Pointer == n.Pointer && h.ID == n.ID })
}

// Follow takes something that has come to a node one step further. It returns the id that it goes on to, "" when
// the node is a lead: then it is to be applied there. ok is false when it has followed too many pointers.
//
// A message that meets its own path has found a circle. The smallest id of the circle becomes a lead: it drops the
// very pointer that is part of the circle, if it still has it.
func (e *Evaluator) Follow(n *lead.Lead, r *Route) (to string, ok bool) {
	if r.Drop != 0 {
		if n.Forward != "" && n.Pointer == r.Drop {
			e.becomeLead(n)
			n.Known = n.Known || r.Known
		}
		r.Drop = 0
	}
	if n.Forward == "" {
		return "", true
	}
	r.Known = r.Known || n.Known
	if i := r.place(n); i >= 0 {
		least := r.Path[i]
		for _, h := range r.Path[i:] {
			if h.ID < least.ID {
				least = h
			}
		}
		if least.ID == n.ID {
			e.becomeLead(n)
			n.Known = n.Known || r.Known
			return "", true
		}
		r.Drop = least.Pointer
		return least.ID, true
	}
	if len(r.Path) >= MaxHops {
		return "", false
	}
	r.Path = append(slices.Clone(r.Path), Hop{ID: n.ID, Pointer: n.Pointer})
	return n.Forward, true
}

// becomeLead makes a pointer a lead that nothing has happened to.
func (e *Evaluator) becomeLead(n *lead.Lead) {
	fresh := e.set.NewLead(n.ID, n.Incarnation)
	fresh.Epoch, fresh.Seq, fresh.Node, fresh.IDs, fresh.OwnRare().Refused = n.Epoch, n.Seq, n.Node, n.IDs, n.Rare().Refused
	fresh.Forward = ""
	fresh.Pointer++
	*n = *fresh
}

// reshape gives a node that is no lead, or one that has not begun, the form that this rule set's leads have.
func (e *Evaluator) reshape(n *lead.Lead) {
	n.Rules = e.set.id
	if n.Forward == "" && !n.Identifier && !n.Gone {
		n.Scores, n.Edges = make([]lead.Score, len(e.set.scores)), make([]lead.Edge, len(e.set.handoffs))
	}
}
