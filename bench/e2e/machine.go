package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"leadstream/bench/peers"
)

// describe says what a result was measured on and with, without naming the machine.
func describe(ctx context.Context) []string {
	lines := []string{fmt.Sprintf("%s/%s, %d CPUs%s%s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		fileField("/proc/cpuinfo", "model name", ", "), fileField("/proc/meminfo", "MemTotal", ", memory "))}
	lines = append(lines, runtime.Version()+", Apache Kafka and Kafka Streams "+peers.KafkaStreamsVersion)
	if out, err := exec.CommandContext(ctx, "java", "-version").CombinedOutput(); err == nil {
		first, _, _ := strings.Cut(string(out), "\n")
		lines[1] += ", " + first
	}
	commit := "no version control"
	if out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output(); err == nil {
		commit = "commit " + strings.TrimSpace(string(out))
		if out, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--untracked-files=no").Output(); err == nil && len(out) > 0 {
			commit += ", with changes that are not committed"
		}
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		one, _, _ := strings.Cut(string(load), " ")
		commit += "; load average at the start " + one
	}
	return append(lines, commit, "one broker on the same machine, replication factor 1, loopback")
}

// fileField returns prefix and the value of a "key : value" line of a file, "" where there is none.
func fileField(file, key, prefix string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
			return prefix + strings.TrimSpace(value)
		}
	}
	return ""
}
