package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"leadstream/bench/broker"
	"leadstream/engine"

	"github.com/twmb/franz-go/pkg/kgo"
)

const peopleRules = `
signals:
  visit: {match: 'event.type == "page"'}
  demo: {match: 'event.name == "Demo Requested"'}
scores:
  plain: {lines: [{signal: visit, add: 1}, {signal: demo, add: 100}]}
stages: [visitor, lead]
identity: {link_by: email}
`

// TestPeopleOnTwoPartitions writes events as the usual destinations of customer data platforms do: keyed by userId, else
// by anonymousId. So those of one person are on two partitions and come in any order. The program is killed three
// times meanwhile. With no setting each person must be one lead, with all points once, whichever id is asked for.
func TestPeopleOnTwoPartitions(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a broker: not in short tests")
	}
	b := broker.Shared(t)
	p := startProgram(t, testProgramConfig{rules: write(t, "people.yaml", peopleRules), brokers: b.Addr(), partitions: 3, shards: 4})
	rng := rand.New(rand.NewPCG(4, 2))
	const people = 40
	began := time.Now()
	var records []*kgo.Record
	points, events := map[int]float64{}, map[int]int{}
	add := func(person int, user, device string, text string) {
		key := user
		if user == "" {
			key = device
		}
		events[person]++
		value := fmt.Sprintf(`{"userId":%q,"anonymousId":%q,"messageId":"m%d","timestamp":%q,%s}`, user, device, len(records),
			began.Add(-time.Duration(rng.IntN(3600))*time.Second).UTC().Format(time.RFC3339Nano), text)
		r := &kgo.Record{Topic: p.topic, Partition: engine.ShardOf([]byte(key), 3), Key: []byte(key), Value: []byte(value)}
		records = append(records, r)
	}
	for i := range people {
		user := fmt.Sprintf("user-%d", i)
		devices := []string{fmt.Sprintf("phone-%d", i), fmt.Sprintf("laptop-%d", i)}
		for _, d := range devices {
			add(i, user, d, fmt.Sprintf(`"type":"identify","traits":{"email":"p%d@example.com"}`, i))
		}
		add(i, fmt.Sprintf("crm-%d", i), "", fmt.Sprintf(`"type":"identify","traits":{"email":"P%d@Example.com"}`, i))
		for range 10 + rng.IntN(20) {
			d := devices[rng.IntN(2)]
			switch rng.IntN(4) {
			case 0:
				add(i, user, d, `"type":"page","properties":{"path":"/"}`)
				points[i]++
			case 1:
				add(i, user, "", `"type":"track","event":"Demo Requested"`)
				points[i] += 100
			default:
				add(i, "", d, `"type":"page","properties":{"path":"/"}`)
				points[i]++
			}
		}
	}
	rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	for part := range 4 {
		from, to := part*len(records)/4, (part+1)*len(records)/4
		if err := p.client.ProduceSync(t.Context(), records[from:to]...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if part < 3 {
			p.kill()
			p.start()
		}
	}
	type view struct {
		ID     string             `json:"id"`
		Events int                `json:"events"`
		Scores map[string]float64 `json:"scores"`
		IDs    []string           `json:"ids"`
	}
	wrong := ""
	right := func() bool {
		wrong = ""
		for i := range people {
			var root string
			for _, id := range []string{fmt.Sprintf("user-%d", i), fmt.Sprintf("phone-%d", i), fmt.Sprintf("laptop-%d", i), fmt.Sprintf("crm-%d", i)} {
				var v view
				if code := p.get("/v1/leads/"+id, &v); code != 200 || v.Scores["plain"] != points[i] || v.Events != events[i] || len(v.IDs) != 3 || root != "" && root != v.ID {
					wrong = fmt.Sprintf("id %s: %d, %+v, want %v points of %d events", id, code, v, points[i], events[i])
					return false
				}
				root = v.ID
			}
		}
		return true
	}
	p.applied()
	deadline := time.Now().Add(time.Minute)
	for !right() && time.Now().Before(deadline) { // letters may still be on their way
		p.applied()
	}
	if wrong != "" {
		t.Fatal(wrong)
	}
	merged := 0
	p.read(engine.TopicTransitions, func(r *engine.Record) error {
		var o struct{ Type string }
		if err := json.Unmarshal(r.Value, &o); err != nil {
			return err
		}
		if o.Type == "lead.merged" {
			merged++
		}
		return nil
	})
	t.Logf("%d people, %d events, %d merges", people, len(records), merged)
	p.stop()
}

// TestCapturedPayloads feeds the program what real SDKs sent: the ids in it are one person's.
func TestCapturedPayloads(t *testing.T) {
	path := realFile(t, "captures", "analytics-node-0.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var capture struct {
		Body struct {
			Batch []json.RawMessage `json:"batch"`
		} `json:"body"`
	}
	if err := json.Unmarshal(text, &capture); err != nil || len(capture.Body.Batch) == 0 {
		t.Fatalf("%s: %v", path, err)
	}
	p := startProgram(t, testProgramConfig{rules: write(t, "people.yaml", peopleRules), shards: 2})
	ids := map[string]bool{}
	for _, m := range capture.Body.Batch {
		var ev struct{ UserID, AnonymousID string }
		if err := json.Unmarshal(m, &ev); err != nil {
			t.Fatal(err)
		}
		if ev.UserID != "" && ev.AnonymousID != "" {
			ids[ev.UserID], ids[ev.AnonymousID] = true, true
		}
		p.send(engine.ShardOf([]byte(ev.AnonymousID), 2), ev.AnonymousID, string(m))
	}
	if len(ids) < 2 {
		t.Fatalf("the capture links nobody: %v", ids)
	}
	p.applied()
	roots := map[string]bool{}
	deadline := time.Now().Add(30 * time.Second)
	for len(roots) != 1 && time.Now().Before(deadline) {
		clear(roots)
		for id := range ids {
			var v struct {
				ID string `json:"id"`
			}
			p.get("/v1/leads/"+id, &v)
			roots[v.ID] = true
		}
	}
	if len(roots) != 1 || roots[""] {
		t.Fatalf("leads %v, want one", roots)
	}
	p.stop()
}
