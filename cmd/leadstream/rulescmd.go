package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"leadstream/rules"
)

func (p *program) rulesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rules",
		Short:   "Commands for rule files",
		Example: "  leadstream rules check rules.yaml",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "check FILE...",
		Short: "Check rule files, together one rule set",
		Long: `check reads rule files as run does and reports every mistake with its file, line and column. What is allowed but
probably meant otherwise is reported as a warning. Exit code 3 says that there are mistakes.`,
		Example: `  leadstream rules check rules.yaml
  leadstream rules check scores.yaml stages.yaml`,
		Args: someArgs("at least one rule file"),
		RunE: func(cmd *cobra.Command, files []string) error {
			set, err := loadRules(files, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "rule set %s is fine\n", set.Version())
			return err
		},
	})
	cmd.AddCommand(p.rulesTestCommand(), p.rulesExplainCommand(), p.rulesSchemaCommand(), p.rulesApplyCommand())
	return cmd
}

// loadRules reads rule files, and those that they include, as one rule set. Warnings go to warn. Every error is an errConfig.
func loadRules(names []string, warn io.Writer) (*rules.Set, error) {
	files, err := rules.Expand(os.ReadFile, names...)
	if ps, ok := errors.AsType[*rules.Problems](err); ok {
		return nil, fmt.Errorf("%w\n%w", errConfig, ps)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: reading rules: %w", errConfig, err)
	}
	set, err := rules.Parse(files...)
	if err != nil {
		return nil, fmt.Errorf("%w\n%w", errConfig, err)
	}
	for _, w := range set.Warnings() {
		fmt.Fprintf(warn, "warning: %s\n", w)
	}
	return set, nil
}
