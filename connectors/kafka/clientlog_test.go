package kafka

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestClientLoggerSaysItOnce(t *testing.T) {
	var out bytes.Buffer
	l := &clientLogger{log: slog.New(slog.NewTextHandler(&out, nil))}
	for range 5 {
		l.Log(kgo.LogLevelWarn, "unable to open connection", "addr", "b:1")
		l.Log(kgo.LogLevelInfo, "not shown")
	}
	l.Log(kgo.LogLevelWarn, "unable to open connection", "addr", "b:2")
	if got := strings.Count(out.String(), "unable to open"); got != 2 {
		t.Errorf("said %d times:\n%s", got, out.String())
	}
	for n := range 3 * maxSaid {
		l.Log(kgo.LogLevelWarn, "unable to open connection", "addr", n)
	}
	if len(l.said) > maxSaid {
		t.Errorf("%d messages are remembered", len(l.said))
	}
}
