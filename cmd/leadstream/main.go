// Command leadstream scores leads from event streams and says when they change stage. See its --help.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run())
}

func run() int {
	// The first signal asks commands to stop in order. The second is the system's own: it ends the process.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	defer stop()
	p := program{out: os.Stdout, err: os.Stderr, sys: system{getenv: os.LookupEnv, hostname: os.Hostname}}
	err := p.run(ctx, os.Args[1:])
	code := exitCode(err)
	if code != exitOK {
		fmt.Fprintln(os.Stderr, "leadstream:", err)
	}
	return code
}
