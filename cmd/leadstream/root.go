package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// program is what commands share. Tests make their own.
type program struct {
	out, err io.Writer
	sys      system
}

// run executes a command line.
func (p *program) run(ctx context.Context, args []string) error {
	root := p.command()
	root.SetArgs(append([]string{}, args...)) // Never nil, for which cobra takes the process's own.
	root.SetOut(p.out)
	root.SetErr(p.err)
	return root.ExecuteContext(ctx)
}

// command returns the tree of commands.
func (p *program) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "leadstream",
		Short: "Score leads from event streams, and say the moment one changes stage",
		Long: `leadstream reads clickstream and engagement events from Kafka, keeps every lead's decayed scores, and
emits stage changes and hand-offs the moment a threshold is crossed, also when time alone crosses it.

` + exitHelp,
		Example: `  leadstream demo
  leadstream rules check rules.yaml
  leadstream run --config leadstream.yaml`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w: %w; see `%s --help`", errUsage, err, cmd.CommandPath())
	})
	root.AddCommand(p.runCommand(), p.demoCommand(), p.rulesCommand(), p.importCommand(), p.sourceCommand(), p.leadCommand(), p.accountCommand(), p.statusCommand(), p.backupCommand(), p.restoreCommand(), p.reshardCommand(), p.tokenCommand(), p.versionCommand())
	return root
}

// noArgs refuses arguments; for a command with subcommands that is an unknown one.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasAvailableSubCommands() {
		var names []string
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		return fmt.Errorf("%w: unknown command %q%s; see `%s --help`", errUsage, args[0], suggestion(args[0], names), cmd.CommandPath())
	}
	return fmt.Errorf("%w: `%s` takes no arguments; see `%[2]s --help`", errUsage, cmd.CommandPath())
}

// someArgs asks for at least one argument.
func someArgs(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		return fmt.Errorf("%w: `%s` needs %s; see `%[2]s --help`", errUsage, cmd.CommandPath(), what)
	}
}
