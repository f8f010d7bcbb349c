package main

import "runtime/debug"

// leastSpare is what the Go runtime gets beside a small budget: buffers of fetches and of transactions take up to 200 MiB,
// however little is cached, and a collector without room runs all the time.
const leastSpare = 256 << 20

// memoryLimit is the soft limit of the Go runtime under a budget, in bytes: above it the collector runs more often
// than every time that the memory in use has doubled.
func (c *config) memoryLimit() int64 {
	return int64(c.Memory) + max(int64(c.Memory)/2, leastSpare)
}

// gcPercent lets the heap grow to three times what lives before it is collected, not to twice that, as the limit bounds it: draining
// 6 million events took 0.91 of the CPU (0.75 to 0.98 in five pairs of runs) and a third more memory.
const gcPercent = 200

// limitMemory sets the limit, and with it how often the collector runs below it, unless the environment says either, which then holds.
// With the broker inside of the process there is no limit: what that one keeps is in the same memory, and no budget bounds it.
func (c *config) limitMemory(sys system) {
	if own, _ := sys.getenv("GOMEMLIMIT"); own != "" || c.Embedded.Enabled {
		return
	}
	debug.SetMemoryLimit(c.memoryLimit())
	if own, _ := sys.getenv("GOGC"); own == "" {
		debug.SetGCPercent(gcPercent)
	}
}
