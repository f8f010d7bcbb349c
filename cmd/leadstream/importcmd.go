package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"leadstream/connectors/importer"
	"leadstream/connectors/kafka"
)

// importFlags are the flags of import.
type importFlags struct {
	config, mapping, source string
	dryRun, closeAfter      bool
}

func (p *program) importCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import --config FILE --source NAME --mapping FILE FILE...",
		Short: "Turn files of old data into events of a source",
		Long: `import reads CSV, columns or JSON lines, also gzip-compressed, makes an event of each line as the mapping says, and writes
it to the topic of a configured source. Lines that can't be made an event are counted and reported, and left out.
Importing a file again counts nothing twice as long as its message ids are the same.

The source should have history: true and format: segment. Give --close, or use leadstream source close, when everything
is imported: only then do leads follow the wall clock again.`,
		Example: `  leadstream import --mapping orders.yaml --dry-run orders.csv.gz
  leadstream import --config leadstream.yaml --source orders --mapping orders.yaml --close orders.csv.gz`,
		Args: someArgs("at least one file"),
		RunE: func(cmd *cobra.Command, files []string) error {
			return p.runImport(cmd.Context(), &f, files)
		},
	}
	cmd.Flags().StringVarP(&f.config, "config", "c", "", "configuration file")
	cmd.Flags().StringVar(&f.source, "source", "", "name of the source to write to")
	cmd.Flags().StringVar(&f.mapping, "mapping", "", "mapping file; deploy/import has examples")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "print the events instead of writing them")
	cmd.Flags().BoolVar(&f.closeAfter, "close", false, "close the source when everything is written")
	return cmd
}

func (p *program) runImport(ctx context.Context, f *importFlags, files []string) error {
	if f.mapping == "" {
		return fmt.Errorf("%w: --mapping is required; see `leadstream import --help`", errUsage)
	}
	text, err := os.ReadFile(f.mapping)
	if err != nil {
		return fmt.Errorf("%w: reading mapping: %w", errConfig, err)
	}
	mapping, err := importer.ParseMapping(text)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", errConfig, f.mapping, err)
	}
	if f.dryRun {
		stats, err := importer.Run(ctx, mapping, files, func(_, value []byte, _ int64) error {
			_, err := fmt.Fprintf(p.out, "%s\n", value)
			return err
		})
		return errors.Join(err, writeImport(p.err, &stats))
	}
	if f.config == "" || f.source == "" {
		return fmt.Errorf("%w: --config and --source are required, or --dry-run; see `leadstream import --help`", errUsage)
	}
	c, err := loadConfig(f.config, p.sys)
	if err != nil {
		return err
	}
	source, err := c.source(f.source)
	if err != nil {
		return err
	}
	if f.closeAfter && !source.History {
		return fmt.Errorf("%w: --close: source %q has no history: true", errUsage, f.source)
	}
	cluster, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer cluster.Close()
	stats, err := importInto(ctx, cluster, source.Topic, mapping, files)
	if err = errors.Join(err, writeImport(p.out, &stats)); err != nil {
		return err
	}
	if f.closeAfter {
		return closeSource(ctx, cluster, c.Shards, source.Name)
	}
	return nil
}

// importInto writes the files' events to a topic. Records get the time of writing: with the events' own,
// the topic's retention would delete them at once.
func importInto(ctx context.Context, cluster *kafka.Cluster, topic string, m importer.Mapping, files []string) (importer.Stats, error) {
	producer, err := cluster.Producer()
	if err != nil {
		return importer.Stats{}, err
	}
	defer producer.Close()
	stats, err := importer.Run(ctx, m, files, func(key, value []byte, _ int64) error {
		producer.Send(ctx, topic, key, value)
		return ctx.Err()
	})
	return stats, errors.Join(err, producer.Flush(ctx))
}

// writeImport says what became of the lines.
func writeImport(w io.Writer, s *importer.Stats) error {
	for _, f := range s.Faults {
		fmt.Fprintf(w, "left out: %s\n", f)
	}
	if more := s.Bad - len(s.Faults); more > 0 {
		fmt.Fprintf(w, "left out: %d more\n", more)
	}
	span := ""
	if s.Events > 0 {
		span = fmt.Sprintf(", from %s to %s", day(s.First), day(s.Last))
	}
	_, err := fmt.Fprintf(w, "%d files, %d records: %d events%s, %d left out\n", s.Files, s.Records, s.Events, span, s.Bad)
	return err
}

func day(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.DateOnly) }

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
