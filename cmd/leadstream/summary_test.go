package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/engine/enginetest"
)

// summary is what a campaign has seen.
type summary struct {
	began                          time.Time
	failed                         bool
	rounds, records, epochs, leads int
	outputs, modelled, lives       int
	faults                         map[string]int
	takeovers                      map[string][]time.Duration // by kind of fault: until a shard's next commit
	stall                          time.Duration
	stallAt                        string
}

// count takes in a round whose checks have passed.
func (s *summary) count(f *fault, w *enginetest.World, modelled int) {
	s.rounds++
	s.records += w.Records
	s.epochs += w.Epochs
	s.leads += len(w.Leads)
	s.modelled += modelled
	s.lives += f.live()
	for _, byShard := range w.Outputs {
		for _, all := range byShard {
			s.outputs += len(all)
		}
	}
}

// beat is one commit of a shard.
type beat struct {
	at     time.Time // the broker's clock, which is ours
	writer string
}

// deeds takes in what was done in a round, and from the journals how long each shard stood still.
func (s *summary) deeds(n *nemesis, deeds []deed) {
	if s.faults == nil {
		s.faults, s.takeovers = map[string]int{}, map[string][]time.Duration{}
	}
	var beats [4][]beat
	for shard := range beats {
		tp := engine.TopicPartition{Topic: engine.TopicName(n.app, engine.TopicJournal), Partition: int32(shard)}
		err := n.cluster.History().Read(n.t.Context(), tp, engine.StartOfPartition, engine.EndOfPartition, func(r *engine.Record) error {
			j, err := engine.DecodeJournal(r.Value)
			if err == nil {
				beats[shard] = append(beats[shard], beat{time.UnixMilli(r.Timestamp), j.Writer})
			}
			return err
		})
		if err != nil {
			n.t.Fatal(err)
		}
	}
	for i := range deeds {
		s.faults[deeds[i].kind]++
		if deeds[i].seat == "" {
			continue
		}
		for _, b := range beats {
			if d, took := takeover(b, &deeds[i]); took {
				s.takeovers[deeds[i].kind] = append(s.takeovers[deeds[i].kind], d)
			}
		}
	}
	for shard, b := range beats {
		for i := 1; i < len(b); i++ {
			gap := b[i].at.Sub(b[i-1].at)
			if gap > s.stall && b[i-1].at.After(n.began) && b[i].at.Before(n.ended) {
				s.stall = gap
				s.stallAt = fmt.Sprintf("seed %d, shard %d, %.1f s after the start", n.seed, shard, b[i-1].at.Sub(n.began).Seconds())
			}
		}
	}
}

// takeover is how long a shard that the victim had did not commit after the deed, if the next commit is another's.
func takeover(beats []beat, d *deed) (time.Duration, bool) {
	i := slices.IndexFunc(beats, func(b beat) bool { return b.at.After(d.at) })
	if i <= 0 || beats[i-1].writer != d.seat {
		return 0, false
	}
	// What was on its way when it was done to it still counts as the victim's.
	for ; i < len(beats) && beats[i].writer == d.seat; i++ {
		if beats[i].at.Sub(d.at) > 500*time.Millisecond {
			return 0, false
		}
	}
	if i == len(beats) {
		return 0, false
	}
	return beats[i].at.Sub(d.at), true
}

// report logs the summary and appends it to a file if one is named.
func (s *summary) report(t *testing.T, file string) {
	var b strings.Builder
	verdict := "lost 0, doubled 0, wrong 0"
	if s.failed {
		verdict = "a round failed: see the test's output"
	}
	total := 0
	kinds := make([]string, 0, len(s.faults))
	for k, n := range s.faults {
		kinds = append(kinds, k)
		total += n
	}
	slices.Sort(kinds)
	fmt.Fprintf(&b, "# Campaign of faults, %s\n\n", s.began.UTC().Format("2006-01-02 15:04"))
	fmt.Fprintf(&b, "- %s/%s, %d CPUs, %s\n- one broker on the same machine; up to three instances; session time-out 3 s; four shards\n- make campaign FAULTS=%d SEED=%d\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), *campaignFaults, *campaignSeed)
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		fmt.Fprintf(&b, "- load average at the end: %.5s\n", load)
	}
	fmt.Fprintf(&b, "- %d rounds, %d faults in %s; shards went live %d times\n", s.rounds, total, time.Since(s.began).Round(time.Second), s.lives)
	fmt.Fprintf(&b, "- %d records in %d epochs were replayed: %d leads and %d outputs are what the program wrote; %d outputs of ordered leads are the model's\n",
		s.records, s.epochs, s.leads, s.outputs, s.modelled)
	fmt.Fprintf(&b, "- longest time without a commit of a shard while input came: %s (%s)\n- **%s**\n\n", s.stall.Round(time.Millisecond), s.stallAt, verdict)
	b.WriteString("| fault | times | shards taken over by another | median | worst |\n| --- | --- | --- | --- | --- |\n")
	for _, k := range kinds {
		d := s.takeovers[k]
		slices.Sort(d)
		if len(d) == 0 {
			fmt.Fprintf(&b, "| %s | %d | | | |\n", k, s.faults[k])
			continue
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d ms | %d ms |\n", k, s.faults[k], len(d), d[len(d)/2].Milliseconds(), d[len(d)-1].Milliseconds())
	}
	b.WriteString("\n")
	t.Log("\n" + b.String())
	if file == "" {
		return
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	if _, err := f.WriteString(b.String()); err != nil {
		t.Error(err)
	}
}
