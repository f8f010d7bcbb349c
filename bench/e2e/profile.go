package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// profile tells a leadstream that was built for it to begin or end its profiles.
func (b *bench) profile(c *contender, ch *child, begin bool) {
	if b.opts.profile == "" || c.name != leadstreamName {
		return
	}
	turn := syscall.SIGUSR2
	if begin {
		turn = syscall.SIGUSR1
	}
	_ = ch.cmd.Process.Signal(turn) // a process that has ended is noticed elsewhere
}

// summarize writes the profiles of the last drain as text: by function alone, and with what it calls.
func (b *bench) summarize(ctx context.Context, c *contender) error {
	if b.opts.profile == "" || c.name != leadstreamName {
		return nil
	}
	for _, p := range []struct{ file, name, flags string }{
		{"cpu", "cpu", "-flat"}, {"cpu", "cpu-cum", "-cum"}, {"allocs", "alloc-objects", "-sample_index=alloc_objects"},
		{"allocs", "alloc-space", "-sample_index=alloc_space"}, {"block", "block", "-cum"},
	} {
		cmd := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=60", p.flags, b.program, filepath.Join(b.opts.profile, p.file+".pprof"))
		text, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("reading the %s profile: %w", p.file, err)
		}
		if err := os.WriteFile(filepath.Join(b.opts.profile, p.name+".txt"), text, 0o644); err != nil {
			return fmt.Errorf("writing the %s profile: %w", p.file, err)
		}
	}
	return nil
}
