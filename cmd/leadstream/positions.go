package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"leadstream/connectors/backup"
	"leadstream/connectors/kafka"
	"leadstream/engine"
)

// newPositions finds where the sources are to be read from after a restore: by the way that was asked for, "" is the same
// offsets on the same cluster.
func newPositions(ctx context.Context, cluster *kafka.Cluster, m *backup.Manifest, way string, partitions map[string]int32) (map[engine.TopicPartition]int64, error) {
	at := map[engine.TopicPartition]int64{}
	if way == "" && m.Cluster != cluster.ClusterID() {
		return nil, fmt.Errorf("%w: the backup is of another cluster (%s, this is %s): say with --positions whether the sources' records are at the same offsets, are to be searched, or are listed in a file",
			errUsage, m.Cluster, cluster.ClusterID())
	}
	var listed map[engine.TopicPartition]int64
	if way != "" && way != "same" && way != "search" {
		var err error
		if listed, err = readPositions(way); err != nil {
			return nil, err
		}
	}
	var parts []engine.TopicPartition
	for _, p := range m.Positions {
		tp := engine.TopicPartition{Topic: p.Topic, Partition: p.Partition}
		if n, ok := partitions[p.Topic]; !ok || p.Partition >= n {
			return nil, fmt.Errorf("the backup is at offset %d of %s/%d, and the topic is no source of this configuration or has %d partitions: %w",
				p.Offset, p.Topic, p.Partition, n, engine.ErrDisagree)
		}
		id := fmt.Sprintf("%x", cluster.TopicIDs()[p.Topic])
		var err error
		switch {
		case listed != nil:
			offset, ok := listed[tp]
			if !ok {
				return nil, fmt.Errorf("%w: %s does not list %s %d", errUsage, way, tp.Topic, tp.Partition)
			}
			at[tp] = offset
		case way == "search":
			at[tp], err = searchPosition(ctx, cluster, p)
		case way == "" && p.TopicID != "" && id != "" && id != p.TopicID:
			err = fmt.Errorf("topic %q was deleted and made anew since the backup: say with --positions where its records are now: %w", p.Topic, engine.ErrDisagree)
		default:
			at[tp] = p.Offset
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, tp)
	}
	return at, inBounds(ctx, cluster, parts, at)
}

// inBounds sees that the sources hold what comes from the positions on.
func inBounds(ctx context.Context, cluster *kafka.Cluster, parts []engine.TopicPartition, at map[engine.TopicPartition]int64) error {
	if len(parts) == 0 {
		return nil
	}
	first, end, err := cluster.Bounds(ctx, parts)
	if err != nil {
		return err
	}
	for _, tp := range parts {
		if at[tp] < first[tp] || at[tp] > end[tp] {
			return fmt.Errorf("%s/%d is needed from offset %d on, and has %d to %d: %w", tp.Topic, tp.Partition, at[tp], first[tp], end[tp], engine.ErrGap)
		}
	}
	return nil
}

// readPositions reads a file of lines: topic partition offset. Empty lines and those that begin with # are left out.
func readPositions(path string) (map[engine.TopicPartition]int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: --positions: %w", errUsage, err)
	}
	at := map[engine.TopicPartition]int64{}
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		var p, o int64
		var perr, oerr error
		if len(fields) == 3 {
			p, perr = strconv.ParseInt(fields[1], 10, 32)
			o, oerr = strconv.ParseInt(fields[2], 10, 64)
		}
		if len(fields) != 3 || perr != nil || oerr != nil || p < 0 || o < 0 {
			err = fmt.Errorf("%w: %s:%d: expected: topic partition offset", errUsage, path, n)
			break
		}
		at[engine.TopicPartition{Topic: fields[0], Partition: int32(p)}] = o
	}
	return at, errors.Join(err, lines.Err(), f.Close())
}

// searchPosition finds the place after a run of records in a copy of the topic.
func searchPosition(ctx context.Context, cluster *kafka.Cluster, p backup.Position) (int64, error) {
	tp := engine.TopicPartition{Topic: p.Topic, Partition: p.Partition}
	if len(p.Before) == 0 {
		if p.Offset == 0 {
			first, _, err := cluster.Bounds(ctx, []engine.TopicPartition{tp})
			return first[tp], err
		}
		return 0, fmt.Errorf("the backup does not know what is before offset %d of %s/%d: list its position in a file: %w", p.Offset, p.Topic, p.Partition, engine.ErrGap)
	}
	oldest := int64(math.MaxInt64)
	for _, t := range p.Before {
		oldest = min(oldest, t.At)
	}
	from, err := cluster.OffsetAt(ctx, tp, oldest)
	if err != nil {
		return 0, err
	}
	found, n := int64(-1), 0
	if from >= 0 {
		var window []backup.Trace // the newest first
		err = cluster.History().Read(ctx, tp, from, engine.CommittedEnd, func(r *engine.Record) error {
			window = append([]backup.Trace{traceOf(r)}, window...)
			window = window[:min(len(window), len(p.Before))]
			if len(window) == len(p.Before) && sameTraces(window, p.Before) {
				found = r.Offset + 1
				n++
			}
			return nil
		})
	}
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return 0, fmt.Errorf("%s/%d does not hold the last records before the backup's position: the copy has not come so far, or did not keep timestamps, keys and values: %w", p.Topic, p.Partition, engine.ErrGap)
	case n > 1:
		return 0, fmt.Errorf("%s/%d holds the last records before the backup's position %d times: list its position in a file: %w", p.Topic, p.Partition, n, engine.ErrDisagree)
	}
	return found, nil
}

func sameTraces(a, b []backup.Trace) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
