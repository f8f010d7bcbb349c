package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/engine"
)

// oddRules read what bad input could break.
const oddRules = `
signals:
  any:   {match: 'event.type != ""'}
  odd:   {match: 'event.name == "Odd" && event.properties.amount >= 0'}
  money: {match: 'event.properties.amount / 2 > 1'}
  deep:  {match: 'event.context.page.url.startsWith("http") || event.path == "/x"'}
  old:   {match: 'event.time < timestamp("1980-01-01T00:00:00Z")'}
  probe: {match: 'event.name == "Probe"'}
scores:
  sum:
    half_life: 7d
    max: 1000
    lines:
      - {id: any, signal: any, add: 1}
      - {id: amount, signal: any, add: event.properties.amount}
      - {id: twice, signal: odd, add: event.properties.amount * 1e308 * 10}
      - {id: by, signal: money, add: 1, limit: {times: 2, per: 1d, by: event.properties.url}}
      - {id: deep, signal: deep, add: 1, once: true}
      - {id: silent, inactive: 30d, add: -1}
  fit:
    lines:
      - {id: mail, when: 'traits.email.endsWith("@example.com")', add: 10}
      - {id: size, when: 'traits.employees >= 10', add: 10}
    grades: {A: 10, B: 0}
stages: [first, probed, quiet]
transitions:
  - {from: any, to: probed, when: 'signal("probe")'}
  - {from: first, to: quiet, when: 'count("any", "3d") == 0 || since("old") >= duration("3650d") && score.sum < 1'}
handoffs:
  - {name: odd, when: 'score.sum >= 2 && grade.fit == "A"', assign: sales}
`

// TestBadInput feeds a running program with everything bad that was thought of, in the midst of third-party events and
// captured requests where those are here. Each record must either count for its lead or be a dead letter that has its
// bytes, and whatever came before, the next good event is applied: also after a restart, with its directory and without.
func TestBadInput(t *testing.T) {
	records := oddRecords()
	n := len(records)
	records = append(records, thirdParty(t)...)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	p := startProgram(t, testProgramConfig{rules: write(t, "rules.yaml", oddRules), shards: 4})
	feedOdd(p, records)
	p.probe(1)
	checkOdd(t, p, records)
	t.Logf("%d records, %d of them bad on purpose", len(records), n)
	text, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte(private)) || bytes.Contains(text, []byte("odd-")) {
		t.Errorf("the log shows contents of events:\n%s", p.tail())
	}
	p.checkCounts(records)

	p.kill() // it has to apply everything again that is not checkpointed
	p.start()
	p.probe(2)
	p.kill()
	if err := os.RemoveAll(filepath.Join(p.dir, "data")); err != nil {
		t.Fatal(err)
	}
	p.start()
	p.probe(3)
	checkOdd(t, p, records)
	p.stop()
	p.start()
	p.probe(4)
	p.stop()
}

// feedOdd writes the records, on partitions that have nothing to do with their keys.
func feedOdd(p *testProgram, records []oddRecord) {
	p.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(p.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(8<<20))
	if err != nil {
		p.t.Fatal(err)
	}
	defer client.Close()
	batch := make([]*kgo.Record, len(records))
	for i, r := range records {
		batch[i] = &kgo.Record{Topic: p.topic, Partition: int32(i) % p.shards, Key: r.key, Value: r.value, Headers: r.headers}
	}
	if err := client.ProduceSync(p.t.Context(), batch...).FirstErr(); err != nil {
		p.t.Fatal(err)
	}
	p.applied()
}

// probe sends a good event to each shard and waits until it was applied.
func (p *testProgram) probe(round int) {
	p.t.Helper()
	var ids []string
	for s := range p.shards {
		id := idOnShard(fmt.Sprintf("probe%d", round), s, p.shards)
		ids = append(ids, id)
		p.send((s+1)%p.shards, id, fmt.Sprintf(`{"type":"track","event":"Probe","userId":%q}`, id))
	}
	p.applied()
	said := p.said()
	for _, id := range ids {
		if len(said[id]) != 1 || said[id][0].what != "first>probed" {
			p.t.Errorf("of the good event of %s was said %v", id, said[id])
		}
	}
}

// checkOdd looks for every record: among the dead letters, or in its lead.
func checkOdd(t *testing.T, p *testProgram, records []oddRecord) {
	t.Helper()
	type place struct {
		partition int32
		offset    int64
	}
	// As they were written: by partition, in order.
	places, next := map[place]*oddRecord{}, map[int32]int64{}
	events, ids, dead := map[string]int{}, map[string]map[string]bool{}, 0
	for i := range records {
		r, part := &records[i], int32(i)%p.shards
		places[place{part, next[part]}] = r
		next[part]++
		if r.reason != "" {
			dead++
			continue
		}
		if id := messageID(r.value); id != "" {
			if ids[r.lead] == nil {
				ids[r.lead] = map[string]bool{}
			}
			if ids[r.lead][id] {
				continue
			}
			ids[r.lead][id] = true
		}
		events[r.lead]++
	}
	letters := 0
	p.read(engine.TopicDeadletter, func(l *engine.Record) error {
		letters++
		h := map[string]string{}
		for _, x := range l.Headers {
			h[x.Key] = string(x.Value)
		}
		partition, err1 := strconv.Atoi(h["__streams.errors.partition"])
		offset, err2 := strconv.ParseInt(h["__streams.errors.offset"], 10, 64)
		r := places[place{int32(partition), offset}]
		if err1 != nil || err2 != nil || r == nil || h["__streams.errors.topic"] != p.topic {
			t.Errorf("a dead letter of an unknown place: %v", h)
			return nil
		}
		delete(places, place{int32(partition), offset})
		r.checkLetter(t, l, h)
		return nil
	})
	if letters != dead {
		t.Errorf("%d dead letters, want %d", letters, dead)
	}
	for _, r := range places {
		if r.reason != "" {
			t.Errorf("%s is no dead letter: %.300q", r.what, r.value)
		}
	}
	// Ids that are one person's are one lead, which counts a message once, whichever of them it came to.
	type person struct {
		got, plain int // events, those without a messageId
		ids        map[string]bool
	}
	leads := map[string]*person{}
	for id, n := range events {
		var view struct {
			ID     string
			Events int
		}
		if code := p.get("/v1/leads/"+url.PathEscape(id), &view); code != 200 {
			t.Errorf("lead %q: %d", id, code)
			continue
		}
		if leads[view.ID] == nil {
			leads[view.ID] = &person{ids: map[string]bool{}}
		}
		x := leads[view.ID]
		x.got = view.Events
		x.plain += n - len(ids[id])
		maps.Copy(x.ids, ids[id])
	}
	for id, x := range leads {
		if want := x.plain + len(x.ids); x.got != want {
			t.Errorf("lead %q: %d events, want %d", id, x.got, want)
		}
	}
	t.Logf("%d records: %d dead letters, %d events of %d leads", len(records), letters, sumOf(events), len(events))
}

var (
	deadLetterMetric = regexp.MustCompile(`(?m)^leadstream_engine_deadletters_total\{reason="(\w+)"\} (\d+)$`)
	eventsMetric     = regexp.MustCompile(`(?m)^leadstream_engine_events_total (\S+)$`)
)

// checkCounts compares the metrics with the records and one round of probes.
func (p *testProgram) checkCounts(records []oddRecord) {
	p.t.Helper()
	want := map[string]int{}
	for _, r := range records {
		if r.reason != "" {
			want[r.reason]++
		}
	}
	text := p.metrics()
	got := map[string]int{}
	for _, m := range deadLetterMetric.FindAllStringSubmatch(text, -1) {
		if n, err := strconv.Atoi(m[2]); err == nil && n > 0 {
			got[m[1]] = n
		}
	}
	if !maps.Equal(got, want) {
		p.t.Errorf("the metrics count dead letters as %v, want %v", got, want)
	}
	if m := eventsMetric.FindStringSubmatch(text); m == nil || m[1] != strconv.Itoa(len(records)+int(p.shards)) {
		p.t.Errorf("the metrics count %v events, want %d", m, len(records)+int(p.shards))
	}
}

func sumOf(counts map[string]int) (sum int) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// checkLetter compares a dead letter with its record.
func (r *oddRecord) checkLetter(t *testing.T, l *engine.Record, h map[string]string) {
	t.Helper()
	if h["__streams.errors.exception"] != r.reason {
		t.Errorf("%s: the reason is %q, want %q: %.300q", r.what, h["__streams.errors.exception"], r.reason, r.value)
	}
	if strings.Contains(h["__streams.errors.message"], private) {
		t.Errorf("%s: the message shows contents: %s", r.what, h["__streams.errors.message"])
	}
	whole := bytes.Equal(l.Value, r.value) && (l.Value == nil) == (r.value == nil)
	if r.cut {
		whole = len(l.Value) > 1<<20 && bytes.HasPrefix(r.value, l.Value) && h["__streams.errors.truncated"] == strconv.Itoa(len(r.value))
	}
	if !whole || !bytes.Equal(l.Key, r.key) || (l.Key == nil) != (r.key == nil) {
		t.Errorf("%s: the dead letter has other bytes: key %.100q, %d bytes %.100q; want key %.100q, %d bytes %.100q",
			r.what, l.Key, len(l.Value), l.Value, r.key, len(r.value), r.value)
	}
	if r.bare {
		return
	}
	for i, want := range r.headers {
		if got := l.Headers[i]; got.Key != want.Key || !bytes.Equal(got.Value, want.Value) {
			t.Errorf("%s: header %d is %q=%q, want %q=%q", r.what, i, got.Key, got.Value, want.Key, want.Value)
		}
	}
}

// thirdParty returns events of others' tests and requests that were captured, none where they are not here.
func thirdParty(t *testing.T) (all []oddRecord) {
	t.Helper()
	dir := os.Getenv("LEADSTREAM_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	file, err := os.Open(filepath.Join(dir, "segment_spec", "rudder_transformer_events.jsonl.gz"))
	if err != nil {
		t.Logf("without third-party events (LEADSTREAM_DATA or %s): %v", dir, err)
		return nil
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var line struct{ Event json.RawMessage }
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		all = append(all, plainly(t, line.Event))
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(all) != 2578 {
		t.Errorf("%d third-party events, want 2,578", len(all))
	}
	captures, err := filepath.Glob(filepath.Join(dir, "captures", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range captures {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var capture struct {
			Body struct{ Batch []json.RawMessage }
		}
		if err := json.Unmarshal(text, &capture); err != nil {
			t.Fatal(err)
		}
		for _, doc := range capture.Body.Batch {
			all = append(all, plainly(t, doc))
		}
	}
	return all
}

// plainly says in the plainest way what should become of a message.
func plainly(t *testing.T, doc []byte) oddRecord {
	t.Helper()
	m := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	r := oddRecord{what: "third-party event", value: doc}
	field := func(names ...string) any {
		for _, name := range names {
			if v := m[name]; v != nil && v != "" {
				return v
			}
		}
		return nil
	}
	typ, _ := field("type", "action").(string)
	typ = strings.ToLower(typ)
	if !slices.Contains([]string{"track", "identify", "page", "screen", "group", "alias"}, typ) {
		r.reason = "unknown_type"
		return r
	}
	text := func(v any) string {
		switch v := v.(type) {
		case nil:
			return ""
		case string:
			return v
		case json.Number:
			if strings.Trim(string(v), "-0123456789") == "" {
				return string(v)
			}
		}
		r.reason = "bad_id"
		return ""
	}
	user, anonymous := text(field("userId", "user_id")), text(field("anonymousId", "anonymous_id"))
	text(field("messageId", "message_id"))
	if r.lead = user; user == "" {
		r.lead = anonymous
	}
	switch typ {
	case "alias":
		r.lead = text(field("previousId", "previous_id"))
	case "group":
		text(field("groupId", "group_id"))
	}
	if r.reason == "" && r.lead == "" {
		r.reason = "no_id"
	}
	return r
}

var messageIDField = regexp.MustCompile(`"message(?:Id|_id)"\s*:`)

// messageID returns a message's id, "" without.
func messageID(doc []byte) string {
	if !messageIDField.Match(doc) {
		return ""
	}
	var m map[string]any
	if json.Unmarshal(doc, &m) != nil {
		return ""
	}
	for _, name := range []string{"messageId", "message_id"} {
		switch v := m[name].(type) {
		case string:
			if v != "" {
				return v
			}
		case float64:
			return fmt.Sprint(v)
		}
	}
	return ""
}
