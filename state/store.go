package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Store holds the entities of all shards of this process. Its methods may be called from several
// goroutines at once, except that one shard's writes come from one goroutine at a time.
type Store struct {
	db      *pebble.DB
	options *pebble.Options // With Pebble's defaults filled in; the loader builds tables by it.
	fs      vfs.FS
	dir     string
	lock    io.Closer
	failure *failure
	counts  *counters

	// filters are of the shards that were asked about or written to since Open. The map is never changed, but replaced.
	filters      atomic.Pointer[map[int32]*idFilter]
	filterMemory filterMemory

	// loadBytes is the memory a Loader sorts in; tests make it small.
	loadBytes int

	// mu guards closed, loading, witnesses and the replacing of filters. It is never held while Pebble is called, but by Close and Collect.
	mu      sync.RWMutex
	closed  bool
	loading map[int32]bool
	// witnesses are of the shards that were written to since Open.
	witnesses map[int32]witness
}

// The directory of a store, besides identityFile.
const (
	lockFile = "LOCK"
	storeDir = "pebble" // Pebble's own.
	loadDir  = "load"   // What Loaders sort; emptied by Open.
)

// Open opens the store in o.Dir, creating it if there is none. It owns the directory until Close.
// The sentinels of this package say what can be wrong with a directory; other errors are the disk's.
func Open(o Options) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("opening state store %q: %w", o.Dir, err)
		}
	}()
	o, err = o.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{fs: o.FS, dir: o.Dir, failure: newFailure(o.OnFatal), counts: new(counters), loadBytes: defaultLoadBytes, loading: make(map[int32]bool), witnesses: make(map[int32]witness)}
	s.filters.Store(new(map[int32]*idFilter))
	s.filterMemory = filterMemory{o.FilterBytes, &s.counts.filterBytes}
	if s.fs == nil {
		s.fs = vfs.Default
	}
	if err := s.makeDir(); err != nil {
		return nil, classify(err)
	}
	if s.lock, err = s.fs.Lock(s.fs.PathJoin(o.Dir, lockFile)); err != nil {
		if errors.Is(err, fs.ErrPermission) || vfs.IsNoSpaceError(err) {
			return nil, fmt.Errorf("locking: %w", classify(err))
		}
		return nil, fmt.Errorf("%w (%s); stop it or give this one another directory", ErrLocked, text(err))
	}
	if err := s.open(o); err != nil {
		if s.failure.failed() == nil {
			err = errors.Join(err, s.lock.Close())
		}
		return nil, err
	}
	return s, nil
}

// makeDir makes the directory so that it survives a power cut as what is synced inside does.
func (s *Store) makeDir() error {
	if _, err := s.fs.Stat(s.dir); err == nil {
		return nil
	}
	if err := s.fs.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	return syncDir(s.fs, s.fs.PathDir(s.dir))
}

// open does what Open does once the directory is locked.
func (s *Store) open(o Options) error {
	id, err := s.readIdentity()
	if err != nil {
		return err
	}
	if id == nil {
		if id, err = s.createIdentity(o); err != nil {
			return err
		}
	}
	if err := id.check(o); err != nil {
		return err
	}
	if err := s.fs.RemoveAll(s.fs.PathJoin(s.dir, loadDir)); err != nil {
		return classify(err)
	}
	s.options = s.pebbleOptions(o)
	// The options are shared with the loader, which needs the defaults that Pebble would fill into a copy.
	s.options.EnsureDefaults()
	err = s.failure.guard(func() error {
		db, err := pebble.Open(s.fs.PathJoin(s.dir, storeDir), s.options)
		if err == nil {
			s.db = db
		}
		return err
	})
	if err != nil {
		return openError(err)
	}
	err = s.verify()
	if err == nil {
		err = s.upgrade(id)
	}
	if err == nil {
		return nil
	}
	closeErr := s.closeDB()
	if s.failure.failed() != nil {
		return err // which says why
	}
	return errors.Join(err, closeErr)
}

// openError tells a damaged store from a disk that can't be read. Pebble says which is which only while it
// is open; but what is wrong with a directory that is locked, ours and of a format we know is either an error
// of the operating system or damage, a file that isn't there included.
func openError(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) && !errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	for _, known := range []error{ErrFailed, ErrNoSpace, ErrCorrupt} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %s; %s", ErrCorrupt, text(err), removeHint)
}

// Flush makes everything that was written durable: after it, a power cut takes nothing.
func (s *Store) Flush() error {
	err := s.failure.guard(func() error { return s.db.LogData(nil, pebble.Sync) })
	return wrap(err, "syncing state store")
}

// Close makes everything durable and gives up the directory. No other method may be running or be called
// afterwards, but Collect. A store that has failed keeps its directory until the process ends: Pebble may
// still be at work in it.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.failure.failed(); err != nil {
		return wrap(err, "closing state store")
	}
	if err := s.Flush(); err != nil {
		return wrap(err, "closing state store")
	}
	if err := s.closeDB(); err != nil {
		return wrap(err, "closing state store")
	}
	return wrap(classify(s.lock.Close()), "unlocking state store")
}

func (s *Store) closeDB() error { return s.failure.guard(s.db.Close) }

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// orDiscard returns l, or a logger that writes nothing.
func orDiscard(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
