package engine

import (
	"errors"
	"fmt"

	"leadstream/rules"
	"leadstream/state/lead"
)

// Which ids are one person's is decided by package rules, one node and one letter at a time. The engine carries the
// letters: through the inbox, in the transaction of the epoch that sent them, also when the other node lives
// on the same shard. So a letter takes effect exactly once, and redo, which skips entities one by one, needs to know
// of one node only.

// toInbox sends a message to the shard of an id. Redo sends nothing: what it applies again was sent.
func (s *shard) toInbox(id string, message []byte) {
	if s.redo != nil {
		return
	}
	s.ep.records = append(s.ep.records, OutRecord{Topic: TopicInbox, Partition: ShardOf([]byte(id), s.cfg.Shards), Key: []byte(id), Value: message})
}

// send sends what nodes say to each other.
func (s *shard) send(letters []rules.Letter) error {
	if late := s.ev.Pending(); len(late) > 0 { // timers come before what they were fired for
		letters = append(late, letters...)
	}
	s.letters = letters
	for i := range letters {
		m := Message{Kind: MessageLetter, From: -1, Letter: &letters[i]}
		v, err := m.encode()
		if err != nil {
			return err
		}
		s.ep.stats.letters++
		s.toInbox(letters[i].To, v)
	}
	clear(letters)
	return nil
}

// applyLetter applies a letter to the node that it is for, which is made if there is none.
func (s *shard) applyLetter(p *part, r *Record, m *rules.Letter) error {
	if to := ShardOf([]byte(m.To), s.cfg.Shards); to != s.id {
		return s.refuse(p, r, "misrouted", fmt.Sprintf("the id belongs to shard %d", to))
	}
	if m.Kind == rules.EraseLetter {
		return s.applyEraseLetter(m)
	}
	e, err := s.load([]byte(m.To))
	if err != nil {
		return err
	}
	if until := s.barred(e); until != 0 && m.Time <= until {
		return s.turnAway(p, r, m, until)
	}
	if m.Kind == rules.AccountLetter && absent(e) {
		return nil // a member that was removed
	}
	if e == nil {
		e = s.create(m.To)
	}
	from, err := s.received(m.State)
	switch {
	case errors.Is(err, lead.ErrMalformed):
		return s.refuse(p, r, "bad_message", badState)
	case errors.Is(err, rules.ErrUnfit):
		return s.refuse(p, r, "bad_message", "the lead that it brings "+err.Error())
	case errors.Is(err, errNoRules):
		return s.refuse(p, r, "bad_message", "the lead that it brings follows rules that are unknown here")
	case err != nil:
		return err
	}
	n, err := s.touch(e)
	if err != nil || n == nil {
		return err
	}
	var v rules.Verdict
	var letters []rules.Letter
	s.outs, letters, v = s.ev.Receive(n, from, m, s.outs[:0], s.letters[:0])
	if err := s.send(letters); err != nil {
		return err
	}
	s.emit()
	s.timers.arm(e, n.Due)
	if v == rules.TooFar {
		return s.deadLetter(p.TopicPartition, r, tooFar())
	}
	return nil
}

// received decodes a lead that came in a letter and brings it under the rule set in force. What that would put
// out is not said: the lead is no more, and the one that it becomes part of is evaluated.
func (s *shard) received(encoded []byte) (*lead.Lead, error) {
	if encoded == nil {
		return nil, nil
	}
	l := new(lead.Lead)
	if err := lead.Decode(encoded, l); err != nil {
		return nil, fmt.Errorf("reading a lead that came to shard %d: %w", s.id, err)
	}
	if l.Rules == s.st.rules.ID() {
		return l, s.st.rules.Fits(l)
	}
	old, err := s.ruleSet(l.Rules)
	if err != nil {
		return nil, fmt.Errorf("a lead that came to shard %d: %w", s.id, err)
	}
	if err := old.Fits(l); err != nil {
		return nil, err
	}
	s.ev.Migrate(l, old, l.Clock, nil)
	return l, nil
}

func tooFar() *DeadLetter {
	return &DeadLetter{Reason: "too_many_hops", Detail: fmt.Sprintf("it followed more than %d links", rules.MaxHops)}
}

// onward is where something goes that has come to a pointer.
type onward struct {
	id    string // "" when it was taken care of: redo skips the node
	route rules.Route
	far   bool // too many pointers
}

// follow takes something that has come to a node by a route one step further; nil when it is to be applied here.
func (s *shard) follow(e *entry, route *rules.Route) (*onward, error) {
	var rt rules.Route
	if route != nil {
		rt = *route
	}
	n := e.spec
	if n == nil || n.Forward == "" && rt.Drop == 0 {
		return nil, nil
	}
	if !rules.Passes(n, &rt) { // it may change the node
		var err error
		if n, err = s.touch(e); err != nil || n == nil {
			return &onward{}, err
		}
	}
	id, ok := s.ev.Follow(n, &rt)
	if !ok {
		return &onward{far: true}, nil
	}
	if id == "" {
		return nil, nil
	}
	return &onward{id: id, route: rt}, nil
}

// followEvent sends s.event on if it has come to a pointer.
func (s *shard) followEvent(e *entry, route *rules.Route, tp TopicPartition, r *Record) (done bool, err error) {
	on, err := s.follow(e, route)
	switch {
	case err != nil || on == nil:
		return false, err
	case on.far:
		return true, s.deadLetter(tp, r, tooFar())
	case on.id == "":
		return true, nil
	}
	return true, s.forward(on.id, &on.route, tp, r)
}

// forwardCommand sends a command on.
func (s *shard) forwardCommand(p *part, r *Record, m *Message, on *onward, err error) error {
	switch {
	case err != nil:
		return err
	case on.far:
		return s.deadLetter(p.TopicPartition, r, tooFar())
	case on.id == "":
		return nil
	}
	m.To, m.Route = on.id, on.route
	v, err := m.encode()
	if err == nil {
		s.toInbox(on.id, v)
	}
	return err
}

// applyLink applies a command that links an id to another, or separates it.
func (s *shard) applyLink(p *part, r *Record, id string, c *rules.Command) error {
	s.ep.stats.commands++
	if c.Kind == rules.Link {
		if c.With == "" || c.With == id || rules.IsIdentifier(c.With) || rules.IsIdentifier(id) {
			return s.refuse(p, r, "refused", "a link needs two ids")
		}
		m := rules.LinkCommand(id, c)
		return s.applyLetter(p, r, &m)
	}
	e, err := s.load([]byte(id))
	if err != nil {
		return err
	}
	if absent(e) {
		return s.refuse(p, r, "no_lead", "there is no such lead")
	}
	n, err := s.touch(e)
	if err != nil || n == nil {
		return err
	}
	m, v := s.ev.Unlink(n, c)
	if v == rules.Refused {
		return s.refuse(p, r, "refused", "the id is not linked to another")
	}
	return s.send(append(s.letters[:0], m))
}
