package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// File is one rule file.
type File struct {
	// Name is used in error texts.
	Name string
	// Src is its YAML text.
	Src []byte
	// expanded says that what it includes was read, too: see Expand.
	expanded bool
}

// ynode is a YAML node that knows its file.
type ynode struct {
	*yaml.Node
	f *sourceFile
}

type sourceFile struct {
	name     string
	lines    []string
	expanded bool
}

// child follows an alias, so that everything behind it is read as if it stood there.
func (n ynode) child(c *yaml.Node) ynode {
	if c.Kind == yaml.AliasNode && c.Alias != nil {
		c = c.Alias
	}
	return ynode{c, n.f}
}

func (n ynode) isNull() bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// kindName names what stands there in the words of an error text.
func (n ynode) kindName() string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + shorten(n.Value)
	case "!!bool":
		return n.Value
	}
	return strconv.Quote(shorten(n.Value))
}

func shorten(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "..."
}

var yamlErrorLine = regexp.MustCompile(`line (\d+)`)

// readYAML returns a file's top node. ok is false after an error, and for an empty file.
func (c *collector) readYAML(file File) (ynode, bool) {
	f := &sourceFile{name: file.Name, lines: strings.Split(string(file.Src), "\n"), expanded: file.expanded}
	root := ynode{&yaml.Node{}, f}
	if !utf8.Valid(file.Src) {
		c.add(Problem{File: f.name, Message: "the file is not UTF-8"})
		return root, false
	}
	docs, err := readDocuments(file.Src)
	if err != nil {
		p := Problem{File: f.name, Message: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
		if le, ok := errors.AsType[*yaml.LoadError](err); ok && le.Mark.Line > 0 {
			p.Line, p.Column, p.Message = le.Mark.Line, max(le.Mark.Column, 1), "not YAML: "+le.Message
		} else if m := yamlErrorLine.FindStringSubmatch(err.Error()); m != nil {
			p.Line, _ = strconv.Atoi(m[1])
			p.Column = 1
		}
		c.add(p)
		return root, false
	}
	if len(docs) == 0 || len(docs[0].Content) == 0 {
		return root, false
	}
	if len(docs) > 1 {
		c.errorf(ynode{docs[1], f}, "a rule file is one YAML document; give the second a file of its own")
	}
	top := root.child(docs[0].Content[0])
	count := 0
	if !boundedNodes(top.Node, &count, 0) {
		c.add(Problem{File: f.name, Message: fmt.Sprintf("more than %d YAML nodes, or nested too deeply", maxYAMLNodes)})
		return root, false
	}
	return top, true
}

// readDocuments returns the first two documents, of which only one is allowed.
func readDocuments(src []byte) ([]*yaml.Node, error) {
	// Double keys are reported by each, all of them and with their places.
	l, err := yaml.NewLoader(bytes.NewReader(src), yaml.WithUniqueKeys(false))
	if err != nil {
		return nil, err
	}
	var docs []*yaml.Node
	for len(docs) < 2 {
		n := new(yaml.Node)
		if err := l.Load(n); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		docs = append(docs, n)
	}
	return docs, nil
}

// boundedNodes counts nodes with aliases followed, so that aliases of aliases can't grow without bound.
func boundedNodes(n *yaml.Node, count *int, depth int) bool {
	if *count++; *count > maxYAMLNodes || depth > 50 {
		return false
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias != nil && boundedNodes(n.Alias, count, depth+1)
	}
	for _, c := range n.Content {
		if !boundedNodes(c, count, depth+1) {
			return false
		}
	}
	return true
}

func (c *collector) errorf(n ynode, format string, args ...any) {
	c.add(Problem{File: n.f.name, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...)})
}

func (c *collector) warnf(n ynode, format string, args ...any) {
	c.warnings = append(c.warnings, Problem{File: n.f.name, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...)})
}

// field is one key that a mapping may have.
type field struct {
	key    string
	read   func(v ynode)
	hidden bool // it is known, but not offered to who mistypes a key
}

// object reads a mapping whose keys are known. Unknown keys, double keys and other kinds of nodes are
// reported. The fields are read in the order of the file. It reports whether n was a mapping.
func (c *collector) object(n ynode, what string, fields ...field) bool {
	if n.Kind != yaml.MappingNode {
		c.errorf(n, "%s must be a mapping, found %s", what, n.kindName())
		return false
	}
	c.each(n, func(key, v ynode) {
		for _, f := range fields {
			if f.key == key.Value {
				f.read(v)
				return
			}
		}
		var known []string
		for _, f := range fields {
			if !f.hidden {
				known = append(known, f.key)
			}
		}
		c.errorf(key, "unknown key %q in %s%s: expected %s", shorten(key.Value), what, suggest(key.Value, known), oneOf(known))
	})
	return true
}

// each calls fn for every pair of a mapping, in order, reporting double keys and keys that are no words.
func (c *collector) each(n ynode, fn func(key, v ynode)) {
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.child(n.Content[i])
		switch {
		case key.Kind != yaml.ScalarNode || key.isNull():
			c.errorf(key, "a key must be a word, found %s", key.kindName())
		case key.ShortTag() == "!!merge":
			c.errorf(key, "merge keys (<<) are not supported; repeat what they stand for")
		case seen[key.Value]:
			c.errorf(key, "key %q is there twice", shorten(key.Value))
		default:
			seen[key.Value] = true
			fn(key, n.child(n.Content[i+1]))
		}
	}
}

// list calls fn for each element; a single value counts as a list of one when single is set.
func (c *collector) list(n ynode, what string, single bool, fn func(v ynode)) {
	if single && n.Kind == yaml.ScalarNode && !n.isNull() {
		fn(n)
		return
	}
	if n.Kind != yaml.SequenceNode {
		c.errorf(n, "%s must be a list, found %s", what, n.kindName())
		return
	}
	for _, e := range n.Content {
		fn(n.child(e))
	}
}

// text reads a string. Numbers and booleans are refused: quoting them says that they are meant as text.
func (c *collector) text(n ynode, what string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.isNull() || n.ShortTag() == "!!bool" || n.ShortTag() == "!!int" || n.ShortTag() == "!!float" {
		c.errorf(n, "%s must be text, found %s", what, n.kindName())
		return "", false
	}
	return n.Value, true
}

// name reads a name: not empty, bounded, without control characters.
func (c *collector) name(n ynode, what string) (string, bool) {
	if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!bool") {
		return c.checkName(n, what, n.Value) // ids like 12 or yes are names too
	}
	s, ok := c.text(n, what)
	if !ok {
		return "", false
	}
	return c.checkName(n, what, s)
}

func (c *collector) checkName(n ynode, what, s string) (string, bool) {
	switch {
	case strings.TrimSpace(s) != s || s == "":
		c.errorf(n, "%s must be a name without space around it, found %q", what, shorten(s))
	case len(s) > maxNameBytes:
		c.errorf(n, "%s is longer than %d bytes", what, maxNameBytes)
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		c.errorf(n, "%s contains a control character", what)
	default:
		return s, true
	}
	return "", false
}

// number reads a finite number.
func (c *collector) number(n ynode, what string) (float64, bool) {
	if n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!int" || n.ShortTag() == "!!float") {
		if v, err := strconv.ParseFloat(n.Value, 64); err == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
			return v, true
		}
	}
	c.errorf(n, "%s must be a number, found %s", what, n.kindName())
	return 0, false
}

// integer reads a whole number between least and most.
func (c *collector) integer(n ynode, what string, least, most int) (int, bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		if v, err := strconv.Atoi(n.Value); err == nil && v >= least && v <= most {
			return v, true
		}
	}
	c.errorf(n, "%s must be a whole number from %d to %d, found %s", what, least, most, n.kindName())
	return 0, false
}

func (c *collector) boolean(n ynode, what string) (value, ok bool) {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		return strings.EqualFold(n.Value, "true"), true
	}
	c.errorf(n, "%s must be true or false, found %s", what, n.kindName())
	return false, false
}

// duration reads a duration of at least least ms.
func (c *collector) duration(n ynode, what string, least int64) (int64, bool) {
	if n.Kind != yaml.ScalarNode || n.isNull() {
		c.errorf(n, "%s must be a duration like 30d, 15m or 1d12h, found %s", what, n.kindName())
		return 0, false
	}
	d, err := parseDuration(n.Value)
	if err != nil {
		c.errorf(n, "%s: %q is not a duration: %s", what, shorten(n.Value), err)
		return 0, false
	}
	if d < least {
		c.errorf(n, "%s must be at least %s, found %s", what, formatDuration(least), n.Value)
		return 0, false
	}
	return d, true
}
