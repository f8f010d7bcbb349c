//go:build profile

package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"syscall"
)

// A binary built with the tag profile writes profiles to the directory LEADSTREAM_PROFILE: of what happens between
// the signals USR1 and USR2. It is for bench/e2e, which knows when there is something to see.
func init() {
	dir := os.Getenv("LEADSTREAM_PROFILE")
	if dir == "" {
		return
	}
	runtime.MemProfileRate = 32 << 10
	runtime.SetBlockProfileRate(10_000) // ns
	turns := make(chan os.Signal, 2)
	signal.Notify(turns, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() { // ends with the process
		for turn := range turns {
			if err := turnProfile(dir, turn == syscall.SIGUSR1); err != nil {
				fmt.Fprintln(os.Stderr, "profiling:", err)
			}
		}
	}()
}

func turnProfile(dir string, begin bool) error {
	if begin {
		w, err := os.Create(filepath.Join(dir, "cpu.pprof"))
		if err != nil {
			return err
		}
		return pprof.StartCPUProfile(w)
	}
	pprof.StopCPUProfile()
	for _, name := range []string{"allocs", "block"} {
		w, err := os.Create(filepath.Join(dir, name+".pprof"))
		if err != nil {
			return err
		}
		if err := pprof.Lookup(name).WriteTo(w, 0); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
	}
	return nil
}
