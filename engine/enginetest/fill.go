package enginetest

import (
	"strings"

	"leadstream/engine"
)

// AppendRecord adds a record with all that it has but its offset.
func (l *Log) AppendRecord(tp engine.TopicPartition, r engine.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.append(tp, r)
	l.signal()
}

// Committed is the sum of the group's offsets of partitions that are not the application's own.
func (l *Log) Committed() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for tp, at := range l.offsets {
		if !strings.HasPrefix(tp.Topic, l.app+".") {
			n += at
		}
	}
	return n
}
