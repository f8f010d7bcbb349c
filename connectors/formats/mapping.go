package formats

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"leadstream/state/lead"
)

// Mapping says where the fields of an event are found in JSON that is no Segment message. Each field is
//
//   - a dotted path, "customer.id": members of members; a dot that belongs to a name is written "\.";
//   - ".", the whole document (for Properties, Context and Traits);
//   - "const:track", the same text for every record;
//   - "ce:subject", an attribute of the CloudEvents envelope;
//   - "", which leaves the field absent.
type Mapping struct {
	// Type must give one of the spec's types, in any letter case. It is required.
	Type string
	// UserID or AnonymousID must be given.
	UserID, AnonymousID string
	PreviousID          string
	GroupID             string
	MessageID           string
	// Timestamp gives the event's time: ISO 8601 text or a number. Default: the record's timestamp.
	Timestamp string
	// TimestampUnit is what a number counts: "s", "ms" (the default), "us" or "ns".
	TimestampUnit string
	// Event names the event, for tracks, pages and screens alike.
	Event             string
	Category, Channel string
	Properties        string
	Context, Traits   string
}

var timestampUnits = map[string]float64{"": 1, "ms": 1, "s": 1e3, "us": 1e-3, "ns": 1e-6}

// mapped is a Mapping that was checked and prepared.
type mapped struct {
	roots  *lead.Fields
	values []lead.Value // the scan's result; a decoder's own copy
	shape  lead.Shape   // and that
	paths  [numFields]path
	unitMs float64
}

// path is one field's place: at most one of the first four is set.
type path struct {
	constant  lead.Value
	attribute string
	whole     bool
	steps     []string
	// root is the place of steps[0] among the roots.
	root int
}

func compile(m *Mapping, cloudEvents bool) (*mapped, error) {
	if m == nil {
		return nil, nil
	}
	var (
		c      mapped
		faults []error
		ok     bool
		roots  []string
	)
	if c.unitMs, ok = timestampUnits[m.TimestampUnit]; !ok {
		faults = append(faults, fmt.Errorf("mapping timestamp_unit: %q is none of s, ms, us, ns", m.TimestampUnit))
	}
	for _, f := range []struct {
		name, text string
		fields     []int
	}{
		{"type", m.Type, []int{fieldType}},
		{"user_id", m.UserID, []int{fieldUserID}},
		{"anonymous_id", m.AnonymousID, []int{fieldAnonymousID}},
		{"previous_id", m.PreviousID, []int{fieldPreviousID}},
		{"group_id", m.GroupID, []int{fieldGroupID}},
		{"message_id", m.MessageID, []int{fieldMessageID}},
		{"timestamp", m.Timestamp, []int{fieldTimestamp}},
		{"event", m.Event, []int{fieldEvent, fieldName}},
		{"category", m.Category, []int{fieldCategory}},
		{"channel", m.Channel, []int{fieldChannel}},
		{"properties", m.Properties, []int{fieldProperties}},
		{"context", m.Context, []int{fieldContext}},
		{"traits", m.Traits, []int{fieldTraits}},
	} {
		p, err := parsePath(f.text, cloudEvents)
		if err != nil {
			faults = append(faults, fmt.Errorf("mapping %s: %w", f.name, err))
			continue
		}
		if len(p.steps) > 0 {
			if p.root = slices.Index(roots, p.steps[0]); p.root < 0 {
				p.root = len(roots)
				roots = append(roots, p.steps[0])
			}
		}
		for _, field := range f.fields {
			c.paths[field] = p
		}
	}
	if m.Type == "" {
		faults = append(faults, errors.New(`mapping type: missing; give a path or a constant such as "const:track"`))
	} else if v := c.paths[fieldType].constant; v.Kind != lead.Absent && typeOf(v) == 0 {
		faults = append(faults, fmt.Errorf("mapping type: %s is none of track, identify, page, screen, group, alias", v.Text))
	}
	if m.UserID == "" && m.AnonymousID == "" && m.PreviousID == "" {
		faults = append(faults, errors.New("mapping: neither user_id nor anonymous_id is given"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	c.roots = lead.NewFields(roots...)
	return &c, nil
}

func parsePath(text string, cloudEvents bool) (path, error) {
	if constant, ok := strings.CutPrefix(text, "const:"); ok {
		return path{constant: lead.StringValue(constant)}, nil
	}
	if attribute, ok := strings.CutPrefix(text, "ce:"); ok {
		if !cloudEvents {
			return path{}, fmt.Errorf("%q needs a CloudEvents envelope", text)
		}
		if attribute == "" {
			return path{}, fmt.Errorf("%q names no attribute", text)
		}
		return path{attribute: attribute}, nil
	}
	switch text {
	case "":
		return path{}, nil
	case ".":
		return path{whole: true}, nil
	}
	var steps []string
	var step strings.Builder
	for i := 0; i <= len(text); i++ {
		switch {
		case i == len(text) || text[i] == '.':
			if step.Len() == 0 {
				return path{}, fmt.Errorf("%q has an empty step", text)
			}
			steps = append(steps, step.String())
			step.Reset()
		case text[i] == '\\' && i+1 < len(text):
			i++
			step.WriteByte(text[i])
		default:
			step.WriteByte(text[i])
		}
	}
	return path{steps: steps}, nil
}

// unit returns how many ms a timestamp's number counts.
func (m *mapped) unit() float64 {
	if m == nil {
		return 1
	}
	return m.unitMs
}

// forDecoder returns a copy that one decoder may use.
func (m *mapped) forDecoder() *mapped {
	if m == nil {
		return nil
	}
	c := *m // roots and paths are only read
	c.values = make([]lead.Value, m.roots.Len())
	return &c
}

// read finds every field by its path.
func (m *mapped) read(doc []byte, e *envelope, out []lead.Value) error {
	if err := m.roots.ScanLike(&m.shape, doc, m.values); err != nil {
		return scanLetter(err)
	}
	for i := range m.paths {
		p := &m.paths[i]
		switch {
		case p.constant.Kind != lead.Absent:
			out[i] = p.constant
		case p.attribute != "":
			out[i] = e.attribute(p.attribute)
		case p.whole:
			out[i] = lead.Value{Kind: lead.Map, Text: bytes.Trim(doc, " \t\r\n")}
		case len(p.steps) > 0:
			v := m.values[p.root]
			for _, step := range p.steps[1:] {
				v = v.Object().Get(step)
			}
			out[i] = v
		default:
			out[i] = lead.Value{}
		}
	}
	return nil
}
