package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// format is one version of what is in a store's directory. A new one is needed when keys or values change
// so that an older program would misread them, and when Pebble's format is raised.
type format struct {
	// pebble is the format of Pebble's files. It can be raised, and never goes back.
	pebble pebble.FormatMajorVersion
	// upgrade changes a store of the format before to this one. A crash may run it again on
	// what it has done in part. Nil where raising Pebble's format, which Pebble does itself, is all.
	upgrade func(*Store) error
}

// formats lists all formats; the first is number 1. state/testdata has a store of each.
var formats = []format{
	{pebble: pebble.FormatValueSeparation},
}

// currentFormat is the format that this program writes.
func currentFormat() int { return len(formats) }

// identityFile is in the directory beside Pebble's own, because it must be read before Pebble may change
// anything.
const identityFile = "leadstream.json"

// identity says who a directory was made for and in which format it is.
type identity struct {
	Format    int    `json:"format"`
	App       string `json:"app"`
	ClusterID string `json:"cluster_id"`
	// Instance made the directory.
	Instance string `json:"instance"`
}

func (id *identity) check(o Options) error {
	switch {
	case id.Format > currentFormat():
		return fmt.Errorf("%w: it has format %d, this one knows up to %d; run the newer version, or %s",
			ErrNewerFormat, id.Format, currentFormat(), removeHint)
	case id.Format < 1:
		return fmt.Errorf("%w: %s says format %d; %s", ErrCorrupt, identityFile, id.Format, removeHint)
	case id.App != o.App || id.ClusterID != o.ClusterID:
		return fmt.Errorf("%w: it was made for application %q on cluster %q, this is %q on %q; give each a directory of its own",
			ErrOtherOwner, id.App, id.ClusterID, o.App, o.ClusterID)
	}
	return nil
}

// readIdentity returns nil if the directory is new.
func (s *Store) readIdentity() (*identity, error) {
	path := s.fs.PathJoin(s.dir, identityFile)
	f, err := s.fs.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := s.fs.Stat(s.fs.PathJoin(s.dir, storeDir)); err == nil {
			return nil, fmt.Errorf("%w: %s is missing; %s", ErrCorrupt, identityFile, removeHint)
		}
		return nil, nil
	}
	if err != nil {
		return nil, classify(err)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxIdentityBytes))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, classify(err)
	}
	id := new(identity)
	if err := json.Unmarshal(text, id); err != nil {
		return nil, fmt.Errorf("%w: %s: %w; %s", ErrCorrupt, path, err, removeHint)
	}
	return id, nil
}

const maxIdentityBytes = 64 << 10

func (s *Store) createIdentity(o Options) (*identity, error) {
	id := &identity{Format: currentFormat(), App: o.App, ClusterID: o.ClusterID, Instance: o.Instance}
	return id, s.writeIdentity(id)
}

// writeIdentity replaces the file so that a crash leaves the old or the new one.
func (s *Store) writeIdentity(id *identity) error {
	text, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	path := s.fs.PathJoin(s.dir, identityFile)
	if err := writeSynced(s.fs, path+".new", append(text, '\n')); err != nil {
		return wrap(classify(err), "writing %s", identityFile)
	}
	if err := s.fs.Rename(path+".new", path); err != nil {
		return wrap(classify(err), "writing %s", identityFile)
	}
	return wrap(classify(syncDir(s.fs, s.dir)), "writing %s", identityFile)
}

func writeSynced(fs vfs.FS, path string, content []byte) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, bytes.NewReader(content))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// upgrade brings the open store from id's format to the current one, a step at a time.
func (s *Store) upgrade(id *identity) error {
	for id.Format < currentFormat() {
		next := formats[id.Format]
		if next.upgrade != nil {
			if err := next.upgrade(s); err != nil {
				return fmt.Errorf("upgrading from format %d to %d: %w", id.Format, id.Format+1, err)
			}
		}
		// Durable before the number says so.
		if err := s.Flush(); err != nil {
			return err
		}
		id.Format++
		if err := s.writeIdentity(id); err != nil {
			return err
		}
	}
	return nil
}
