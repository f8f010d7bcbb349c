package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"leadstream/connectors/httpapi"
)

// instance is one process of leadstream with its directory.
type instance struct {
	name, dir, url string
	proc           *process // nil while it does not run
	started        time.Time
}

func (m *bench) instance(name string, standbys int) (*instance, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	i := &instance{name: name, dir: filepath.Join(m.dir, name), url: "http://" + addr}
	if err := os.MkdirAll(i.dir, 0o755); err != nil {
		return nil, err
	}
	rules, err := filepath.Abs("bench/takeover/rules.yaml")
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("app: %s\ninstance: %s\nbrokers: [%q]\nshards: %d\nsources: [{topic: %s}]\nrules: [%q]\ndata_dir: data\nmemory: 2GiB\n"+
		"checkpoint_interval: 10s\nstandby_replicas: %d\ngroup: {session_timeout: %s}\nhttp: {listen: %q}\n",
		app, name, m.addr, shards, source, rules, standbys, m.o.session, addr)
	m.all = append(m.all, i)
	return i, os.WriteFile(filepath.Join(i.dir, "leadstream.yaml"), []byte(text), 0o600)
}

func (i *instance) start(bin string) (err error) {
	i.proc, err = startProcess(exec.Command(bin, "run", "--config", filepath.Join(i.dir, "leadstream.yaml")), filepath.Join(i.dir, "log"))
	if err == nil {
		i.started = i.proc.started
	}
	return err
}

// end ends the process, if there is one.
func (i *instance) end(sig os.Signal) (sent, gone time.Time) {
	sent, gone = i.proc.end(sig)
	i.proc = nil
	return sent, gone
}

// status asks the API, nil while it does not answer.
func (i *instance) status(ctx context.Context) *httpapi.StatusView {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.url+"/v1/status", http.NoBody)
	if err != nil {
		return nil
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var v httpapi.StatusView
	if json.NewDecoder(resp.Body).Decode(&v) != nil {
		return nil
	}
	return &v
}

// line is a line of the log.
type line struct {
	at     time.Time
	text   string
	fields map[string]string
}

var field = regexp.MustCompile(`([a-z_]+)=("(?:[^"\\]|\\.)*"|\S+)`)

// said are the lines of the log with a message, since a time.
func (i *instance) said(message string, since time.Time) []line {
	text, err := os.ReadFile(filepath.Join(i.dir, "log"))
	if err != nil {
		return nil
	}
	var out []line
	for raw := range strings.Lines(string(text)) {
		if !strings.Contains(raw, `msg="`+message+`"`) {
			continue
		}
		l := line{text: strings.TrimSpace(raw), fields: map[string]string{}}
		for _, f := range field.FindAllStringSubmatch(raw, -1) {
			l.fields[f[1]] = strings.Trim(f[2], `"`)
		}
		l.at, _ = time.Parse(time.RFC3339Nano, l.fields["time"])
		// The log has whole milliseconds.
		if !l.at.Before(since.Truncate(time.Millisecond)) {
			out = append(out, l)
		}
	}
	return out
}

// end kills what still runs.
func (m *bench) end() {
	if m.peer != nil {
		m.peer.proc.end(syscall.SIGKILL)
	}
	for _, i := range m.all {
		i.end(syscall.SIGKILL)
	}
}

// tails are the ends of the logs.
func (m *bench) tails() string {
	var all strings.Builder
	for _, i := range m.all {
		text, _ := os.ReadFile(filepath.Join(i.dir, "log"))
		fmt.Fprintf(&all, "%s:\n%s\n", i.name, text[max(0, len(text)-1500):])
	}
	return all.String()
}
