package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"leadstream/rules"
	"leadstream/rules/ruletest"
)

// rulesTestOptions are the flags of rules test.
type rulesTestOptions struct {
	tests   []string
	verbose bool
}

func (p *program) rulesTestCommand() *cobra.Command {
	var o rulesTestOptions
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Run golden tests of a rule set",
		Long: `test runs tests of rule files, together one rule set. A test says what happens and how time passes, and which stage
changes and hand-offs must come of it, no more and no less. Without --tests, the tests of rules.yaml are in
rules.test.yaml beside it. docs/rules-tools.md describes the format.

A test that fails is shown with what was expected and did not happen (-) and what happened and was not expected (+).
Exit code 10 says that a test failed, 3 that a rule file or a test file has mistakes.`,
		Example: `  leadstream rules test rules.yaml
  leadstream rules test scores.yaml stages.yaml --tests all.test.yaml --verbose`,
		Args: someArgs("at least one rule file"),
		RunE: func(cmd *cobra.Command, files []string) error {
			return o.run(files, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.tests, "tests", nil, "a file with tests; may be given several times")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "show every test with what happened, in the form of its expect list")
	return cmd
}

func (o *rulesTestOptions) run(files []string, out, warn io.Writer) error {
	set, err := loadRules(files, warn)
	if err != nil {
		return err
	}
	names := o.tests
	if len(names) == 0 {
		if names = testsBeside(files); len(names) == 0 {
			return fmt.Errorf("%w: no tests: %s does not exist; name a file with --tests", errUsage, testsOf(files[0]))
		}
	}
	var tests []*ruletest.File
	for _, name := range names {
		f, err := loadTests(set, name)
		if err != nil {
			return err
		}
		tests = append(tests, f)
	}
	all, failed := 0, 0
	for _, f := range tests {
		n, bad := o.show(out, f.Name(), f.Run())
		all, failed = all+n, failed+bad
	}
	if failed > 0 {
		return fmt.Errorf("%w: %d of %d", errTests, failed, all)
	}
	return nil
}

// loadTests reads a test file. Every error is an errConfig.
func loadTests(set *rules.Set, name string) (*ruletest.File, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w: reading tests: %w", errConfig, err)
	}
	f, err := ruletest.Parse(set, name, src)
	if err != nil {
		return nil, fmt.Errorf("%w\n%w", errConfig, err)
	}
	return f, nil
}

// testsBeside returns the test files that lie beside rule files.
func testsBeside(files []string) []string {
	var names []string
	for _, f := range files {
		if _, err := os.Stat(testsOf(f)); err == nil {
			names = append(names, testsOf(f))
		}
	}
	return names
}

// testsOf is where the tests of a rule file are looked for.
func testsOf(file string) string {
	base := strings.TrimSuffix(strings.TrimSuffix(file, ".yaml"), ".yml")
	return base + ".test.yaml"
}

// show prints the results of a file's tests and returns how many there are and how many failed.
func (o *rulesTestOptions) show(out io.Writer, file string, results []ruletest.Result) (all, failed int) {
	for _, r := range results {
		if r.Failed {
			failed++
		}
	}
	if failed == 0 {
		fmt.Fprintf(out, "ok    %s: %d tests\n", file, len(results))
	} else {
		fmt.Fprintf(out, "FAIL  %s: %d of %d tests\n", file, failed, len(results))
	}
	for _, r := range results {
		if !r.Failed && !o.verbose {
			continue
		}
		word := "ok"
		if r.Failed {
			word = "FAIL"
		}
		fmt.Fprintf(out, "\n%s:%d: %s: %s\n", file, r.Line, word, r.Test)
		fmt.Fprint(out, r.Diff)
		if o.verbose {
			fmt.Fprint(out, indent("happened:\n", r.Happened))
		}
		for _, n := range r.Notes {
			fmt.Fprintf(out, "  note: %s\n", n)
		}
	}
	return len(results), failed
}

// indent puts a heading before lines and moves them in.
func indent(heading, lines string) string {
	if lines == "" {
		return "  " + strings.TrimSuffix(heading, "\n") + " nothing\n"
	}
	return "  " + heading + "    " + strings.ReplaceAll(strings.TrimSuffix(lines, "\n"), "\n", "\n    ") + "\n"
}
