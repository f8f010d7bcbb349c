package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"leadstream/rules"
	"leadstream/state/lead"
)

// applyRecord applies one record of partition p.
func (s *shard) applyRecord(p *part, r *Record) error {
	if p.source == nil {
		return s.applyMessage(p, r)
	}
	s.ep.stats.events++
	s.st.read++
	if err := s.decoders[p.Topic].Decode(r, s.st.wall, &s.event); err != nil {
		return s.deadLetter(p.TopicPartition, r, err)
	}
	s.event.Source, s.event.History = p.source.Name, p.source.History
	// A partition's time is bounded by the records' own timestamps: an event from the future must not
	// make timers fire early.
	p.watermark = max(p.watermark, min(s.event.Time, r.Timestamp, s.st.wall))
	if id := s.event.RoutingID; id[0] == 0 && rules.IsIdentifier(string(id)) {
		return s.refuse(p, r, "bad_id", "an id may not begin with a zero byte")
	}
	if to := ShardOf(s.event.RoutingID, s.cfg.Shards); to != s.id {
		return s.forward(string(s.event.RoutingID), nil, p.TopicPartition, r)
	}
	return s.applyEvent(s.event.RoutingID, nil, p.TopicPartition, r)
}

// forward sends the event in s.event, which was read as r of a source's partition, to an id: its own, or the one that
// a route through pointers has come to.
func (s *shard) forward(id string, route *rules.Route, tp TopicPartition, r *Record) error {
	to := ShardOf([]byte(id), s.cfg.Shards)
	m := Message{
		From: -1, Kind: MessageEvent, Source: s.event.Source, Time: s.event.Time, Topic: tp.Topic, Partition: tp.Partition,
		Offset: r.Offset, Timestamp: r.Timestamp, Value: r.Value, Headers: r.Headers,
	}
	if route != nil {
		m.To, m.Route = id, *route
	}
	if to != s.id { // what stays on the shard makes nobody wait
		if s.st.sent == nil {
			s.st.sent = make([]int64, s.cfg.Shards)
		}
		m.From, m.Seq = s.id, s.st.sent[to]+1
	}
	v, err := m.encode()
	if err != nil {
		return err
	}
	if len(v)+len(id) > s.cfg.MaxRecordBytes {
		return s.deadLetter(tp, r, &DeadLetter{Reason: "too_large", Detail: "with its headers it does not fit the inbox"})
	}
	s.ep.forwarded++
	if to != s.id {
		s.st.sent[to]++
	}
	s.toInbox(id, v)
	return nil
}

func (s *shard) applyMessage(p *part, r *Record) error {
	m, err := DecodeMessage(r.Value)
	if err != nil {
		return s.deadLetter(p.TopicPartition, r, err)
	}
	switch m.Kind {
	case MessageCloseSource:
		if i, ok := slices.BinarySearch(s.st.closed, m.Source); !ok {
			s.st.closed = slices.Insert(s.st.closed, i, m.Source)
		}
		return nil
	case MessageCommand:
		return s.applyCommand(p, r, m)
	case MessageLetter:
		return s.applyLetter(p, r, m.Letter)
	default:
		return s.applyForwarded(p, r, m)
	}
}

// refuse sends a record that was read to the dead letters, saying what is wrong with it.
func (s *shard) refuse(p *part, r *Record, reason, detail string) error {
	return s.deadLetter(p.TopicPartition, r, &DeadLetter{Reason: reason, Detail: detail})
}

// applyCommand applies what an operator says to a lead. What can't be done is a dead letter, so that whoever
// said it can find out.
func (s *shard) applyCommand(p *part, r *Record, m *Message) error {
	id := cmp.Or(m.To, m.Lead)
	if to := ShardOf([]byte(id), s.cfg.Shards); to != s.id {
		return s.refuse(p, r, "misrouted", "the lead belongs to shard "+strconv.Itoa(int(to)))
	}
	c := *m.Command
	if c.Time == 0 {
		c.Time = min(r.Timestamp, s.st.wall)
	}
	if c.Kind == rules.Erase {
		return s.applyErase(p, r, m, id, &c)
	}
	if c.Kind == rules.Link || c.Kind == rules.Unlink {
		return s.applyLink(p, r, id, &c)
	}
	e, err := s.load([]byte(id))
	if err != nil {
		return err
	}
	if absent(e) {
		return s.refuse(p, r, "no_lead", "there is no such lead")
	}
	if on, err := s.follow(e, &m.Route); on != nil || err != nil {
		m.Command = &c
		return s.forwardCommand(p, r, m, on, err)
	}
	l, err := s.touch(e)
	if err != nil || l == nil {
		return err
	}
	if !rules.Begun(l) {
		return s.refuse(p, r, "no_lead", "there is no such lead")
	}
	var v rules.Verdict
	s.outs, v = s.ev.Command(l, &c, s.outs[:0])
	s.ep.stats.commands++
	s.emit()
	s.timers.arm(e, l.Due)
	switch v {
	case rules.Refused:
		return s.refuse(p, r, "refused", "the rule set has no such score, stage or purpose, or there is nothing to change")
	case rules.Missed:
		s.ep.stats.missed++
	case rules.Duplicate:
		s.ep.stats.duplicates++
	}
	return nil
}

func (s *shard) applyForwarded(p *part, r *Record, m *Message) error {
	if m.From >= 0 && m.From < s.cfg.Shards {
		if s.st.got == nil {
			s.st.got = make([]int64, s.cfg.Shards)
		}
		s.st.got[m.From] = max(s.st.got[m.From], m.Seq)
	}
	dec := s.decoders[m.Topic]
	if dec == nil {
		return s.refuse(p, r, "unknown_source", "the event's source is no longer configured")
	}
	orig := Record{Offset: m.Offset, Timestamp: m.Timestamp, Value: m.Value, Headers: m.Headers}
	if err := dec.Decode(&orig, m.Timestamp, &s.event); err != nil {
		return s.deadLetter(TopicPartition{Topic: m.Topic, Partition: m.Partition}, &orig, err)
	}
	id, route := s.event.RoutingID, (*rules.Route)(nil)
	if m.To != "" {
		id, route = []byte(m.To), &m.Route
	}
	if to := ShardOf(id, s.cfg.Shards); to != s.id {
		return s.refuse(p, r, "misrouted", "the event belongs to shard "+strconv.Itoa(int(to)))
	}
	s.event.Source, s.event.History = m.Source, s.sources[m.Topic].History
	s.event.Time = m.Time // as the shard that read it resolved it
	s.ep.stats.received++
	return s.applyEvent(id, route, TopicPartition{m.Topic, m.Partition}, &orig)
}

// applyEvent applies s.event, which was read as r of a source's partition, to an id: to its lead, or it goes on to
// the id that this one points to. route is nil before the first pointer.
func (s *shard) applyEvent(id []byte, route *rules.Route, tp TopicPartition, r *Record) error {
	e, err := s.load(id)
	if err != nil {
		return err
	}
	if until := s.barred(e); until != 0 && s.event.Time <= until {
		s.ep.stats.barred++
		return nil
	}
	if e == nil {
		e = s.create(string(id))
	}
	if route != nil || e.spec != nil && e.spec.Forward != "" {
		if done, err := s.followEvent(e, route, tp, r); done || err != nil {
			return err
		}
	}
	l, err := s.touch(e)
	if err != nil || l == nil {
		return err
	}
	var v rules.Verdict
	s.outs, v = s.ev.Apply(l, &s.event, s.outs[:0])
	if v == rules.Duplicate {
		s.ep.stats.duplicates++
	} else if err := s.send(s.ev.Links(l, &s.event, s.letters[:0])); err != nil {
		return err
	}
	s.emit()
	s.timers.arm(e, l.Due)
	return nil
}

// load finds a lead in the cache or the store; nil if there is none.
func (s *shard) load(id []byte) (*entry, error) {
	e := s.near
	if e == nil || e.slot < 0 || e.id != string(id) {
		e = s.cache.get(id)
	}
	if e != nil {
		e.used = true
		if s.ep != nil {
			s.ep.stats.hits++
		}
		return e, nil
	}
	if s.ep != nil {
		s.ep.stats.misses++
	}
	l, err := s.fromStore(string(id))
	due := lead.Never
	switch {
	case err != nil:
		return nil, err
	case l != nil:
		due = l.Due
	case s.st.salt == nil: // nobody was erased
		return nil, nil //nolint:nilnil // there is no such node
	default:
		if l, err = s.barOf(string(id)); l == nil || err != nil {
			return nil, err
		}
	}
	e = &entry{id: string(id), spec: l, storedDue: due, used: true}
	e.committed.Store(l)
	s.cache.insert(e)
	s.cache.resize(e, l)
	s.timers.adopt(e, due)
	return e, nil
}

// fromStore reads what the store has under an id, nil if nothing.
func (s *shard) fromStore(id string) (*lead.Lead, error) {
	l, err := s.cfg.Store.Lead(s.id, id)
	return l, wrapShard(err, "reading a lead", s.id)
}

func wrapShard(err error, what string, id int32) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s of shard %d: %w", what, id, err)
}

// create makes the entry of a lead that does not exist yet: it has no version until it is touched.
func (s *shard) create(id string) *entry {
	e := &entry{id: id, storedDue: lead.Never, used: true}
	s.cache.insert(e)
	s.timers.adopt(e, lead.Never)
	return e
}

// touch returns the lead's version of this epoch, made on the first touch. It is nil during redo when
// the store already has this epoch's version or a later one. Where there is none, or none any more, it is a new one.
func (s *shard) touch(e *entry) (*lead.Lead, error) { return s.version(e, s.newNode) }

// version is touch with what to make where there is none: none may be given a version that is gone, or nil.
func (s *shard) version(e *entry, none func(id string, gone *lead.Lead) *lead.Lead) (*lead.Lead, error) {
	n := s.ep.number
	switch l := e.spec; {
	case l == nil:
		e.spec = none(e.id, nil)
	case e.made && l.Epoch == n:
		if l.Gone {
			*l = *none(e.id, l)
			l.Epoch = n
		}
		return l, nil
	case s.redo != nil && l.Epoch >= n:
		return nil, nil
	case l.Gone:
		e.spec = none(e.id, l)
	default:
		s.watch(l)
		e.spec = l.Fork()
	}
	e.spec.Epoch, e.made = n, true
	s.ep.touched = append(s.ep.touched, touched{e, e.spec})
	if err := s.migrate(e); err != nil {
		return nil, err
	}
	return e.spec, nil
}

// emit turns what the rules put out into records.
func (s *shard) emit() {
	if err := s.send(s.letters[:0]); err != nil { // what timers wrote
		panic("bug: " + err.Error())
	}
	for i := range s.outs {
		o := &s.outs[i]
		s.ep.outputs++
		s.ep.stats.count(o.Kind)
		if s.redo != nil {
			continue
		}
		t := TopicTransitions
		if o.Kind == lead.HandOff {
			t = TopicHandoffs
		}
		s.text = lead.AppendJSON(s.text[:0], o)
		s.ep.records = append(s.ep.records, OutRecord{Topic: t, Partition: s.id, Key: []byte(cmp.Or(o.Account, o.Lead)), Value: slices.Clone(s.text)})
	}
}

// maxDeadHeaders bounds the headers of a record that go with it to the dead-letter topic.
const maxDeadHeaders = 16 << 10

// deadLetter sends a record that can't be applied to the dead-letter topic, byte for byte.
func (s *shard) deadLetter(tp TopicPartition, r *Record, cause error) error {
	var d *DeadLetter
	if !errors.As(cause, &d) {
		return fmt.Errorf("decoding %s/%d offset %d: %w", tp.Topic, tp.Partition, r.Offset, cause)
	}
	s.ep.stats.dead(d.Reason)
	if s.redo != nil {
		return nil
	}
	key, value := slices.Clone(r.Key), slices.Clone(r.Value)
	h := make([]Header, 0, len(r.Headers)+7)
	size := 0
	for _, x := range r.Headers {
		size += len(x.Key) + len(x.Value) + 16
	}
	if size <= maxDeadHeaders {
		for _, x := range withoutOrigin(r.Headers) {
			h = append(h, Header{x.Key, slices.Clone(x.Value)})
		}
	}
	add := func(k, v string) { h = append(h, Header{Key: "__streams.errors." + k, Value: []byte(v)}) }
	add("exception", d.Reason)
	add("message", d.Detail)
	add("topic", tp.Topic)
	add("partition", strconv.Itoa(int(tp.Partition)))
	add("offset", strconv.FormatInt(r.Offset, 10))
	if size > maxDeadHeaders {
		add("headers_dropped", strconv.Itoa(size))
	}
	if limit := s.cfg.MaxRecordBytes - min(size, maxDeadHeaders); len(key)+len(value) > limit {
		add("truncated", strconv.Itoa(len(value)))
		key = key[:min(len(key), limit/4)]
		value = value[:min(len(value), limit-len(key))]
	}
	s.ep.records = append(s.ep.records, OutRecord{Topic: TopicDeadletter, Partition: s.id, Key: key, Value: value, Headers: h})
	return nil
}
