package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
)

// spread is minimum, median and maximum.
func spread(v []float64) string {
	if len(v) == 0 {
		return "- | - | -"
	}
	s := slices.Sorted(slices.Values(v))
	return fmt.Sprintf("%.0f | %.0f | %.0f", s[0], s[len(s)/2], s[len(s)-1])
}

// cell is the median, with minimum and maximum where there are several.
func cell(verb string, v []float64) string {
	if len(v) == 0 {
		return "-"
	}
	s := slices.Sorted(slices.Values(v))
	if len(s) == 1 {
		return fmt.Sprintf(verb, s[0])
	}
	return fmt.Sprintf(verb+" ("+verb+" to "+verb+")", s[len(s)/2], s[0], s[len(s)-1])
}

func (m *bench) report(ctx context.Context) string {
	var w strings.Builder
	commit := "no version control"
	if out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output(); err == nil {
		commit = "commit " + strings.TrimSpace(string(out))
	}
	load, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(load), " ")
	fmt.Fprintf(&w, "# Takeovers, %s\n\n", time.Now().UTC().Format(time.DateOnly))
	fmt.Fprintf(&w, "`go run ./bench/takeover -form %s -leads %d -reps %d`: %s/%s, %d CPUs, %s, %s, load average at the end %s.\n",
		m.o.form, m.o.leads, m.o.reps, runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), commit, first)
	fmt.Fprintf(&w, "One broker and two instances on the same machine; two shards with %d leads each, every lead with a timer; `standby_replicas: 1`,\n"+
		"`session_timeout: %s`, %d events a second meanwhile.\n\n", m.o.leads, m.o.session, m.o.rate)
	if m.skipped != "" {
		fmt.Fprintf(&w, "Left out: %s.\n\n", m.skipped)
	}
	fmt.Fprintf(&w, "| | times | minimum | median | maximum |\n| --- | --- | --- | --- | --- |\n")
	row := func(what string, v []float64) { fmt.Fprintf(&w, "| %s | %d | %s |\n", what, len(v), spread(v)) }
	row("kill -9: a standby is live so many ms after the session has ended", m.killed)
	row("stop in order: it is live so many ms after the process has ended", m.stopped)
	row("the same, after the signal", m.stoppedAll)
	row("a standby is loaded from the state topic, leads a second of CPU time", m.restored)
	row("the same, leads a second of wall time", m.wall)
	row("start on the local disk after a stop in order: both shards are live so many ms after the process was started", m.fromDisk)
	row("the same after kill -9", m.fromDiskKilled)
	row("of both, what the restoration of one shard took", m.diskRestore)
	m.fromKafka.table(&w, "Started alone with nothing on disk, so that all is restored from Kafka")
	m.onDisk.table(&w, "Started again on that disk, after a stop in order")
	if len(m.fromKafka.theirs) > 0 {
		fmt.Fprintf(&w, "\nBoth restore the same %d leads, each what it keeps of a lead: leadstream the whole of it with its timer, Kafka Streams a score, a stage and an event. "+
			"Each start waits until nobody is left in the group: Kafka Streams leaves without a word, and who starts before its session has ended waits for that.\n", shards*m.o.leads)
	}
	fmt.Fprintf(&w, "\nWhat the arrival of a shard was made of, in ms:\n\n| part | times | minimum | median | maximum |\n| --- | --- | --- | --- | --- |\n")
	for _, name := range parts {
		row(strings.TrimSuffix(name, "_ms"), m.fence[name])
	}
	fmt.Fprintf(&w, "\nThe rest of a stop in order is the group's: the others hear of it within the heartbeat interval, 30 ms, and join again. "+
		"A kill is noticed by the broker, which counts the session from the last heartbeat: so a value may be below zero.\n")
	return w.String()
}
