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
	err  error  // of its end; after gone
	also *child // the one that shares its work, nil for none
}

// all are the processes, itself first.
func (c *child) all() []*child {
	var cs []*child
	for ; c != nil; c = c.also {
		cs = append(cs, c)
	}
	return cs
}

func (c *child) pids() []int {
	var pids []int
	for _, x := range c.all() {
		pids = append(pids, x.cmd.Process.Pid)
	}
	return pids
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

// ended says why a process is not there any more, nil while all are.
func (c *child) ended() error {
	for _, x := range c.all() {
		select {
		case <-x.gone:
			return fmt.Errorf("the process ended: %w: %s", errors.Join(x.err, errEnded), x.lastWords())
		default:
		}
	}
	return nil
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

// stop asks the processes to end in order, and waits.
func (c *child) stop() error {
	for _, x := range c.all() {
		if err := x.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stopping: %w", err)
		}
	}
	late := time.After(time.Minute)
	for _, x := range c.all() {
		select {
		case <-x.gone:
		case <-late:
			c.kill()
			return fmt.Errorf("did not stop within a minute: %s", x.lastWords())
		}
	}
	return nil
}

// kill ends the processes at once.
func (c *child) kill() {
	for _, x := range c.all() {
		_ = x.cmd.Process.Kill() // it may have ended
		<-x.gone
	}
}

// usage is what the whole life of the processes took.
type usage struct {
	user, system time.Duration
	peak         int64 // bytes of memory at most, of all processes together
	disk         int64 // bytes written to disk, in blocks of 512
	faults       int64 // pages that were not there yet and did not have to be read from disk
}

// usage is known after the end.
func (c *child) usage() usage {
	var u usage
	for _, x := range c.all() {
		s := x.cmd.ProcessState
		u.user += s.UserTime()
		u.system += s.SystemTime()
		if r, ok := s.SysUsage().(*syscall.Rusage); ok {
			u.peak += r.Maxrss * maxrssUnit
			u.disk += r.Oublock * 512
			u.faults += r.Minflt
		}
	}
	return u
}
