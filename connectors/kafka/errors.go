package kafka

import (
	"errors"
	"net"

	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	// ErrUnreachable is returned by Open and Committer when no broker answers in time, or none that speaks the
	// configured protocol. The text names the addresses and what to check. Trying again later may help.
	ErrUnreachable = errors.New("kafka is unreachable")
	// ErrDenied is returned by Open when the brokers refuse the credentials. A person has to act.
	ErrDenied = errors.New("kafka refuses the credentials")
	// ErrUnsupported is returned by Open when the cluster is too old. The text names what is missing.
	ErrUnsupported = errors.New("kafka version is not supported")
	// ErrTopic is returned by EnsureTopics when a topic is missing or is not as it must be. The text
	// names all of them, what is and what is expected. A person has to act.
	ErrTopic = errors.New("topic is not usable")
	// ErrConfig is returned by Open for a configuration that can't work. The text names every fault.
	ErrConfig = errors.New("kafka configuration")
	// ErrTooLarge is returned by Committer.Commit when one record exceeds what its topic takes. Nothing
	// was written, and trying the same records again can't help.
	ErrTooLarge = errors.New("record exceeds the topic's max.message.bytes")

	errClosed = errors.New("committer is closed")
	// errUnknownOutcome marks a commit that may or may not have happened.
	errUnknownOutcome = errors.New("outcome of the transaction is unknown")
)

// IsUnreachable says that an error comes of a connection to a broker that could not be made or was lost, or is
// ErrUnreachable: trying again later may help.
func IsUnreachable(err error) bool {
	var op *net.OpError
	var eof *kgo.ErrFirstReadEOF
	return errors.Is(err, ErrUnreachable) || errors.As(err, &eof) || errors.As(err, &op) && op.Op != "listen"
}
