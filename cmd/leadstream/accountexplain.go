package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"leadstream/connectors/httpapi"
)

// explainAccount writes why an account has its scores, and what may move it.
func explainAccount(out io.Writer, v *httpapi.AccountView) error {
	fmt.Fprintf(out, "%s: %s since %s; as of %s, rule set %s\n", v.ID, v.Stage, v.StageSince, v.AsOf, v.RuleSet)
	for _, name := range slices.Sorted(maps.Keys(v.Scores)) {
		fmt.Fprintf(out, "\nSCORE %s is %s, the sum of\n\n", name, decimals(v.Scores[name]))
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "PART\tMEMBER\tHOW")
		members := slices.Clone(v.Members)
		slices.SortStableFunc(members, func(a, b httpapi.Member) int { return cmp.Compare(b.Scores[name], a.Scores[name]) })
		nothing := 0
		for i := range members {
			m := &members[i]
			part := m.Scores[name]
			if part == 0 {
				nothing++
				continue
			}
			how := m.Role + ", weight " + strconv.FormatFloat(m.Weight, 'g', -1, 64)
			if m.Weight != 0 {
				how = decimals(part/m.Weight) + " as " + how
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", decimals(part), m.Lead, how)
		}
		if nothing > 0 {
			fmt.Fprintf(w, "%s\t%d more\tnothing, or a weight of 0\n", decimals(0), nothing)
		}
		if v.Others != nil {
			fmt.Fprintf(w, "%s\t%d others\tbeyond max_members, kept as one sum\n", decimals(v.Others.Scores[name]), v.Others.Count)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return explainConditions(out, v)
}

// explainConditions writes the transitions and hand-offs: those that may fire in the present stage, then the others.
func explainConditions(out io.Writer, v *httpapi.AccountView) error {
	for _, open := range []bool{true, false} {
		heading := "\nCONDITIONS that count in stage " + v.Stage
		if !open {
			heading = "\nCONDITIONS of other stages"
		}
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		n := 0
		for i := range v.Conditions {
			c := &v.Conditions[i]
			if c.Open != open {
				continue
			}
			if n++; n == 1 {
				fmt.Fprintf(out, "%s\n\n", heading)
				fmt.Fprintln(w, "HOLDS\tRULE\tWHEN")
			}
			holds := "no"
			if c.Holds {
				holds = "yes"
			}
			rule := "to " + c.To
			if c.Reason != "" {
				rule += " (" + c.Reason + ")"
			}
			if c.Name != "" {
				rule = "hand-off " + c.Name
			}
			if c.NotBefore != nil {
				rule += ", not before " + c.NotBefore.String()
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", holds, rule, strings.Join(strings.Fields(c.When), " "))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

func decimals(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }
