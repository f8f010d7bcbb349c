package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"leadstream/connectors/kafka"
	"leadstream/engine"
)

func (p *program) sourceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "source",
		Short:   "Commands for source topics",
		Example: "  leadstream source close crm-import --config leadstream.yaml",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(p.sourceCloseCommand())
	return cmd
}

func (p *program) sourceCloseCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "close NAME --config FILE",
		Short: "Say that an import is complete",
		Long: `close tells every shard that a source with history: true has no more old events. While it is open, time moves by
its events alone; once it is closed and read to its end, leads follow the wall clock again.
It can't be opened again: a later import is a new source.`,
		Example: "  leadstream source close crm-import --config leadstream.yaml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%w: `%s` needs the name of one source; see `%[2]s --help`", errUsage, cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return fmt.Errorf("%w: --config is required; see `%s --help`", errUsage, cmd.CommandPath())
			}
			c, err := loadConfig(file, p.sys)
			if err != nil {
				return err
			}
			source, err := c.source(args[0])
			if err != nil {
				return err
			}
			if !source.History {
				return fmt.Errorf("%w: source %q has no history: true, so there is nothing to close", errUsage, args[0])
			}
			cluster, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer cluster.Close()
			if err := closeSource(cmd.Context(), cluster, c.Shards, args[0]); err != nil {
				return fmt.Errorf("%w: %w", kafka.ErrTopic, err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "source %q is closed\n", args[0])
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration file")
	return cmd
}

// closeSource tells every shard that a history source is complete.
func closeSource(ctx context.Context, cluster *kafka.Cluster, shards int, name string) error {
	message, err := engine.CloseSource(name)
	if err != nil {
		return fmt.Errorf("closing source %q: %w", name, err)
	}
	producer, err := cluster.Producer()
	if err != nil {
		return fmt.Errorf("closing source %q: %w", name, err)
	}
	defer producer.Close()
	for shard := range shards {
		producer.Command(ctx, int32(shard), message)
	}
	if err := producer.Flush(ctx); err != nil {
		return fmt.Errorf("closing source %q: %w", name, err)
	}
	return nil
}
