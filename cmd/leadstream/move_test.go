package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/bench/broker"
)

// TestMoveToAnotherCluster follows the guide: the source is mirrored to another cluster, where its records have other offsets, the
// application is stopped, copied, restored there and goes on. Its outputs on both are those of one that never moved. A file of
// positions leads to the same as the search.
func TestMoveToAnotherCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("a second broker, and as much work as TestBackupUnderLoad does")
	}
	from := broker.Shared(t)
	to, err := broker.Start(t.Context(), broker.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer to.Stop()
	p := startProgram(t, testProgramConfig{rules: write(t, "growth.yaml", growthRules), brokers: from.Addr(), partitions: growthParts, shards: 4, idle: "1d"})
	g := newGrowth(t, p.topic, 5)
	half := len(g.records) / 2
	g.produce(p.client, 0, half, 0)
	p.applied()
	g.hear(p)
	p.stop()
	dir := filepath.Join(t.TempDir(), "copy")
	if out, errOut, code := command(t, "backup", "--to", dir, "--config", p.config); code != exitOK {
		t.Fatalf("backup: %d\n%s%s", code, out, errOut)
	}

	q := *p
	q.dir, q.addr, q.ended = t.TempDir(), to.Addr(), make(chan error, 1)
	q.config = filepath.Join(q.dir, "leadstream.yaml")
	g.rewrite(p, &q, "brokers: ["+from.Addr()+"]", "brokers: ["+to.Addr()+"]")
	if q.client, err = kgo.NewClient(kgo.SeedBrokers(q.addr), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	defer q.client.Close()
	positions := mirror(t, p, &q)

	if _, errOut, code := command(t, "restore", "--from", dir, "--config", q.config); code != exitUsage || !strings.Contains(errOut, "--positions") {
		t.Fatalf("restore on another cluster with no word on positions: %d %s", code, errOut)
	}
	for _, way := range []string{positions, "search"} {
		if out, errOut, code := command(t, "restore", "--from", dir, "--config", q.config, "--positions", way); code != exitOK {
			t.Fatalf("restore: %d\n%s%s", code, out, errOut)
		}
		if at, err := q.admin().FetchOffsets(t.Context(), q.app); err != nil || !atEnd(t, &q, at) {
			t.Fatalf("restored by %s, the group is at %v, not at the ends: %v", filepath.Base(way), at, err)
		}
		if way != "search" {
			forget(t, &q)
		}
	}
	q.start()
	g.produce(q.client, half, len(g.records), 0)
	q.applied()
	g.hear(&q)
	g.check(&q)
	q.stop()
}

// mirrorLost is how many of each partition's oldest records the mirror does not have: they had been deleted.
const mirrorLost = 5

// mirror copies the source to q's cluster, and writes a file of the ends that it has there.
func mirror(t *testing.T, p, q *testProgram) (file string) {
	t.Helper()
	if _, err := q.admin().CreateTopic(t.Context(), growthParts, 1, map[string]*string{"retention.ms": kadm.StringPtr("-1")}, q.topic); err != nil {
		t.Fatal(err)
	}
	ends, err := p.admin().ListEndOffsets(t.Context(), p.topic)
	if err != nil {
		t.Fatal(err)
	}
	starts, left := map[int32]kgo.Offset{}, int64(0)
	var text strings.Builder
	ends.Each(func(o kadm.ListedOffset) {
		starts[o.Partition] = kgo.NewOffset().At(mirrorLost)
		left += o.Offset - mirrorLost
		fmt.Fprintf(&text, "%s %d %d\n", o.Topic, o.Partition, o.Offset-mirrorLost)
	})
	reader, err := kgo.NewClient(kgo.SeedBrokers(p.addr), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.topic: starts}))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for left > 0 {
		fetches := reader.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		var copies []*kgo.Record
		fetches.EachRecord(func(r *kgo.Record) {
			copies = append(copies, &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp})
		})
		if err := q.client.ProduceSync(t.Context(), copies...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		left -= int64(len(copies))
	}
	file = filepath.Join(t.TempDir(), "positions")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// atEnd says whether a group's offsets are the ends of the source.
func atEnd(t *testing.T, p *testProgram, at kadm.OffsetResponses) bool {
	t.Helper()
	ends, err := p.admin().ListEndOffsets(t.Context(), p.topic)
	if err != nil {
		t.Fatal(err)
	}
	all := true
	ends.Each(func(o kadm.ListedOffset) {
		r, ok := at.Lookup(o.Topic, o.Partition)
		all = all && ok && r.At == o.Offset
	})
	return all
}
