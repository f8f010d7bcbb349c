package state

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Options says where a store is, whose it is and how much it may use. The memory of the process that is
// the store's is about CacheBytes * 1.3 + FilterBytes + MemTableBytes * 5 + 100 MiB, and 64 MiB for each Loader.
type Options struct {
	// Dir is the store's directory; it is created if needed.
	Dir string
	// App and ClusterID are the application's name and the Kafka cluster's id. A directory made for
	// others is refused. App is required; ClusterID is "" only where there is no cluster.
	App, ClusterID string
	// Instance is written into a new directory for whoever looks into it. It is not compared: a
	// directory may move to another instance.
	Instance string
	// CacheBytes is the size of the block cache: 0 is 64 MiB, the least is 1 MiB.
	CacheBytes int64
	// MemTableBytes is the size of one memtable; 0 is 16 MiB, the range 256 KiB to 1 GiB.
	MemTableBytes int64
	// FilterBytes bounds the memory in which the store keeps, at 12 to 60 bits each, which ids it has, so that it need not look for
	// those that it doesn't have; 6 KiB of each shard are granted always. 0 is a quarter of CacheBytes.
	FilterBytes int64
	// FS is the file system; nil is the disk.
	FS vfs.FS
	// Logger gets what Pebble has to say; nil discards it.
	Logger *slog.Logger
	// OnFatal is called once, on a goroutine of its own, if the store fails: ErrFailed, and in its chain
	// the reason. The owner ends the process in order; no method will block it.
	OnFatal func(error)
}

// Within returns the options with the parts for blocks and memtables of a process that may take so many bytes of memory in all.
func (o Options) Within(memory int64) Options {
	o.CacheBytes, o.MemTableBytes = memory/8, min(defaultMemTableBytes, max(minMemTableBytes, memory/64))
	return o
}

const (
	defaultCacheBytes    = 64 << 20
	minCacheBytes        = 1 << 20
	defaultMemTableBytes = 16 << 20
	minMemTableBytes     = 256 << 10
	maxMemTableBytes     = 1 << 30
	defaultLoadBytes     = 32 << 20
)

// withDefaults fills in what is zero, and returns all that is wrong with the options at once.
func (o Options) withDefaults() (Options, error) {
	var wrong []error
	if o.Dir == "" {
		wrong = append(wrong, errors.New("no directory is given"))
	}
	if o.App == "" {
		wrong = append(wrong, errors.New("no application is named"))
	}
	if o.CacheBytes == 0 {
		o.CacheBytes = defaultCacheBytes
	}
	if o.CacheBytes < minCacheBytes {
		wrong = append(wrong, fmt.Errorf("cache of %d bytes is smaller than %d", o.CacheBytes, minCacheBytes))
	}
	if o.FilterBytes == 0 {
		o.FilterBytes = o.CacheBytes / 4
	}
	if o.FilterBytes < 0 {
		wrong = append(wrong, fmt.Errorf("filters of %d bytes", o.FilterBytes))
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = defaultMemTableBytes
	}
	if o.MemTableBytes < minMemTableBytes || o.MemTableBytes > maxMemTableBytes {
		wrong = append(wrong, fmt.Errorf("memtable of %d bytes is outside of %d to %d", o.MemTableBytes, minMemTableBytes, maxMemTableBytes))
	}
	o.Logger = orDiscard(o.Logger)
	return o, errors.Join(wrong...)
}

// pebbleOptions sets everything that matters explicitly: Pebble's defaults are for a store of 8 MiB and
// change between its versions.
func (s *Store) pebbleOptions(o Options) *pebble.Options {
	l := &logger{log: o.Logger, failure: s.failure}
	p := &pebble.Options{
		FS:                 o.FS,
		FormatMajorVersion: formats[currentFormat()-1].pebble,
		Comparer:           pebble.DefaultComparer,
		Merger:             merger,
		Logger:             l,
		EventListener:      l.listener(s.counts),

		CacheSize:                   o.CacheBytes,
		MaxOpenFiles:                1000,
		MemTableSize:                uint64(o.MemTableBytes),
		MemTableStopWritesThreshold: 4,

		// The log is what makes a batch atomic; it is never waited for, and synced in the background so that
		// the kernel has little to write at once.
		DisableWAL:          false,
		WALBytesPerSync:     512 << 10,
		BytesPerSync:        512 << 10,
		MaxManifestFileSize: 16 << 20,

		// Reads are rare and writes come in slices, so compactions may lag: one at a time, two under pressure,
		// and writes are held back late.
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		L0CompactionThreshold:      4,
		L0CompactionFileThreshold:  500,
		L0StopWritesThreshold:      20,
		LBaseMaxBytes:              64 << 20,
		FlushSplitBytes:            4 << 20,
	}
	p.TargetFileSizes[0] = 2 << 20 // Doubled per level.
	for i := range p.Levels {
		p.Levels[i] = pebble.LevelOptions{
			BlockSize:      8 << 10,
			IndexBlockSize: 8 << 10,
			// A Get of a lead that is new is answered without a read.
			FilterPolicy: bloom.FilterPolicy(10),
			FilterType:   pebble.TableFilter,
			Compression:  func() *sstable.CompressionProfile { return block.SnappyCompression },
		}
	}
	p.Experimental.EnableColumnarBlocks = func() bool { return true }
	if p.FS == nil {
		p.WithFSDefaults() // The disk, with a watch for operations that take seconds.
	}
	p.FS = writes{FS: p.FS, l: l}
	return p
}
