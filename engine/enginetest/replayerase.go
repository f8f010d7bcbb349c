package enginetest

import (
	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

// Erasures, replayed: a node that is gone is gone at once.

func (s *shardReplay) remove(id string) {
	delete(s.leads, id)
	delete(s.w.Leads, id)
}

// after is up to when events of an id are dropped.
func (s *shardReplay) after(id string) int64 {
	if l := s.leads[id]; l != nil {
		return l.After
	}
	if s.salt == nil || rules.IsIdentifier(id) {
		return 0
	}
	if b := s.leads[rules.BarID(s.salt, id)]; b != nil {
		return b.After
	}
	return 0
}

func (s *shardReplay) bar(id string, at int64, suppress bool) {
	n := s.node(rules.BarID(s.salt, id))
	s.ev.Bar(n, at, suppress)
	s.armed(n)
}

func (s *shardReplay) audit(a engine.AuditRecord) { s.out(engine.TopicAudit, a.Encode()) }

// erase replays the command, which has come to its last id.
func (s *shardReplay) erase(id string, c *rules.Command) {
	if s.salt == nil {
		s.salt = c.Salt
	}
	c.Salt = s.salt
	s.bar(id, c.Time, c.Suppress)
	found, nodes := false, 0
	if l := s.leads[id]; l != nil {
		s.migrate(l)
		var outs []lead.Output
		var letters []rules.Letter
		outs, letters, found = s.ev.Erase(l, c, nil, nil)
		nodes = len(letters)
		s.letters(letters)
		s.put(outs)
		s.remove(id)
	}
	s.audit(engine.AuditRecord{Type: "erased", Request: c.ID, By: c.By, At: c.Time, Subject: rules.Subject(c.Salt, id),
		Found: &found, Suppress: &c.Suppress, Nodes: &nodes})
}

// eraseLetter replays what a node is asked after an erasure.
func (s *shardReplay) eraseLetter(m *rules.Letter) {
	s.erased++
	erasure := m.Cause == rules.ByErasure
	if erasure && s.salt == nil {
		s.salt = m.Salt
	}
	l := s.leads[m.To]
	removed, sent := false, 0
	if l != nil {
		s.migrate(l)
		var letters []rules.Letter
		letters, removed = s.ev.EraseNode(l, m, nil)
		sent = len(letters)
		s.letters(letters)
		if removed {
			s.remove(m.To)
		}
	}
	if !erasure {
		return
	}
	if !rules.IsIdentifier(m.To) && (removed || m.Known && l == nil) {
		s.bar(m.To, m.Time, m.Suppress)
	}
	if sent == 0 && m.Event != "" {
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
	s.letters(s.ev.Turn(m, from, s.salt, until == lead.Never, nil))
	return true, nil
}
