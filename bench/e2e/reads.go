package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// reads are how long live reads of scores take while leadstream drains the preloaded topic at full speed.
type reads struct {
	took  []time.Duration
	rate  float64 // events per second that it did meanwhile
	other int     // answers that were no lead
}

// readEvery is how often a score is read, readReps in how many drains at most: there is nothing that reads are compared with.
const (
	readEvery = 2 * time.Millisecond
	readReps  = 3
)

func (b *bench) reads(ctx context.Context) error {
	if err := b.fill(ctx); err != nil {
		return err
	}
	c := contenderNamed(leadstreamName)
	reps := min(readReps, b.opts.reps)
	for rep := range reps {
		r, err := b.newRun(c, preloaded, b.opts.events, 1)
		if err != nil {
			return err
		}
		res := &reads{}
		d, err := b.drainRun(ctx, c, r, res.read)
		if err != nil {
			return fmt.Errorf("reading under load: %w", err)
		}
		if len(res.took) == 0 {
			return errors.New("reading under load: no read was answered: drain more events")
		}
		slices.Sort(res.took)
		res.rate = d.rate
		b.res.reads = append(b.res.reads, res)
		b.say("%d/%d %d reads under load, p50 %.2f ms, p99 %.2f ms", rep+1, reps, len(res.took), res.at(50), res.at(99))
	}
	return nil
}

// at is the duration in ms that so many of a hundred reads took at most.
func (r *reads) at(percent int) float64 {
	return ms(r.took[min(len(r.took)-1, len(r.took)*percent/100)])
}

// read asks for the scores of leads, busy ones more often, until ctx ends.
func (r *reads) read(ctx context.Context, api string) {
	rng := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(rng, 1.1, 1, 99_999)
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/v1/leads/lead-%010d", api, zipf.Uint64()), nil)
		if err != nil {
			return
		}
		began := time.Now()
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			r.other++
			continue
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close() // it has been read
		if err != nil || resp.StatusCode != http.StatusOK {
			r.other++ // a lead that has not come yet
			continue
		}
		r.took = append(r.took, time.Since(began))
	}
}

func (b *bench) readsTable(w *bytes.Buffer) {
	if len(b.res.reads) == 0 {
		return
	}
	with, without := 0, 0
	for _, r := range b.res.reads {
		with, without = with+len(r.took), without+r.other
	}
	cell := func(format string, of func(*reads) float64) string { return spreadOf(b.res.reads, of).format(format) }
	fmt.Fprintf(w, "\n## Live reads of scores under full load\n\nOne `GET /v1/leads/{id}` every %s while leadstream drains, %d times: %d answers with a lead, "+
		"%d without (it had not come yet), at %s events/s.\n\n| p50 ms | p99 ms | worst ms |\n| --- | --- | --- |\n| %s | %s | %s |\n",
		readEvery, len(b.res.reads), with, without, cell("%.0f", func(r *reads) float64 { return r.rate }),
		cell("%.2f", func(r *reads) float64 { return r.at(50) }), cell("%.2f", func(r *reads) float64 { return r.at(99) }),
		cell("%.2f", func(r *reads) float64 { return r.at(100) }))
}
