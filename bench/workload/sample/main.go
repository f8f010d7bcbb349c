// Command sample writes a file of generated events, one Segment message a line.
package main

import (
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"leadstream/bench/workload"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("sample", flag.ContinueOnError)
	seed := flags.Uint64("seed", 7, "everything left to chance follows from it")
	leads := flags.Int("leads", 260, "number of people")
	days := flags.Int("days", 30, "how many days of events")
	start := flags.String("start", "2026-09-01", "the first day")
	out := flags.String("o", "", "file to write, gzip if it ends in .gz; default: standard output")
	if err := flags.Parse(args); err != nil {
		return err
	}
	from, err := time.Parse(time.DateOnly, *start)
	if err != nil {
		return fmt.Errorf("reading -start: %w", err)
	}
	g, err := workload.New(workload.Config{
		Seed: *seed, Leads: *leads, Start: from.UnixMilli(), Duration: time.Duration(*days) * 24 * time.Hour, Late: 0.01, Duplicates: 0.01,
	})
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for {
		e, ok := g.Next()
		if !ok {
			break
		}
		text.Write(e.Value)
		text.WriteByte('\n')
	}
	switch {
	case *out == "":
		_, err = stdout.Write(text.Bytes())
		return err
	case strings.HasSuffix(*out, ".gz"):
		return writeGzip(*out, text.Bytes())
	}
	return os.WriteFile(*out, text.Bytes(), 0o644)
}

// writeGzip leaves a file alone that already holds the text: other versions of the compressor may give
// other bytes for it, and a generated file should only change when its content does.
func writeGzip(name string, text []byte) error {
	if have, err := readGzip(name); err == nil && bytes.Equal(have, text) {
		return nil
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(text); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(name, packed.Bytes(), 0o644)
}

func readGzip(name string) ([]byte, error) {
	packed, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
