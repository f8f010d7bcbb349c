package main

import (
	"context"
	"encoding/json"
	"errors"

	"leadstream/connectors/httpapi"
	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

// Account implements httpapi.Leads.
func (v *apiView) Account(ctx context.Context, id string, at int64) (*httpapi.AccountView, error) {
	a, err := v.engine.Account(ctx, id, at)
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return nil, httpapi.ErrNotFound
	case errors.Is(err, engine.ErrNotOwned):
		return nil, v.elsewhere(engine.ShardOf([]byte(rules.AccountID(id)), int32(v.cfg.Shards)))
	case err != nil:
		return nil, err
	}
	view := &httpapi.AccountView{
		ID: a.Account, Stage: a.Stage, StageSince: httpapi.Time(a.StageSince), AsOf: httpapi.Time(a.At), Scores: named(a.Scores),
		Traits: map[string]json.RawMessage{}, FirstSeen: httpapi.Time(a.FirstSeen), LastSeen: httpapi.Time(a.LastSeen),
		Shard: a.Shard, RuleSet: a.RuleSet, Members: []httpapi.Member{}, Conditions: []httpapi.Condition{},
	}
	if a.NextChange != lead.Never {
		next := httpapi.Time(a.NextChange)
		view.NextChangeAt = &next
	}
	for _, t := range a.Traits {
		if t.Value.Kind != lead.Null && json.Valid(t.Value.Text) {
			view.Traits[t.Name] = t.Value.Text
		}
	}
	for _, m := range a.Members {
		x := httpapi.Member{Lead: m.Lead, Role: m.Role, Weight: m.Weight, Scores: named(m.Parts), Signals: map[string]httpapi.Time{}}
		for _, s := range m.Seen {
			x.Signals[s.Name] = httpapi.Time(s.At)
		}
		view.Members = append(view.Members, x)
	}
	for _, c := range a.Conditions {
		x := httpapi.Condition{Type: c.Kind.String(), When: c.When, To: c.To, Reason: c.Reason, Name: c.Name, Team: c.Team, Open: c.Open, Holds: c.Holds}
		if c.NotBefore != 0 {
			t := httpapi.Time(c.NotBefore)
			x.NotBefore = &t
		}
		view.Conditions = append(view.Conditions, x)
	}
	if a.Others > 0 {
		view.Others = &httpapi.OtherMembers{Count: a.Others, Scores: named(a.OthersParts)}
	}
	return view, nil
}

func named(scores []lead.NamedScore) map[string]float64 {
	m := make(map[string]float64, len(scores))
	for _, s := range scores {
		m[s.Name] = s.Value
	}
	return m
}
