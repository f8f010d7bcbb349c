package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// maxrssUnit is what rusage counts peak memory in.
const maxrssUnit = 1024

// clockTick is what /proc counts CPU time in; it is 100 Hz on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuOfOne returns the user and system time that a running process has taken, all its threads included.
func cpuOfOne(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading CPU time: %w", err)
	}
	// The name, in parentheses, may hold spaces.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("reading CPU time: %d fields", len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading CPU time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}
