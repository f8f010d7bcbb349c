package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"leadstream/connectors/kafka"
	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

func (p *program) leadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lead",
		Short: "Say something to a lead by hand",
		Long: `The commands below are written to the application's inbox and applied by the lead's shard exactly once, in the order of
everything else it is told. One that can't be applied (no such lead, score, stage or purpose) goes to the dead-letter topic.`,
		Example: "  leadstream lead adjust u-4711 engagement --points -20 --config leadstream.yaml",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		p.leadSay("adjust LEAD SCORE --points N", "Add points to a score by hand", 2,
			"  leadstream lead adjust u-4711 engagement --points -20 --config leadstream.yaml", func(args []string, f leadFlags) (rules.Command, error) {
				if f.points == 0 || math.IsNaN(f.points) || math.IsInf(f.points, 0) {
					return rules.Command{}, fmt.Errorf("%w: --points: expected a number that is not 0", errUsage)
				}
				return rules.Command{Kind: rules.Adjust, Score: args[1], Points: f.points}, nil
			}),
		p.leadSay("retract LEAD MESSAGE", "Take back what a message contributed", 2,
			"  leadstream lead retract u-4711 msg-08-15 --config leadstream.yaml", func(args []string, _ leadFlags) (rules.Command, error) {
				return rules.Command{Kind: rules.Retract, Message: lead.HashString(args[1])}, nil
			}),
		p.leadSay("move LEAD STAGE", "Put a lead into a stage, out of a terminal one too", 2,
			"  leadstream lead move u-4711 customer --reason signed --config leadstream.yaml", func(args []string, f leadFlags) (rules.Command, error) {
				return rules.Command{Kind: rules.Move, Stage: args[1], Reason: f.reason}, nil
			}),
		p.leadSay("link ID ID", "Make two ids one lead, whoever they are: the first becomes part of the second's", 2,
			"  leadstream lead link anon-17 u-4711 --config leadstream.yaml", func(args []string, _ leadFlags) (rules.Command, error) {
				return rules.Command{Kind: rules.Link, With: args[1]}, nil
			}),
		p.leadSay("unlink ID", "Make an id that was linked to another a lead of its own again", 1,
			"  leadstream lead unlink anon-17 --config leadstream.yaml", func(_ []string, _ leadFlags) (rules.Command, error) {
				return rules.Command{Kind: rules.Unlink}, nil
			}),
		p.leadSay("consent LEAD PURPOSE granted|withdrawn", "Note what a lead consented to", 3,
			"  leadstream lead consent u-4711 email withdrawn --source phone --config leadstream.yaml", func(args []string, f leadFlags) (rules.Command, error) {
				if args[2] != "granted" && args[2] != "withdrawn" {
					return rules.Command{}, fmt.Errorf("%w: expected granted or withdrawn after the purpose", errUsage)
				}
				return rules.Command{Kind: rules.Consent, Purpose: args[1], Granted: args[2] == "granted", Source: f.source}, nil
			}),
		p.eraseCommand("erase", "Erase a person: all that is kept of the lead that an id belongs to",
			"  leadstream lead erase u-4711 --by privacy@example.com --config leadstream.yaml", false),
		p.eraseCommand("suppress", "Erase a person and keep them out for good",
			"  leadstream lead suppress u-4711 --by privacy@example.com --config leadstream.yaml", true),
		p.exportCommand())
	return cmd
}

// leadFlags are the flags that some of the commands have.
type leadFlags struct {
	points float64
	reason string
	source string
}

// leadSay makes a command that says what make returns to the lead that is its first argument.
func (p *program) leadSay(use, short string, n int, example string, make func([]string, leadFlags) (rules.Command, error)) *cobra.Command {
	var file string
	var f leadFlags
	cmd := &cobra.Command{
		Use: use + " --config FILE", Short: short, Example: example,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != n {
				return fmt.Errorf("%w: `%s` takes %d arguments; see `%[2]s --help`", errUsage, cmd.CommandPath(), n)
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
			say, err := make(args, f)
			if err != nil {
				return err
			}
			say.ID = "cli-" + rand.Text()
			cluster, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer cluster.Close()
			if err := sayToLead(cmd.Context(), cluster, c.Shards, args[0], say); err != nil {
				return fmt.Errorf("%w: %w", kafka.ErrTopic, err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "written as %s\n", say.ID)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration file")
	switch use[0] {
	case 'c':
		cmd.Flags().StringVar(&f.source, "source", "", "where it was said")
	case 'a':
		cmd.Flags().Float64Var(&f.points, "points", 0, "points to add, below 0 to take away")
	case 'm':
		cmd.Flags().StringVar(&f.reason, "reason", "", "reason that the stage change names")
	}
	return cmd
}

func sayToLead(ctx context.Context, cluster *kafka.Cluster, shards int, id string, c rules.Command) error {
	message, shard, err := engine.CommandLead(id, c, int32(shards))
	if err != nil {
		return err
	}
	producer, err := cluster.Producer()
	if err != nil {
		return err
	}
	defer producer.Close()
	producer.Command(ctx, shard, message)
	return producer.Flush(ctx)
}
