package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// clientLogger passes the client library's warnings and errors on, and the rest when debugging. The
// library logs addresses, topics, offsets and errors, never keys or values. What it says again and again while
// a broker is away is passed on once in repeatAfter.
type clientLogger struct {
	log *slog.Logger

	mu   sync.Mutex
	said map[string]time.Time
}

const (
	repeatAfter = 10 * time.Second
	// maxSaid bounds what is remembered as said.
	maxSaid = 1000
)

// again reports whether the same was passed on a short while ago.
func (l *clientLogger) again(msg string, keyvals []any) bool {
	key := fmt.Sprint(append([]any{msg}, keyvals...)...)
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if at, ok := l.said[key]; ok && now.Sub(at) < repeatAfter {
		return true
	}
	if l.said == nil || len(l.said) >= maxSaid {
		l.said = map[string]time.Time{}
	}
	l.said[key] = now
	return false
}

// Level implements kgo.Logger.
func (l *clientLogger) Level() kgo.LogLevel {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelWarn
}

// Log implements kgo.Logger.
func (l *clientLogger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelDebug
	switch level {
	case kgo.LogLevelError:
		to = slog.LevelError
	case kgo.LogLevelWarn:
		to = slog.LevelWarn
	}
	if to > slog.LevelDebug && l.again(msg, keyvals) {
		return
	}
	l.log.Log(context.Background(), to, "kafka client: "+msg, keyvals...)
}
