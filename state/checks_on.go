//go:build invariants

package state

// checks compiles in what would cost too much in a process at work.
const checks = true
