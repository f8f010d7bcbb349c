package lead

import (
	"encoding/json"
	"reflect"
)

// Rare is what most leads have nothing of. Each of its slices would cost every lead 24 bytes, in the cache and in each copy
// of a version.
type Rare struct {
	// Fields is sparse: fields of the first and last events of signals, as rules ask for them.
	Fields []Field
	// Tags are sorted by name.
	Tags []Tag
	// Held are what waits to be released, in the order of release.
	Held []Held
	// Early are the hashes of messages that were retracted before they came, oldest first.
	Early []uint64
	// Claims are hashes of the identifiers (an e-mail address, a phone number) that the lead has named, oldest first.
	Claims []uint64
	// Refused are the newest links that were refused, oldest first.
	Refused []Refusal
	// Named are the ids of the identifiers that the lead has named, oldest first: who is erased must be found by them.
	Named []string
	// Consents are what the lead said about the purposes of the rule set, sorted by purpose.
	Consents []Consent
}

// noRare is never changed: a check of the sources looks for who would.
var noRare Rare

// Rare returns what the lead has of it, for reading alone: OwnRare is for changes.
func (l *Lead) Rare() *Rare {
	if l.rare == nil {
		return &noRare
	}
	return l.rare
}

// OwnRare returns the same for changes, made if there is nothing yet.
func (l *Lead) OwnRare() *Rare {
	if l.rare == nil {
		l.rare = new(Rare)
	}
	return l.rare
}

// MarshalJSON writes all fields of the lead, the rare ones among them: a person's export is made of it.
func (l *Lead) MarshalJSON() ([]byte, error) {
	type fields Lead // without this method
	return json.Marshal(struct {
		*fields
		*Rare
	}{(*fields)(l), l.Rare()})
}

// setRare makes r what the lead has.
func (l *Lead) setRare(r Rare) {
	if r.empty() {
		l.rare = nil
		return
	}
	*l.OwnRare() = r
}

func (r *Rare) empty() bool {
	return len(r.Fields) == 0 && len(r.Tags) == 0 && len(r.Held) == 0 && len(r.Early) == 0 && len(r.Claims) == 0 && len(r.Refused) == 0 && len(r.Named) == 0 && len(r.Consents) == 0
}

// emptied returns the arrays of r without what is in them.
func (r *Rare) emptied() Rare {
	return Rare{
		Fields: r.Fields[:0], Tags: r.Tags[:0], Held: r.Held[:0], Early: r.Early[:0],
		Claims: r.Claims[:0], Refused: r.Refused[:0], Named: r.Named[:0], Consents: r.Consents[:0],
	}
}

func (r *Rare) clone() *Rare {
	if r == nil || r.empty() {
		return nil
	}
	return &Rare{
		Fields: copied(r.Fields, 0), Tags: copied(r.Tags, 0), Held: copied(r.Held, 0), Early: copied(r.Early, 0),
		Claims: copied(r.Claims, 0), Refused: copied(r.Refused, 0), Named: copied(r.Named, 0), Consents: copied(r.Consents, 0),
	}
}

// size is the bytes of heap that r occupies.
func (r *Rare) size() int {
	if r == nil {
		return 0
	}
	n := int(reflect.TypeFor[Rare]().Size()) + arrayBytes(r.Fields) + arrayBytes(r.Tags) + arrayBytes(r.Held) + arrayBytes(r.Early)
	n += arrayBytes(r.Claims) + arrayBytes(r.Refused) + arrayBytes(r.Named) + arrayBytes(r.Consents)
	for _, id := range r.Named {
		n += len(id)
	}
	for i := range r.Refused {
		n += len(r.Refused[i].ID) + len(r.Refused[i].With)
	}
	for i := range r.Consents {
		n += len(r.Consents[i].Purpose) + len(r.Consents[i].Source)
	}
	for i := range r.Fields {
		n += cap(r.Fields[i].Value.Text)
	}
	for i := range r.Held {
		n += cap(r.Held[i].Value.Text)
	}
	for i := range r.Tags {
		n += len(r.Tags[i].Name)
	}
	return n
}
