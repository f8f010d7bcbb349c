package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"leadstream/connectors/httpapi"
	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

// apiView shows the engine to the HTTP API in its words.
type apiView struct {
	*service
	started time.Time
}

// Ready implements httpapi.Engine.
func (v *apiView) Ready() (bool, string) {
	s := v.engine.Status()
	if s.Ready() {
		return true, ""
	}
	if s.Owned == 0 {
		return false, "this process has no shards yet"
	}
	return false, fmt.Sprintf("%d of %d shards are live, %d are being restored", len(s.Shards), s.Owned, s.Restoring)
}

// Status implements httpapi.Engine.
func (v *apiView) Status() httpapi.StatusView {
	s := v.engine.Status()
	view := httpapi.StatusView{App: v.cfg.App, Instance: v.cfg.Instance, Version: version(), RuleSet: v.rules.Version(),
		Started: httpapi.Time(v.started.UnixMilli()), Ready: s.Ready(), Owned: s.Owned, Restoring: s.Restoring, Shards: []httpapi.ShardView{}}
	for _, x := range s.Shards {
		view.Shards = append(view.Shards, shardView(x))
	}
	for _, b := range s.Standbys {
		x := httpapi.StandbyView{Shard: b.Shard, State: "loading", Epoch: b.Epoch, Behind: b.BehindEpochs, BehindMs: b.BehindMs, Loaded: b.Records, Failure: b.Failure}
		switch {
		case b.Ready:
			x.State = "ready"
		case b.Following:
			x.State = "following"
		}
		view.Standbys = append(view.Standbys, x)
	}
	for _, l := range s.Loading {
		view.Loading = append(view.Loading, httpapi.LoadingView{Shard: l.Shard, Loaded: l.Records})
	}
	if s.Plan != nil {
		for _, m := range s.Plan.Members {
			view.Members = append(view.Members, httpapi.MemberView{Instance: m.Instance, URL: m.Address,
				Owned: append([]int32{}, m.Owned...), Standby: append([]int32{}, m.Standby...)})
		}
	}
	for _, c := range v.cfg.Sources {
		source := httpapi.SourceView{Name: c.Name, Topic: c.Topic, History: c.History}
		for _, x := range s.Shards {
			for _, p := range x.Partitions {
				if p.Topic == c.Topic {
					source.Lag += max(0, p.End-max(0, p.Next))
				}
			}
		}
		view.Sources = append(view.Sources, source)
	}
	return view
}

func shardView(x engine.ShardStatus) httpapi.ShardView {
	view := httpapi.ShardView{Shard: x.Shard, State: "behind", Epoch: x.Epoch, Redo: x.RedoPoint, RedoAgeMs: x.RedoAgeMs, Leads: int64(x.CachedLeads),
		Dirty: int64(x.DirtyLeads), Timers: int64(x.Timers), Lag: x.Lag}
	if x.CaughtUp {
		view.State = "live"
	}
	if x.Tick > math.MinInt64 {
		tick := httpapi.Time(x.Tick)
		view.Tick = &tick
	}
	return view
}

// elsewhere says who has a shard, if the group has said so.
func (v *apiView) elsewhere(shard int32) *httpapi.ElsewhereError {
	e := &httpapi.ElsewhereError{Shard: shard}
	if m, ok := v.engine.Status().Plan.Owner(shard); ok {
		e.Instance, e.URL = m.Instance, m.Address
	}
	return e
}

// Lead implements httpapi.Leads.
func (v *apiView) Lead(ctx context.Context, id string, at int64) (*httpapi.LeadView, error) {
	l, err := v.engine.Lead(ctx, id, at)
	if e, ok := errors.AsType[*engine.ElsewhereError](err); ok {
		where := v.elsewhere(e.Shard)
		if e.ID != id { // the lead that it was merged into
			where.Lead = e.ID
		}
		return nil, where
	}
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return nil, httpapi.ErrNotFound
	case err != nil:
		return nil, err
	}
	view := &httpapi.LeadView{
		ID: l.ID, UserID: l.UserID, Stage: l.Stage, StageSince: httpapi.Time(l.StageSince), AsOf: httpapi.Time(l.At),
		Scores: map[string]float64{}, Grades: map[string]string{},
		FirstSeen: httpapi.Time(l.FirstSeen), LastSeen: httpapi.Time(l.LastSeen), Events: l.Events,
		Shard: l.Shard, RuleSet: l.RuleSet, Ledger: []httpapi.Contribution{}, IDs: l.IDs,
		Account: l.Account, Role: l.Role,
	}
	for _, r := range l.Refused {
		view.RefusedLinks = append(view.RefusedLinks, httpapi.RefusedLink{ID: r.ID, With: r.With, Time: httpapi.Time(r.Time), Reason: rules.WhyName(r.Why)})
	}
	if l.NextChange != lead.Never {
		next := httpapi.Time(l.NextChange)
		view.NextChangeAt = &next
	}
	for _, s := range l.Scores {
		view.Scores[s.Name] = s.Value
		if s.Grade != "" {
			view.Grades[s.Name] = s.Grade
		}
	}
	for _, c := range l.Consents {
		view.Consents = append(view.Consents, httpapi.Consent{Purpose: c.Purpose, Granted: c.Granted, Time: httpapi.Time(c.Time), Source: c.Source})
	}
	for _, c := range l.Ledger {
		view.Ledger = append(view.Ledger, httpapi.Contribution{Score: c.Score, Line: c.Line, Signal: c.Signal,
			Time: httpapi.Time(c.Time), Points: c.Points, Now: c.Now})
	}
	return view, nil
}

// Erase implements httpapi.Privacy.
func (v *apiView) Erase(ctx context.Context, r httpapi.ErasureRequest) (*httpapi.Erasure, error) {
	return erase(ctx, v.cluster, v.cfg.Shards, r)
}

// Export implements httpapi.Privacy.
func (v *apiView) Export(ctx context.Context, id string) (any, error) {
	nodes, away, err := v.engine.Export(id)
	if errors.Is(err, engine.ErrNotFound) {
		return nil, httpapi.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	now := time.Now()
	x := exported{ID: id, AsOf: httpapi.Time(now.UnixMilli()).String(), Nodes: nodes, Also: exportedAlso}
	for _, e := range away {
		y := elsewhere{Elsewhere: e}
		if m, ok := v.engine.Status().Plan.Owner(e.Shard); ok {
			y.Instance, y.URL = m.Instance, m.Address
		}
		x.Elsewhere = append(x.Elsewhere, y)
	}
	if view, err := v.Lead(ctx, id, now.UnixMilli()); err == nil {
		x.Lead = view
	}
	return x, nil
}
