package main

import (
	"context"
	"errors"

	"leadstream/connectors/backup"
	"leadstream/connectors/kafka"
	"leadstream/engine"
	"leadstream/state"
)

// The exit codes. They are part of the interface: see exitHelp.
const (
	exitOK         = 0
	exitInternal   = 1
	exitUsage      = 2
	exitConfig     = 3
	exitCluster    = 4
	exitDataDir    = 5
	exitData       = 6
	exitHTTP       = 7
	exitNotReady   = 8
	exitIncomplete = 9
	exitTests      = 10
)

// exitHelp is shown by the help of the program.
const exitHelp = `Exit codes:
  0  done, or stopped by a signal after everything was committed
  1  internal error: please report it
  2  wrong usage: unknown command or flag, missing argument
  3  the configuration or a rule file is wrong
  4  Kafka can't be reached, refuses the credentials, or its topics are not as they must be
  5  the data directory is in use, belongs to another application or cluster, was written by a newer
     version, is damaged, or its disk is full
  6  data disagrees: records that are needed are gone, journal, group and topics contradict each other, or a backup is
     damaged
  7  the HTTP address can't be listened on, or the API that was asked does not answer
  8  status: the process is there but not ready; lead erase: written, and not done yet
  9  import: lines were left out, a file could not be read to its end, or it was interrupted
  10 rules test: a test failed
`

var (
	// errUsage marks mistakes on the command line.
	errUsage = errors.New("usage")
	// errConfig marks mistakes in the configuration and in rule files.
	errConfig = errors.New("the configuration can't be used")
	// errHTTP marks an address that can't be listened on, or an API that does not answer.
	errHTTP = errors.New("http")
	// errNotReady is returned by status.
	errNotReady = errors.New("not ready")
	// errIncomplete is returned by import when not everything became events.
	errIncomplete = errors.New("the import is not complete")
	// errTests is returned by rules test.
	errTests = errors.New("tests failed")
)

// exitCode returns the code for what a command returned.
func exitCode(err error) int {
	if err == nil || errors.Is(err, context.Canceled) {
		return exitOK
	}
	for _, c := range []struct {
		code int
		errs []error
	}{
		{exitUsage, []error{errUsage}},
		{exitConfig, []error{errConfig, kafka.ErrConfig}},
		{exitHTTP, []error{errHTTP}},
		{exitNotReady, []error{errNotReady, errUnfinished}},
		{exitIncomplete, []error{errIncomplete}},
		{exitTests, []error{errTests}},
		{exitData, []error{engine.ErrGap, engine.ErrDisagree, backup.ErrDamaged, backup.ErrNewer, backup.ErrIncomplete}},
		{exitDataDir, []error{state.ErrLocked, state.ErrOtherOwner, state.ErrNewerFormat, state.ErrCorrupt, state.ErrNoSpace, state.ErrFailed}},
		{exitCluster, []error{kafka.ErrDenied, kafka.ErrUnsupported, kafka.ErrTopic, kafka.ErrNotVacant}},
	} {
		for _, e := range c.errs {
			if errors.Is(err, e) {
				return c.code
			}
		}
	}
	if kafka.IsUnreachable(err) {
		return exitCluster
	}
	return exitInternal
}
