package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"leadstream/state/lead"
)

// identityRules say which ids and leads are one person's.
type identityRules struct {
	// linkBy are traits: leads that share one, normalised, are one.
	linkBy []string
	// never are ids that events do not link, and values that do not link leads, in lower case.
	never []string
	// maxIDs is how many ids a lead may have before events link no more to it.
	maxIDs int
}

const (
	defaultMaxIDs = 1_000
	// maxKnownIDs is how many ids a lead remembers, however they were linked to it.
	maxKnownIDs = 10_000
	maxLinkBy   = 16
	maxNever    = 10_000
)

// readIdentity reads the identity section.
func (ld *loader) readIdentity(n ynode) {
	id := &ld.set.identity
	ld.object(n, "identity",
		field{key: "link_by", read: func(v ynode) {
			ld.list(v, "identity.link_by", true, func(v ynode) {
				name, ok := ld.name(v, "identity.link_by")
				switch {
				case !ok:
				case slices.Contains(id.linkBy, name):
					ld.errorf(v, "identity.link_by: trait %q is there twice", shorten(name))
				case len(id.linkBy) >= maxLinkBy:
					ld.errorf(v, "identity.link_by: more than %d traits", maxLinkBy)
				default:
					id.linkBy = append(id.linkBy, name)
				}
			})
		}},
		field{key: "never", read: func(v ynode) {
			ld.list(v, "identity.never", true, func(v ynode) {
				if s, ok := ld.text(v, "identity.never"); ok && len(id.never) < maxNever {
					id.never = append(id.never, strings.ToLower(strings.TrimSpace(s)))
				} else if ok {
					ld.errorf(v, "identity.never: more than %d", maxNever)
				}
			})
			slices.Sort(id.never)
		}},
		field{key: "max_ids", read: func(v ynode) { setInt(ld, v, "identity.max_ids", 1, maxKnownIDs, &id.maxIDs) }},
	)
}

// isNever says that an id, or a normalised value, stands for nobody in particular.
func (r *identityRules) isNever(id string) bool {
	if id == "-1" || allZeros(id) || strings.EqualFold(id, "anonymous") {
		return true
	}
	if len(r.never) == 0 {
		return false
	}
	_, found := slices.BinarySearch(r.never, strings.ToLower(strings.TrimSpace(id)))
	return found
}

// allZeros recognises "", "0" and 00000000-0000-0000-0000-000000000000.
func allZeros(id string) bool { return strings.Trim(id, "0-") == "" && id != "-" }

// normalised returns a trait's value as leads are linked by it, "" for one that links nobody: letters are lower
// case, and of a phone number only digits count.
func normalised(trait string, v lead.Value) string {
	var s string
	switch v.Kind {
	case lead.String:
		s = strings.ToLower(strings.TrimSpace(v.Str()))
	case lead.Number:
		f, ok := v.Float()
		if !ok {
			return ""
		}
		s = strconv.FormatFloat(f, 'f', -1, 64)
	default:
		return ""
	}
	if trait == "phone" || strings.HasSuffix(trait, "_phone") || strings.HasSuffix(trait, "Phone") {
		s = digits(s)
	}
	if trait == "email" && !strings.Contains(s, "@") || len(s) > maxTraitBytes {
		return ""
	}
	return s
}

// digits keeps the digits of a phone number. 00 before a country's code is written + as well.
func digits(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c >= '0' && c <= '9' {
			b.WriteRune(c)
		}
	}
	s = b.String()
	s = strings.TrimPrefix(s, "00")
	if len(s) < 5 {
		return ""
	}
	return s
}

// identifierPrefix begins the ids of identifiers. Ids of events may not.
const identifierPrefix = "\x00"

// IsIdentifier says that an id is that of an identifier, which leads name, and not of a person.
func IsIdentifier(id string) bool { return strings.HasPrefix(id, identifierPrefix) }

// identifierID returns the id of what leads share. It is a hash: whoever can read keys need not read addresses.
func identifierID(trait, value string) string {
	sum := sha256.Sum256([]byte(trait + "\x00" + value))
	return identifierPrefix + hex.EncodeToString(sum[:16])
}

// linkValues calls fn for each value in the event by which leads are linked.
func (e *Evaluator) linkValues(ev *lead.Event, fn func(trait, value string)) {
	if len(e.set.identity.linkBy) == 0 {
		return
	}
	from := func(o lead.Object) {
		if len(o) == 0 {
			return
		}
		for _, trait := range e.set.identity.linkBy {
			if s := normalised(trait, o.Get(trait)); s != "" {
				fn(trait, s)
			}
		}
	}
	if len(ev.Context) > 0 {
		from(ev.Context.Get("traits").Object())
	}
	if ev.Type == lead.Identify {
		from(ev.Traits)
	}
}
