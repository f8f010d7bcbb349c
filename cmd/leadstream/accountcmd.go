package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"leadstream/connectors/httpapi"
	"leadstream/rules"
)

func (p *program) accountCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "account",
		Short:   "Look at an account, or put it into a stage",
		Long:    "An account is a company with the leads that belong to it. Rule files say under `accounts` what moves it.",
		Example: "  leadstream account get acme.example\n  leadstream account explain acme.example\n  leadstream account move acme.example lost --reason signed_elsewhere --config leadstream.yaml",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	move := p.leadSay("move ACCOUNT STAGE", "Put an account into a stage, out of a terminal one too", 2,
		"  leadstream account move acme.example lost --reason signed_elsewhere --config leadstream.yaml", func(args []string, f leadFlags) (rules.Command, error) {
			args[0] = rules.AccountID(args[0])
			return rules.Command{Kind: rules.Move, Stage: args[1], Reason: f.reason}, nil
		})
	cmd.AddCommand(p.accountGet(), p.accountExplain(), move)
	return cmd
}

func (p *program) accountGet() *cobra.Command {
	cmd := p.accountShow(writeAccount)
	cmd.Use, cmd.Short = "get ACCOUNT", "Show an account: its stage, its scores, and what each member adds to them"
	cmd.Long = `get asks the HTTP API of a running leadstream that has the account's shard. Members are listed by what they add to all
scores together; their parts add up to the account's scores.`
	cmd.Example = "  leadstream account get acme.example\n  leadstream account get acme.example --json"
	return cmd
}

func (p *program) accountExplain() *cobra.Command {
	cmd := p.accountShow(explainAccount)
	cmd.Use, cmd.Short = "explain ACCOUNT", "Show why an account has its scores and its stage"
	cmd.Long = `explain shows for each score of an account what its members add to it: a member's own score, times the weight of its role,
is its part, and the parts add up to the score. Then it shows the conditions of the account's transitions and hand-offs: which
start at its present stage, which are true, and what holds them back.

It shows what is kept of the account. Not kept are members that have left, what a member added at another time, and which
condition moved the account when: that is in the stage changes and hand-offs that were written. Why a lead has its score
is in GET /v1/leads/{id}.`
	cmd.Example = "  leadstream account explain acme.example\n  leadstream account explain acme.example --json"
	return cmd
}

// accountShow makes a command that asks for an account and shows it.
func (p *program) accountShow(show func(io.Writer, *httpapi.AccountView) error) *cobra.Command {
	var api apiFlags
	var asJSON bool
	cmd := &cobra.Command{
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%w: `%s` takes an account's id; see `%[2]s --help`", errUsage, cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := api.get(cmd.Context(), p.sys, "/v1/accounts/"+url.PathEscape(args[0]))
			if err != nil {
				return err
			}
			if asJSON {
				_, err = cmd.OutOrStdout().Write(body)
				return err
			}
			var v httpapi.AccountView
			if err := json.Unmarshal(body, &v); err != nil {
				return fmt.Errorf("%w: the answer is not leadstream's: %w", errHTTP, err)
			}
			return show(cmd.OutOrStdout(), &v)
		},
	}
	api.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's answer as it is")
	return cmd
}

func writeAccount(out io.Writer, v *httpapi.AccountView) error {
	names := slices.Sorted(maps.Keys(v.Scores))
	next := "never"
	if v.NextChangeAt != nil {
		next = v.NextChangeAt.String()
	}
	if _, err := fmt.Fprintf(out, "%s: %s since %s, next change by time alone: %s\n\n", v.ID, v.Stage, v.StageSince, next); err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(first, role string, scores map[string]float64, seen string) {
		cells := []string{first, role}
		for _, name := range names {
			cells = append(cells, decimals(scores[name]))
		}
		fmt.Fprintln(w, strings.Join(append(cells, seen), "\t"))
	}
	fmt.Fprintln(w, strings.Join(append(append([]string{"MEMBER", "ROLE"}, names...), "SIGNALS"), "\t"))
	sum := func(m *httpapi.Member) (s float64) {
		for _, name := range names {
			s += m.Scores[name]
		}
		return s
	}
	slices.SortStableFunc(v.Members, func(a, b httpapi.Member) int { return cmp.Compare(sum(&b), sum(&a)) })
	for i := range v.Members {
		m := &v.Members[i]
		var seen []string
		for _, name := range slices.Sorted(maps.Keys(m.Signals)) {
			seen = append(seen, name+" "+m.Signals[name].String())
		}
		row(m.Lead, m.Role, m.Scores, strings.Join(seen, ", "))
	}
	if v.Others != nil {
		row(fmt.Sprintf("%d others", v.Others.Count), "", v.Others.Scores, "")
	}
	row("all", "", v.Scores, "")
	return w.Flush()
}
