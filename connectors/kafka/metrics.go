package kafka

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the package's, in the order of the part that sets them. All are there from the start.
type metrics struct {
	// Committer.
	commitSeconds *prometheus.HistogramVec
	aborts        *prometheus.CounterVec
	outBytes      prometheus.Counter
	outRecords    prometheus.Counter
	// Inputs.
	fetches   prometheus.Counter
	inBytes   prometheus.Counter
	inRecords prometheus.Counter
	// History.
	hung prometheus.Counter
	// Group.
	changes    *prometheus.CounterVec
	generation prometheus.Gauge
	rebalance  prometheus.Histogram
	// Watch.
	topicsChanged prometheus.Counter
}

// The phases of a commit and the reasons of an abort, as metric labels.
const (
	phaseFlush, phaseOffsets, phaseEnd            = "flush", "offsets", "end"
	abortProduce, abortOffsets, abortEnd          = "produce", "offsets", "end"
	abortFenced, abortUnknown, abortRefused       = "fenced", "unknown", "refused"
	changeGained, changeLost, changeFenced, quiet = "gained", "lost", "fenced", "generation"
)

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	const ns, sub = "leadstream", "kafka"
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: ns, Subsystem: sub, Name: name, Help: help})
	}
	m := &metrics{
		commitSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: ns, Subsystem: sub,
			Name: "commit_seconds", Help: "Time of the phases of a transaction.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2, 16)}, []string{"phase"}),
		aborts: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub,
			Name: "aborts_total", Help: "Transactions that were not committed, or not known to be, by what failed."}, []string{"reason"}),
		outBytes:      counter("out_bytes_total", "Bytes of keys and values committed."),
		outRecords:    counter("out_records_total", "Records committed."),
		fetches:       counter("fetches_total", "Fetches of single partitions handed to the engine."),
		inBytes:       counter("in_bytes_total", "Bytes of keys and values read by the engine."),
		inRecords:     counter("in_records_total", "Records read by the engine."),
		hung:          counter("hung_transactions_total", "Times that a read waited for an open transaction for longer than any may last."),
		topicsChanged: counter("topics_changed_total", "Topics that were deleted, made anew or given other partitions while in use: the process stops."),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: ns, Subsystem: sub,
			Name: "ownership_changes_total", Help: "Changes of shard ownership, by what they did."}, []string{"kind"}),
		generation: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: ns, Subsystem: sub,
			Name: "group_generation", Help: "Generation of the consumer group this process is in, -1 outside."}),
	}
	m.rebalance = prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: ns, Subsystem: sub,
		Name: "rebalance_seconds", Help: "Time from asking to join a generation of the group to its beginning.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)})
	for _, p := range []string{phaseFlush, phaseOffsets, phaseEnd} {
		m.commitSeconds.WithLabelValues(p)
	}
	for _, r := range []string{abortProduce, abortOffsets, abortEnd, abortFenced, abortUnknown, abortRefused} {
		m.aborts.WithLabelValues(r)
	}
	for _, k := range []string{changeGained, changeLost, changeFenced, quiet} {
		m.changes.WithLabelValues(k)
	}
	m.generation.Set(-1)
	if reg == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.commitSeconds, m.aborts, m.outBytes, m.outRecords,
		m.fetches, m.inBytes, m.inRecords, m.hung, m.changes, m.generation, m.rebalance, m.topicsChanged} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// phase observes one phase of a commit that began at start and returns the time now.
func (m *metrics) phase(name string, start time.Time) time.Time {
	now := time.Now()
	m.commitSeconds.WithLabelValues(name).Observe(now.Sub(start).Seconds())
	return now
}
