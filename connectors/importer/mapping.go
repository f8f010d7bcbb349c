package importer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	_ "time/tzdata" // zones are known also where the system has none, as in small containers

	"go.yaml.in/yaml/v4"
)

// Mapping says how lines become events.
type Mapping struct {
	// Format is csv (as RFC 4180 has it), fields (columns separated by any number of spaces or tabs), jsonl (one
	// JSON object a line), or segment (one Segment message a line, taken as it is).
	Format string `yaml:"format"`
	// Delimiter separates the columns of csv. Default: a comma.
	Delimiter string `yaml:"delimiter"`
	// SkipLines is how many lines to leave out at the start of each file, before the header.
	SkipLines int `yaml:"skip_lines"`
	// Header says that the next line names the columns. Default: true, unless Columns are given.
	Header *bool `yaml:"header"`
	// Columns names the columns, in place of a header or instead of its names.
	Columns []string `yaml:"columns"`

	// Type is the event's type: track (the default), identify, page, screen, group or alias.
	Type string `yaml:"type"`
	// UserID, else AnonymousID, is who did it; PreviousID is for alias and GroupID for group.
	UserID      string `yaml:"user_id"`
	AnonymousID string `yaml:"anonymous_id"`
	PreviousID  string `yaml:"previous_id"`
	GroupID     string `yaml:"group_id"`
	// MessageID tells events apart, so that importing a file twice counts once. Default: {file}:{line}.
	MessageID string `yaml:"message_id"`
	// Time is when it happened.
	Time Time `yaml:"time"`
	// Event is the name of a track, page or screen.
	Event string `yaml:"event"`
	// Events gives names to what Event yields; with it, a value that is not listed is a bad line, unless "*"
	// gives a name for the rest.
	Events map[string]string `yaml:"events"`
	// Properties and Traits are the event's. One whose value is empty is left out.
	Properties []Field `yaml:"properties"`
	Traits     []Field `yaml:"traits"`

	// Sort puts the events of all files in order of time, in memory. Events of the same time keep the order of
	// the files. Default: as the files have them.
	Sort bool `yaml:"sort"`
	// SortMax is how many events are sorted at most; more are an error. 0 means 10,000,000.
	SortMax int `yaml:"sort_max"`
}

// Time says where an event's time is and how it is written.
type Time struct {
	Value string `yaml:"value"`
	// Layout is iso8601 (the default), unix (seconds), unix_ms, or a pattern such as "%Y-%m-%d %H:%M:%S".
	Layout string `yaml:"layout"`
	// Zone is the time zone of patterns without one. Default: UTC.
	Zone string `yaml:"zone"`
}

// Field is one property or trait.
type Field struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
	// As is text, number or boolean. Default: text; a single {name} of a jsonl mapping keeps its JSON type.
	As string `yaml:"as"`
}

const defaultSortMax = 10_000_000

// ParseMapping reads a mapping and checks it. The error names every fault that was found.
func ParseMapping(text []byte) (Mapping, error) {
	var m Mapping
	if err := yaml.Load(text, &m, yaml.WithKnownFields()); err != nil {
		return Mapping{}, fmt.Errorf("reading mapping: %w", err)
	}
	if _, err := compile(m); err != nil {
		return Mapping{}, fmt.Errorf("checking mapping: %w", err)
	}
	return m, nil
}

// plan is a mapping that was checked and prepared.
type plan struct {
	Mapping
	header                                       bool
	delimiter                                    byte
	user, anonymous, previous, group, id, at, ev template
	layout                                       layout
	properties, traits                           []fieldPlan
	// columns are the names that templates use, in the order of their refs.
	columns []string
}

type fieldPlan struct {
	name  string
	value template
	as    string
}

const (
	formatCSV     = "csv"
	formatFields  = "fields"
	formatJSONL   = "jsonl"
	formatSegment = "segment"
)

func compile(m Mapping) (*plan, error) {
	c := compiler{plan: plan{Mapping: m, delimiter: ','}}
	p := &c.plan
	if p.SortMax == 0 {
		p.SortMax = defaultSortMax
	}
	c.check(p.SortMax > 0, "sort_max: %d is negative", p.SortMax)
	c.check(m.SkipLines >= 0, "skip_lines: %d is negative", m.SkipLines)
	switch m.Format {
	case formatSegment:
		c.segment()
		return p, c.err()
	case formatCSV, formatFields, formatJSONL:
	case "":
		c.fault("format: missing; one of csv, fields, jsonl, segment")
	default:
		c.fault("format: %q is none of csv, fields, jsonl, segment", m.Format)
	}
	if m.Delimiter != "" {
		c.check(m.Format == formatCSV, "delimiter: only csv has one")
		c.check(len(m.Delimiter) == 1 && m.Delimiter != `"` && m.Delimiter != "\n", "delimiter: must be one ASCII character that is no quote")
		p.delimiter = m.Delimiter[0]
	}
	p.header = m.Format != formatJSONL && len(m.Columns) == 0
	if m.Header != nil {
		p.header = *m.Header
	}
	c.check(m.Format != formatJSONL || !p.header && len(m.Columns) == 0, "header, columns: jsonl has neither")
	c.check(m.Format == formatJSONL || p.header || len(m.Columns) > 0, "columns: missing; without header the columns need names")
	if p.Type == "" {
		p.Type = "track"
	}
	c.check(slices.Contains([]string{"track", "identify", "page", "screen", "group", "alias"}, p.Type),
		"type: %q is none of track, identify, page, screen, group, alias", p.Type)
	if p.MessageID == "" {
		p.MessageID = "{file}:{line}"
	}
	if m.Type == "alias" {
		c.check(m.PreviousID != "", "previous_id: missing; an alias belongs to it")
	} else {
		c.check(m.UserID != "" || m.AnonymousID != "", "user_id: missing; it or anonymous_id says whose event it is")
	}
	c.check(m.Time.Value != "", "time: value is missing")
	p.user, p.anonymous = c.template("user_id", m.UserID), c.template("anonymous_id", m.AnonymousID)
	p.previous, p.group = c.template("previous_id", m.PreviousID), c.template("group_id", m.GroupID)
	p.id, p.at = c.template("message_id", p.MessageID), c.template("time", m.Time.Value)
	p.ev = c.template("event", m.Event)
	c.check(len(m.Events) == 0 || m.Event != "", "events: nothing to rename without event")
	c.layout()
	p.properties, p.traits = c.fields("properties", m.Properties), c.fields("traits", m.Traits)
	if len(m.Columns) > 0 {
		for _, name := range p.columns {
			c.check(slices.Contains(m.Columns, name), "{%s}: not among the columns", name)
		}
	}
	return p, c.err()
}

// compiler collects a mapping's faults.
type compiler struct {
	plan
	faults []error
}

func (c *compiler) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Errorf(format, args...))
}

func (c *compiler) check(ok bool, format string, args ...any) {
	if !ok {
		c.fault(format, args...)
	}
}

func (c *compiler) err() error { return errors.Join(c.faults...) }

// segment refuses what would have no effect on messages that are taken as they are.
func (c *compiler) segment() {
	m := c.Mapping
	for name, given := range map[string]bool{
		"delimiter": m.Delimiter != "", "header": m.Header != nil, "columns": len(m.Columns) > 0, "type": m.Type != "",
		"user_id": m.UserID != "", "anonymous_id": m.AnonymousID != "", "previous_id": m.PreviousID != "", "group_id": m.GroupID != "",
		"message_id": m.MessageID != "", "time": m.Time != Time{}, "event": m.Event != "", "events": len(m.Events) > 0,
		"properties": len(m.Properties) > 0, "traits": len(m.Traits) > 0,
	} {
		c.check(!given, "%s: Segment messages are taken as they are", name)
	}
	slices.SortFunc(c.faults, func(a, b error) int {
		if a.Error() < b.Error() {
			return -1
		}
		return 1
	})
}

func (c *compiler) layout() {
	var err error
	if c.plan.layout, err = parseLayout(c.Time.Layout); err != nil {
		c.fault("time layout: %w", err)
	}
	c.plan.layout.zone = time.UTC
	if c.Time.Zone != "" {
		if c.plan.layout.zone, err = time.LoadLocation(c.Time.Zone); err != nil {
			c.fault("time zone: %w", err)
		}
	}
}

func (c *compiler) fields(what string, fields []Field) []fieldPlan {
	var plans []fieldPlan
	seen := map[string]bool{}
	for _, f := range fields {
		c.check(f.Name != "", "%s: one has no name", what)
		c.check(!seen[f.Name], "%s: %q is there twice", what, f.Name)
		seen[f.Name] = true
		switch f.As {
		case "", "text", "number", "boolean":
		default:
			c.fault("%s %s: as: %q is none of text, number, boolean", what, f.Name, f.As)
		}
		plans = append(plans, fieldPlan{name: f.Name, value: c.template(what+" "+f.Name, f.Value), as: f.As})
	}
	return plans
}

// rename gives an event its listed name.
func (p *plan) rename(name string) (string, bool) {
	if len(p.Events) == 0 {
		return name, true
	}
	to, ok := p.Events[name]
	if !ok {
		to, ok = p.Events["*"]
	}
	return to, ok
}

// EventNames returns the names that the mapping's events can have, sorted; none when they come from the data.
func (m *Mapping) EventNames() []string {
	return slices.Compact(slices.Sorted(maps.Values(m.Events)))
}
