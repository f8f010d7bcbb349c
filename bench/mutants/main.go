// Command mutants breaks the engine on purpose, one way after the other, and demands that a test notices.
//
// Each mutant of mutants.txt replaces one piece of text, by the compiler's -overlay: no file is changed. Its test must fail
// with it. A mutant whose text is gone, or stands there more than once, is an error: whoever changed the line says what is
// to be broken now. `make mutants` runs all of them; -run narrows them down by name.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"time"
)

func main() {
	run := flag.String("run", ".", "run the mutants whose names match")
	check := flag.Bool("check", false, "only look whether all texts are still there")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := mutate(ctx, ".", *run, *check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// mutate runs the mutants of a checkout whose names match, and says which survive.
func mutate(ctx context.Context, root, run string, check bool) error {
	re, err := regexp.Compile(run)
	if err != nil {
		return err
	}
	all, err := load(root)
	if err != nil {
		return err
	}
	var errs []error
	for i := range all {
		m := &all[i]
		if err := m.there(root); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 || check {
		return errors.Join(errs...)
	}
	n := 0
	for i := range all {
		m := &all[i]
		if !re.MatchString(m.Name) {
			continue
		}
		n++
		start := time.Now()
		text, err := m.kill(ctx, root)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Printf("SURVIVES %s: %v\n", m.Name, err)
			errs = append(errs, fmt.Errorf("%s: %w", m.Name, err))
			continue
		}
		fmt.Printf("killed   %-34s %5.1f s  %s\n", m.Name, time.Since(start).Seconds(), text)
	}
	fmt.Printf("%d mutants, %d survive\n", n, len(errs))
	return errors.Join(errs...)
}

// goTest runs one mutant's test.
func goTest(ctx context.Context, root, overlay string, m *mutant) ([]byte, error) {
	args := append([]string{"test", "-vet=off", "-count=1", "-timeout=10m", "-overlay", overlay, "-run", "^(" + m.Test + ")$", m.Package}, m.Args...)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	return cmd.CombinedOutput()
}
