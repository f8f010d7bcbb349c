package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"leadstream/connectors/httpapi"
)

// apiFlags say which API to ask, and with which token.
type apiFlags struct {
	server, tokenFile, tokenEnv string
}

func (f *apiFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.server, "server", "http://127.0.0.1:8080", "address of the HTTP API")
	cmd.Flags().StringVar(&f.tokenFile, "token-file", "", "file with a bearer token")
	cmd.Flags().StringVar(&f.tokenEnv, "token-env", "LEADSTREAM_TOKEN", "environment variable with a bearer token, if it is set")
}

// maxAnswer bounds an answer of the API.
const maxAnswer = 16 << 20

// get asks the API. What is wrong is an errHTTP, with the API's own words where it has some.
func (f *apiFlags) get(ctx context.Context, sys system, path string) ([]byte, error) {
	base, err := url.Parse(f.server)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("%w: --server must be a URL like http://127.0.0.1:8080", errUsage)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath(path).String(), nil)
	if err != nil {
		return nil, err
	}
	token, err := f.token(sys)
	if err != nil {
		return nil, err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: asking the API: %w", errHTTP, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%w: reading the API's answer: %w", errHTTP, err)
	}
	if resp.StatusCode != http.StatusOK {
		var p httpapi.Problem
		if json.Unmarshal(body, &p) != nil || p.Title == "" {
			p.Title = "the answer is not leadstream's"
		}
		return nil, fmt.Errorf("%w: %s: %s: %s", errHTTP, resp.Status, p.Title, p.Detail)
	}
	return body, nil
}

func (f *apiFlags) token(sys system) (string, error) {
	if f.tokenFile == "" {
		token, _ := sys.getenv(f.tokenEnv)
		return token, nil
	}
	text, err := os.ReadFile(f.tokenFile)
	if err != nil {
		return "", fmt.Errorf("%w: reading the token: %w", errUsage, err)
	}
	return strings.TrimSpace(string(text)), nil
}

func (p *program) statusCommand() *cobra.Command {
	var api apiFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Ask a running leadstream how it is doing",
		Long:  "status asks the HTTP API of a running leadstream for its shards, their lag and their state.\nExit code 8 says that it is there but not ready.",
		Example: `  leadstream status
  leadstream status --server https://leads.example.com --token-file ops.token
  leadstream status --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := api.get(cmd.Context(), p.sys, "/v1/status")
			if err != nil {
				return err
			}
			var s httpapi.StatusView
			if err := json.Unmarshal(body, &s); err != nil {
				return fmt.Errorf("%w: the answer is not leadstream's: %w", errHTTP, err)
			}
			if asJSON {
				_, err = cmd.OutOrStdout().Write(body)
			} else {
				err = writeStatus(cmd.OutOrStdout(), &s)
			}
			if err == nil && !s.Ready {
				err = errNotReady
			}
			return err
		},
	}
	api.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's answer as it is")
	return cmd
}

func writeStatus(w io.Writer, s *httpapi.StatusView) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "application\t%s\ninstance\t%s\nversion\t%s\nrule set\t%s\nstarted\t%s\nready\t%t\n\n",
		s.App, s.Instance, s.Version, s.RuleSet, s.Started, s.Ready)
	fmt.Fprintln(t, "SHARD\tSTATE\tEPOCH\tREDO\tTIME\tLEADS\tDIRTY\tTIMERS\tLAG")
	for _, x := range s.Shards {
		tick := "-"
		if x.Tick != nil {
			tick = x.Tick.String()
		}
		fmt.Fprintf(t, "%d\t%s\t%d\t%d\t%s\t%d\t%d\t%d\t%d\n", x.Shard, x.State, x.Epoch, x.Redo, tick, x.Leads, x.Dirty, x.Timers, x.Lag)
	}
	return t.Flush()
}
