package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write testdata anew")

// command runs a command line and returns what it wrote and its exit code.
func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errOut bytes.Buffer
	p := program{out: &out, err: &errOut, sys: testSystem(nil)}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1)) // some commands set these
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	err := p.run(t.Context(), args)
	if err != nil {
		errOut.WriteString(err.Error())
	}
	return out.String(), errOut.String(), exitCode(err)
}

// TestHelp compares the help of every command with a file, and sees that each has an example.
func TestHelp(t *testing.T) {
	var all strings.Builder
	p := program{sys: testSystem(nil)}
	var walk func(c *cobra.Command, path []string)
	walk = func(c *cobra.Command, path []string) {
		out, _, code := command(t, append(path, "--help")...)
		if code != exitOK || c.Example == "" || !strings.Contains(out, c.Example) || c.Short == "" {
			t.Errorf("%s: help without an example: exit code %d", c.CommandPath(), code)
		}
		all.WriteString("$ " + c.CommandPath() + " --help\n" + out + "\n")
		for _, sub := range c.Commands() {
			walk(sub, append(path[:len(path):len(path)], sub.Name()))
		}
	}
	walk(p.command(), nil)
	const golden = "testdata/help.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if all.String() != string(want) {
		t.Errorf("help differs from %s; run the test with -update and look at the difference:\n%s", golden, all.String())
	}
}

func TestUsage(t *testing.T) {
	rules := write(t, "r.yaml", "bad")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"stauts"}, exitUsage, `unknown command "stauts" (did you mean "status"?)`},
		{[]string{"rules", "chekc"}, exitUsage, `(did you mean "check"?)`},
		{[]string{"run"}, exitUsage, "--config is required"},
		{[]string{"run", "--cofnig", "x"}, exitUsage, "unknown flag: --cofnig"},
		{[]string{"run", "-c", "nowhere.yaml"}, exitConfig, "no such file"},
		{[]string{"version", "now"}, exitUsage, "takes no arguments"},
		{[]string{"rules", "check"}, exitUsage, "needs at least one rule file"},
		{[]string{"rules", "check", "nowhere.yaml"}, exitConfig, "no such file"},
		{[]string{"rules", "check", rules}, exitConfig, "r.yaml"},
		{[]string{"token", "--roles", "admin"}, exitUsage, "--roles must be"},
		{[]string{"demo", "--speed", "fast"}, exitUsage, "--speed must be"},
		{[]string{"demo", "--speed", "NaN"}, exitUsage, "--speed must be"},
		{[]string{"status", "--server", "here"}, exitUsage, "--server must be"},
		{[]string{"status", "--server", "http://127.0.0.1:1"}, exitHTTP, "asking the API"},
		{[]string{"source", "close"}, exitUsage, "needs the name of one source"},
		{[]string{"source", "close", "x"}, exitUsage, "--config is required"},
	} {
		_, errOut, code := command(t, c.args...)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%v: exit code %d, %q, want %d with %q", c.args, code, errOut, c.code, c.want)
		}
	}
}

func TestSmallCommands(t *testing.T) {
	out, _, code := command(t, "version")
	if code != exitOK || !strings.HasPrefix(out, "leadstream ") {
		t.Errorf("version: %d %q", code, out)
	}
	out, _, code = command(t, "token", "--roles", "read,ops")
	if code != exitOK || !strings.Contains(out, "token:  ls_") || !strings.Contains(out, " read,ops") {
		t.Errorf("token: %d %q", code, out)
	}
	out, _, code = command(t)
	if code != exitOK || !strings.Contains(out, "Exit codes:") {
		t.Errorf("no command: %d %q", code, out)
	}
}

// TestExamples: what is shipped to be copied has neither mistakes nor warnings.
func TestExamples(t *testing.T) {
	for _, args := range [][]string{
		{"run", "--config", exampleConfig, "--check"},
		{"rules", "check", "../../deploy/rules.yaml"},
		{"rules", "check", "demo/rules.yaml"},
	} {
		if out, errOut, code := command(t, args...); code != exitOK || errOut != "" || !strings.Contains(out, "fine") {
			t.Errorf("%v: exit code %d: %s%s", args, code, out, errOut)
		}
	}
}

func TestExitCodes(t *testing.T) {
	if code := exitCode(context.Canceled); code != exitOK {
		t.Errorf("stopped by a signal: %d", code)
	}
	lost := fmt.Errorf("initialising a producer: %w", errors.Join(&net.OpError{Op: "read", Net: "tcp", Err: io.EOF}))
	if code := exitCode(lost); code != exitCluster {
		t.Errorf("a lost connection: exit code %d", code)
	}
	if code := exitCode(os.ErrClosed); code != exitInternal {
		t.Errorf("unknown error: %d", code)
	}
}
