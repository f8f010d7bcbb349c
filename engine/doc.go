// Package engine runs leadstream's shards: replicated state machines over a log.
//
// A shard applies recorded inputs in one order (source records, messages between shards, the passing of
// time, a new rule set) and is a pure function of them: no clock, no randomness, no I/O decides what comes out. One
// process works on many shards and commits what they did in epochs, one transaction each: outputs, messages,
// a slice of checkpointed leads, one journal record a shard, and the group's offsets. After the commit
// readers see it.
//
//	engine.go    New, Run, and every goroutine: poller, committer, storer, follower
//	loop.go      the loop that owns shards and epochs: changes of ownership, stopping in order;  next.go: what it waits for
//	commit.go    when an epoch ends, what follows from its outcome
//	shard.go     the state machine: order, ticks, timers;  apply.go: one record
//	epoch.go     what one transaction holds;  journal.go, message.go: the formats
//	cache.go     leads in memory with their versions;  budget.go: how many;  nearby.go: those that come next;  timers.go: who is due next
//	checkpoint.go  which leads are written when;  recover.go, redo.go: how a shard comes back
//	sweep.go     a rule switch;  clock.go: where time comes from;  read.go: what others may see
//
// Recovery, replay and the tests' checker are the same mechanism: the journal says what was applied, in
// which order and at which ticks, so applying it again gives the same bytes.
package engine
