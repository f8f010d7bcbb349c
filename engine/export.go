package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"leadstream/rules"
	"leadstream/state/lead"
)

// Node is all that is kept of one id.
type Node struct {
	// ID is the id; of an identifier, which is what leads share, it is a zero byte and a hash.
	ID    string `json:"id"`
	Shard int32  `json:"shard"`
	// Kind is lead, pointer or identifier.
	Kind string `json:"kind"`
	// Forward is where a pointer points to; of an identifier the lead that it names.
	Forward string `json:"forward,omitempty"`
	// RuleSet is the version of the rules that the state follows, Slots what the places in its lists stand for: nil where there
	// are none.
	RuleSet string       `json:"rule_set,omitempty"`
	Slots   *rules.Slots `json:"slots,omitempty"`
	// State is every field that is stored, as state/lead names them; times are ms.
	State json.RawMessage `json:"state"`
}

// Elsewhere is an id whose shard is not live here.
type Elsewhere struct {
	ID    string `json:"id"`
	Shard int32  `json:"shard"`
}

// Export returns all that is kept here of the person whom an id belongs to: the lead, each id that points to it, the
// identifiers that it has named and that name it. elsewhere are ids that are not live here: whoever has them is to
// be asked for them as well. It shows committed state and is safe on any goroutine. ErrNotFound when nothing is kept.
func (e *Engine) Export(id string) (nodes []Node, elsewhere []Elsewhere, err error) {
	x := export{e: e, seen: map[string]bool{}}
	for range rules.MaxHops { // the way to the lead
		l, err := x.add(id)
		if err != nil {
			return nil, nil, err
		}
		if l == nil || l.Forward == "" || l.Identifier {
			break
		}
		id = l.Forward
	}
	if root := x.root; root != nil {
		mine := func(id string) bool {
			_, ok := slices.BinarySearchFunc(root.IDs, id, func(y lead.LinkedID, id string) int { return strings.Compare(y.ID, id) })
			return ok || id == root.ID
		}
		x.mine = func(l *lead.Lead) bool { return l.Forward != "" && mine(l.Forward) }
		for _, y := range root.IDs {
			if !y.Merged {
				continue
			}
			if _, err := x.add(y.ID); err != nil {
				return nil, nil, err
			}
		}
		for _, name := range root.Rare().Named {
			if _, err := x.add(name); err != nil {
				return nil, nil, err
			}
		}
	}
	if len(x.nodes)+len(x.elsewhere) == 0 {
		return nil, nil, ErrNotFound
	}
	return x.nodes, x.elsewhere, nil
}

// export collects nodes.
type export struct {
	e         *Engine
	seen      map[string]bool
	root      *lead.Lead
	mine      func(l *lead.Lead) bool // nil on the way to the lead
	nodes     []Node
	elsewhere []Elsewhere
}

// add adds what is kept of an id, nil if nothing is, or not here, or if it is another person's.
func (x *export) add(id string) (*lead.Lead, error) {
	if x.seen[id] {
		return nil, nil //nolint:nilnil // it is there
	}
	x.seen[id] = true
	shard := ShardOf([]byte(id), x.e.cfg.Shards)
	l, err := x.e.committedLead(shard, id)
	switch {
	case errors.Is(err, ErrNotOwned):
		x.elsewhere = append(x.elsewhere, Elsewhere{id, shard})
		return nil, nil //nolint:nilnil // it is noted
	case errors.Is(err, ErrNotFound) || err == nil && (l.Gone || x.mine != nil && !x.mine(l)):
		return nil, nil //nolint:nilnil // there is nothing
	case err != nil:
		return nil, err
	}
	n, err := x.e.exportNode(l, shard)
	if err != nil {
		return nil, err
	}
	x.nodes = append(x.nodes, n)
	if n.Kind == KindLead {
		x.root = l
	}
	return l, nil
}

// The kinds of nodes.
const (
	KindLead       = "lead"
	KindPointer    = "pointer"
	KindIdentifier = "identifier"
)

func (e *Engine) exportNode(l *lead.Lead, shard int32) (Node, error) {
	n := Node{ID: l.ID, Shard: shard, Kind: KindLead, Forward: l.Forward}
	switch {
	case l.Identifier:
		n.Kind = KindIdentifier
	case l.Forward != "":
		n.Kind = KindPointer
	default:
		set, err := e.ruleSet(l.Rules)
		if err != nil {
			return n, err
		}
		n.RuleSet, n.Slots = set.Version(), set.Slots()
	}
	var err error
	if n.State, err = json.Marshal(l); err != nil {
		return n, fmt.Errorf("exporting a lead of shard %d: %w", shard, err)
	}
	return n, nil
}
