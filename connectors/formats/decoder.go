package formats

import (
	"leadstream/engine"
	"leadstream/state/lead"
)

// The fields of a message, as places in decoder.fields.
const (
	fieldType = iota
	fieldUserID
	fieldAnonymousID
	fieldMessageID
	fieldPreviousID
	fieldGroupID
	fieldTimestamp
	fieldOriginalTimestamp
	fieldSentAt
	fieldReceivedAt
	fieldEvent
	fieldName
	fieldCategory
	fieldChannel
	fieldProperties
	fieldContext
	fieldTraits
	numFields
)

// segmentNames are the members of a Segment message in the order of the fields, then their other names.
var segmentNames = lead.NewFields(
	"type", "userId", "anonymousId", "messageId", "previousId", "groupId", "timestamp", "originalTimestamp",
	"sentAt", "receivedAt", "event", "name", "category", "channel", "properties", "context", "traits",
	"action", "user_id", "anonymous_id", "message_id", "previous_id", "group_id", "original_timestamp",
	"sent_at", "received_at",
)

// otherNames are the fields that the names from numFields on stand in for.
var otherNames = [...]int{
	fieldType, fieldUserID, fieldAnonymousID, fieldMessageID, fieldPreviousID, fieldGroupID,
	fieldOriginalTimestamp, fieldSentAt, fieldReceivedAt,
}

// decoder reads the records of one source. It keeps nothing of one record for the next but event
// names and the order of members.
type decoder struct {
	config   Config
	futureMs int64
	encoding Encoding
	envelope *envelope
	mapped   *mapped // nil for Segment messages
	fields   [numFields + len(otherNames)]lead.Value
	names    map[string]string
	shape    lead.Shape
}

// Decode implements engine.Decoder.
func (d *decoder) Decode(r *engine.Record, wall int64, ev *lead.Event) error {
	if err := d.decode(r, ev); err != nil {
		*ev = lead.Event{}
		return err
	}
	ev.Time = d.time(r.Timestamp, wall)
	return nil
}

// LimitFuture implements engine.Decoder.
func (d *decoder) LimitFuture(ms int64) { d.futureMs = ms }

// decode does all but the time.
func (d *decoder) decode(r *engine.Record, ev *lead.Event) error {
	doc := r.Value
	if len(doc) == 0 {
		if doc == nil {
			return letter(ReasonEmpty, "tombstone")
		}
		return letter(ReasonEmpty, "no bytes")
	}
	if len(doc) > d.config.MaxBytes {
		return letter(ReasonTooLarge, "%d bytes, at most %d are read", len(doc), d.config.MaxBytes)
	}
	if d.encoding != nil {
		var err error
		if doc, err = d.encoding.JSON(doc); err != nil {
			return letter(ReasonNotReadable, "")
		}
	}
	if d.envelope != nil {
		var err error
		if doc, err = d.envelope.open(r, doc); err != nil {
			return err
		}
	}
	if err := d.read(doc); err != nil {
		return err
	}
	return d.fill(ev)
}

// read finds the message's fields in the document.
func (d *decoder) read(doc []byte) error {
	if d.mapped != nil {
		return d.mapped.read(doc, d.envelope, d.fields[:numFields])
	}
	if err := segmentNames.ScanLike(&d.shape, doc, d.fields[:]); err != nil {
		return scanLetter(err)
	}
	for i, field := range otherNames {
		if v := &d.fields[numFields+i]; v.Kind != lead.Absent && absent(d.fields[field]) {
			d.fields[field] = *v
		}
	}
	if d.envelope != nil {
		if absent(d.fields[fieldMessageID]) {
			d.fields[fieldMessageID] = d.envelope.messageID()
		}
		if absent(d.fields[fieldTimestamp]) && absent(d.fields[fieldOriginalTimestamp]) {
			d.fields[fieldTimestamp] = d.envelope.attribute("time")
		}
	}
	return nil
}

// fill makes the event of the fields, except for its time. It is put together beside ev and copied at once:
// ev's memory is the garbage collector's business, and each write to it may be.
func (d *decoder) fill(to *lead.Event) error {
	f := &d.fields
	var ev lead.Event
	if ev.Type = typeOf(f[fieldType]); ev.Type == 0 {
		if absent(f[fieldType]) {
			return letter(ReasonUnknownType, "no type")
		}
		return letter(ReasonUnknownType, "not one of track, identify, page, screen, group, alias")
	}
	var err error
	if ev.UserID, err = idOf(f[fieldUserID], "userId"); err != nil {
		return err
	}
	if ev.AnonymousID, err = idOf(f[fieldAnonymousID], "anonymousId"); err != nil {
		return err
	}
	if ev.MessageID, err = idOf(f[fieldMessageID], "messageId"); err != nil {
		return err
	}
	if ev.MessageID != nil {
		ev.MessageHash = lead.HashID(ev.MessageID)
	}
	if ev.RoutingID = ev.UserID; ev.UserID == nil {
		ev.RoutingID = ev.AnonymousID
	}
	switch ev.Type {
	case lead.Track:
		ev.Name = d.intern(f[fieldEvent].Bytes())
	case lead.Page, lead.Screen:
		ev.Name = d.intern(f[fieldName].Bytes())
	case lead.Group:
		if ev.GroupID, err = idOf(f[fieldGroupID], "groupId"); err != nil {
			return err
		}
	case lead.Alias:
		if ev.PreviousID, err = idOf(f[fieldPreviousID], "previousId"); err != nil {
			return err
		}
		if ev.RoutingID = ev.PreviousID; ev.RoutingID == nil {
			return letter(ReasonNoID, "an alias without previousId")
		}
	}
	if ev.RoutingID == nil {
		return letter(ReasonNoID, "neither userId nor anonymousId")
	}
	ev.Category, ev.Channel = f[fieldCategory].Bytes(), f[fieldChannel].Bytes()
	ev.Properties, ev.Context, ev.Traits = f[fieldProperties].Object(), f[fieldContext].Object(), f[fieldTraits].Object()
	*to = ev
	return nil
}

// absent says that a field counts as not there.
func absent(v lead.Value) bool {
	return v.Kind <= lead.Null || v.Kind == lead.String && len(v.Text) <= 2
}

// idOf returns an id's bytes, nil if it is absent.
func idOf(v lead.Value, field string) ([]byte, error) {
	var id []byte
	switch v.Kind {
	case lead.Absent, lead.Null:
		return nil, nil
	case lead.String:
		if id = v.Bytes(); len(id) == 0 {
			return nil, nil
		}
	case lead.Number:
		for i, c := range v.Text {
			if c -= '0'; c > 9 && !(i == 0 && v.Text[0] == '-') {
				return nil, letter(ReasonBadID, "%s is a number but not an integer", field)
			}
		}
		if id = v.Text; len(id) == 2 && string(id) == "-0" {
			id = id[1:]
		}
	case lead.Bool:
		return nil, letter(ReasonBadID, "%s is a boolean", field)
	case lead.List:
		return nil, letter(ReasonBadID, "%s is a list", field)
	default:
		return nil, letter(ReasonBadID, "%s is an object", field)
	}
	if len(id) > MaxIDBytes {
		return nil, letter(ReasonBadID, "%s has %d bytes, at most %d are allowed", field, len(id), MaxIDBytes)
	}
	return id, nil
}

// typeOf returns the type a value names, in any letter case; 0 if it names none.
func typeOf(v lead.Value) lead.Type {
	name := v.Bytes()
	switch string(name) {
	case "track":
		return lead.Track
	case "page":
		return lead.Page
	case "identify":
		return lead.Identify
	}
	for t := lead.Track; t <= lead.Alias; t++ {
		if equalFold(name, t.String()) {
			return t
		}
	}
	return 0
}

// equalFold compares with a lower-case ASCII word. bytes.EqualFold would also match letters like the
// Kelvin sign.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// intern returns the name as a string, the same memory each time while there is room to remember it.
func (d *decoder) intern(name []byte) string {
	if len(name) == 0 {
		return ""
	}
	s, ok := d.names[string(name)]
	if !ok {
		s = string(name)
		if len(d.names) < d.config.MaxNames && len(s) <= 256 {
			d.names[s] = s
		}
	}
	return s
}
