package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"leadstream/connectors/importer"
	"leadstream/connectors/kafka"
)

// importFlags are the flags of import.
type importFlags struct {
	mapping string

	config, source string
	close          bool
	brokers        []string
	topic          string
	out            string
	dryRun         bool
}

func (p *program) importCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import --mapping FILE (--config FILE --source NAME | --brokers HOST:PORT --topic NAME | --out FILE | --dry-run) FILE...",
		Short: "Turn files of old data into events",
		Long: `import reads CSV, columns, JSON lines or Segment messages, also gzip-compressed, makes an event of each line as the
mapping says, and writes them to a configured source, to any topic, or to a file. Events are keyed by their routing id and
written in the order of the files, or with sort: true in order of time; each is written once, however often a broker fails.

A line that can't be made an event is left out and reported as file:line: reason, and exit code 9 says that there were some.
Importing a file again counts nothing twice as long as its message ids are the same and the lead still remembers them.

The source should have history: true. When everything is imported, leadstream source close says so: only then do
leads follow the wall clock again. --close does it in the same go, if no line was left out.`,
		Example: `  leadstream import --mapping orders.yaml --dry-run orders.csv.gz
  leadstream import --mapping orders.yaml --config leadstream.yaml --source orders orders-2025.csv orders-2026.csv
  leadstream import --mapping orders.yaml --brokers localhost:9092 --topic orders orders.csv
  leadstream import --mapping orders.yaml --out events.jsonl orders.csv`,
		Args: someArgs("at least one file"),
		RunE: func(cmd *cobra.Command, files []string) error {
			err := p.runImport(cmd.Context(), &f, files)
			if err != nil && cmd.Context().Err() != nil {
				return fmt.Errorf("%w: it was interrupted", errIncomplete)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.mapping, "mapping", "m", "", "mapping `FILE`: how lines become events; deploy/import has examples")
	flags.StringVarP(&f.config, "config", "c", "", "configuration `FILE`, with the cluster to reach and the source")
	flags.StringVar(&f.source, "source", "", "`NAME` of the configured source to write to")
	flags.BoolVar(&f.close, "close", false, "close the source when everything is written and no line was left out")
	flags.StringSliceVar(&f.brokers, "brokers", nil, "`HOST:PORT` of brokers, without TLS and SASL, in place of a configuration")
	flags.StringVar(&f.topic, "topic", "", "topic to write to, with --brokers")
	flags.StringVarP(&f.out, "out", "o", "", "`FILE` to write the events to, one a line; - is standard output")
	flags.BoolVar(&f.dryRun, "dry-run", false, "write nothing: check every line, and show the first events")
	return cmd
}

// target opens what the flags name as the place for events.
func (f *importFlags) target(p *program) (func(context.Context) (eventSink, error), error) {
	var chosen []func(context.Context) (eventSink, error)
	if f.config != "" || f.source != "" {
		chosen = append(chosen, func(ctx context.Context) (eventSink, error) { return openSource(ctx, p, f) })
	}
	if len(f.brokers) > 0 || f.topic != "" {
		chosen = append(chosen, func(ctx context.Context) (eventSink, error) { return openTopic(ctx, f.brokers, f.topic) })
	}
	if f.out != "" {
		chosen = append(chosen, func(context.Context) (eventSink, error) { return openOut(p, f.out) })
	}
	if f.dryRun {
		chosen = append(chosen, func(context.Context) (eventSink, error) { return &shownSink{to: p.out}, nil })
	}
	switch {
	case len(chosen) != 1:
		return nil, fmt.Errorf("%w: one of --config with --source, --brokers with --topic, --out and --dry-run is required; "+
			"see `leadstream import --help`", errUsage)
	case (f.config == "") != (f.source == ""):
		return nil, fmt.Errorf("%w: --config and --source belong together", errUsage)
	case (len(f.brokers) == 0) != (f.topic == ""):
		return nil, fmt.Errorf("%w: --brokers and --topic belong together", errUsage)
	case f.close && f.source == "":
		return nil, fmt.Errorf("%w: --close: only a configured source can be closed", errUsage)
	}
	return chosen[0], nil
}

func (p *program) runImport(ctx context.Context, f *importFlags, files []string) (err error) {
	if f.mapping == "" {
		return fmt.Errorf("%w: --mapping is required; see `leadstream import --help`", errUsage)
	}
	open, err := f.target(p)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(f.mapping)
	if err != nil {
		return fmt.Errorf("%w: reading mapping: %w", errConfig, err)
	}
	mapping, err := importer.ParseMapping(text)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errConfig, f.mapping, err)
	}
	for _, name := range files {
		if _, err := os.Stat(name); err != nil { // before the first of them is written
			return fmt.Errorf("%w: %w", errUsage, err)
		}
	}
	sink, err := open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sink.close()) }()
	stats, err := copyEvents(ctx, p.err, mapping, files, sink)
	writeImport(p.err, &stats)
	switch {
	case err != nil:
		return err
	case stats.Bad > 0 && f.close:
		return fmt.Errorf("%w: lines were left out, so the source is still open: correct the lines and import them, "+
			"then `leadstream source close %s --config %s`", errIncomplete, f.source, f.config)
	case stats.Bad > 0:
		return fmt.Errorf("%w: lines were left out", errIncomplete)
	case f.close:
		return sink.(*topicSink).closeSource(ctx, f.source)
	}
	return nil
}

// source returns the configured source with this name.
func (c *config) source(name string) (*sourceConfig, error) {
	var names []string
	for i := range c.Sources {
		if c.Sources[i].Name == name {
			return &c.Sources[i], nil
		}
		names = append(names, c.Sources[i].Name)
	}
	return nil, fmt.Errorf("%w: there is no source %q%s", errUsage, name, suggestion(name, names))
}

// connect connects to the configured cluster, which must be running where it is embedded in another process.
func (c *config) connect(ctx context.Context) (*kafka.Cluster, error) {
	k := c.kafka()
	if c.Embedded.Enabled {
		k.Brokers = []string{fmt.Sprintf("127.0.0.1:%d", c.Embedded.Port)}
	}
	return kafka.Open(ctx, k)
}
