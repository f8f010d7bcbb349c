package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"leadstream/bench/broker"
)

// TestSourceGetsPartitions adds partitions to a source that is read, and writes to them at once: no record of theirs is left
// out, whether the program notices, or is killed and started again.
func TestSourceGetsPartitions(t *testing.T) {
	b := broker.Shared(t)
	p := startProgram(t, testProgramConfig{rules: write(t, "people.yaml", peopleRules), brokers: b.Addr(), partitions: 2, shards: 4})
	const leads = 30
	sent := 0
	round := func(partitions int32) {
		for i := range leads {
			p.send(int32(i)%partitions, "", fmt.Sprintf(`{"userId":"lead-%d","messageId":"m%d","type":"page","timestamp":%d}`, i, sent, time.Now().UnixMilli()))
			sent++
		}
	}
	round(2)
	for _, n := range []int{3, 7} {
		if _, err := p.admin().UpdatePartitions(t.Context(), n, p.topic); err != nil {
			t.Fatal(err)
		}
		p.wait("the broker knows them", func() bool { return p.partitions(p.topic) == int32(n) })
		client, err := kgo.NewClient(kgo.SeedBrokers(p.addr), kgo.RecordPartitioner(kgo.ManualPartitioner())) // the other one knows those before
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		p.client = client
		round(int32(n))
		if n == 7 {
			p.kill()
			p.start()
			round(7)
		}
		p.wait("every lead has all its events", func() bool {
			for i := range leads {
				var v struct {
					Events int                `json:"events"`
					Scores map[string]float64 `json:"scores"`
				}
				if p.get(fmt.Sprintf("/v1/leads/lead-%d", i), &v) != 200 || v.Events != sent/leads || v.Scores["plain"] != float64(sent/leads) {
					return false
				}
			}
			return true
		})
	}
	p.stop()
}
