package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"leadstream/connectors/kafka"
)

// eventSink is where import puts events. It is used by one goroutine.
type eventSink interface {
	// write takes an event; it may return the error of an earlier one. key and value are the sink's to keep.
	write(ctx context.Context, key, value []byte, at int64) error
	// flush returns when everything is written.
	flush(ctx context.Context) error
	// close releases what is open.
	close() error
}

// topicSink writes to a topic.
type topicSink struct {
	cluster  *kafka.Cluster
	producer *kafka.Producer
	topic    string
	shards   int // the application's, where it is configured
	// keepTime says that records may carry the times of their events. Where the topic deletes by time, they
	// carry the time of writing: with times of years ago they would be gone before they are read.
	keepTime bool
}

// openSource opens the topic of a configured source.
func openSource(ctx context.Context, p *program, f *importFlags) (eventSink, error) {
	c, err := loadConfig(f.config, p.sys)
	if err != nil {
		return nil, err
	}
	source, err := c.source(f.source)
	if err != nil {
		return nil, err
	}
	if source.Format != formatSegment {
		return nil, fmt.Errorf("%w: source %q has format: %s, and import writes Segment messages: give it a source with format: segment",
			errUsage, source.Name, source.Format)
	}
	if !source.History {
		if f.close {
			return nil, fmt.Errorf("%w: --close: source %q has no history: true, so there is nothing to close", errUsage, source.Name)
		}
		fmt.Fprintf(p.err, "warning: source %q has no history: true: leads follow the wall clock while old events come in, and "+
			"events older than max_late move no lead\n", source.Name)
	}
	cluster, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	s := &topicSink{cluster: cluster, topic: source.Topic, shards: c.Shards}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// openTopic opens any topic.
func openTopic(ctx context.Context, brokers []string, topic string) (eventSink, error) {
	cluster, err := kafka.Open(ctx, kafka.Config{Brokers: brokers, App: "leadstream", Instance: "import"})
	if err != nil {
		return nil, err
	}
	s := &topicSink{cluster: cluster, topic: topic}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// open finishes what begins with a cluster and a topic; when it fails nothing is left open.
func (s *topicSink) open(ctx context.Context) error {
	found, err := s.cluster.SourceTopic(ctx, s.topic)
	if err == nil {
		s.keepTime = found.KeepsAll
		s.producer, err = s.cluster.Producer()
	}
	if err != nil {
		s.cluster.Close()
	}
	return err
}

func (s *topicSink) write(ctx context.Context, key, value []byte, at int64) error {
	// Brokers refuse records from the future, and the engine believes none.
	if now := time.Now().UnixMilli(); !s.keepTime || at > now {
		at = now
	}
	return s.failed(s.producer.SendAt(ctx, s.topic, key, value, at))
}

func (s *topicSink) flush(ctx context.Context) error { return s.failed(s.producer.Flush(ctx)) }

func (s *topicSink) failed(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", kafka.ErrTopic, err)
	}
	return nil
}

// closeSource closes the source that was written.
func (s *topicSink) closeSource(ctx context.Context, name string) error {
	return s.failed(closeSource(ctx, s.cluster, s.shards, name))
}

func (s *topicSink) close() error {
	s.producer.Close()
	s.cluster.Close()
	return nil
}

// fileSink writes one event a line.
type fileSink struct {
	file *os.File // nil for standard output
	to   *bufio.Writer
}

func openOut(p *program, name string) (eventSink, error) {
	if name == "-" {
		return &fileSink{to: bufio.NewWriter(p.out)}, nil
	}
	file, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("%w: --out: %w", errUsage, err)
	}
	return &fileSink{file: file, to: bufio.NewWriterSize(file, 1<<16)}, nil
}

func (s *fileSink) write(_ context.Context, _, value []byte, _ int64) error {
	_, err := s.to.Write(value)
	return errors.Join(err, s.to.WriteByte('\n'))
}

func (s *fileSink) flush(context.Context) error { return s.to.Flush() }

func (s *fileSink) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// shownSink shows the first events and forgets the rest.
type shownSink struct {
	to    io.Writer
	shown int
}

// maxShown is how many events --dry-run shows.
const maxShown = 3

func (s *shownSink) write(_ context.Context, _, value []byte, _ int64) error {
	if s.shown == maxShown {
		return nil
	}
	s.shown++
	_, err := fmt.Fprintf(s.to, "%s\n", value)
	return err
}

func (s *shownSink) flush(context.Context) error { return nil }

func (s *shownSink) close() error { return nil }
