// Package connectortest has the suites that every implementation of the engine's view of a log must
// pass: engine.Inputs, engine.Group, engine.Committer and engine.History.
package connectortest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"leadstream/engine"
)

// Env is an application on a log: fresh for each test of a suite, topics created, nothing written.
type Env struct {
	// Source is a source topic of at least two partitions.
	Source string
	// Topic names the application's own topics; the inbox has Shards partitions, at least two.
	Topic  func(engine.Topic) string
	Shards int32
	// Open makes the parts of one process. The test closes them.
	Open func(t testing.TB, instance string) Process
	// Produce writes values to a partition of Source, one record each.
	Produce func(t testing.TB, partition int32, values ...string)
	// ProduceIn writes values to a partition of a topic in one transaction of a stranger and decides it.
	ProduceIn func(t testing.TB, topic string, partition int32, commit bool, values ...string)
	// LeaveOpen writes a record in a transaction that takes a slot's id of an instance, and does not decide
	// it, as a process would that dies then. Nil when the implementation can't have that.
	LeaveOpen func(t testing.TB, instance string, slot int, topic string, partition int32)
}

// Process is what one process of the application has.
type Process struct {
	Group     engine.Group
	Inputs    engine.Inputs
	Committer engine.Committer
	History   engine.History
}

// Run runs all suites. fresh makes the environment of one test.
func Run(t *testing.T, fresh func(t testing.TB) Env) {
	for _, suite := range []struct {
		name string
		run  func(*testing.T, func(testing.TB) Env)
	}{{"Inputs", Inputs}, {"Group", Group}, {"Committer", Committer}, {"History", History}} {
		t.Run(suite.name, func(t *testing.T) { suite.run(t, fresh) })
	}
}

type test struct {
	name string
	run  func(*testing.T, Env)
}

func runAll(t *testing.T, fresh func(testing.TB) Env, tests []test) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, fresh(t)) })
	}
}

// limit bounds what a test waits for: hitting it is a failure, so it is long.
const limit = 60 * time.Second

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func values(from, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("v%d", from+i)
	}
	return out
}

func at(topic string, partition int32) engine.TopicPartition {
	return engine.TopicPartition{Topic: topic, Partition: partition}
}

func start(topic string, partition int32) engine.Start {
	return engine.Start{TopicPartition: at(topic, partition), Offset: engine.StartOfPartition}
}

// read returns the values of a range.
func read(t testing.TB, h engine.History, tp engine.TopicPartition, from, to int64) []string {
	t.Helper()
	var got []string
	must(t, h.Read(within(t), tp, from, to, func(r *engine.Record) error {
		got = append(got, string(r.Value))
		return nil
	}))
	return got
}

func all(t testing.TB, h engine.History, tp engine.TopicPartition) []string {
	t.Helper()
	return read(t, h, tp, engine.StartOfPartition, engine.EndOfPartition)
}
