package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"leadstream/rules"
	"leadstream/state/lead"
)

// LeadView is what is known of a lead as of a time: committed state only.
type LeadView struct {
	rules.View
	ID      string
	Shard   int32
	RuleSet string
	// IDs are the ids that were merged into the lead, sorted; Refused the newest links that were refused, oldest first.
	IDs     []string
	Refused []lead.Refusal
	// Account is the account that the lead belongs to, Role what it is there; both "" for none.
	Account, Role string
}

// ElsewhereError is ErrNotOwned with the shard that is not live here, and its id: the one that was asked for, or one that it
// points to, by which the lead's own process must be asked.
type ElsewhereError struct {
	Shard int32
	ID    string
}

// Error names the shard, not the id: logs have none.
func (e *ElsewhereError) Error() string { return fmt.Sprintf("shard %d: %v", e.Shard, ErrNotOwned) }

// Unwrap returns ErrNotOwned.
func (e *ElsewhereError) Unwrap() error { return ErrNotOwned }

// Lead returns the committed state of the lead that an id belongs to, with its scores as of `at`. It is safe on any
// goroutine. ErrNotOwned, as an ElsewhereError, when a shard that is needed is not live here, ErrNotFound when there is no such lead.
func (e *Engine) Lead(_ context.Context, id string, at int64) (*LeadView, error) {
	l, shard, err := e.node(id)
	if err != nil {
		return nil, err
	}
	if !rules.Begun(l) {
		return nil, ErrNotFound
	}
	set, err := e.ruleSet(l.Rules)
	if err != nil {
		return nil, err
	}
	ev := set.NewEvaluator()
	v := &LeadView{View: ev.View(l, at), ID: l.ID, Shard: shard, RuleSet: set.Version(), Refused: l.Rare().Refused}
	v.Account, v.Role = ev.Account(l)
	for _, x := range l.IDs {
		if x.Merged {
			v.IDs = append(v.IDs, x.ID)
		}
	}
	return v, nil
}

// node returns the lead that an id belongs to, and its shard. A circle of links that is about to be resolved has none.
func (e *Engine) node(id string) (*lead.Lead, int32, error) {
	for range rules.MaxHops {
		shard := ShardOf([]byte(id), e.cfg.Shards)
		l, err := e.committedLead(shard, id)
		if err != nil || l.Identifier || rules.IsAccount(id) {
			return nil, shard, cmp.Or(err, ErrNotFound)
		}
		if l.Forward == "" {
			return l, shard, nil
		}
		id = l.Forward
	}
	return nil, 0, ErrNotFound
}

// committedLead returns the committed state of one id.
func (e *Engine) committedLead(shard int32, id string) (*lead.Lead, error) {
	e.mu.RLock()
	s := e.live[shard]
	e.mu.RUnlock()
	if s == nil {
		return nil, &ElsewhereError{Shard: shard, ID: id}
	}
	if l := s.cache.read(id); l != nil {
		return l, nil
	}
	l, err := e.cfg.Store.Lead(shard, id)
	if err != nil {
		return nil, fmt.Errorf("reading a lead of shard %d: %w", shard, err)
	}
	if l == nil {
		return nil, ErrNotFound
	}
	return l, nil
}

// ShardStatus is one live shard as of its last commit.
type ShardStatus struct {
	Shard int32  `json:"shard"`
	Epoch uint64 `json:"epoch"`
	// Tick is the shard's time in ms, null-like (the smallest integer) before there is one.
	Tick        int64  `json:"tick"`
	RedoPoint   uint64 `json:"redo_point"`
	RedoAgeMs   int64  `json:"redo_age_ms"`
	Lag         int64  `json:"lag_records"`
	DirtyLeads  int    `json:"dirty_leads"`
	CachedLeads int    `json:"cached_leads"`
	CachedBytes int64  `json:"cached_bytes"`
	Timers      int    `json:"timers"`
	Queued      int    `json:"queued_records"`
	CaughtUp    bool   `json:"caught_up"`
	// Partitions are the input partitions' places.
	Partitions []PartitionStatus `json:"partitions"`
}

// PartitionStatus is the place of an input partition.
type PartitionStatus struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Next      int64  `json:"next"`
	End       int64  `json:"end"`
	Watermark int64  `json:"watermark"`
}

// Status is what this process runs.
type Status struct {
	Instance  string        `json:"instance"`
	RuleSet   string        `json:"rule_set"`
	Owned     int           `json:"owned"`
	Restoring int           `json:"restoring"`
	Shards    []ShardStatus `json:"shards"`
	// Standbys are the shards that it follows, Loading those that it owns and has not live yet.
	Standbys []StandbyStatus `json:"standbys"`
	Loading  []LoadingStatus `json:"loading"`
	// Plan is what the group last said of who has what; nil if it says nothing.
	Plan *Plan `json:"-"`
}

// StandbyStatus is one shard that this process follows.
type StandbyStatus struct {
	Shard int32  `json:"shard"`
	Epoch uint64 `json:"epoch"`
	// Following is false while it is loaded; Ready says that it would take over in milliseconds.
	Following bool `json:"following"`
	Ready     bool `json:"ready"`
	// BehindEpochs and BehindMs are how far it is behind its owner; Records what it has loaded of the state topic.
	BehindEpochs uint64 `json:"behind_epochs"`
	BehindMs     int64  `json:"behind_ms"`
	Records      int64  `json:"records"`
	// Failure is why it last began anew, "" if it never did.
	Failure string `json:"failure"`
}

// LoadingStatus is one shard that is being restored.
type LoadingStatus struct {
	Shard int32 `json:"shard"`
	// Records counts what was loaded of the state topic: 0 when the local store is used.
	Records int64 `json:"records"`
}

// Ready reports whether all shards that the group gave this process are live, and there is one.
func (s *Status) Ready() bool { return s.Owned > 0 && s.Restoring == 0 && len(s.Shards) == s.Owned }

// Status returns the state as of a moment ago. It is safe on any goroutine.
func (e *Engine) Status() Status {
	wall := e.cfg.Clock()
	e.mu.RLock()
	defer e.mu.RUnlock()
	st := e.status
	st.Plan = e.plan
	for id := range e.cfg.Shards {
		if sb := e.standbys[id]; sb != nil {
			st.Standbys = append(st.Standbys, sb.status(wall))
		}
	}
	st.Loading = slices.Clone(st.Loading)
	for i := range st.Loading {
		st.Loading[i].Records = e.loaded[st.Loading[i].Shard].Load()
	}
	return st
}

// updateStatus is called by the loop, which owns what it reads.
func (e *Engine) updateStatus(wall int64) {
	st := Status{Instance: e.writer, RuleSet: e.active.Load().Version(), Owned: len(e.loop.owned), Restoring: len(e.loop.restoring)}
	for _, id := range e.liveIDs() {
		st.Shards = append(st.Shards, e.shardStatus(e.live[id], wall))
	}
	for id := range e.cfg.Shards {
		if e.loop.restoring[id] != nil && e.loop.owned[id] {
			st.Loading = append(st.Loading, LoadingStatus{Shard: id})
		}
	}
	e.mu.Lock()
	e.status = st
	e.mu.Unlock()
}

func (e *Engine) shardStatus(s *shard, wall int64) ShardStatus {
	x := ShardStatus{
		Shard: s.id, Epoch: s.done.epoch, Tick: s.done.tick, RedoPoint: s.redoPoint(s.done.epoch, false),
		DirtyLeads: s.dirty.len(), CachedLeads: len(s.cache.ring), CachedBytes: s.cache.bytes,
		Timers: len(s.timers.heap), Queued: s.queued(), CaughtUp: true,
	}
	if x.RedoPoint < x.Epoch {
		for _, m := range e.loop.marks[s.id] {
			if m.epoch > x.RedoPoint {
				x.RedoAgeMs = wall - m.wall
				break
			}
		}
	}
	for i := range s.done.parts {
		p := &s.done.parts[i]
		ps := PartitionStatus{Topic: p.Topic, Partition: p.Partition, Next: p.next, Watermark: p.watermark}
		if l := s.live[p.TopicPartition]; l != nil {
			ps.End = l.end
			x.Lag += l.lag(p)
			x.CaughtUp = x.CaughtUp && p.next >= l.end
		}
		x.Partitions = append(x.Partitions, ps)
	}
	return x
}

// shardCollector exports gauges of each shard from the last status.
type shardCollector struct{ e *Engine }

var (
	descLag          = prometheus.NewDesc("leadstream_engine_lag_records", "Records of a shard's inputs that are not applied.", []string{"shard"}, nil)
	descDirty        = prometheus.NewDesc("leadstream_engine_dirty_leads", "Changed leads that are not checkpointed.", []string{"shard"}, nil)
	descCache        = prometheus.NewDesc("leadstream_engine_cached_leads", "Leads in the cache.", []string{"shard"}, nil)
	descBytes        = prometheus.NewDesc("leadstream_engine_cached_bytes", "Estimated heap of the cached leads.", []string{"shard"}, nil)
	descTimer        = prometheus.NewDesc("leadstream_engine_timers", "Timers held in memory.", []string{"shard"}, nil)
	descRedo         = prometheus.NewDesc("leadstream_engine_redo_age_seconds", "Age of the oldest change that is not checkpointed.", []string{"shard"}, nil)
	descTick         = prometheus.NewDesc("leadstream_engine_tick_seconds", "The shard's time.", []string{"shard"}, nil)
	descBehindEpochs = prometheus.NewDesc("leadstream_engine_standby_behind_epochs", "Committed epochs of a shard that its standby here has not done yet.", []string{"shard"}, nil)
	descBehind       = prometheus.NewDesc("leadstream_engine_standby_behind_seconds", "How long a shard's standby here has been behind its owner.", []string{"shard"}, nil)
	descLoading      = prometheus.NewDesc("leadstream_engine_loading_records", "Records of the state topic loaded so far of a shard that is being restored.", []string{"shard"}, nil)
	descEpoch        = prometheus.NewDesc("leadstream_engine_epoch", "The shard's last committed epoch.", []string{"shard"}, nil)
)

// Describe implements prometheus.Collector.
func (c *shardCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLag, descDirty, descCache, descBytes, descTimer, descRedo, descTick, descEpoch, descBehindEpochs, descBehind, descLoading} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *shardCollector) Collect(ch chan<- prometheus.Metric) {
	st := c.e.Status()
	for _, b := range st.Standbys {
		label := fmt.Sprint(b.Shard)
		ch <- prometheus.MustNewConstMetric(descBehindEpochs, prometheus.GaugeValue, float64(b.BehindEpochs), label)
		ch <- prometheus.MustNewConstMetric(descBehind, prometheus.GaugeValue, float64(b.BehindMs)/1000, label)
	}
	for _, x := range st.Loading {
		ch <- prometheus.MustNewConstMetric(descLoading, prometheus.GaugeValue, float64(x.Records), fmt.Sprint(x.Shard))
	}
	for _, s := range st.Shards {
		label := fmt.Sprint(s.Shard)
		put := func(d *prometheus.Desc, v float64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label)
		}
		put(descLag, float64(s.Lag))
		put(descDirty, float64(s.DirtyLeads))
		put(descCache, float64(s.CachedLeads))
		put(descBytes, float64(s.CachedBytes))
		put(descTimer, float64(s.Timers))
		put(descRedo, float64(s.RedoAgeMs)/1000)
		put(descTick, float64(max(0, s.Tick))/1000)
		put(descEpoch, float64(s.Epoch))
	}
}
