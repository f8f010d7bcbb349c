package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"leadstream/connectors/httpapi"
	"leadstream/connectors/kafka"
	"leadstream/engine"
)

// errUnfinished says that an erasure was written and is not done yet.
var errUnfinished = errors.New("not done yet")

// eraseCommand makes `lead erase`, and `lead suppress`, which is the same with --suppress.
func (p *program) eraseCommand(name, short, example string, suppress bool) *cobra.Command {
	var file string
	r := httpapi.ErasureRequest{Suppress: suppress}
	cmd := &cobra.Command{
		Use: name + " ID --by WHO --config FILE", Short: short, Example: example,
		Long: short + `.

The person is found by any of their ids. The lead, all ids that point to it and what leads are linked by are removed; events
of before are dropped when they come once more. --wait waits until all of it is gone from the state topic too; exit code 8 says
that this takes longer. An audit record says who asked and when, and not who was erased. docs/privacy.md says what is
kept elsewhere, and until when.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%w: `%s` takes one id; see `%[2]s --help`", errUsage, cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return fmt.Errorf("%w: --config is required; see `%s --help`", errUsage, cmd.CommandPath())
			}
			r.ID = args[0]
			if fault := httpapi.CheckErasure(&r); fault != "" {
				return fmt.Errorf("%w: %s", errUsage, fault)
			}
			c, err := loadConfig(file, p.sys)
			if err != nil {
				return err
			}
			cluster, err := c.connect(cmd.Context())
			if err != nil {
				return err
			}
			defer cluster.Close()
			done, err := erase(cmd.Context(), cluster, c.Shards, r)
			if err != nil {
				return fmt.Errorf("%w: %w", kafka.ErrTopic, err)
			}
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), eraseText(done, r.Wait)); err != nil {
				return err
			}
			if done.State != httpapi.ErasureDone && r.Wait > 0 {
				return errUnfinished
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration file")
	cmd.Flags().StringVar(&r.By, "by", "", "who asks, for the audit")
	cmd.Flags().StringVar(&r.Request, "request", "", "id of the request, for the audit; one is made if there is none")
	cmd.Flags().DurationVar(&r.Wait, "wait", time.Minute, "how long to wait until it is done, at most 5m; 0s does not wait")
	if !suppress {
		cmd.Flags().BoolVar(&r.Suppress, "suppress", false, "keep the person out for good: all later events are dropped as well")
	}
	return cmd
}

// exported is all that is kept of a person.
type exported struct {
	// ID is the id that was asked for; AsOf when, in RFC 3339.
	ID   string `json:"id"`
	AsOf string `json:"as_of"`
	// Lead is the lead as the API shows it, nil if its shard is elsewhere or nothing has happened to it.
	Lead  *httpapi.LeadView `json:"lead,omitempty"`
	Nodes []engine.Node     `json:"nodes"`
	// Elsewhere are ids whose shards other processes have.
	Elsewhere []elsewhere `json:"elsewhere,omitempty"`
	// Also says where else there is data of the person.
	Also []string `json:"also"`
}

type elsewhere struct {
	engine.Elsewhere
	Instance string `json:"instance,omitempty"`
	URL      string `json:"url,omitempty"`
}

var exportedAlso = []string{
	"the source topics: the person's events, for those topics' retention",
	"the output topics (transitions, handoffs): what was said of the person, for their retention",
	"the dead-letter topic: records of the person that could not be read, for its retention",
	"the inbox topic: what ids have said to each other, until it is cut at the redo point",
}

func (p *program) exportCommand() *cobra.Command {
	var api apiFlags
	cmd := &cobra.Command{
		Use:   "export ID",
		Short: "Show everything that is kept of a person, as one JSON document",
		Long: `export asks the HTTP API of a running leadstream for all that is kept of the person whom an id belongs to: the lead with its
scores and what made them, windows, traits, consents, stage and timers, every id that points to it, and what leads are linked by.
Ids whose shards other instances have are asked for there, with the same token; it needs the role privacy.`,
		Example: "  leadstream lead export u-4711 --token-file privacy.token > u-4711.json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] == "" {
				return fmt.Errorf("%w: `%s` takes one id; see `%[2]s --help`", errUsage, cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := api.exportAll(cmd, p.sys, args[0])
			if err != nil {
				return err
			}
			body, err := json.MarshalIndent(all, "", "  ")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", body)
			return err
		},
	}
	api.add(cmd)
	return cmd
}

// maxAsked bounds the questions of one export.
const maxAsked = 20_000

// exportAll asks one instance, then those that have the rest.
func (f apiFlags) exportAll(cmd *cobra.Command, sys system, id string) (*exported, error) {
	ask := func(server, id string) (*exported, error) {
		f.server = server
		body, err := f.get(cmd.Context(), sys, "/v1/leads/"+url.PathEscape(id)+"/export")
		if err != nil {
			return nil, err
		}
		var x exported
		if err := json.Unmarshal(body, &x); err != nil {
			return nil, fmt.Errorf("%w: the answer is not leadstream's: %w", errHTTP, err)
		}
		return &x, nil
	}
	all, err := ask(f.server, id)
	if err != nil {
		return nil, err
	}
	nodes, asked := map[string]engine.Node{}, map[string]bool{}
	for _, n := range all.Nodes {
		nodes[n.ID] = n
	}
	var left []elsewhere
	for list := all.Elsewhere; len(list) > 0 && len(asked) < maxAsked; list = list[1:] {
		e := list[0]
		if _, have := nodes[e.ID]; have || asked[e.ID] {
			continue
		}
		asked[e.ID] = true
		if e.URL == "" {
			left = append(left, e)
			continue
		}
		x, err := ask(e.URL, e.ID)
		if err != nil {
			return nil, fmt.Errorf("asking instance %q, which has some of it: %w", e.Instance, err)
		}
		for _, n := range x.Nodes {
			nodes[n.ID] = n
		}
		if x.Lead != nil {
			all.Lead = x.Lead
		}
		list = append(list, x.Elsewhere...)
	}
	all.Elsewhere, all.Nodes = left, all.Nodes[:0]
	for _, id := range slices.Sorted(maps.Keys(nodes)) {
		n := nodes[id]
		if _, ok := nodes[n.Forward]; n.Kind == engine.KindIdentifier && !ok {
			continue // by now it names somebody else
		}
		all.Nodes = append(all.Nodes, n)
	}
	return all, nil
}
