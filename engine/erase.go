package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"leadstream/rules"
	"leadstream/state/lead"
)

// What is erased goes in two steps. At once the node's new version says that it is Gone: that is journaled, redone and
// checkpointed like any other. Once the redo point has passed it no redo can bring the node back, and a tombstone
// takes the place of that version in the state topic and the store.

// AuditRecord is a record of the audit topic. It never says who was erased: Subject is rules.Subject of the id, with the
// salt of its shard.
type AuditRecord struct {
	// Type is erased for the lead, removed or kept for each node that was asked to go with it (kept is one that turned out
	// not to be the lead's), cleaned when the node is gone from the state topic too.
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
func (s *shard) newNode(id string) (*lead.Lead, error) {
	n := s.st.rules.NewLead(id, 1+s.st.erased)
	var err error
	if s.st.salt != nil && !rules.IsIdentifier(id) {
		n.After, err = s.bar(id)
	}
	return n, err
}

// absent says that there is no node.
func absent(e *entry) bool { return e == nil || e.spec == nil || e.spec.Gone }

// barred is the time up to which events of an id are dropped, 0 for most ids.
func (s *shard) barred(e *entry, id []byte) (int64, error) {
	switch {
	case !absent(e):
		return e.spec.After, nil
	case s.st.salt == nil || rules.IsIdentifier(string(id)):
		return 0, nil
	}
	return s.bar(string(id))
}

// bar looks for what an erasure has left of an id.
func (s *shard) bar(id string) (int64, error) {
	e, err := s.load([]byte(rules.BarID(s.st.salt, id)))
	if err != nil || absent(e) && !s.isLater(e) {
		return 0, err
	}
	// Redo may see one that came later, or was gone later. It drops what the first run may have applied: but whatever
	// that made of the id was taken away when the bar was set.
	return e.spec.After, nil
}

// isLater says that redo looks at a version that the epoch, or a later one, has stored.
func (s *shard) isLater(e *entry) bool {
	return s.redo != nil && e != nil && e.spec != nil && e.madeIn != s.ep.number && e.spec.Epoch >= s.ep.number
}

// setBar leaves something that bars events of an id.
func (s *shard) setBar(id string, at int64, suppress bool) error {
	key := rules.BarID(s.st.salt, id)
	e, err := s.load([]byte(key))
	if err != nil {
		return err
	}
	if e == nil {
		e = s.create(key)
	}
	n, err := s.touch(e)
	if err != nil || n == nil {
		return err
	}
	s.ev.Bar(n, at, suppress)
	s.timers.arm(e, n.Due)
	return nil
}

func (s *shard) adoptSalt(salt []byte) {
	if s.st.salt == nil {
		s.st.salt = slices.Clone(salt)
	}
}

// applyErase applies a command that erases a lead. One that is not known is barred all the same.
func (s *shard) applyErase(p *part, r *Record, m *Message, id string, c *rules.Command) error {
	if len(c.Salt) == 0 || rules.IsIdentifier(id) {
		return s.refuse(p, r, "refused", "an erasure needs an id and a salt")
	}
	s.st.erased++ // whatever becomes of it: redo, which skips nodes, must count the same
	e, err := s.load([]byte(id))
	if err != nil {
		return err
	}
	if s.isLater(e) { // a pointer that sent the command on then has not barred anything
		if _, err := s.touch(e); err != nil || e.spec.After < c.Time {
			return err
		}
	} else if !absent(e) {
		if on, err := s.follow(e, &m.Route); on != nil || err != nil {
			m.Command = c
			return s.forwardCommand(p, r, m, on, err)
		}
	}
	s.ep.stats.commands++
	s.adoptSalt(c.Salt)
	c.Salt = s.st.salt
	if err := s.setBar(id, c.Time, c.Suppress && (!s.isLater(e) || e.spec.After == lead.Never)); err != nil {
		return err
	}
	found, nodes := false, 0
	if !absent(e) && !s.isLater(e) {
		n, err := s.touch(e)
		if err != nil {
			return err
		}
		var letters []rules.Letter
		s.outs, letters, found = s.ev.Erase(n, c, s.outs[:0], s.letters[:0])
		nodes = len(letters)
		if err := s.send(letters); err != nil {
			return err
		}
		s.emit()
		s.timers.drop(&e.timer)
		s.ep.stats.removed++
		if n.After, err = s.bar(id); err != nil {
			return err
		}
	}
	s.audit(AuditRecord{Type: "erased", Request: c.ID, By: c.By, At: c.Time, Subject: rules.Subject(c.Salt, id), Found: &found, Suppress: &c.Suppress, Nodes: &nodes})
	return nil
}

// applyEraseLetter asks a node to go with a lead that was erased, or that nothing was heard of for too long.
func (s *shard) applyEraseLetter(p *part, r *Record, m *rules.Letter) error {
	s.st.erased++
	erasure := m.Cause == rules.ByErasure
	if erasure {
		s.adoptSalt(m.Salt)
	}
	e, err := s.load([]byte(m.To))
	if err != nil {
		return err
	}
	removed, sent := false, 0
	var n *lead.Lead
	if s.isLater(e) { // what became of it is known already
		removed = e.spec.After >= m.Time
		if _, err := s.touch(e); err != nil {
			return err
		}
	} else if !absent(e) {
		if n, err = s.touch(e); err != nil {
			return err
		}
		var letters []rules.Letter
		letters, removed = s.ev.EraseNode(n, m, s.letters[:0])
		sent = len(letters)
		if err := s.send(letters); err != nil {
			return err
		}
		if removed {
			s.timers.drop(&e.timer)
			s.ep.stats.removed++
		}
	}
	if !erasure {
		return nil
	}
	if !rules.IsIdentifier(m.To) && (removed || m.Known && absent(e) && !s.isLater(e)) {
		if err := s.setBar(m.To, m.Time, m.Suppress && (!s.isLater(e) || e.spec.After == lead.Never)); err != nil {
			return err
		}
		if n != nil {
			if n.After, err = s.bar(m.To); err != nil {
				return err
			}
		}
	}
	if sent == 0 && m.Event != "" {
		a := AuditRecord{Type: "kept", Request: m.Event, At: m.Time, Subject: rules.Subject(s.st.salt, m.To)}
		if removed {
			a.Type = "removed"
		}
		s.audit(a)
	}
	return nil
}

// turnAway drops a letter that came for an id that was erased after it was written.
func (s *shard) turnAway(m *rules.Letter, until int64) error {
	s.ep.stats.barred++
	var from *lead.Lead
	if m.State != nil {
		from = new(lead.Lead)
		if err := lead.Decode(m.State, from); err != nil {
			return fmt.Errorf("reading a lead that came to shard %d: %w", s.id, err)
		}
	}
	return s.send(s.ev.Turn(m, from, s.st.salt, until == lead.Never, s.letters[:0]))
}

// grave is a version that is stored and says that its node is gone.
type grave struct {
	entry   *entry
	version *lead.Lead
}

// bury notes that a node that is gone is stored.
func (s *shard) bury(e *entry) {
	v := e.committed.Load()
	if v == nil || !v.Gone || slices.ContainsFunc(s.graves, func(g grave) bool { return g.version == v }) {
		return
	}
	s.graves = append(s.graves, grave{e, v})
}

// exhume appends up to n tombstones to what a slice takes, of nodes that redo can't bring back any more once the
// slice is written.
func (s *shard) exhume(taken []sliced, n int) []sliced {
	oldest, left := s.dirty.oldest(), s.graves[:0]
	for _, g := range s.graves {
		e := g.entry
		switch {
		case e.committed.Load() != g.version || e.queued:
			// Somebody is there again, and is written over it.
		case n <= 0 || e.spec != g.version || oldest != 0 && oldest <= g.version.Epoch:
			left = append(left, g)
		default:
			taken = append(taken, sliced{entry: e, version: g.version, oldDue: e.storedDue, tomb: true})
			e.storedDue = lead.Never
			e.storing++
			n--
		}
	}
	clear(s.graves[len(left):])
	s.graves = left
	return taken
}

// hurry is the epoch up to which leads are written without waiting: somebody waits to hear that what was erased
// is gone for good.
func (s *shard) hurry() uint64 {
	if s.urgent != 0 && (s.dirty.len() == 0 || s.dirty.oldest() > s.urgent) {
		s.urgent = 0
	}
	return s.urgent
}

// cleaned are the audit records of a slice's tombstones.
func (sl *slice) cleaned(salt []byte) []OutRecord {
	var out []OutRecord
	for _, x := range sl.entries {
		if x.tomb && x.version.UserID != "" {
			out = append(out, AuditRecord{Type: "cleaned", Request: x.version.UserID, Subject: rules.Subject(salt, x.entry.id)}.record(sl.shard.id))
		}
	}
	return out
}

// laid takes a node out of the cache whose tombstone is stored.
func (s *shard) laid(x *sliced) {
	if e := x.entry; x.tomb && e.spec == x.version && e.committed.Load() == x.version && !e.queued && e.storing == 0 && s.cache.byID[e.id] == e {
		s.timers.drop(&e.timer)
		s.cache.remove(e)
	}
}
