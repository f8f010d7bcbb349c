package enginetest

import (
	"leadstream/engine"
	"leadstream/state/lead"
)

// Source makes the configuration of a source whose records are events in the Segment spec's words, with
// ids and a timestamp in ms: the little that the engine's own tests need.
func Source(name, topic string, history bool) engine.SourceConfig {
	return engine.SourceConfig{Name: name, Topic: topic, History: history, NewDecoder: func() engine.Decoder { return &decoder{future: lead.Never} }}
}

// decoder takes every time until it is told a limit.
type decoder struct{ future int64 }

var types = map[string]lead.Type{"track": lead.Track, "identify": lead.Identify, "page": lead.Page, "alias": lead.Alias, "group": lead.Group}

// Decode implements engine.Decoder.
func (d *decoder) Decode(r *engine.Record, wall int64, ev *lead.Event) error {
	*ev = lead.Event{}
	doc, err := lead.ParseObject(r.Value)
	if err != nil {
		return &engine.DeadLetter{Reason: "not_json"}
	}
	user, anonymous := doc.Get("userId").Bytes(), doc.Get("anonymousId").Bytes()
	id := user
	if len(id) == 0 {
		id = anonymous
	}
	ev.Type = types[doc.Get("type").Str()]
	if ev.Type == lead.Alias {
		id = doc.Get("previousId").Bytes()
		ev.PreviousID = id
	}
	if len(id) == 0 {
		return &engine.DeadLetter{Reason: "no_id"}
	}
	ts, ok := doc.Get("timestamp").Float()
	if stamp := min(r.Timestamp, wall); !ok || int64(ts)-stamp > d.future {
		ts = float64(stamp)
	}
	ev.RoutingID, ev.UserID, ev.AnonymousID, ev.Time = id, user, anonymous, int64(ts)
	ev.Name = doc.Get("event").Str()
	if m := doc.Get("messageId").Bytes(); len(m) > 0 {
		ev.MessageID, ev.MessageHash = m, lead.HashID(m)
	}
	if ev.Type == lead.Group {
		ev.GroupID = doc.Get("groupId").Bytes()
	}
	ev.Properties, ev.Traits = doc.Get("properties").Object(), doc.Get("traits").Object()
	return nil
}

// LimitFuture implements engine.Decoder.
func (d *decoder) LimitFuture(ms int64) { d.future = ms }
