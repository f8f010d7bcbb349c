package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *program) runCommand() *cobra.Command {
	var file string
	var onlyCheck, print bool
	cmd := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Score leads until stopped",
		Long: `run reads the configured source topics, scores leads, and writes stage changes and hand-offs to
<app>.transitions and <app>.handoffs, each exactly once. It creates its own topics where they are missing.
SIGINT or SIGTERM stops it in order: what is open is committed, and every lead is saved. A second signal ends it
at once, and nothing is lost or doubled by that either.`,
		Example: `  leadstream run --config leadstream.yaml
  leadstream run --config leadstream.yaml --check
  leadstream run --config leadstream.yaml --print-config`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return fmt.Errorf("%w: --config is required; see `%s --help`", errUsage, cmd.CommandPath())
			}
			c, err := loadConfig(file, p.sys)
			if err != nil {
				return err
			}
			if print {
				return printConfig(cmd.OutOrStdout(), c)
			}
			if onlyCheck {
				if _, err := loadRules(c.Rules, cmd.ErrOrStderr()); err != nil {
					return err
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "configuration and rules are fine")
				return err
			}
			c.limitMemory(p.sys)
			log := c.Log.logger(cmd.ErrOrStderr())
			s, err := start(cmd.Context(), c, log)
			if err != nil {
				return err
			}
			return s.run(cmd.Context())
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration file")
	cmd.Flags().BoolVar(&onlyCheck, "check", false, "check configuration and rules, then stop")
	cmd.Flags().BoolVar(&print, "print-config", false, "print the configuration that holds, secrets left out, then stop")
	return cmd
}
