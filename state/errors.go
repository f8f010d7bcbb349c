package state

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

var (
	// ErrLocked is returned by Open: another process has the directory open. Stop it or give this one
	// another directory.
	ErrLocked = errors.New("directory is in use by another process")
	// ErrOtherOwner is returned by Open: the directory belongs to another application or cluster. Using
	// it would score leads with somebody else's history.
	ErrOtherOwner = errors.New("directory belongs to another application or cluster")
	// ErrNewerFormat is returned by Open: a newer leadstream wrote the directory. Run that version, or
	// remove the directory: its contents are then loaded from Kafka.
	ErrNewerFormat = errors.New("directory was written by a newer leadstream")
	// ErrCorrupt says that files of the store are damaged or missing; the text names the file where
	// one is known. Remove the directory: its contents are then loaded from Kafka.
	ErrCorrupt = errors.New("store is damaged")
	// ErrNoSpace says that the disk is full. Nothing is damaged; free some space and start again.
	ErrNoSpace = errors.New("disk is full")
	// ErrFailed is returned by every method after the store has failed; the text and the chain say why.
	// Whether a write that was under way was done is not known. End the process.
	ErrFailed = errors.New("store has failed")
)

const removeHint = "remove the directory and start again: its contents are then loaded from Kafka"

// classify gives an error of Pebble's or of the disk the sentinel of this package that fits it.
func classify(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrNoSpace), errors.Is(err, ErrCorrupt), errors.Is(err, ErrFailed):
		return err
	case vfs.IsNoSpaceError(err):
		return fmt.Errorf("%w: %s", ErrNoSpace, text(err))
	case pebble.IsCorruptionError(err):
		if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
			return fmt.Errorf("%w: file %q: %s; %s", ErrCorrupt, info.Path, text(err), removeHint)
		}
		return fmt.Errorf("%w: %s; %s", ErrCorrupt, text(err), removeHint)
	}
	return err
}

// text is err's first line: what Pebble joins to an error for programs follows in others.
func text(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
