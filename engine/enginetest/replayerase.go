package enginetest

import (
	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

// Erasures, replayed: a node that is gone is gone at once, and what it bars is a note of its own.

func (s *shardReplay) remove(l *lead.Lead) {
	delete(s.leads, l.ID)
	delete(s.w.Leads, l.ID)
	if s.gone == nil {
		s.gone = map[string]*lead.Lead{}
	}
	s.gone[l.ID] = l
}

// after is up to when events of an id are dropped.
func (s *shardReplay) after(id string) int64 {
	if l := s.leads[id]; l != nil {
		return l.After
	}
	return rules.Barred(s.gone[id], s.tick)
}

func (s *shardReplay) audit(a engine.AuditRecord) { s.out(engine.TopicAudit, a.Encode()) }

// asked is said of whatever is to be erased.
func (s *shardReplay) asked(salt []byte) {
	s.erased++
	if s.salt == nil && len(salt) > 0 {
		s.salt = salt
	}
}

// goneNode is what an erasure finds where there is nothing.
func (s *shardReplay) goneNode(id string) *lead.Lead {
	return &lead.Lead{ID: id, Node: lead.Node{Gone: true, After: s.after(id)}}
}

// erase replays the command, which has come to its last id.
func (s *shardReplay) erase(id string, c *rules.Command, way *rules.Route) {
	c.Salt = s.salt
	l := s.leads[id]
	if l == nil {
		l = s.goneNode(id)
	} else {
		s.migrate(l)
	}
	outs, letters, found := s.ev.Erase(l, c, way, nil, nil)
	nodes := rules.Asked(letters)
	s.letters(letters)
	s.put(outs)
	s.remove(l)
	s.audit(engine.AuditRecord{Type: "erased", Request: c.ID, By: c.By, At: c.Time, Subject: rules.Subject(c.Salt, id),
		Found: &found, Suppress: &c.Suppress, Nodes: &nodes})
}

// eraseLetter replays what a node is asked after an erasure.
func (s *shardReplay) eraseLetter(m *rules.Letter) {
	s.asked(m.Salt)
	erasure := m.Cause == rules.ByErasure
	l := s.leads[m.To]
	removed, sent := false, 0
	switch {
	case l != nil:
		s.migrate(l)
	case erasure && m.Known && !rules.IsIdentifier(m.To):
		l = s.goneNode(m.To)
	}
	if l != nil {
		var letters []rules.Letter
		letters, removed = s.ev.EraseNode(l, m, nil)
		sent = rules.Asked(letters)
		s.letters(letters)
		if removed {
			s.remove(l)
		}
	}
	if erasure && (removed || sent == 0) && m.Event != "" {
		kind := "kept"
		if removed {
			kind = "removed"
		}
		s.audit(engine.AuditRecord{Type: kind, Request: m.Event, At: m.Time, Subject: rules.Subject(s.salt, m.To)})
	}
}

// turned replays a letter that was written before its id was erased.
func (s *shardReplay) turned(m *rules.Letter) (bool, error) {
	until := s.after(m.To)
	if m.Kind == rules.EraseLetter || until == 0 || m.Time > until {
		return false, nil
	}
	var from *lead.Lead
	if m.State != nil {
		from = new(lead.Lead)
		if err := lead.Decode(m.State, from); err != nil {
			return true, err
		}
	}
	s.letters(s.ev.Turn(m, from, s.salt, until, nil))
	return true, nil
}
