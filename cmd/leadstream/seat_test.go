package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

var instances = []string{"one", "two", "three"}

// seat is an instance of the program: running, stopped or dead.
type seat struct {
	name    string
	cmd     *exec.Cmd
	ended   chan error
	wanted  bool // it should run
	frozen  bool
	damaged bool // what is in its data directory was tampered with: it may refuse it
}

// start runs the program as an instance.
func (f *fault) start(s *seat) {
	f.t.Helper()
	log, err := os.OpenFile(filepath.Join(f.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		f.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(os.Args[0], "run", "--config", filepath.Join(f.dir, s.name+".yaml"))
	cmd.Env = append(os.Environ(), "LEADSTREAM_TEST_PROGRAM=1")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = cmd.Process.Kill() })
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.cmd, s.ended, s.wanted, s.frozen = cmd, ended, true, false
}

func (f *fault) tail() string {
	b, _ := os.ReadFile(filepath.Join(f.dir, "log"))
	return string(b[max(0, len(b)-6000):])
}

// live counts how often a shard went live, by the program's log.
func (f *fault) live() int {
	b, _ := os.ReadFile(filepath.Join(f.dir, "log"))
	return strings.Count(string(b), "shard is live")
}

// mind starts again what has ended by itself, as a supervisor does. It may for want of the cluster or
// because of what the nemesis did to its disk; everything else is a fault of the program.
func (f *fault) mind() {
	f.t.Helper()
	for _, name := range instances {
		s := f.seats[name]
		if !s.wanted {
			continue
		}
		select {
		case err := <-s.ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				f.t.Fatalf("%s ended by itself: %v\n%s", name, err, f.tail())
			}
			switch code := exit.ExitCode(); {
			case code == exitCluster:
			case code == exitDataDir && s.damaged:
				f.t.Logf("%s refuses its data directory, which is removed", name)
				f.empty(s)
			default:
				f.t.Fatalf("%s ended by itself with exit code %d\n%s", name, code, f.tail())
			}
			time.Sleep(200 * time.Millisecond)
			f.start(s)
		default:
		}
	}
}

// empty deletes the store of an instance that does not run.
func (f *fault) empty(s *seat) {
	f.t.Helper()
	if err := os.RemoveAll(f.store(s)); err != nil {
		f.t.Fatal(err)
	}
	s.damaged = false
}

func (f *fault) store(s *seat) string { return filepath.Join(f.dir, s.name+".data", "store") }

// running makes sure that an instance runs.
func (f *fault) running(s *seat) {
	f.t.Helper()
	f.mind()
	if !s.wanted {
		f.start(s)
		f.sleep(0.3)
	}
}

func (f *fault) kill(s *seat) {
	f.t.Helper()
	_ = s.cmd.Process.Kill() // it may have ended a moment ago
	if err := <-s.ended; err == nil {
		f.t.Fatalf("%s ended in order before it was killed\n%s", s.name, f.tail())
	}
	s.wanted = false
}

// stop ends an instance in order.
func (f *fault) stop(s *seat) {
	f.t.Helper()
	f.mind()
	f.signal(s, os.Interrupt)
	err := <-s.ended
	s.wanted = false
	if err != nil && !s.mayEnd(err) {
		f.t.Fatalf("%s did not end in order: %v\n%s", s.name, err, f.tail())
	}
}

// mayEnd reports whether an instance that was interrupted may end with this error. The interrupt itself may end one that
// was started a moment ago: the first thing that it does is to ask for signals.
func (s *seat) mayEnd(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return exit.ExitCode() == exitCluster || exit.ExitCode() == exitDataDir && s.damaged || ok && status.Signal() == syscall.SIGINT
}

func (f *fault) signal(s *seat, sig os.Signal) {
	f.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		f.t.Fatal(err)
	}
}

// freeze and thaw stop an instance's clock for a while.
func (f *fault) freeze(s *seat) { f.signal(s, syscall.SIGSTOP) }
func (f *fault) thaw(s *seat)   { f.signal(s, syscall.SIGCONT) }

// sleep waits for some seconds.
func (f *fault) sleep(seconds float64) { time.Sleep(time.Duration(seconds * float64(time.Second))) }
