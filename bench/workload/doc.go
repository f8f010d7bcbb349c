// Package workload generates the events that leadstream is tried and measured with. Everything follows
// from a seed: the same configuration gives the same bytes.
//
// New gives a Generator of people with habits, for demos and tests of behaviour: visitors who read and go,
// researchers, buyers, students, and mailboxes whose scanner clicks every link. NewLoad gives a Load, the
// plain stream of equal-sized events that throughput is measured with.
//
// What a Generator's people are like is made up, and so are their names, companies and addresses
// (all under .example).
package workload

//go:generate go run ./sample -o ../../cmd/leadstream/demo/sample.jsonl.gz
