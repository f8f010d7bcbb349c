package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// process is a program that runs.
type process struct {
	cmd     *exec.Cmd
	gone    chan struct{}
	started time.Time
}

// startProcess starts a program that appends what it says to a file.
func startProcess(cmd *exec.Cmd, file string) (*process, error) {
	log, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = log, log
	p := &process{cmd: cmd, gone: make(chan struct{}), started: time.Now()}
	if err := errors.Join(cmd.Start(), log.Close()); err != nil {
		return nil, err
	}
	go func() { // ends with the process
		_ = cmd.Wait()
		close(p.gone)
	}()
	return p, nil
}

// end ends the process with a signal and returns when that was sent and when the process was gone. That of none does nothing.
func (p *process) end(sig os.Signal) (sent, gone time.Time) {
	if p == nil {
		return
	}
	sent = time.Now()
	_ = p.cmd.Process.Signal(sig) // it may have ended
	<-p.gone
	return sent, time.Now()
}

// cpu is the time that the process has had so far.
func (p *process) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}
