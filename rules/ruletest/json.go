package ruletest

import (
	"encoding/json"
	"math"
	"strconv"

	"go.yaml.in/yaml/v4"

	"leadstream/state/lead"
)

// maxDepth bounds how deep the values of a message may be nested, aliases followed.
const maxDepth = 50

// object reads a mapping as the JSON object of a message.
func (r *reader) object(n *yaml.Node, what string) lead.Object {
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "%s must be a mapping, found %s", what, found(n))
		return nil
	}
	return lead.Object(r.json(nil, n, 0))
}

// json appends a value as JSON. Dates without quotes are text, as they would be in JSON.
func (r *reader) json(b []byte, n *yaml.Node, depth int) []byte {
	n = follow(n)
	if depth > maxDepth {
		r.errorf(n, "nested deeper than %d", maxDepth)
		return append(b, "null"...)
	}
	switch n.Kind {
	case yaml.MappingNode:
		b = append(b, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(quote(b, follow(n.Content[i]).Value), ':')
			b = r.json(b, n.Content[i+1], depth+1)
		}
		return append(b, '}')
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, e := range n.Content {
			if i > 0 {
				b = append(b, ',')
			}
			b = r.json(b, e, depth+1)
		}
		return append(b, ']')
	}
	switch n.ShortTag() {
	case "!!null":
		return append(b, "null"...)
	case "!!bool":
		return strconv.AppendBool(b, n.Value[0] == 't' || n.Value[0] == 'T')
	case "!!int", "!!float":
		v, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
			r.errorf(n, "JSON has no number like %s", n.Value)
			return append(b, "null"...)
		}
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	}
	return quote(b, n.Value)
}

func quote(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil {
		panic("bug: a string that is no JSON: " + err.Error())
	}
	return append(b, text...)
}
