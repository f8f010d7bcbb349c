package lead

// Type is the kind of a canonical event, as the Segment spec names it.
type Type uint8

// The types of canonical events. The zero Type is invalid.
const (
	Track Type = iota + 1
	Identify
	Page
	Screen
	Group
	Alias
)

var typeNames = [...]string{Track: "track", Identify: "identify", Page: "page", Screen: "screen", Group: "group", Alias: "alias"}

// String returns the name the Segment spec gives the type, "" for an invalid one.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return ""
}

// Event is one canonical event, decoded as far as every event needs and no further: the maps are
// still JSON text that is looked into on demand.
//
// Byte slices and Objects alias the Kafka batch they came in. They are valid only while the event
// is applied; what outlives that must be copied. A nil or empty field means the event did not have it.
type Event struct {
	Type Type
	// History says that the event's source is an import of old data.
	History bool
	// Time is when it happened: the event's own time after skew correction and the max_future limit.
	Time int64
	// MessageHash identifies the message for dedupe: HashID(MessageID), 0 when it has no messageId.
	MessageHash uint64
	// Name is the track's event, the page's or the screen's name. Decoders intern it.
	Name string
	// Source is the configured name of the source that the event came from.
	Source string
	// RoutingID is the id that the event belongs to: userId, else anonymousId; previousId for an alias.
	RoutingID   []byte
	MessageID   []byte
	UserID      []byte
	AnonymousID []byte
	PreviousID  []byte
	GroupID     []byte
	Category    []byte
	Channel     []byte

	Properties Object
	Context    Object
	Traits     Object
}
