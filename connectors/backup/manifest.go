package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// format is that of the manifest.
const format = 1

var (
	// ErrNewer is returned for a backup that a newer program has written.
	ErrNewer = errors.New("the backup was written by a newer version")
	// ErrIncomplete is returned for a directory without a manifest: none, or one that was not finished.
	ErrIncomplete = errors.New("there is no complete backup")
)

// Manifest says what a backup is of.
type Manifest struct {
	Format int `json:"format"`
	// Program is the version that wrote it, At when it was begun, in RFC 3339.
	Program string `json:"program"`
	At      string `json:"at"`
	// App is the application, Cluster the id of the Kafka cluster that it ran on, Shards its number of shards.
	App     string `json:"app"`
	Cluster string `json:"cluster"`
	Shards  int32  `json:"shards"`
	// Positions are the sources' partitions: what comes from there on is not in the backup.
	Positions []Position `json:"positions"`
	Files     []File     `json:"files"`
}

// Position is where a source partition was read to.
type Position struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Offset is that of the next record. TopicID is the cluster's id of the topic, in hexadecimal digits, "" if unknown.
	Offset  int64  `json:"offset"`
	TopicID string `json:"topic_id,omitempty"`
	// Before are the last records before Offset, newest first: by them the place is found in a copy of the topic.
	Before []Trace `json:"before,omitempty"`
}

// Trace tells a record from others: its timestamp in ms, and the CRC-32C of key and value.
type Trace struct {
	At  int64  `json:"at"`
	Sum uint32 `json:"sum"`
}

// File is one file of a backup.
type File struct {
	Name    string `json:"name"`
	Records uint64 `json:"records"`
	Bytes   int64  `json:"bytes"`
	SHA256  string `json:"sha256"`
}

// manifestFile is written last.
const manifestFile = "manifest.json"

// maxManifest bounds what is read of one: some 100 MiB are a million partitions.
const maxManifest = 100 << 20

// sealed is the file's content: a manifest and the sum of its bytes.
type sealed struct {
	SHA256   string          `json:"sha256"`
	Manifest json.RawMessage `json:"manifest"`
}

// encode returns the file's content.
func (m *Manifest) encode() ([]byte, error) {
	inner, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	sum := sha256.Sum256(inner)
	b, err := json.Marshal(sealed{hex.EncodeToString(sum[:]), inner})
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest: %w", err)
	}
	return append(b, '\n'), nil
}

// parse reads a manifest.
func parse(b []byte) (*Manifest, error) {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("backup file %q: %s: %w", manifestFile, fmt.Sprintf(format, args...), ErrDamaged)
	}
	var s sealed
	if err := json.Unmarshal(b, &s); err != nil {
		at := int64(len(b))
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			at = syntax.Offset
		}
		return nil, bad("at offset %d: %v", at, err)
	}
	var inner bytes.Buffer
	if err := json.Compact(&inner, s.Manifest); err != nil {
		return nil, bad("%v", err)
	}
	if sum := sha256.Sum256(inner.Bytes()); hex.EncodeToString(sum[:]) != s.SHA256 {
		return nil, bad("it does not have its sum: it was changed")
	}
	m := new(Manifest)
	if err := json.Unmarshal(s.Manifest, m); err != nil {
		return nil, bad("%v", err)
	}
	if m.Format > format {
		return nil, fmt.Errorf("backup file %q has format %d, this program reads %d: %w", manifestFile, m.Format, format, ErrNewer)
	}
	if m.Format < 1 || m.Shards < 1 || m.Shards > 4096 || m.App == "" {
		return nil, bad("format %d, application %q, %d shards", m.Format, m.App, m.Shards)
	}
	names := map[string]bool{}
	for _, f := range m.Files {
		names[f.Name] = true
	}
	for _, want := range fileNames(m.Shards) {
		if !names[want] {
			return nil, bad("it does not name %q", want)
		}
	}
	if len(m.Files) != len(names) || len(names) != len(fileNames(m.Shards)) {
		return nil, bad("it names %d files, expected %d", len(m.Files), len(fileNames(m.Shards)))
	}
	for _, p := range m.Positions {
		if p.Topic == "" || p.Partition < 0 || p.Offset < 0 {
			return nil, bad("a position of %s/%d is %d", p.Topic, p.Partition, p.Offset)
		}
	}
	return m, nil
}

// The kinds of files: what each holds is in Dir's methods.
const (
	kindState, kindInbox, kindJournal, kindAudit = "state", "inbox", "journal", "audit"
	rulesFile                                    = "rules"
)

func shardFile(shard int32, kind string) string { return fmt.Sprintf("shard-%04d.%s", shard, kind) }

// fileNames are all files of a backup of so many shards, but for the manifest.
func fileNames(shards int32) []string {
	names := []string{rulesFile}
	for s := range shards {
		for _, kind := range []string{kindState, kindInbox, kindJournal, kindAudit} {
			names = append(names, shardFile(s, kind))
		}
	}
	return names
}

// load reads a directory's manifest.
func load(dir string) (*Manifest, error) {
	path := filepath.Join(dir, manifestFile)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%q has no %s: %w", dir, manifestFile, ErrIncomplete)
	case err != nil:
		return nil, fmt.Errorf("reading a backup: %w", err)
	case info.Size() > maxManifest:
		return nil, fmt.Errorf("backup file %q has %d bytes: %w", manifestFile, info.Size(), ErrDamaged)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a backup: %w", err)
	}
	return parse(b)
}

// file is what the manifest says of one of its files.
func (m *Manifest) file(name string) File {
	i := slices.IndexFunc(m.Files, func(f File) bool { return f.Name == name })
	return m.Files[i]
}

// Size is the sum of all files' bytes.
func (m *Manifest) Size() (bytes int64, entities uint64) {
	for _, f := range m.Files {
		bytes += f.Bytes
		if strings.HasSuffix(f.Name, "."+kindState) {
			entities += f.Records
		}
	}
	return bytes, entities
}
