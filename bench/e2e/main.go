// Program e2e measures leadstream end to end against a real broker, which it starts, beside the limit of
// the machine and beside the same logic in Kafka Streams:
//
//	go run ./bench/e2e -form quick
//	go run ./bench/e2e -form full
//
// Every contender is a process of its own, and the repetitions of all are interleaved. docs/performance.md
// says what the numbers mean.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == limitCommand {
		os.Exit(report(limitMain(os.Args[2:])))
	}
	if len(os.Args) > 1 && os.Args[1] == throughCommand {
		os.Exit(report(throughMain(os.Args[2:])))
	}
	if len(os.Args) > 1 && os.Args[1] == aloneCommand {
		os.Exit(report(aloneMain(os.Args[2:])))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = measure(ctx, o)
	}
	stop()
	os.Exit(report(err))
}

func report(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "bench:", err)
	return 1
}

// options is what the command line asks for.
type options struct {
	// Form is quick, for every day, or full, for a result to keep.
	form string
	// Parts by name, what is measured.
	parts []string
	// Events about leads are preloaded and drained reps times by each contender.
	events, leads, reps int
	// Contenders by name; empty: those of the form.
	contenders []string
	// Named says that they were named.
	named bool
	// Rates are the events per second at which latency is measured, each for latencyFor after a warm-up.
	rates      []int
	latencyFor time.Duration
	// Out is the file to write; "" for a dated one in bench/results in the full form and none in the quick one.
	out string
	// Other is another leadstream binary to measure beside, "same" for this one; otherEnv is added to its environment.
	other    string
	otherEnv []string
	// Profile is the directory for profiles of leadstream while it drains, "" for none.
	profile string
	// Command is how to repeat the run.
	command string
}

func parseOptions(args []string) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("bench/e2e", flag.ContinueOnError)
	fs.StringVar(&o.form, "form", "quick", "quick (300,000 events, 2 repetitions) or full (6,000,000, 5)")
	fs.IntVar(&o.events, "events", 0, "events to preload (default: as the form)")
	fs.IntVar(&o.leads, "leads", 200_000, "leads they are about")
	fs.IntVar(&o.reps, "reps", 0, "repetitions (default: as the form)")
	measured := fs.String("parts", "", "what to measure, separated by commas: "+strings.Join(partNames(true), ", ")+" (default: as the form: "+
		strings.Join(partNames(false), ", ")+" quick, all full)")
	only := fs.String("only", "", "contenders, separated by commas (default: as the form): "+strings.Join(names(), ", "))
	rates := fs.String("rates", "", "events per second to measure latency at, separated by commas, or none (default: as the form)")
	fs.DurationVar(&o.latencyFor, "latency-for", 5*time.Second, "how long to measure each rate in a repetition")
	fs.StringVar(&o.out, "out", "", "file to write the result to (default: bench/results/DATE-full.md in the full form)")
	fs.StringVar(&o.other, "other", "", "another leadstream binary to measure beside this one, to see what a change does; same: this one")
	fs.StringVar(&o.profile, "profile", "", "directory for profiles of leadstream while it drains; it is a little slower meanwhile")
	env := fs.String("other-env", "", "environment of the other, as GOGC=200, separated by commas")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if *env != "" {
		o.otherEnv = strings.Split(*env, ",")
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	o.command = "go run ./bench/e2e"
	fs.Visit(func(f *flag.Flag) {
		if f.Name != "out" && f.Name != "profile" { // a place on this machine says nothing to others
			o.command += " -" + f.Name + " " + f.Value.String()
		}
	})
	full := o.form == "full"
	if !full && o.form != "quick" {
		return nil, fmt.Errorf("form %q: quick or full", o.form)
	}
	o.parts = partNames(full)
	if *measured != "" {
		o.parts = strings.Split(*measured, ",")
	}
	for _, name := range o.parts {
		if !slices.Contains(partNames(true), name) {
			return nil, fmt.Errorf("part %q: one of %s", name, strings.Join(partNames(true), ", "))
		}
	}
	pick(&o.events, full, 6_000_000, 300_000)
	pick(&o.reps, full, 5, 2)
	if *only != "" {
		o.contenders, o.named = strings.Split(*only, ","), true
	} else {
		for _, c := range contenders {
			if (full || c.quick) && !c.asked {
				o.contenders = append(o.contenders, c.name)
			}
		}
	}
	if o.other != "" && !slices.Contains(o.contenders, otherName) {
		o.contenders = append(o.contenders, otherName)
	}
	for _, name := range o.contenders {
		if name == otherName && o.other == "" {
			return nil, errors.New("contender other: -other says which")
		}
		if !slices.Contains(names(), name) {
			return nil, fmt.Errorf("contender %q: one of %s", name, strings.Join(names(), ", "))
		}
	}
	if *rates == "" {
		*rates = "5000"
		if full {
			*rates = "500,5000,10000,50000"
		}
	}
	if *rates != "none" {
		for r := range strings.SplitSeq(*rates, ",") {
			n, err := strconv.Atoi(r)
			if err != nil || n < 1 || n > 1_000_000 {
				return nil, fmt.Errorf("rate %q: a number of events per second", r)
			}
			o.rates = append(o.rates, n)
		}
	}
	if o.events < 1000 || o.leads < 1 || o.reps < 1 || o.latencyFor < time.Second {
		return nil, errors.New("at least 1000 events, 1 lead, 1 repetition and 1s of latency")
	}
	return o, nil
}

// draining are the contenders that drain the preloaded topic.
func (o *options) draining() []string {
	return slices.DeleteFunc(slices.Clone(o.contenders), func(name string) bool { return contenderNamed(name).undrained && !o.named })
}

// partNames lists the parts, all or those of the quick form.
func partNames(all bool) []string {
	var names []string
	for _, p := range parts {
		if all || p.quick {
			names = append(names, p.name)
		}
	}
	return names
}

func pick(v *int, full bool, inFull, inQuick int) {
	switch {
	case *v != 0:
	case full:
		*v = inFull
	default:
		*v = inQuick
	}
}
