package main

import (
	"math"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"leadstream/bench/broker"
)

// TestMemoryLimit: the limit is as docs/operations.md says, and the environment's holds where there is one.
func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	none := int64(math.MaxInt64)
	was := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(was)
	for _, c := range []struct {
		name     string
		memory   size
		env      map[string]string
		embedded bool
		want     int64
	}{
		{"the least", 64 * mib, nil, false, 320 * mib},
		{"the default", defaultConfig().Memory, nil, false, 768 * mib},
		{"half more", 8192 * mib, nil, false, 12288 * mib},
		{"the environment's", 512 * mib, map[string]string{"GOMEMLIMIT": "1GiB"}, false, none},
		{"empty in the environment", 512 * mib, map[string]string{"GOMEMLIMIT": ""}, false, 768 * mib},
		{"switched off", 512 * mib, map[string]string{"GOMEMLIMIT": "off"}, false, none},
		{"with a broker inside", 512 * mib, nil, true, none},
	} {
		debug.SetMemoryLimit(none)
		cfg := config{Memory: c.memory, Embedded: embeddedConfig{Enabled: c.embedded}}
		cfg.limitMemory(testSystem(c.env))
		if got := debug.SetMemoryLimit(-1); got != c.want {
			t.Errorf("%s: the limit is %d, want %d", c.name, got, c.want)
		}
	}
}

// TestMemoryLimitOfARun: a process that runs has the limit of its configuration.
func TestMemoryLimitOfARun(t *testing.T) {
	if os.Getenv("GOMEMLIMIT") != "" {
		t.Skip("the environment has a limit")
	}
	b := broker.Shared(t)
	p := startProgram(t, testProgramConfig{rules: write(t, "people.yaml", peopleRules), brokers: b.Addr(), partitions: 1, shards: 1})
	if !strings.Contains(p.metrics(), "\ngo_gc_gomemlimit_bytes 5.36870912e+08\n") { // memory: 256MiB
		t.Error("/metrics does not show a limit of 512 MiB")
	}
	p.stop()
}
