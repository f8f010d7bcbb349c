package state

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// counters are what the store counts itself.
type counters struct {
	entities, bytes, loads, loaded     atomic.Uint64
	filtered, missed, scanned          atomic.Uint64
	filterBytes                        atomic.Int64
	corruptions, stalls, slow, dropped atomic.Uint64
}

// metric is one metric of the store: read is called once per scrape. m is nil once the store has failed.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(c *counters, m *pebble.Metrics) float64
	// pebble says that read needs m.
	pebble bool
}

func own(kind prometheus.ValueType, name, help string, read func(*counters) uint64) metric {
	return metric{
		desc: prometheus.NewDesc("leadstream_state_"+name, help, nil, nil), kind: kind,
		read: func(c *counters, _ *pebble.Metrics) float64 { return float64(read(c)) },
	}
}

func fromPebble(kind prometheus.ValueType, name, help string, read func(*pebble.Metrics) float64) metric {
	return metric{
		desc: prometheus.NewDesc("leadstream_state_"+name, help, nil, nil), kind: kind, pebble: true,
		read: func(_ *counters, m *pebble.Metrics) float64 { return read(m) },
	}
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

var failedDesc = prometheus.NewDesc("leadstream_state_failed", "1 after the store has failed; the process should be ending.", nil, nil)

var metrics = []metric{
	own(counter, "checkpointed_entities_total", "Entities written by checkpoints.", func(c *counters) uint64 { return c.entities.Load() }),
	own(counter, "checkpointed_bytes_total", "Bytes of the batches that checkpoints wrote.", func(c *counters) uint64 { return c.bytes.Load() }),
	own(counter, "loads_total", "Shards loaded whole.", func(c *counters) uint64 { return c.loads.Load() }),
	own(counter, "loaded_entities_total", "Entities of shards loaded whole.", func(c *counters) uint64 { return c.loaded.Load() }),
	own(counter, "dropped_shards_total", "Shards removed.", func(c *counters) uint64 { return c.dropped.Load() }),
	own(gauge, "filter_bytes", "Memory of the filters that know which entities the store has.", func(c *counters) uint64 { return uint64(c.filterBytes.Load()) }),
	own(counter, "filtered_total", "Looks for an entity that a filter in memory knew to be absent.", func(c *counters) uint64 { return c.filtered.Load() }),
	own(counter, "missed_total", "Looks into the store for an entity that was absent, which the filter didn't know.", func(c *counters) uint64 { return c.missed.Load() }),
	own(counter, "filter_scanned_entities_total", "Entities of before the start that were added to the filters.", func(c *counters) uint64 { return c.scanned.Load() }),
	own(counter, "corruptions_total", "Damaged blocks found when reading.", func(c *counters) uint64 { return c.corruptions.Load() }),
	own(counter, "write_stalls_total", "Times that writes were held back until flushes or compactions caught up.", func(c *counters) uint64 { return c.stalls.Load() }),
	own(counter, "slow_disk_operations_total", "Disk operations that took seconds.", func(c *counters) uint64 { return c.slow.Load() }),

	fromPebble(gauge, "disk_bytes", "Disk space in use, files about to be deleted included.", func(m *pebble.Metrics) float64 { return float64(m.DiskSpaceUsage()) }),
	fromPebble(gauge, "table_bytes", "Size of the live tables.", func(m *pebble.Metrics) float64 { t := m.Total(); return float64(t.TablesSize) }),
	fromPebble(gauge, "tables", "Number of the live tables.", func(m *pebble.Metrics) float64 { t := m.Total(); return float64(t.TablesCount) }),
	fromPebble(gauge, "wal_bytes", "Size of the write-ahead logs in use.", func(m *pebble.Metrics) float64 { return float64(m.WAL.Size) }),
	fromPebble(gauge, "memtable_bytes", "Memory of the memtables.", func(m *pebble.Metrics) float64 { return float64(m.MemTable.Size + m.MemTable.ZombieSize) }),
	fromPebble(gauge, "cache_bytes", "Memory of the block cache in use.", func(m *pebble.Metrics) float64 { return float64(m.BlockCache.Size) }),
	fromPebble(counter, "cache_hits_total", "Blocks found in the block cache.", func(m *pebble.Metrics) float64 { return float64(m.BlockCache.Hits) }),
	fromPebble(counter, "cache_misses_total", "Blocks that had to be read.", func(m *pebble.Metrics) float64 { return float64(m.BlockCache.Misses) }),
	fromPebble(counter, "filter_hits_total", "Table reads that a Bloom filter saved.", func(m *pebble.Metrics) float64 { return float64(m.Filter.Hits) }),
	fromPebble(gauge, "read_amplification", "Tables that a read may have to look into.", func(m *pebble.Metrics) float64 { return float64(m.ReadAmp()) }),
	fromPebble(gauge, "compaction_debt_bytes", "Bytes to compact until the store is in shape.", func(m *pebble.Metrics) float64 { return float64(m.Compact.EstimatedDebt) }),
	fromPebble(counter, "compactions_total", "Compactions.", func(m *pebble.Metrics) float64 { return float64(m.Compact.Count) }),
	fromPebble(counter, "compaction_seconds_total", "Time spent in compactions.", func(m *pebble.Metrics) float64 { return m.Compact.Duration.Seconds() }),
	fromPebble(counter, "flushes_total", "Memtables written to tables.", func(m *pebble.Metrics) float64 { return float64(m.Flush.Count) }),
	fromPebble(counter, "wal_written_bytes_total", "Bytes written to the write-ahead log.", func(m *pebble.Metrics) float64 { return float64(m.WAL.BytesWritten) }),
	fromPebble(counter, "table_written_bytes_total", "Bytes written to tables by flushes and compactions.", func(m *pebble.Metrics) float64 {
		t := m.Total()
		return float64(t.TableBytesFlushed + t.TableBytesCompacted)
	}),
	fromPebble(gauge, "tombstones", "Deletions that compactions have not removed yet.", func(m *pebble.Metrics) float64 { return float64(m.Keys.TombstoneCount) }),
	fromPebble(gauge, "open_iterators", "Table iterators in use.", func(m *pebble.Metrics) float64 { return float64(m.TableIters) }),
}

// collector reads Pebble's metrics once per scrape.
type collector struct{ s *Store }

// Collector returns the store's metrics. It stays valid after Close, with nothing to tell.
func (s *Store) Collector() prometheus.Collector { return collector{s} }

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- failedDesc
	for _, m := range metrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	c.s.mu.RLock()
	defer c.s.mu.RUnlock()
	if c.s.closed {
		return
	}
	var pm *pebble.Metrics
	failed := 0.0
	// Guarded: of a store that fails during the scrape, Pebble may never let go of the lock it needs.
	result := make(chan *pebble.Metrics, 1)
	if c.s.failure.guard(func() error { result <- c.s.db.Metrics(); return nil }) == nil {
		pm = <-result
	} else {
		failed = 1
	}
	ch <- prometheus.MustNewConstMetric(failedDesc, gauge, failed)
	for _, m := range metrics {
		if m.pebble && pm == nil {
			continue
		}
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.read(c.s.counts, pm))
	}
}
