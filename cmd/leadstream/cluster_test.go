package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"leadstream/connectors/kafka"
	"leadstream/engine"
)

// TestTwoProcesses: two processes share the shards, each answers for its own, both stream everything, and
// when one leaves the other has all.
func TestTwoProcesses(t *testing.T) {
	defer goleak.VerifyNone(t)
	broker, err := kafka.StartEmbedded(kafka.Embedded{Topics: map[string]int32{"events": 2}})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	file := write(t, "c.yaml", fmt.Sprintf("brokers: [%q]\nshards: 2\nsources: [{topic: events}]\nrules: [r.yaml]\ndata_dir: data\n"+
		"http: {listen: '127.0.0.1:0'}\n", broker.Addresses()[0]), "r.yaml", testRules)
	process := func(name string) *running {
		c, err := loadConfig(file, testSystem(nil))
		if err != nil {
			t.Fatal(err)
		}
		c.Instance, c.DataDir = name, filepath.Join(t.TempDir(), "data")
		s, err := start(t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		r := &running{service: s, t: t, cancel: cancel, done: make(chan error, 1)}
		go func() { r.done <- s.run(ctx) }()
		return r
	}
	a := process("a")
	a.get("/readyz", http.StatusOK)
	b := process("b")
	b.get("/readyz", http.StatusOK)

	ids := []string{"ann", "bob", "cleo", "dan", "eve", "fay"}
	for _, id := range ids {
		a.send(id, "m-"+id, time.Now())
	}
	// Each lead is answered for by the owner of its shard, and by nobody else.
	for _, id := range ids {
		shard := engine.ShardOf([]byte(id), 2)
		has, hasNot := a, b
		if !owns(a, shard) {
			has, hasNot = b, a
		}
		has.get("/v1/leads/"+id, http.StatusOK)
		hasNot.get("/v1/leads/"+id, http.StatusMisdirectedRequest)
	}
	for _, r := range []*running{a, b} {
		from, seen := "earliest", map[string]bool{}
		for range ids {
			var data string
			data, from = r.next(from)
			seen[data] = true
		}
		if len(seen) != len(ids) {
			t.Errorf("%d of %d events on the stream", len(seen), len(ids))
		}
	}
	b.stop()
	for _, id := range ids {
		a.get("/v1/leads/"+id, http.StatusOK)
	}
	a.stop()
}

func owns(r *running, shard int32) bool {
	return slices.ContainsFunc(r.engine.Status().Shards, func(x engine.ShardStatus) bool { return x.Shard == shard })
}
