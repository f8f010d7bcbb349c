package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"leadstream/connectors/httpapi"
	"leadstream/connectors/kafka"
)

const testMapping = `
format: csv
user_id: '{customer}'
message_id: '{id}'
time: {value: '{when}'}
event: Demo Requested
`

const testFile = "id,customer,when\n1,ann,2026-01-01T00:00:00Z\n2,ann,2026-01-01T00:00:00Z\n3,bob,2026-01-08T00:00:00Z\n"

func TestSourceCloseRefuses(t *testing.T) {
	file := write(t, "c.yaml", smallConfig, "r.yaml", "")
	for name, want := range map[string]string{"events": "no history: true", "event": `(did you mean "events"?)`} {
		if _, errOut, code := command(t, "source", "close", name, "--config", file); code != exitUsage || !strings.Contains(errOut, want) {
			t.Errorf("%s: exit code %d, %q, want %q", name, code, errOut, want)
		}
	}
}

// TestImportIntoService imports a file into a running service and closes the source.
func TestImportIntoService(t *testing.T) {
	defer goleak.VerifyNone(t)
	broker, err := kafka.StartEmbedded(kafka.Embedded{Topics: map[string]int32{"old": 3}})
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	file := write(t, "c.yaml", fmt.Sprintf("brokers: [%q]\nshards: 2\nsources: [{name: crm, topic: old, history: true}]\nrules: [r.yaml]\n"+
		"data_dir: data\nidle_after: 1s\nhttp: {listen: '127.0.0.1:0'}\n", broker.Addresses()[0]),
		"r.yaml", testRules, "m.yaml", testMapping, "old.csv", testFile)
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
	dir := filepath.Dir(file)
	args := []string{"import", "--config", file, "--source", "crm", "--mapping", filepath.Join(dir, "m.yaml"), filepath.Join(dir, "old.csv")}
	for range 2 { // What is imported twice counts once.
		if out, errOut, code := command(t, args...); code != exitOK {
			t.Fatalf("exit code %d: %s%s", code, out, errOut)
		}
	}
	if out, errOut, code := command(t, "source", "close", "crm", "--config", file); code != exitOK {
		t.Fatalf("exit code %d: %s%s", code, out, errOut)
	}
	data, id := r.next("earliest")
	for range 2 {
		var more string
		more, id = r.next(id)
		data += "\n" + more
	}
	if strings.Count(data, `"to":"lead"`) != 2 || strings.Count(data, `"to":"mql"`) != 1 {
		t.Errorf("outputs\n%s", data)
	}
	var view httpapi.LeadView
	if err := json.Unmarshal([]byte(r.get("/v1/leads/ann", http.StatusOK)), &view); err != nil || view.Events != 2 || view.Stage != "mql" {
		t.Errorf("%v: %+v", err, view)
	}
	r.stop()
}
