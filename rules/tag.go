package rules

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/traits"
	"go.yaml.in/yaml/v4"

	"leadstream/state/lead"
)

// tagRules say what gives a lead tags.
type tagRules struct {
	declared bool
	halfLife int64 // ms, 0 none
	lines    []tagLine
}

// tagLine gives the tags that an expression names the weight of a behaviour times that of its place.
type tagLine struct {
	signal int
	tag    *keyExpr
	weight *number
	places []tagPlace // the longest prefix first
}

type tagPlace struct {
	prefix []byte // of the path if it starts with a slash, else of the URL
	weight float64
}

// maxTagsPerEvent bounds how many tags one line takes from a list.
const maxTagsPerEvent = 16

// updateTags adds the weights that the event's signals give.
func (e *Evaluator) updateTags(t int64) {
	for _, slot := range e.hits {
		for _, i := range e.set.signals[slot].tags {
			w := e.tagWeight(i)
			if w == 0 {
				continue
			}
			e.eachTag(e.set.tags.lines[i].tag, func(name string) { e.addTag(name, w, t) })
		}
	}
}

func (e *Evaluator) tagWeight(i int) float64 {
	ln := &e.set.tags.lines[i]
	w, _, ok := e.number(ln.weight)
	if !ok {
		return 0
	}
	for j := range ln.places {
		p := &ln.places[j]
		field := fieldURL
		if p.prefix[0] == '/' {
			field = fieldPath
		}
		if bytes.HasPrefix(e.eventText(field), p.prefix) {
			return float64(w * p.weight)
		}
	}
	return w
}

// eachTag calls fn for the tags that an expression names: text, or a list of text.
func (e *Evaluator) eachTag(k *keyExpr, fn func(name string)) {
	take := func(s string) {
		if s != "" && len(s) <= maxNameBytes {
			fn(s)
		}
	}
	switch {
	case k.text != nil:
		take(string(k.text.text(&e.scope)))
	case k.member != nil:
		v, _ := k.member.value(&e.scope)
		if v.Kind == lead.String {
			take(v.Str())
		}
		n := 0
		v.Each(func(x lead.Value) bool {
			take(x.Str())
			n++
			return n < maxTagsPerEvent
		})
	default:
		v, _ := e.run(k.cel)
		switch v := v.(type) {
		case types.String:
			take(string(v))
		case traits.Lister:
			n, _ := v.Size().(types.Int)
			for i := range min(n, maxTagsPerEvent) {
				if s, ok := v.Get(i).(types.String); ok {
					take(string(s))
				}
			}
		default:
			e.failed(k.rule)
		}
	}
}

// addTag adds a weight of time t to a tag. Of more than maxTags the strongest stay, by weight, then name.
func (e *Evaluator) addTag(name string, w float64, t int64) {
	l, h := e.l, e.set.tags.halfLife
	e.touch(&e.set.readers.tags)
	w = decayHalfLife(w, t, e.at, h)
	i, found := slices.BinarySearchFunc(l.Rare().Tags, name, compareTag)
	if found {
		x := &l.Rare().Tags[i]
		x.Weight, x.At = finite(decayHalfLife(x.Weight, x.At, e.at, h)+w), e.at
		return
	}
	l.OwnRare().Tags = slices.Insert(l.Rare().Tags, i, lead.Tag{Name: name, Weight: w, At: e.at})
	if len(l.Rare().Tags) <= maxTags {
		return
	}
	weakest := 0
	for j := range l.Rare().Tags {
		if compareTags(&l.Rare().Tags[j], &l.Rare().Tags[weakest], e.at, h) > 0 {
			weakest = j
		}
	}
	l.OwnRare().Tags = slices.Delete(l.Rare().Tags, weakest, weakest+1)
}

// compareTags orders tags from the strongest on.
func compareTags(a, b *lead.Tag, at, halfLife int64) int {
	return cmp.Or(cmp.Compare(decayHalfLife(b.Weight, b.At, at, halfLife), decayHalfLife(a.Weight, a.At, at, halfLife)), cmp.Compare(a.Name, b.Name))
}

func compareTag(t lead.Tag, name string) int { return strings.Compare(t.Name, name) }

// tag returns a tag's weight as it is stored, nothing if it is absent.
func (x *scope) tag(name string) lead.Tag {
	if i, found := slices.BinarySearchFunc(x.l.Rare().Tags, name, compareTag); found {
		return x.l.Rare().Tags[i]
	}
	return lead.Tag{}
}

// tagTerm is tags["x"] as a number.
type tagTerm struct{ name string }

func (t tagTerm) num(x *scope) (float64, int64) {
	v := x.tag(t.name)
	return decayHalfLife(v.Weight, v.At, x.at, x.set.tags.halfLife), never
}

func (t tagTerm) compare(x *scope, op cmpOp, c float64) (bool, int64) {
	return x.compareScores([]weight{{score: -1, tag: t.name, by: 1}}, op, c)
}

// readTags reads the tags section.
func (ld *loader) readTags(n ynode) {
	set := ld.set
	set.tags.declared = true
	ld.object(n, "tags",
		field{key: "half_life", read: func(v ynode) { ld.fractionalDuration(v, "tags.half_life", &set.tags.halfLife) }},
		field{key: "lines", read: func(v ynode) { ld.list(v, "tags.lines", false, ld.readTagLine) }},
	)
}

// fractionalDuration reads a duration that may also be a decimal number of one unit, like 13.6d: half-lives
// of tags come from measurements.
func (ld *loader) fractionalDuration(v ynode, what string, to *int64) {
	if number, ok := strings.CutSuffix(v.Value, "d"); ok && v.Kind == yaml.ScalarNode && strings.Contains(number, ".") {
		if f, err := strconv.ParseFloat(number, 64); err == nil && f > 0 && f*float64(day) <= float64(maxDuration) {
			*to = max(1, int64(float64(f*float64(day))+0.5))
			return
		}
	}
	ld.setDuration(v, what, 1, to)
}

func (ld *loader) readTagLine(n ynode) {
	set := ld.set
	slot := len(set.tags.lines)
	what := "tags.lines[" + strconv.Itoa(slot) + "]"
	if slot >= maxTagLines {
		if slot == maxTagLines {
			ld.errorf(n, "more than %d tag lines", maxTagLines)
		}
		return
	}
	set.tags.lines = append(set.tags.lines, tagLine{weight: &number{isConst: true, value: 1}})
	line := func() *tagLine { return &set.tags.lines[slot] }
	var signal, tag ynode
	before := len(ld.errors)
	ld.object(n, what,
		field{key: "signal", read: func(v ynode) { signal = v }},
		field{key: "tag", read: func(v ynode) { tag = v }},
		field{key: "weight", read: func(v ynode) {
			if t, ok := ld.expression(v, what+".weight", inAdd); ok {
				ld.later = append(ld.later, func() { line().weight = ld.points(t, ld.rule("tag line", strconv.Itoa(slot))) })
			}
		}},
		field{key: "place", read: func(v ynode) { line().places = ld.readPlaces(v, what+".place") }},
	)
	if len(ld.errors) > before {
		return
	}
	if signal.Node == nil || tag.Node == nil {
		ld.errorf(n, "%s needs signal and tag", what)
		return
	}
	if name, ok := ld.name(signal, what+".signal"); ok {
		ld.later = append(ld.later, func() {
			if i, ok := ld.lookUpSignal(signal, what, name); ok {
				line().signal = i
				set.signals[i].tags = append(set.signals[i].tags, slot)
			}
		})
	}
	if t, ok := ld.expression(tag, what+".tag", inAdd); ok {
		ld.later = append(ld.later, func() { line().tag = ld.key(t, ld.rule("tag line", strconv.Itoa(slot)), true) })
	}
}

// readPlaces reads weights by prefix of path or URL; the longest prefix that fits counts.
func (ld *loader) readPlaces(n ynode, what string) (places []tagPlace) {
	if n.Kind != yaml.MappingNode {
		ld.errorf(n, `%s must be a mapping from prefixes to weights, like {"/pricing": 1, "/blog": 0.5}, found %s`, what, n.kindName())
		return nil
	}
	ld.each(n, func(key, v ynode) {
		if w, ok := ld.number(v, what); ok && key.Value != "" {
			places = append(places, tagPlace{[]byte(key.Value), w})
		}
	})
	slices.SortStableFunc(places, func(a, b tagPlace) int {
		return cmp.Or(cmp.Compare(len(b.prefix), len(a.prefix)), bytes.Compare(a.prefix, b.prefix))
	})
	return places
}
