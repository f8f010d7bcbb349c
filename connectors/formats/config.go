package formats

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"leadstream/engine"
)

// Config says how a source's records are read. The zero Config reads Segment messages in JSON.
type Config struct {
	// MaxBytes is the largest record value that is read. 0 means DefaultMaxBytes.
	MaxBytes int
	// MaxNames is how many event names each decoder remembers, so that an event of a known name costs no
	// memory; names beyond it are read all the same. 0 means DefaultMaxNames.
	MaxNames int
	// Mapping says where fields are found in JSON that is no Segment message; nil for Segment messages.
	Mapping *Mapping
	// CloudEvents says that the event is the data of a CloudEvents envelope.
	CloudEvents bool
	// NewEncoding makes one decoder's Encoding; nil when records hold JSON text.
	NewEncoding func() Encoding
	// Counters are shared by all decoders made; nil if nobody looks.
	Counters *Counters
}

// Defaults of Config, and the bound on ids. DefaultMaxFuture holds until LimitFuture says otherwise.
const (
	DefaultMaxFuture = 5 * time.Minute
	DefaultMaxBytes  = 1 << 20
	DefaultMaxNames  = 4096
	// MaxIDBytes bounds ids: they are keys in every store and topic.
	MaxIDBytes = 1024
)

// Encoding reads records that are not JSON text, by turning them into it. It must be a pure function of
// the bytes. It is used by one goroutine.
type Encoding interface {
	// JSON returns the JSON text that the value stands for. The text may alias the value but no memory that
	// a later call writes to. An error makes the record a dead letter; its text is not shown to anyone.
	JSON(value []byte) ([]byte, error)
}

// Counters count what decoders corrected without refusing the record. Redone records count again.
type Counters struct {
	// FutureTimes counts times too far after their record's timestamp.
	FutureTimes atomic.Uint64
	// NoTimes counts records without a readable time of their own.
	NoTimes atomic.Uint64
}

// New checks the configuration and returns a function that makes a decoder for one goroutine. The error
// joins all faults.
func New(c Config) (func() engine.Decoder, error) {
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.MaxNames == 0 {
		c.MaxNames = DefaultMaxNames
	}
	if c.Counters == nil {
		c.Counters = new(Counters)
	}
	var faults []error
	if c.MaxBytes < 0 {
		faults = append(faults, fmt.Errorf("max_bytes %d is negative", c.MaxBytes))
	}
	if c.MaxNames < 0 {
		faults = append(faults, fmt.Errorf("max_names %d is negative", c.MaxNames))
	}
	m, err := compile(c.Mapping, c.CloudEvents)
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return func() engine.Decoder {
		d := &decoder{config: c, futureMs: DefaultMaxFuture.Milliseconds(), mapped: m.forDecoder(), names: make(map[string]string)}
		if c.NewEncoding != nil {
			d.encoding = c.NewEncoding()
		}
		if c.CloudEvents {
			d.envelope = newEnvelope(m)
		}
		return d
	}, nil
}
