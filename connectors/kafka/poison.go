//go:build !invariants

package kafka

const poisoning = false
