package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"leadstream/connectors/kafka"
)

// TestRulesApply puts rules in force in a running service: a lead that has no further event changes its stage
// by the switch. Rules with a mistake change nothing.
func TestRulesApply(t *testing.T) {
	defer goleak.VerifyNone(t)
	broker, err := kafka.StartEmbedded(kafka.Embedded{Topics: map[string]int32{"events": 2}})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	file := write(t, "c.yaml", fmt.Sprintf("brokers: [%q]\nshards: 2\nsources: [{name: web, topic: events}]\nrules: [r.yaml]\n"+
		"data_dir: data\nhttp: {listen: '127.0.0.1:0'}\n", broker.Addresses()[0]), "r.yaml", testRules,
		"next.yaml", strings.Replace(testRules, ">= 50", ">= 25", 1), "bad.yaml", strings.Replace(testRules, "score.engagement", "score.engagment", 1))
	c, err := loadConfig(file, testSystem(nil))
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{service: s, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.run(ctx) }()
	defer r.stop()
	r.send("ann", "m1", time.Now())
	data, id := r.next("earliest")
	if !strings.Contains(data, `"to":"lead"`) {
		t.Fatalf("the first output is %s", data)
	}
	dir := filepath.Dir(file)
	if _, errOut, code := command(t, "rules", "apply", "--config", file, filepath.Join(dir, "bad.yaml")); code != exitConfig || !strings.Contains(errOut, "engagement") {
		t.Errorf("bad rules: exit code %d, %s", code, errOut)
	}
	if out, errOut, code := command(t, "rules", "apply", "--config", file, filepath.Join(dir, "next.yaml")); code != exitOK {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	data, id = r.next(id)
	if !strings.Contains(data, `"to":"mql"`) {
		t.Errorf("after the switch: %s", data)
	}
	if _, _, code := command(t, "lead", "adjust", "ann", "engagement", "--config", file); code != exitUsage {
		t.Errorf("without points: exit code %d", code)
	}
	if out, errOut, code := command(t, "lead", "move", "ann", "visitor", "--reason", "by_hand", "--config", file); code != exitOK {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	if data, _ = r.next(id); !strings.Contains(data, `"reason":"by_hand"`) {
		t.Errorf("after the command: %s", data)
	}
}
