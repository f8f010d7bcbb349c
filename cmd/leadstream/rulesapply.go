package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"leadstream/connectors/kafka"
	"leadstream/engine"
	"leadstream/rules"
)

func (p *program) rulesApplyCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "apply --config FILE [RULES...]",
		Short: "Put rules in force in all running instances",
		Long: `apply checks rule files, publishes them as a new version, and puts it in force: within seconds every running
instance switches all of its shards, each at a recorded place in its input. Scores, lines, limits and the ledger go on where
their ids are the same. Files with mistakes are refused and nothing changes.
Instances that restart with the files they had go on with what was applied; files changed since put themselves in force.
Without RULES the files named in the configuration are taken.`,
		Example: `  leadstream rules apply --config leadstream.yaml
  leadstream rules apply --config leadstream.yaml rules-next.yaml`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if file == "" {
				return fmt.Errorf("%w: --config is required; see `%s --help`", errUsage, cmd.CommandPath())
			}
			c, err := loadConfig(file, p.sys)
			if err != nil {
				return err
			}
			if len(files) == 0 {
				files = c.Rules
			}
			set, err := loadRules(files, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			cluster, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer cluster.Close()
			if err := applyRules(cmd.Context(), cluster, set); err != nil {
				return fmt.Errorf("%w: applying rule set %s: %w", kafka.ErrTopic, set.Version(), err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "rule set %s is applied; running instances switch within seconds\n", set.Version())
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration file")
	return cmd
}

// applyRules publishes a rule set and then says that it is in force.
func applyRules(ctx context.Context, cluster *kafka.Cluster, set *rules.Set) error {
	topic := cluster.TopicName(engine.TopicRules)
	var present []byte
	err := cluster.History().Read(ctx, engine.TopicPartition{Topic: topic}, engine.StartOfPartition, engine.EndOfPartition, func(r *engine.Record) error {
		if string(r.Key) == engine.ActiveRules() {
			present = r.Value
		}
		return nil
	})
	if err != nil {
		return err
	}
	records, err := engine.ApplyRules(set, present)
	if err != nil {
		return err
	}
	producer, err := cluster.Producer()
	if err != nil {
		return err
	}
	defer producer.Close()
	for _, r := range records {
		producer.Send(ctx, topic, r.Key, r.Value)
		// One after the other: nobody may be told of a version that is not there.
		if err := producer.Flush(ctx); err != nil {
			return err
		}
	}
	return nil
}
