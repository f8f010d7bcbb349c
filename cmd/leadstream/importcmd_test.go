package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"leadstream/connectors/kafka"
	"leadstream/engine"
)

const importMapping = `
format: csv
user_id: "{who}"
time: {value: "{when}"}
event: "{what}"
`

const importLines = `who,when,what
ann,2024-03-01T10:00:00Z,Signed Up
bob,2024-03-01T11:00:00Z,Signed Up
,2024-03-01T12:00:00Z,Signed Up
ann,soon,Ordered
ann,2024-03-02T10:00:00Z,Ordered
`

// importFiles writes a mapping and a file with two bad lines.
func importFiles(t *testing.T) (mapping, good, bad string) {
	t.Helper()
	lines := strings.SplitAfter(importLines, "\n")
	return write(t, "m.yaml", importMapping), write(t, "good.csv", lines[0]+lines[1]+lines[2]+lines[5]), write(t, "bad.csv", importLines)
}

func TestImportUsage(t *testing.T) {
	mapping, good, _ := importFiles(t)
	config := write(t, "l.yaml", `
brokers: [127.0.0.1:1]
sources: [{topic: live}, {topic: old, history: true}, {topic: raw, format: cloudevents, history: true}]
rules: [r.yaml]
data_dir: d
`, "r.yaml", testRules)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, exitUsage, "at least one file"},
		{[]string{good}, exitUsage, "--mapping is required"},
		{[]string{"-m", mapping, good}, exitUsage, "one of --config"},
		{[]string{"-m", mapping, "--dry-run", "--out", "x", good}, exitUsage, "one of --config"},
		{[]string{"-m", mapping, "--config", config, good}, exitUsage, "--config and --source"},
		{[]string{"-m", mapping, "--topic", "x", good}, exitUsage, "--brokers and --topic"},
		{[]string{"-m", mapping, "--dry-run", "--close", good}, exitUsage, "only a configured source"},
		{[]string{"-m", "nowhere.yaml", "--dry-run", good}, exitConfig, "no such file"},
		{[]string{"-m", good, "--dry-run", good}, exitConfig, "good.csv"},
		{[]string{"-m", mapping, "--dry-run", "nowhere.csv"}, exitUsage, "no such file"},
		{[]string{"-m", mapping, "--dry-run", mapping}, exitConfig, "there is no column"},
		{[]string{"-m", mapping, "--out", filepath.Join(good, "x"), good}, exitUsage, "--out"},
		{[]string{"-m", mapping, "-c", config, "--source", "odl", good}, exitUsage, `did you mean "old"?`},
		{[]string{"-m", mapping, "-c", config, "--source", "raw", good}, exitUsage, "format: cloudevents"},
		{[]string{"-m", mapping, "-c", config, "--source", "live", "--close", good}, exitUsage, "nothing to close"},
	} {
		_, errOut, code := command(t, append([]string{"import"}, c.args...)...)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%v: exit code %d, %q, want %d with %q", c.args, code, errOut, c.code, c.want)
		}
	}
}

func TestImportToAFile(t *testing.T) {
	defer goleak.VerifyNone(t)
	mapping, good, bad := importFiles(t)
	out, errOut, code := command(t, "import", "-m", mapping, "--dry-run", good)
	if code != exitOK || strings.Count(out, "\n") != 3 || !strings.Contains(errOut, "files: 1, lines left out: 0, events: 3 from 2024-03-01 to 2024-03-02") {
		t.Errorf("--dry-run: %d\n%s%s", code, out, errOut)
	}
	to := filepath.Join(t.TempDir(), "events.jsonl")
	_, errOut, code = command(t, "import", "-m", mapping, "--out", to, bad)
	for _, want := range []string{bad + ":4: there is no id", bad + ":5: the time does not fit the layout", "lines left out: 2"} {
		if code != exitIncomplete || !strings.Contains(errOut, want) {
			t.Errorf("--out: %d, %q, want %q", code, errOut, want)
		}
	}
	text, err := os.ReadFile(to)
	if err != nil || strings.Count(string(text), "\n") != 3 {
		t.Errorf("%v:\n%s", err, text)
	}
	again, _, code := command(t, "import", "-m", write(t, "s.yaml", "format: segment\n"), "--out", "-", to)
	if code != exitOK || again != string(text) {
		t.Errorf("what was written was read as\n%s", again)
	}
}

func TestImportIsInterrupted(t *testing.T) {
	defer goleak.VerifyNone(t)
	mapping, good, _ := importFiles(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := program{out: io.Discard, err: io.Discard, sys: testSystem(nil)}
	err := p.run(ctx, []string{"import", "-m", mapping, "--out", "-", good})
	if exitCode(err) != exitIncomplete || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("exit code %d, %v", exitCode(err), err)
	}
}

// TestImportToATopic: records are where a producer with the default partitioner would put them, in order, and
// carry the events' times where the topic keeps such records.
func TestImportToATopic(t *testing.T) {
	defer goleak.VerifyNone(t)
	broker, err := kafka.StartEmbedded(kafka.Embedded{Topics: map[string]int32{"short": 5}})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addresses()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 5, 1, map[string]*string{"retention.ms": kadm.StringPtr("-1")}, "long"); err != nil {
		t.Fatal(err)
	}
	mapping, good, bad := importFiles(t)
	address := broker.Addresses()[0]
	for topic, keepsTime := range map[string]bool{"long": true, "short": false} {
		began := time.Now().Truncate(time.Millisecond)
		if _, errOut, code := command(t, "import", "-m", mapping, "--brokers", address, "--topic", topic, good); code != exitOK {
			t.Fatalf("%d: %s", code, errOut)
		}
		got := records(t, client, topic, 3)
		if v := string(got["ann"][1].Value); len(got["ann"]) != 2 || !strings.Contains(v, "Ordered") {
			t.Errorf("%s: ann's records end in %s", topic, v)
		}
		for id, all := range got {
			for _, r := range all {
				if want := engine.ShardOf([]byte(id), 5); r.Partition != want {
					t.Errorf("%s: on partition %d, want %d", id, r.Partition, want)
				}
				if own := r.Timestamp.Before(began); own != keepsTime {
					t.Errorf("topic %s: a record has the time %s", topic, r.Timestamp)
				}
			}
		}
	}
	for want, args := range map[string][]string{
		"does not exist": {"--brokers", address, "--topic", "nowhere", good},
		"left out: 2":    {"--brokers", address, "--topic", "long", bad},
	} {
		_, errOut, code := command(t, append([]string{"import", "-m", mapping}, args...)...)
		if code != map[string]int{"does not exist": exitCluster, "left out: 2": exitIncomplete}[want] || !strings.Contains(errOut, want) {
			t.Errorf("%v: exit code %d, %s", args, code, errOut)
		}
	}
}

// records reads n records of a topic and returns them by key.
func records(t *testing.T, client *kgo.Client, topic string, n int) map[string][]*kgo.Record {
	t.Helper()
	reader, err := kgo.NewClient(kgo.SeedBrokers(client.OptValue(kgo.SeedBrokers).([]string)...), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got := map[string][]*kgo.Record{}
	for left := n; left > 0; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got[string(r.Key)] = append(got[string(r.Key)], r)
			left--
		})
	}
	return got
}

// TestImportCloses runs the whole way of old data: import into a history source, with bad lines first, and close.
func TestImportCloses(t *testing.T) {
	defer goleak.VerifyNone(t)
	broker, err := kafka.StartEmbedded(kafka.Embedded{Topics: map[string]int32{"old": 3, "odd": 4, "old-app.inbox": 3}})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addresses()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	config := write(t, "l.yaml", fmt.Sprintf("app: old-app\nshards: 3\nbrokers: [%q]\nsources: [{topic: old, history: true}, {topic: odd, history: true}]\nrules: [r.yaml]\ndata_dir: d\n",
		broker.Addresses()[0]), "r.yaml", testRules)
	mapping, good, bad := importFiles(t)
	_, errOut, code := command(t, "import", "-m", mapping, "-c", config, "--source", "old", "--close", bad)
	if code != exitIncomplete || !strings.Contains(errOut, "leadstream source close old --config") {
		t.Errorf("with bad lines: %d, %s", code, errOut)
	}
	if _, errOut, code := command(t, "import", "-m", mapping, "-c", config, "--source", "odd", good); code != exitOK || strings.Contains(errOut, "warning") {
		t.Errorf("with 4 partitions: %d, %s", code, errOut)
	}
	if _, errOut, code := command(t, "import", "-m", mapping, "-c", config, "--source", "old", "--close", good); code != exitOK {
		t.Errorf("with good lines: %d, %s", code, errOut)
	}
	records(t, client, "old", 6)
	want, err := engine.CloseSource("old")
	if err != nil {
		t.Fatal(err)
	}
	told := map[int32]bool{}
	for _, r := range records(t, client, "old-app.inbox", 3)[""] {
		told[r.Partition] = bytes.Equal(r.Value, want)
	}
	if len(told) != 3 || !told[0] || !told[1] || !told[2] {
		t.Errorf("the shards were told %v", told)
	}
}
