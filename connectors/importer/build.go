package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"leadstream/connectors/formats"
	"leadstream/engine"
	"leadstream/state/lead"
)

// made is an event that is ready to be handed on.
type made struct {
	key, value []byte
	at         int64
}

var (
	errNoID      = errors.New("there is no id")
	errLongID    = fmt.Errorf("an id has more than %d bytes", formats.MaxIDBytes)
	errNoEvent   = errors.New("the event's name is empty")
	errEvent     = errors.New("the event is not listed under events")
	errNumber    = errors.New("is not a number")
	errBoolean   = errors.New("is not a boolean")
	errTimestamp = errors.New("there is no readable timestamp")
)

// build makes the event of a record.
func (p *plan) build(r *record) (made, error) {
	at, err := p.layout.parse(p.at.fill(r))
	if err != nil {
		return made{}, err
	}
	user, anonymous, previous := p.user.fill(r), p.anonymous.fill(r), p.previous.fill(r)
	key := user
	switch {
	case p.Type == "alias":
		key = previous
	case key == "":
		key = anonymous
	}
	if key == "" {
		return made{}, errNoID
	}
	m := message{b: append(make([]byte, 0, 256), '{')}
	m.text("type", p.Type)
	for _, id := range []struct{ name, value string }{
		{"messageId", p.id.fill(r)}, {"userId", user}, {"anonymousId", anonymous}, {"previousId", previous}, {"groupId", p.group.fill(r)},
	} {
		if len(id.value) > formats.MaxIDBytes {
			return made{}, errLongID
		}
		if id.value != "" {
			m.text(id.name, id.value)
		}
	}
	m.text("timestamp", time.UnixMilli(at).UTC().Format("2006-01-02T15:04:05.000Z"))
	if len(p.ev) > 0 {
		name := p.ev.fill(r)
		if name == "" {
			return made{}, errNoEvent
		}
		name, ok := p.rename(name)
		if !ok {
			return made{}, errEvent
		}
		if p.Type == "page" || p.Type == "screen" {
			m.text("name", name)
		} else {
			m.text("event", name)
		}
	}
	if err := m.fields("properties", p.properties, r); err != nil {
		return made{}, err
	}
	if err := m.fields("traits", p.traits, r); err != nil {
		return made{}, err
	}
	return made{key: []byte(key), value: append(m.b, '}'), at: at}, nil
}

// message is a Segment message that is being written.
type message struct{ b []byte }

func (m *message) name(name string) {
	if m.b[len(m.b)-1] != '{' {
		m.b = append(m.b, ',')
	}
	m.b = append(append(m.b, lead.StringValue(name).Text...), ':')
}

func (m *message) text(name, value string) {
	m.name(name)
	m.b = append(m.b, lead.StringValue(value).Text...)
}

func (m *message) fields(name string, fields []fieldPlan, r *record) error {
	if len(fields) == 0 {
		return nil
	}
	m.name(name)
	m.b = append(m.b, '{')
	for i := range fields {
		text, err := fields[i].json(r)
		if err != nil {
			return fmt.Errorf("%s %s %w", name, fields[i].name, err)
		}
		if text != nil {
			m.name(fields[i].name)
			m.b = append(m.b, text...)
		}
	}
	m.b = append(m.b, '}')
	return nil
}

// json returns a field's JSON, nil when it is left out.
func (f *fieldPlan) json(r *record) ([]byte, error) {
	if r.file.paths != nil && f.as == "" && len(f.value) == 1 && f.value[0].kind == partColumn {
		return r.value(f.value[0].ref).Text, nil
	}
	text := f.value.fill(r)
	if f.as == "" || f.as == "text" {
		if text == "" {
			return nil, nil
		}
		return lead.StringValue(text).Text, nil
	}
	if text = strings.TrimSpace(text); text == "" {
		return nil, nil
	}
	if f.as == "boolean" {
		switch strings.ToLower(text) {
		case "true", "t", "yes", "y", "1":
			return []byte("true"), nil
		case "false", "f", "no", "n", "0":
			return []byte("false"), nil
		}
		return nil, errBoolean
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return nil, errNumber
	}
	if json.Valid([]byte(text)) {
		return []byte(text), nil // as written, without a detour over a double
	}
	return strconv.AppendFloat(nil, n, 'f', -1, 64), nil
}

// segmentReader finds key and time of messages that are taken as they are.
type segmentReader struct{ decoder engine.Decoder }

func newSegmentReader() (*segmentReader, error) {
	newDecoder, err := formats.New(formats.Config{MaxBytes: maxRecordBytes})
	if err != nil {
		return nil, err
	}
	return &segmentReader{newDecoder()}, nil
}

func (s *segmentReader) build(r *record) (made, error) {
	// A record time that no message has shows that it gave none of its own.
	const none = int64(latest + 1)
	var ev lead.Event
	text := slices.Clone(r.text)
	if err := s.decoder.Decode(&engine.Record{Timestamp: none, Value: text}, none, &ev); err != nil {
		return made{}, err
	}
	if ev.Time >= none {
		return made{}, errTimestamp
	}
	return made{key: slices.Clone(ev.RoutingID), value: text, at: ev.Time}, nil
}
