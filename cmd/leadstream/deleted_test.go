package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestTopicIsDeleted deletes a topic under a running service, which must end and say which: waiting for it would look like
// a cluster that does not answer.
func TestTopicIsDeleted(t *testing.T) {
	if testing.Short() {
		t.Skip("it looks at its topics every ten seconds: not in short tests")
	}
	for _, topic := range []string{"events", "test.journal"} {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			r := runService(t, t.TempDir())
			defer r.cancel()
			r.get("/readyz", http.StatusOK)
			r.send("ann", "m1", time.Now())
			r.next("earliest")
			cl, err := kgo.NewClient(kgo.SeedBrokers(r.brokers...))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			if _, err := kadm.NewClient(cl).DeleteTopic(t.Context(), topic); err != nil {
				t.Fatal(err)
			}
			if err := <-r.done; exitCode(err) != exitData || !strings.Contains(err.Error(), topic) {
				t.Errorf("exit code %d: %v", exitCode(err), err)
			}
		})
	}
}
