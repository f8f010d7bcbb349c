package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// child is a contender's process.
type child struct {
	cmd  *exec.Cmd
	said atomic.Int64 // events it says it has done, by lines "P unix_ms events"
	log  string       // file with its standard error
	gone chan struct{}
	err  error // of its end; after gone
}

func startChild(cmd *exec.Cmd, dir string) (*child, error) {
	c := &child{cmd: cmd, log: filepath.Join(dir, "stderr"), gone: make(chan struct{})}
	stderr, err := os.Create(c.log)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
	}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
	}
	if err := errors.Join(cmd.Start(), stderr.Close()); err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
	}
	go func() { // ends with the process
		defer close(c.gone)
		c.listen(stdout)
		c.err = cmd.Wait()
	}()
	return c, nil
}

func (c *child) listen(r io.Reader) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var at, n int64
		if _, err := fmt.Sscanf(lines.Text(), "P %d %d", &at, &n); err == nil {
			c.said.Store(n)
		}
	}
}

// ended says why the process is not there any more, nil while it is.
func (c *child) ended() error {
	select {
	case <-c.gone:
		return fmt.Errorf("the process ended: %w: %s", errors.Join(c.err, errEnded), c.lastWords())
	default:
		return nil
	}
}

var errEnded = errors.New("before it had done all events")

func (c *child) lastWords() string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-2000):]))
}

// logged returns the first text in its log that follows key and ends at a space.
func (c *child) logged(key string) string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), key)
	word, _, _ := strings.Cut(rest, "\n")
	word, _, _ = strings.Cut(word, " ")
	return strings.Trim(word, `"`)
}

// stop asks the process to end in order, and waits.
func (c *child) stop() error {
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping: %w", err)
	}
	select {
	case <-c.gone:
		return nil
	case <-time.After(time.Minute):
		c.kill()
		return fmt.Errorf("did not stop within a minute: %s", c.lastWords())
	}
}

// kill ends the process at once.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.gone
}

// usage is what the whole life of the process took, after its end: CPU time, memory at most, and bytes
// written to disk in blocks of 512.
func (c *child) usage() (cpu time.Duration, peak, disk int64) {
	s := c.cmd.ProcessState
	cpu = s.UserTime() + s.SystemTime()
	if u, ok := s.SysUsage().(*syscall.Rusage); ok {
		peak, disk = u.Maxrss*maxrssUnit, u.Oublock*512
	}
	return cpu, peak, disk
}
