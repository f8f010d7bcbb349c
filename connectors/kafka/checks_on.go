//go:build invariants

package kafka

// poisoning overwrites what was freed, so that who still refers to it reads what can't be.
const poisoning = true
