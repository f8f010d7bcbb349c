package engine

import (
	"bytes"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"

	"leadstream/rules"
)

// MessageKind says what an inbox message asks for.
type MessageKind uint8

// The kinds of inbox messages.
const (
	MessageEvent       MessageKind = iota + 1 // an event that was read on another shard
	MessageCloseSource                        // a history source is complete: it may count as caught up
	MessageCommand                            // what an operator says to a lead
	MessageLetter                             // what one id says to another of who is who
)

// Message is what one entity, or an operator, says to another through an inbox.
type Message struct {
	_msgpack struct{} `msgpack:",as_array"` //nolint:unused // read by msgpack's reflection
	Kind     MessageKind
	// Source is the name of the source the event came from, or that is to be closed.
	Source string
	// Time is the event's time as the sender resolved it: its own wall clock limited it.
	Time int64
	// Topic, Partition and Offset say where the event was read; Timestamp is that record's.
	Topic     string
	Partition int32
	Offset    int64
	Timestamp int64
	Value     []byte
	Headers   []Header
	// From is the shard that sent an event, Seq the how manieth it sent to this one, counted from 1.
	From int32
	Seq  int64
	// Lead and Command are for MessageCommand; Time is 0 when the inbox record's is meant.
	Lead    string
	Command *rules.Command
	// To is the id that an event or a command goes to after it has followed the pointers of Route, "" before.
	To    string
	Route rules.Route
	// Letter is for MessageLetter.
	Letter *rules.Letter
}

func (m *Message) encode() ([]byte, error) {
	var b bytes.Buffer
	if err := msgpack.NewEncoder(&b).Encode(m); err != nil {
		return nil, fmt.Errorf("encoding inbox message: %w", err)
	}
	return b.Bytes(), nil
}

// DecodeMessage decodes the value of an inbox record; what it can't read is a *DeadLetter error.
func DecodeMessage(b []byte) (*Message, error) {
	var m Message
	if err := msgpack.NewDecoder(bytes.NewReader(b)).Decode(&m); err != nil {
		return nil, &DeadLetter{Reason: "bad_message", Detail: "not an inbox message"}
	}
	if m.Kind < MessageEvent || m.Kind > MessageLetter || m.Kind == MessageCommand && (m.Lead == "" || m.Command == nil) ||
		m.Kind == MessageLetter && (m.Letter == nil || m.Letter.To == "") {
		return nil, &DeadLetter{Reason: "bad_message", Detail: fmt.Sprintf("unknown kind %d", m.Kind)}
	}
	if m.Kind == MessageEvent && rules.IsAccount(m.To) {
		return nil, &DeadLetter{Reason: "bad_message", Detail: "an event of an account"}
	}
	if m.Kind == MessageLetter {
		if err := m.Letter.Check(); err != nil {
			return nil, &DeadLetter{Reason: "bad_message", Detail: "a letter that " + err.Error()}
		}
	}
	return &m, nil
}

// CommandLead returns the inbox message that says a command to a lead, and the shard that it goes to. A
// Command without Time is applied at the time it is written.
func CommandLead(id string, c rules.Command, shards int32) (message []byte, shard int32, err error) {
	m := Message{Kind: MessageCommand, Lead: id, Command: &c}
	message, err = m.encode()
	return message, ShardOf([]byte(id), shards), err
}

// CloseSource returns the inbox message that tells a shard that a history source is complete; the
// caller writes one to every partition of the inbox topic.
func CloseSource(name string) ([]byte, error) {
	m := Message{Kind: MessageCloseSource, Source: name}
	return m.encode()
}
