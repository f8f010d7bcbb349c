package main

import (
	"github.com/spf13/cobra"

	"leadstream/rules"
)

func (p *program) rulesSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of rule files",
		Long: `schema prints the JSON Schema (draft 2020-12) of a rule file, with which editors complete and explain keys while you
write. It knows the keys and their forms; names and expressions are checked by rules check.`,
		Example: `  leadstream rules schema > rules.schema.json`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(rules.Schema())
			return err
		},
	}
}
