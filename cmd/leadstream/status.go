package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
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
		Long: `status asks the HTTP API of a running leadstream for its shards, their lag and their state, and then every other
instance that it knows of. An instance that can't be reached is listed as such.
Exit code 8 says that one of them is not there or not ready.`,
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
				if err == nil && !s.Ready {
					err = errNotReady
				}
				return err
			}
			all := api.askOthers(cmd.Context(), p.sys, &s)
			err = writeStatus(cmd.OutOrStdout(), all)
			for _, a := range all {
				if err == nil && (a.view == nil || !a.view.Ready) {
					err = errNotReady
				}
			}
			return err
		},
	}
	api.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's answer as it is")
	return cmd
}

// answer is what one instance says of itself; view is nil when it can't be asked, and why says why.
type answer struct {
	instance, why string
	view          *httpapi.StatusView
}

// askOthers asks every instance that the first one knows of, all at once.
func (f *apiFlags) askOthers(ctx context.Context, sys system, first *httpapi.StatusView) []answer {
	all := []answer{{instance: first.Instance, view: first}}
	for _, m := range first.Members {
		if m.Instance != first.Instance {
			all = append(all, answer{instance: m.Instance, why: "it does not say where its API is"})
		}
	}
	urls := map[string]string{}
	for _, m := range first.Members {
		urls[m.Instance] = m.URL
	}
	var asking sync.WaitGroup
	for i := range all {
		a := &all[i]
		if a.view != nil || urls[a.instance] == "" {
			continue
		}
		asking.Go(func() {
			other := *f
			other.server = urls[a.instance]
			body, err := other.get(ctx, sys, "/v1/status")
			var v httpapi.StatusView
			if err == nil {
				err = json.Unmarshal(body, &v)
			}
			if err != nil {
				a.why = err.Error()
				return
			}
			a.view = &v
		})
	}
	asking.Wait()
	return all
}

func writeStatus(w io.Writer, all []answer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "application\t%s\n\n", all[0].view.App)
	fmt.Fprintln(t, "INSTANCE\tREADY\tVERSION\tRULE SET\tSTARTED\tOWNED\tSTANDBY")
	for _, a := range all {
		if a.view == nil {
			fmt.Fprintf(t, "%s\tnot reached: %s\n", a.instance, a.why)
			continue
		}
		v := a.view
		fmt.Fprintf(t, "%s\t%t\t%s\t%s\t%s\t%d\t%d\n", v.Instance, v.Ready, v.Version, v.RuleSet, v.Started, v.Owned, len(v.Standbys))
	}
	fmt.Fprintln(t, "\nSHARD\tINSTANCE\tSTATE\tEPOCH\tREDO\tREDO AGE\tTIME\tLEADS\tDIRTY\tTIMERS\tLAG")
	for _, row := range rows(all) {
		fmt.Fprintln(t, row)
	}
	return t.Flush()
}

// rows are the lines about shards: for each its owner, then its standbys.
func rows(all []answer) []string {
	type line struct {
		shard int32
		rank  int
		text  string
	}
	var lines []line
	for _, a := range all {
		if a.view == nil {
			continue
		}
		for _, x := range a.view.Shards {
			tick := "-"
			if x.Tick != nil {
				tick = x.Tick.String()
			}
			lines = append(lines, line{x.Shard, 0, fmt.Sprintf("%d\t%s\t%s\t%d\t%d\t%s\t%s\t%d\t%d\t%d\t%d", x.Shard, a.instance, x.State, x.Epoch, x.Redo,
				time.Duration(x.RedoAgeMs)*time.Millisecond, tick, x.Leads, x.Dirty, x.Timers, x.Lag)})
		}
		for _, x := range a.view.Loading {
			lines = append(lines, line{x.Shard, 0, fmt.Sprintf("%d\t%s\tloading, %d records", x.Shard, a.instance, x.Loaded)})
		}
		for _, x := range a.view.Standbys {
			state := "standby, " + x.State
			switch {
			case x.State == "loading":
				state = fmt.Sprintf("standby, loading, %d records", x.Loaded)
			case x.Behind > 0:
				state = fmt.Sprintf("standby, %d epochs and %d ms behind", x.Behind, x.BehindMs)
			}
			lines = append(lines, line{x.Shard, 1, fmt.Sprintf("%d\t%s\t%s\t%d", x.Shard, a.instance, state, x.Epoch)})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Or(cmp.Compare(a.shard, b.shard), cmp.Compare(a.rank, b.rank)) })
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l.text
	}
	return out
}
