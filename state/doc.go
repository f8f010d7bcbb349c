// Package state keeps the checkpointed entities of a process's shards on its own disk, in Pebble.
//
// The store is a cache that survives restarts, never the truth: that is in Kafka, and everything here
// can be built again from there. So nothing is synced per write. What a crash may take is the newest
// batches, from the end only; since an entity, its timer hint and its shard's epoch and redo point are always
// written in the same batch, what is left is the state of an earlier moment, never a mixture of two.
//
// A disk that is full or damaged is no reason to go on and hope: the owner is told once, through
// Options.OnFatal, and every method returns ErrFailed from then on.
package state
