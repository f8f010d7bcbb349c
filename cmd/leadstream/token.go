package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"leadstream/connectors/httpapi"
)

func (p *program) tokenCommand() *cobra.Command {
	var roles string
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make a bearer token for the HTTP API",
		Long: `token prints a new random token, and the line for the file that http.token_hashes_file names.
The server keeps only the hash. Give the token to who may ask; it can't be shown again.

Roles: read may read leads and subscribe to events (personal data), ops may read status and metrics,
privacy may erase people and export what is kept of them.`,
		Example: `  leadstream token
  leadstream token --roles ops`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, hash := httpapi.NewToken()
			line := hash + " " + roles
			if _, err := httpapi.ParseTokens([]byte(line)); err != nil {
				return fmt.Errorf("%w: --roles must be read, ops, privacy, or several with commas", errUsage)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "token:  %s\nhash:   %s\n", token, line)
			return err
		},
	}
	cmd.Flags().StringVar(&roles, "roles", "read", "what the token may do: read, ops, privacy, or several with commas")
	return cmd
}
