package state

import "context"

// Compact writes all tables anew, so that nothing is left in them of what was removed or replaced. It works beside everything
// else, and for as long as it takes to read and write the store once.
func (s *Store) Compact(ctx context.Context) error {
	if err := s.failure.failed(); err != nil {
		return err
	}
	err := s.failure.guard(func() error { return s.db.Flush() })
	if err == nil {
		err = s.failure.guard(func() error { return s.db.Compact(ctx, []byte{0}, []byte{0xff}, false) })
	}
	return wrap(classify(err), "compacting the store")
}
