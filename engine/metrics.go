package engine

import (
	"github.com/prometheus/client_golang/prometheus"

	"leadstream/rules"
	"leadstream/state/lead"
)

// epochStats counts what one shard did in one epoch; it reaches the metrics when the epoch is committed.
type epochStats struct {
	events, received, duplicates, migrated int
	commands, missed, letters              int
	hits, misses                           int
	transitions, handoffs, merged          int
	barred, removed                        int
	erased, expired                        int
	deadletters                            map[string]int
}

func (s *epochStats) count(k lead.Kind) {
	switch k {
	case lead.HandOff:
		s.handoffs++
	case lead.LeadMerged:
		s.merged++
	case lead.LeadErased:
		s.erased++
	case lead.LeadExpired:
		s.expired++
	default:
		s.transitions++
	}
}

func (s *epochStats) dead(reason string) {
	if s.deadletters == nil {
		s.deadletters = make(map[string]int)
	}
	s.deadletters[reason]++
}

// metrics are the engine's own. Every name is documented in docs/operations.md.
type metrics struct {
	events, received, forwarded, duplicates, late        prometheus.Counter
	conditionErrors                                      *prometheus.CounterVec
	edgesDropped                                         *prometheus.CounterVec
	tooLate, gated, idleTimers, longTraits, stoppedLeads prometheus.Counter
	outputs                                              *prometheus.CounterVec
	deadletters                                          *prometheus.CounterVec
	epochs, aborts                                       *prometheus.CounterVec
	timers, migrated, redone                             prometheus.Counter
	cacheHits, cacheMisses, evicted                      prometheus.Counter
	checkpointed                                         prometheus.Counter
	epochSeconds, commitSeconds, restoreSeconds          prometheus.Histogram
	shards                                               *prometheus.GaugeVec
	skewed                                               prometheus.Gauge
	margin                                               *prometheus.GaugeVec
	refused, commands, missed                            prometheus.Counter
	letters, linked, claimed                             prometheus.Counter
	linksRefused                                         *prometheus.CounterVec
	diverged                                             prometheus.Counter
	barred, removed                                      prometheus.Counter

	standbyReloads, takeovers prometheus.Counter
	accounts                  accountMetrics
}

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "leadstream_engine_" + name, Help: help})
	}
	vec := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "leadstream_engine_" + name, Help: help}, []string{label})
	}
	seconds := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "leadstream_engine_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16)})
	}
	m := &metrics{
		events:          counter("events_total", "Source records read, of committed epochs."),
		received:        counter("events_received_total", "Events that came from another shard through the inbox."),
		forwarded:       counter("events_forwarded_total", "Events sent to the shard of their routing id."),
		duplicates:      counter("events_duplicate_total", "Events dropped because their messageId was seen."),
		late:            counter("events_late_total", "Events older than their lead's clock."),
		conditionErrors: vec("condition_errors_total", "Expressions that ended in an error and counted as false, by rule.", "rule"),
		edgesDropped:    vec("edges_dropped_total", "Rising edges inside a cooldown, by hand-off.", "handoff"),
		tooLate:         counter("events_too_late_total", "Late events older than max_late."),
		gated:           counter("events_gated_total", "Events whose signals did not count because the consent of the gate was not there."),
		idleTimers:      counter("timers_idle_total", "Timers that came due and changed nothing."),
		stoppedLeads:    counter("leads_stopped_total", "Leads that rest until their next event, because rules moved them 10,000 times with none between."),
		longTraits:      counter("traits_too_long_total", "Trait values too long to keep."),
		outputs:         vec("outputs_total", "Records put out, by kind.", "kind"),
		deadletters:     vec("deadletters_total", "Records sent to the dead-letter topic, by reason.", "reason"),
		epochs:          vec("epochs_total", "Transactions, by outcome.", "outcome"),
		aborts:          vec("rollbacks_total", "Times that uncommitted work was dropped, by cause.", "cause"),
		timers:          counter("timers_fired_total", "Timers that came due."),
		migrated:        counter("leads_migrated_total", "Leads brought under a new rule set."),
		redone:          counter("epochs_redone_total", "Epochs applied again in recovery."),
		cacheHits:       counter("cache_hits_total", "Leads found in the cache."),
		cacheMisses:     counter("cache_misses_total", "Leads looked up in the store."),
		evicted:         counter("cache_evicted_total", "Leads evicted from the cache."),
		checkpointed:    counter("leads_checkpointed_total", "Leads written to the state topic and the store."),
		epochSeconds:    seconds("epoch_seconds", "Time an epoch was open."),
		commitSeconds:   seconds("commit_seconds", "Time from the end of an epoch to its commit."),
		restoreSeconds:  seconds("restore_seconds", "Time to restore a shard."),
		shards:          prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "leadstream_engine_shards", Help: "Shards of this process, by state."}, []string{"state"}),
		commands:        counter("commands_total", "Commands said to leads."),
		missed:          counter("retractions_missed_total", "Commands to retract a message that is not known."),
		letters:         counter("letters_total", "Messages between ids about who is who, each step through a pointer included."),
		linked:          counter("links_total", "Ids that were linked to another."),
		claimed:         counter("claims_total", "Identifiers (e-mail addresses, phone numbers) that leads named first."),
		linksRefused:    vec("links_refused_total", "Links that were refused, by reason.", "reason"),
		refused:         counter("rules_refused_total", "Rule sets that this version can't read: one that is applied is not put in force, one that is in force stops the process."),
		barred:          counter("events_barred_total", "Events and messages between ids dropped because their id was erased after they happened, or is suppressed."),
		removed:         counter("nodes_removed_total", "Ids that were erased or removed."),
		diverged:        counter("digest_mismatches_total", "Epochs that, done again, gave other leads than their writer had. It must stay 0."),
		margin: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "leadstream_engine_retention_margin_records",
			Help: "Records of a source that are older than recovery would need, the least of all partitions: at 0 retention deletes what is needed."}, []string{"topic"}),
		standbyReloads: counter("standby_reloads_total", "Times that a standby began anew."),
		takeovers:      counter("takeovers_total", "Shards taken over from a standby of this process."),
		skewed:         prometheus.NewGauge(prometheus.GaugeOpts{Name: "leadstream_engine_clock_skewed", Help: "1 while the broker's clock and ours differ by over a minute: time-driven changes then wait for events."}),
		accounts:       newAccountMetrics(counter),
	}
	for _, k := range []lead.Kind{lead.StageChanged, lead.HandOff, lead.LeadMerged, lead.LeadErased, lead.LeadExpired} {
		m.outputs.WithLabelValues(k.String())
	}
	for _, o := range []string{"committed", "aborted", "fenced", "unknown"} {
		m.epochs.WithLabelValues(o)
	}
	for _, o := range []string{"aborted", "fenced", "unknown", "rebalance", "stop"} {
		m.aborts.WithLabelValues(o)
	}
	for _, o := range []string{"not_json", "no_id", "too_large", "bad_message", "unknown_source", "misrouted", "bad_id", "too_many_hops"} {
		m.deadletters.WithLabelValues(o)
	}
	for why := uint8(1); why < rules.NumWhys; why++ {
		m.linksRefused.WithLabelValues(rules.WhyName(why))
	}
	for _, o := range []string{"live", "restoring", "standby"} {
		m.shards.WithLabelValues(o)
	}
	if reg != nil {
		reg.MustRegister(m.events, m.received, m.forwarded, m.duplicates, m.late, m.conditionErrors, m.edgesDropped, m.tooLate, m.gated, m.idleTimers, m.longTraits, m.stoppedLeads, m.outputs,
			m.deadletters, m.epochs, m.aborts, m.timers, m.migrated, m.redone, m.cacheHits, m.cacheMisses, m.evicted,
			m.checkpointed, m.epochSeconds, m.commitSeconds, m.restoreSeconds, m.shards, m.skewed, m.refused, m.commands, m.missed,
			m.letters, m.linked, m.claimed, m.linksRefused, m.barred, m.removed, m.diverged)
		reg.MustRegister(m.standbyReloads, m.takeovers, m.margin)
		m.accounts.register(reg)
	}
	return m
}

// committed adds what a committed epoch counted.
func (m *metrics) committed(ep *shardEpoch) {
	st := &ep.stats
	m.events.Add(float64(st.events))
	m.received.Add(float64(st.received))
	m.forwarded.Add(float64(ep.forwarded))
	m.duplicates.Add(float64(st.duplicates))
	m.commands.Add(float64(st.commands))
	m.missed.Add(float64(st.missed))
	m.letters.Add(float64(st.letters))
	m.barred.Add(float64(st.barred))
	m.removed.Add(float64(st.removed))
	m.outputs.WithLabelValues(lead.LeadErased.String()).Add(float64(st.erased))
	m.outputs.WithLabelValues(lead.LeadExpired.String()).Add(float64(st.expired))
	m.outputs.WithLabelValues(lead.LeadMerged.String()).Add(float64(st.merged))
	m.outputs.WithLabelValues(lead.StageChanged.String()).Add(float64(st.transitions))
	m.outputs.WithLabelValues(lead.HandOff.String()).Add(float64(st.handoffs))
	for reason, n := range st.deadletters {
		m.deadletters.WithLabelValues(reason).Add(float64(n))
	}
	m.timers.Add(float64(ep.fired))
	m.migrated.Add(float64(st.migrated))
	m.cacheHits.Add(float64(st.hits))
	m.cacheMisses.Add(float64(st.misses))
}
