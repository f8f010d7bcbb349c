package main

import (
	"math"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"leadstream/bench/broker"
)

// TestMemoryLimit: the limit and the collector's percentage are as docs/operations.md says, and the environment's hold where there are some.
func TestMemoryLimit(t *testing.T) {
	const mib = 1 << 20
	none := int64(math.MaxInt64)
	const common = 100 // percent, the runtime's default
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	defer debug.SetGCPercent(debug.SetGCPercent(common))
	for _, c := range []struct {
		name     string
		memory   size
		env      map[string]string
		embedded bool
		limit    int64
		percent  int
	}{
		{"the least", 64 * mib, nil, false, 320 * mib, 200},
		{"the default", defaultConfig().Memory, nil, false, 768 * mib, 200},
		{"half more", 8192 * mib, nil, false, 12288 * mib, 200},
		{"the environment's", 512 * mib, map[string]string{"GOMEMLIMIT": "1GiB"}, false, none, common},
		{"empty in the environment", 512 * mib, map[string]string{"GOMEMLIMIT": "", "GOGC": ""}, false, 768 * mib, 200},
		{"switched off", 512 * mib, map[string]string{"GOMEMLIMIT": "off"}, false, none, common},
		{"the environment's percentage", 512 * mib, map[string]string{"GOGC": "100"}, false, 768 * mib, common},
		{"with a broker inside", 512 * mib, nil, true, none, common},
	} {
		debug.SetMemoryLimit(none)
		debug.SetGCPercent(common)
		cfg := config{Memory: c.memory, Embedded: embeddedConfig{Enabled: c.embedded}}
		cfg.limitMemory(testSystem(c.env))
		if got := debug.SetMemoryLimit(-1); got != c.limit {
			t.Errorf("%s: the limit is %d, want %d", c.name, got, c.limit)
		}
		if got := debug.SetGCPercent(common); got != c.percent {
			t.Errorf("%s: the collector has %d percent, want %d", c.name, got, c.percent)
		}
	}
}

// TestMemoryLimitOfARun: a process that runs has the limit of its configuration, and shows it.
func TestMemoryLimitOfARun(t *testing.T) {
	if os.Getenv("GOMEMLIMIT") != "" || os.Getenv("GOGC") != "" {
		t.Skip("the environment has a limit or a percentage")
	}
	b := broker.Shared(t)
	p := startProgram(t, testProgramConfig{rules: write(t, "people.yaml", peopleRules), brokers: b.Addr(), partitions: 1, shards: 1})
	text := p.metrics()
	for _, want := range []string{"go_gc_gomemlimit_bytes 5.36870912e+08", "go_gc_gogc_percent 200"} { // memory: 256MiB
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("/metrics does not show %q", want)
		}
	}
	p.stop()
}
