package ruletest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"leadstream/rules"
)

// reader reads one test file and gathers all its mistakes.
type reader struct {
	file     string
	problems []rules.Problem
}

// key is one key that a mapping may have.
type key struct {
	name string
	read func(n *yaml.Node)
}

func (r *reader) errorf(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, rules.Problem{File: r.file, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b rules.Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return &rules.Problems{List: r.problems}
}

// top returns the one document of the file, nil after a mistake.
func (r *reader) top(src []byte) *yaml.Node {
	var docs []*yaml.Node
	// Keys that are there twice are reported by mapping, all of them.
	l, err := yaml.NewLoader(bytes.NewReader(src), yaml.WithUniqueKeys(false))
	for err == nil && len(docs) < 2 {
		n := new(yaml.Node)
		if err = l.Load(n); err == nil {
			docs = append(docs, n)
		}
	}
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		r.syntax(err)
		return nil
	case len(docs) == 0 || len(docs[0].Content) == 0:
		r.errorf(&yaml.Node{}, "there are no tests in it")
		return nil
	case len(docs) > 1:
		r.errorf(docs[1], "a test file is one YAML document")
		return nil
	}
	return docs[0].Content[0]
}

var yamlErrorLine = regexp.MustCompile(`line (\d+)`)

func (r *reader) syntax(err error) {
	n := &yaml.Node{}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if le, ok := errors.AsType[*yaml.LoadError](err); ok && le.Mark.Line > 0 {
		n.Line, n.Column, text = le.Mark.Line, max(le.Mark.Column, 1), le.Message
	} else if m := yamlErrorLine.FindStringSubmatch(text); m != nil {
		n.Line, _ = strconv.Atoi(m[1])
		n.Column = 1
	}
	r.errorf(n, "not YAML: %s", text)
}

// follow returns what an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func found(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	}
	return strconv.Quote(n.Value)
}

// mapping reads a mapping whose keys are known, in the order of the file. It reports whether n is one.
func (r *reader) mapping(n *yaml.Node, what string, keys ...key) bool {
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "%s must be a mapping, found %s", what, found(n))
		return false
	}
	seen := make(map[string]bool)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := follow(n.Content[i])
		at := slices.IndexFunc(keys, func(x key) bool { return x.name == k.Value })
		switch {
		case k.Kind != yaml.ScalarNode:
			r.errorf(k, "a key must be a word, found %s", found(k))
		case seen[k.Value]:
			r.errorf(k, "key %q is there twice", k.Value)
		case at < 0:
			names := make([]string, len(keys))
			for i, x := range keys {
				names[i] = x.name
			}
			r.errorf(k, "unknown key %q in %s%s: expected one of %s", k.Value, what, rules.Suggest(k.Value, names), strings.Join(names, ", "))
		default:
			keys[at].read(follow(n.Content[i+1]))
		}
		seen[k.Value] = true
	}
	return true
}

// list calls fn for each element.
func (r *reader) list(n *yaml.Node, what string, fn func(n *yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		r.errorf(n, "%s must be a list, found %s", what, found(n))
		return
	}
	for _, e := range n.Content {
		fn(follow(e))
	}
}

// text reads a word or text that is not empty.
func (r *reader) text(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || isNull(n) || strings.TrimSpace(n.Value) == "" {
		r.errorf(n, "%s must be text, found %s", what, found(n))
		return ""
	}
	return n.Value
}

// pairs calls fn for each entry of a mapping from names to anything.
func (r *reader) pairs(n *yaml.Node, what string, fn func(name, v *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.errorf(n, "%s must be a mapping, found %s", what, found(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		fn(follow(n.Content[i]), follow(n.Content[i+1]))
	}
}

// duration reads a duration of at least one ms.
func (r *reader) duration(n *yaml.Node, what string) int64 {
	ms, err := int64(0), error(nil)
	if n.Kind == yaml.ScalarNode {
		ms, err = rules.ParseDuration(n.Value)
	}
	if n.Kind != yaml.ScalarNode || err != nil || ms <= 0 {
		r.errorf(n, "%s must be a duration like 10d, 15m or 1d12h, found %s", what, found(n))
		return 0
	}
	return ms
}
