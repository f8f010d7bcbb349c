package main

import (
	"bytes"
	"fmt"
)

// usageTable splits the CPU time of whole lives into the program's own and the system's on its behalf, beside the pages
// that were touched for the first time, which the system's time is in part made of.
func (b *bench) usageTable(w *bytes.Buffer) {
	if len(b.res.drains) == 0 {
		return
	}
	fmt.Fprint(w, "\n## User and system time\n\n"+
		"Of the whole life of the process, start and stop included, as the operating system counts it, for each event that it has done; "+
		"minor faults are pages that were not in its memory yet.\n\n"+
		"| | user us per event | system us per event | system, % of both | minor faults per 1,000 events | CPU s of the whole process |\n"+
		"| --- | --- | --- | --- | --- | --- |\n")
	for c, runs := range b.drained() {
		cell := func(format string, of func(*drained) float64) string { return spreadOf(runs, of).format(format) }
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", c.title,
			cell("%.2f", func(d *drained) float64 { return d.perEvent(d.user.Seconds() * 1e6) }),
			cell("%.2f", func(d *drained) float64 { return d.perEvent(d.system.Seconds() * 1e6) }),
			cell("%.0f", func(d *drained) float64 { return 100 * d.system.Seconds() / max(1e-9, (d.user+d.system).Seconds()) }),
			cell("%.1f", func(d *drained) float64 { return d.perEvent(1000 * float64(d.faults)) }),
			cell("%.2f", func(d *drained) float64 { return (d.user + d.system).Seconds() }))
	}
}

// perEvent divides what a whole life took.
func (d *drained) perEvent(x float64) float64 { return x / float64(max(1, d.events)) }

// perLead is how often leads were written, for each lead that had an event.
func (d *drained) perLead(leads int) float64 { return d.checkpointed / float64(max(1, leads)) }
