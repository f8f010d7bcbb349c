package main

import (
	"bytes"
	"context"
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

// readEvery is how often a score is read.
const readEvery = 2 * time.Millisecond

func (b *bench) reads(ctx context.Context) error {
	if err := b.fill(ctx); err != nil {
		return err
	}
	c := contenderNamed(leadstreamName)
	r, err := b.newRun(c, preloaded, b.opts.events, 1)
	if err != nil {
		return err
	}
	res := &reads{}
	d, err := b.drainRun(ctx, c, r, res.read)
	if err != nil {
		return fmt.Errorf("reading under load: %w", err)
	}
	slices.Sort(res.took)
	res.rate, b.res.reads = d.rate, res
	b.say("%d reads under load", len(res.took))
	return nil
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
	r := b.res.reads
	if r == nil || len(r.took) == 0 {
		return
	}
	n := len(r.took)
	fmt.Fprintf(w, "\n## Live reads of scores under full load\n\nOne `GET /v1/leads/{id}` every %s while leadstream drains: %d answers with a lead, "+
		"%d without (it had not come yet), at %.0f events/s.\n\n| p50 ms | p99 ms | worst ms |\n| --- | --- | --- |\n| %.2f | %.2f | %.2f |\n",
		readEvery, n, r.other, r.rate, ms(r.took[n/2]), ms(r.took[n*99/100]), ms(r.took[n-1]))
}
