package formats

import (
	"errors"
	"fmt"

	"leadstream/engine"
	"leadstream/state/lead"
)

// The reasons of this package's dead letters.
const (
	// ReasonEmpty: the record has no value (a tombstone) or an empty one.
	ReasonEmpty = "empty"
	// ReasonTooLarge: the value is larger than Config.MaxBytes.
	ReasonTooLarge = "too_large"
	// ReasonNotReadable: the Encoding could not read the value.
	ReasonNotReadable = "not_readable"
	// ReasonNotJSON: the value is not JSON; NaN and Infinity are not.
	ReasonNotJSON = "not_json"
	// ReasonNotObject: the value is JSON but not an object.
	ReasonNotObject = "not_object"
	// ReasonTooDeep: objects and lists are nested deeper than lead.MaxDepth.
	ReasonTooDeep = "too_deep"
	// ReasonBadEnvelope: the CloudEvents envelope has no data that is an event.
	ReasonBadEnvelope = "bad_envelope"
	// ReasonUnknownType: the type is missing or none of the six.
	ReasonUnknownType = "unknown_type"
	// ReasonNoID: there is no id that the event belongs to.
	ReasonNoID = "no_id"
	// ReasonBadID: an id is neither a string nor an integer, or too long.
	ReasonBadID = "bad_id"
)

// Reasons lists every reason, for metrics that exist before the first dead letter.
func Reasons() []string {
	return []string{
		ReasonEmpty, ReasonTooLarge, ReasonNotReadable, ReasonNotJSON, ReasonNotObject, ReasonTooDeep,
		ReasonBadEnvelope, ReasonUnknownType, ReasonNoID, ReasonBadID,
	}
}

// letter makes a dead letter. The detail must hold nothing of the record's content.
func letter(reason, format string, args ...any) error {
	return &engine.DeadLetter{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// scanLetter makes the dead letter for a document that can't be read.
func scanLetter(err error) error {
	var fault *lead.JSONError
	if !errors.As(err, &fault) {
		return letter(ReasonNotJSON, "")
	}
	switch fault.Fault {
	case lead.NotObject:
		return letter(ReasonNotObject, "")
	case lead.TooDeep:
		return letter(ReasonTooDeep, "more than %d levels at byte %d", lead.MaxDepth, fault.Offset)
	}
	return letter(ReasonNotJSON, "at byte %d", fault.Offset)
}
