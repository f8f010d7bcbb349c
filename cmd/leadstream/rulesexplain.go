package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"leadstream/rules"
)

func (p *program) rulesExplainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain FILE...",
		Short: "Show what a rule set costs, and what can move it",
		Long: `explain reads rule files, together one rule set, and shows

- what state each lead keeps for it, in bytes, as it is stored and sent: of a typical lead, and at most; and how much
  memory that takes while the lead is in the cache
- which events can touch which score lines, transitions and hand-offs
- which rules time alone can change, and by what

Its output is the same for the same rules, so that two versions can be compared with diff.`,
		Example: `  leadstream rules explain rules.yaml`,
		Args:    someArgs("at least one rule file"),
		RunE: func(cmd *cobra.Command, files []string) error {
			set, err := loadRules(files, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			x := set.Explain()
			return printExplanation(cmd.OutOrStdout(), set.Version(), &x)
		},
	}
}

func printExplanation(out io.Writer, version string, x *rules.Explanation) error {
	fmt.Fprintf(out, "rule set %s\n\nSTATE of each lead, in bytes\n\n", version)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\tkeeps\t%9s\t%9s\t%9s\t%9s\n", "typical", "in memory", "worst", "in memory")
	for i := range x.State {
		c := &x.State[i]
		fmt.Fprintf(w, "%s\t%s\t%s\n", strings.TrimSpace(c.Kind+" "+c.Name), c.Keeps, costs(c.Typical, c.Worst))
	}
	typical, worst := x.Total()
	fmt.Fprintf(w, "total\t\t%s\n", costs(typical, worst))
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s\n\nEVENTS and what they can touch, by name and by type\n", fold(x.Assumptions(), 110))
	for i := range x.Events {
		printEvent(out, &x.Events[i])
	}
	fmt.Fprint(out, "\nTIME alone can change\n\n")
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, t := range x.Timed {
		fmt.Fprintf(w, "%s\t%s\n", t.Rule, strings.Join(t.On, "; "))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nOther conditions, which only events change: %d\n", x.Untimed)
	return err
}

func costs(typical, worst rules.Cost) string {
	return fmt.Sprintf("%9d\t%9d\t%9d\t%9d", typical.Stored, typical.Memory, worst.Stored, worst.Memory)
}

// printEvent prints one kind of events with its signals.
func printEvent(out io.Writer, u *rules.EventUse) {
	name := "any event"
	if u.Types != nil {
		name = strings.Join(u.Types, ", ")
	} else if u.Name != "" {
		name = "event"
	}
	if u.Name != "" {
		name += " " + strconv.Quote(u.Name)
	}
	fmt.Fprintf(out, "\n%s\n", name)
	for i := range u.Signals {
		s := &u.Signals[i]
		perhaps := ""
		if !s.Certain {
			perhaps = ", if the rest of its match is true"
		}
		fmt.Fprintf(out, "  signal %s%s\n", s.Signal, perhaps)
		for _, part := range []struct {
			what string
			list []string
		}{{"adds to", s.Lines}, {"kept in", s.Kept}, {"asked by", s.Rules}} {
			if len(part.list) > 0 {
				fmt.Fprintf(out, "    %-9s %s\n", part.what, strings.Join(part.list, "\n              "))
			}
		}
	}
}

// fold breaks text into lines of at most so many bytes.
func fold(text string, width int) string {
	var b strings.Builder
	line := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case line+1+len(word) > width:
			b.WriteByte('\n')
			line = 0
		default:
			b.WriteByte(' ')
			line++
		}
		b.WriteString(word)
		line += len(word)
	}
	return b.String()
}
