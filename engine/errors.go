package engine

import "errors"

var (
	// ErrAborted is returned by Committer.Commit: nothing was written; the epoch may be tried again.
	ErrAborted = errors.New("transaction aborted")
	// ErrFenced is returned by Committer.Commit: nothing was written, and this process no longer holds
	// the generation it read its input under.
	ErrFenced = errors.New("fenced by a newer group generation")
	// ErrGap says that records needed are no longer in Kafka. Recovery stops; the text names the range.
	ErrGap = errors.New("records are missing")
	// ErrDisagree says that journal, group offsets or sources contradict each other. The text says how
	// and what to do.
	ErrDisagree = errors.New("journal and cluster disagree")
	// ErrDiverged says that an epoch, done again from its journal, gave other leads than its writer had. Either memory
	// or disk of one of the two is at fault, or what should be a function of its input is none.
	ErrDiverged = errors.New("leads differ from their writer's")
	// ErrNotFound is returned for a lead that does not exist.
	ErrNotFound = errors.New("no such lead")
	// ErrNotOwned is returned for a lead whose shard is owned by another process, or not live yet.
	ErrNotOwned = errors.New("shard is not live here")
)

// DeadLetter is the error of a record that can't be read or applied. It goes to the dead-letter topic.
type DeadLetter struct {
	// Reason is a fixed word for metrics, like "not_json"; Detail says more, without personal data.
	Reason, Detail string
}

// Error returns reason and detail.
func (d *DeadLetter) Error() string {
	if d.Detail == "" {
		return d.Reason
	}
	return d.Reason + ": " + d.Detail
}
