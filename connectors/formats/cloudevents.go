package formats

import (
	"encoding/base64"
	"slices"
	"strings"

	"leadstream/engine"
	"leadstream/state/lead"
)

// envelope opens one CloudEvents envelope at a time, as the Kafka binding of the specification has it: in
// structured mode the record's value holds attributes and data, in binary mode headers named ce_... hold
// the attributes and the value is the data.
type envelope struct {
	names  []string
	fields *lead.Fields
	values []lead.Value
	// binary says that the attributes are in headers.
	binary  bool
	headers []engine.Header
}

// envelopeNames are the members of a structured envelope that are always looked for. The first two are
// no attributes.
var envelopeNames = []string{"data", "data_base64", "specversion", "id", "source", "time"}

func newEnvelope(m *mapped) *envelope {
	e := &envelope{names: slices.Clone(envelopeNames)}
	if m != nil {
		for i := range m.paths {
			if a := m.paths[i].attribute; a != "" && !slices.Contains(e.names, a) {
				e.names = append(e.names, a)
			}
		}
	}
	e.fields = lead.NewFields(e.names...)
	e.values = make([]lead.Value, len(e.names))
	return e
}

// open returns the text of the envelope's data and remembers its attributes until the next call.
func (e *envelope) open(r *engine.Record, doc []byte) ([]byte, error) {
	clear(e.values)
	e.headers = r.Headers
	contentType := strings.ToLower(string(header(r.Headers, "content-type")))
	e.binary = header(r.Headers, "ce_specversion") != nil && !strings.HasPrefix(contentType, "application/cloudevents")
	if e.binary {
		// Media types like application/vnd.example+json are JSON too; without any the data decides.
		if contentType != "" && !strings.Contains(contentType, "json") {
			return nil, letter(ReasonBadEnvelope, "the content type of the data is not JSON")
		}
		return doc, nil
	}
	if strings.HasPrefix(contentType, "application/cloudevents-batch") {
		return nil, letter(ReasonBadEnvelope, "a batch; Kafka records hold one event each")
	}
	if err := e.fields.Scan(doc, e.values); err != nil {
		return nil, scanLetter(err)
	}
	if absent(e.attribute("specversion")) {
		return nil, letter(ReasonBadEnvelope, "no specversion, neither as a member nor as a header")
	}
	data, encoded := e.values[0], e.values[1]
	switch {
	case data.Kind == lead.Map:
		return data.Text, nil
	case absent(data) && encoded.Kind == lead.String:
		text, err := base64.StdEncoding.DecodeString(encoded.Str())
		if err != nil {
			return nil, letter(ReasonBadEnvelope, "data_base64 is not base64")
		}
		return text, nil
	case absent(data):
		return nil, letter(ReasonBadEnvelope, "no data")
	}
	return nil, letter(ReasonBadEnvelope, "data is not an object")
}

// attribute returns an attribute of the envelope that was opened last.
func (e *envelope) attribute(name string) lead.Value {
	if e.binary {
		if v := header(e.headers, "ce_"+name); v != nil {
			return lead.StringValue(string(v))
		}
		return lead.Value{}
	}
	if i := slices.Index(e.names, name); i >= 0 {
		return e.values[i]
	}
	return lead.Value{}
}

// messageID names the event where its data does not: an envelope's id is unique within its source only.
func (e *envelope) messageID() lead.Value {
	id := e.attribute("id").Str()
	if id == "" {
		return lead.Value{}
	}
	return lead.StringValue(e.attribute("source").Str() + "/" + id)
}

// header returns the value of the last header with that name in any letter case, nil if there is none.
func header(headers []engine.Header, lower string) []byte {
	for _, h := range slices.Backward(headers) {
		if strings.EqualFold(h.Key, lower) {
			return h.Value
		}
	}
	return nil
}
