package engine

import (
	"encoding/json"
	"slices"
	"time"

	"leadstream/rules"
	"leadstream/state/lead"
)

// What is erased goes in two steps. At once the node's new version says that it is Gone, and up to when it bars events:
// that is journaled, redone and checkpointed like any other. Once the redo point has passed it no redo can bring the
// node back, and it is laid: a tombstone takes its place in the state topic and the store and, if it bars
// anything, a bar, which is the same version under a salted hash of its id. Both are of one transaction and one batch.
//
// A bar is no entity. It is the other name of one: whoever looks for the node finds it there, with its epoch. So a
// decision about an id reads and changes the state of that id only, and redo may skip it as it skips any other: it
// does a decision again exactly where the id's state is of before, whatever its name. (Bars that were entities of their own
// were tried: redo saw one that was newer than the node which it bars, or older, and decided otherwise than
// at first.) Nothing happens to a bar when its grace ends. The shard's tick, which is journaled, says whether it is in
// force; that it is removed some time after can't be seen, as no epoch is done again then in which it was.
//
// What is erased is counted, and the salt taken over, of every request that comes, before any node is looked at: redo,
// which skips nodes, must come to the same.

// AuditRecord is a record of the audit topic. It never says who was erased: Subject is rules.Subject of the id, with the
// salt of its shard.
type AuditRecord struct {
	// Type is erased for the lead, removed or kept for each node that was asked to go with it (kept is one that turned out
	// not to be the lead's), cleaned when the node is gone from the state topic too, or returned when somebody new came by the id before
	// that, whose state takes its place.
	Type string `json:"type"`
	// Request is the command's id, By who asked.
	Request string `json:"request"`
	By      string `json:"by,omitempty"`
	// At is the time of the erasure in ms, AtTime the same in RFC 3339.
	At      int64  `json:"at,omitempty"`
	AtTime  string `json:"at_time,omitempty"`
	Subject string `json:"subject"`
	// Found says that there was such a lead; Suppress that it is to be kept out; Nodes how many nodes were asked to go.
	Found    *bool `json:"found,omitempty"`
	Suppress *bool `json:"suppress,omitempty"`
	Nodes    *int  `json:"nodes,omitempty"`
}

// The types of audit records.
const (
	AuditErased   = "erased"
	AuditRemoved  = "removed"
	AuditKept     = "kept"
	AuditCleaned  = "cleaned"
	AuditReturned = "returned"
)

func (a AuditRecord) encode() []byte {
	if a.At != 0 {
		a.AtTime = time.UnixMilli(a.At).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	b, err := json.Marshal(a)
	if err != nil {
		panic("bug: " + err.Error())
	}
	return b
}

// Encode returns the record's value. Checkers compare with it.
func (a AuditRecord) Encode() []byte { return a.encode() }

func (a AuditRecord) record(shard int32) OutRecord {
	return OutRecord{Topic: TopicAudit, Partition: shard, Key: []byte(a.Request), Value: a.encode()}
}

func (s *shard) audit(a AuditRecord) {
	if s.redo == nil {
		s.ep.records = append(s.ep.records, a.record(s.id))
	}
}

// newNode makes a node that nothing has happened to. One that was erased and comes again is of a later incarnation.
func (s *shard) newNode(id string, gone *lead.Lead) *lead.Lead {
	n := s.st.rules.NewLead(id, 1+s.st.erased)
	n.After = rules.Barred(gone, s.st.tick)
	if gone != nil && gone.Due == noTime {
		for _, request := range rules.Requests(gone) {
			s.audit(AuditRecord{Type: AuditReturned, Request: request, Subject: rules.Subject(s.st.salt, id)})
		}
	}
	return n
}

// goneNode is a node that stays gone.
func (s *shard) goneNode(id string, gone *lead.Lead) *lead.Lead {
	n := &lead.Lead{ID: id, Due: noTime, Node: lead.Node{Gone: true, After: rules.Barred(gone, s.st.tick)}}
	if gone != nil && gone.Due == noTime { // somebody waits for it
		n.UserID = gone.UserID
	}
	n.Rules = s.st.rules.ID()
	return n
}

// absent says that there is no node.
func absent(e *entry) bool { return e == nil || e.spec == nil || e.spec.Gone }

// barred is the time up to which events of an id are dropped, 0 for most ids.
func (s *shard) barred(e *entry) int64 {
	if e == nil {
		return 0
	}
	return rules.Barred(e.spec, s.st.tick)
}

// barOf returns what an erasure has left of an id, as a version of its node; nil if nothing.
func (s *shard) barOf(id string) (*lead.Lead, error) {
	if s.st.salt == nil || rules.IsIdentifier(id) {
		return nil, nil //nolint:nilnil // there is no such node
	}
	l, err := s.fromStore(rules.BarID(s.st.salt, id))
	for i := 0; l == nil && err == nil && i < len(s.st.oldSalts); i++ {
		l, err = s.fromStore(rules.BarID(s.st.oldSalts[i], id))
	}
	if l != nil {
		l.ID = id
	}
	return l, err
}

func (s *shard) adoptSalt(salt []byte) {
	s.st.erased++
	if s.st.salt == nil && len(salt) > 0 {
		s.st.salt = slices.Clone(salt)
	}
}

// applyErase applies a command that erases a lead. One that is not known is barred all the same.
func (s *shard) applyErase(p *part, r *Record, m *Message, id string, c *rules.Command) error {
	if len(c.Salt) == 0 || rules.IsIdentifier(id) {
		return s.refuse(p, r, "refused", "an erasure needs an id and a salt")
	}
	s.adoptSalt(c.Salt)
	e, err := s.load([]byte(id))
	if err != nil {
		return err
	}
	if e == nil {
		e = s.create(id)
	}
	if !absent(e) {
		if on, err := s.follow(e, &m.Route); on != nil || err != nil {
			m.Command = c
			return s.forwardCommand(p, r, m, on, err)
		}
	}
	s.ep.stats.commands++
	n, err := s.version(e, s.goneNode)
	if err != nil || n == nil {
		return err
	}
	c.Salt = s.st.salt
	was := n.Gone
	outs, letters, found := s.ev.Erase(n, c, &m.Route, s.outs[:0], s.letters[:0])
	s.outs = outs
	nodes := rules.Asked(letters)
	if err := s.send(letters); err != nil {
		return err
	}
	s.emit()
	s.buried(e, was)
	s.audit(AuditRecord{Type: AuditErased, Request: c.ID, By: c.By, At: c.Time, Subject: rules.Subject(c.Salt, id), Found: &found, Suppress: &c.Suppress, Nodes: &nodes})
	return nil
}

// buried ends what concerns a node that is gone from now on.
func (s *shard) buried(e *entry, was bool) {
	s.timers.drop(&e.timer)
	if !was {
		s.ep.stats.removed++
	}
}

// applyEraseLetter asks a node to go with a lead that was erased, or that nothing was heard of for too long.
func (s *shard) applyEraseLetter(m *rules.Letter) error {
	erasure := m.Cause == rules.ByErasure
	s.adoptSalt(m.Salt)
	e, err := s.load([]byte(m.To))
	if err != nil {
		return err
	}
	removed, sent := false, 0
	// Of what is not there only an id that was surely the lead's leaves a bar.
	if !absent(e) || erasure && m.Known && !rules.IsIdentifier(m.To) {
		if e == nil {
			e = s.create(m.To)
		}
		n, err := s.version(e, s.goneNode)
		if err != nil || n == nil {
			return err
		}
		was := n.Gone
		var letters []rules.Letter
		letters, removed = s.ev.EraseNode(n, m, s.letters[:0])
		sent = rules.Asked(letters)
		if err := s.send(letters); err != nil {
			return err
		}
		if removed {
			s.buried(e, was)
		}
	}
	if erasure && (removed || sent == 0) && m.Event != "" {
		a := AuditRecord{Type: AuditKept, Request: m.Event, At: m.Time, Subject: rules.Subject(s.st.salt, m.To)}
		if removed {
			a.Type = AuditRemoved
		}
		s.audit(a)
	}
	return nil
}

// turnAway drops a letter that came for an id that was erased after it was written. What it brings is not read if it
// can't be.
func (s *shard) turnAway(p *part, r *Record, m *rules.Letter, until int64) error {
	s.ep.stats.barred++
	var from *lead.Lead
	if m.State != nil {
		from = new(lead.Lead)
		if lead.Decode(m.State, from) != nil {
			return s.refuse(p, r, "bad_message", badState)
		}
	}
	return s.send(s.ev.Turn(m, from, s.st.salt, until, s.letters[:0]))
}

const badState = "the lead that it brings can't be read"
