package enginetest

import (
	"fmt"

	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

// What nodes say to each other, replayed: what is sent is compared, as a multiset, with what the inboxes bring.

func (s *shardReplay) node(id string) *lead.Lead {
	l := s.leads[id]
	if l == nil {
		l = s.rules.NewLead(id, 1+s.erased)
		l.After = s.after(id)
		s.leads[id], s.w.Leads[id] = l, l
	}
	s.migrate(l)
	return l
}

// apply applies s.event to an id.
func (s *shardReplay) apply(id string, route *rules.Route, tp engine.TopicPartition, r *engine.Record) {
	if until := s.after(id); until != 0 && s.event.Time <= until {
		return
	}
	l := s.node(id)
	var rt rules.Route
	if route != nil {
		rt = *route
	}
	to, ok := s.ev.Follow(l, &rt)
	switch {
	case !ok:
		s.out(engine.TopicDeadletter, r.Value)
		return
	case to != "":
		s.forward(to, &rt, tp, r)
		return
	}
	outs, v := s.ev.Apply(l, &s.event, nil)
	if v != rules.Duplicate {
		s.letters(s.ev.Links(l, &s.event, nil))
	}
	s.put(outs)
	s.armed(l)
}

// forward notes that s.event was sent to an id.
func (s *shardReplay) forward(id string, route *rules.Route, tp engine.TopicPartition, r *engine.Record) {
	m := engine.Message{From: -1, Kind: engine.MessageEvent, Source: s.event.Source, Time: s.event.Time, Topic: tp.Topic, Partition: tp.Partition,
		Offset: r.Offset, Timestamp: r.Timestamp, Value: r.Value, Headers: r.Headers}
	if route != nil {
		m.To, m.Route = id, *route
	}
	if to := engine.ShardOf([]byte(id), s.r.Shards); to != s.id {
		if s.sentTo == nil {
			s.sentTo = map[int32]int64{}
		}
		s.sentTo[to]++
		m.From, m.Seq = s.id, s.sentTo[to]
	}
	s.sent(id, &m)
}

func (s *shardReplay) letters(letters []rules.Letter) {
	letters = append(s.ev.Pending(), letters...)
	for i := range letters {
		s.sent(letters[i].To, &engine.Message{Kind: engine.MessageLetter, From: -1, Letter: &letters[i]})
	}
}

// letter applies a letter to the node that it is for.
func (s *shardReplay) letter(m *rules.Letter, r *engine.Record) error {
	if m.Kind == rules.EraseLetter {
		s.eraseLetter(m)
		return nil
	}
	if done, err := s.turned(m); done || err != nil {
		return err
	}
	if m.Kind == rules.AccountLetter && s.leads[m.To] == nil {
		return nil
	}
	n := s.node(m.To)
	var from *lead.Lead
	if m.State != nil {
		from = new(lead.Lead)
		if err := lead.Decode(m.State, from); err != nil {
			return err
		}
		if from.Rules != s.rules.ID() {
			old, err := s.r.ruleSet(uint64(from.Rules))
			if err != nil {
				return err
			}
			s.ev.Migrate(from, old, from.Clock, nil)
		}
	}
	outs, letters, v := s.ev.Receive(n, from, m, nil, nil)
	s.letters(letters)
	s.put(outs)
	s.armed(n)
	if v == rules.TooFar {
		s.out(engine.TopicDeadletter, r.Value)
	}
	return nil
}

// command replays what an operator said.
func (s *shardReplay) command(j *engine.JournalRecord, r *engine.Record, m *engine.Message) error {
	id := m.Lead
	if m.To != "" {
		id = m.To
		s.got(m)
	}
	c := *m.Command
	if c.Time == 0 {
		c.Time = min(r.Timestamp, j.Wall)
	}
	refuse := func() error {
		s.out(engine.TopicDeadletter, r.Value)
		return nil
	}
	if c.Kind == rules.Link {
		if c.With == "" || c.With == id {
			return refuse()
		}
		letter := rules.LinkCommand(id, &c)
		return s.letter(&letter, r)
	}
	l := s.leads[id]
	if c.Kind == rules.Erase {
		if len(c.Salt) == 0 || rules.IsIdentifier(id) {
			return refuse()
		}
		s.asked(c.Salt)
		if l == nil {
			s.erase(id, &c, &m.Route)
			return nil
		}
	}
	if l == nil {
		return refuse()
	}
	s.migrate(l)
	if c.Kind == rules.Unlink {
		letter, v := s.ev.Unlink(l, &c)
		if v == rules.Refused {
			return refuse()
		}
		s.letters([]rules.Letter{letter})
		return nil
	}
	rt := m.Route
	to, ok := s.ev.Follow(l, &rt)
	switch {
	case !ok:
		return refuse()
	case to != "":
		x := *m
		x.Command, x.To, x.Route = &c, to, rt
		s.sent(to, &x)
		return nil
	case c.Kind == rules.Erase:
		s.erase(id, &c, &m.Route)
		return nil
	case !rules.Begun(l):
		return refuse()
	}
	outs, v := s.ev.Command(l, &c, nil)
	s.put(outs)
	s.armed(l)
	if v == rules.Refused {
		return refuse()
	}
	return nil
}

func (s *shardReplay) sent(id string, m *engine.Message) {
	to := engine.ShardOf([]byte(id), s.r.Shards)
	if s.w.Sent[to] == nil {
		s.w.Sent[to] = map[string]int{}
	}
	s.w.Sent[to][said(m)]++
}

func (s *shardReplay) got(m *engine.Message) { s.w.Sent[s.id] = countDown(s.w.Sent[s.id], said(m)) }

// said is a message as text.
func said(m *engine.Message) string {
	flat := *m
	flat.Letter, flat.Command = nil, nil
	text := fmt.Sprintf("%+v", flat)
	if m.Command != nil {
		text += fmt.Sprintf(" %+v", *m.Command)
	}
	if m.Letter != nil {
		flat := *m.Letter
		flat.Note = nil // a pointer's text is an address
		text += fmt.Sprintf(" %+v", flat)
		if m.Letter.Note != nil {
			text += fmt.Sprintf(" %+v", *m.Letter.Note)
		}
	}
	return text
}

func countDown(m map[string]int, k string) map[string]int {
	if m == nil {
		m = map[string]int{}
	}
	m[k]--
	return m
}
