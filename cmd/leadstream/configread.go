package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"leadstream/rules"
)

// place is where something stands in a configuration file, counted from 1.
type place struct{ line, column int }

// reader reads a configuration file into a struct. Unlike the YAML library it reports every mistake, with
// its place, and suggests the key that was meant.
type reader struct {
	file string
	// places are those of all keys that the file has, by path, like "sources[0].topic".
	places   map[string]place
	problems []configProblem
}

// configProblem is one mistake.
type configProblem struct {
	place
	text string
}

// configError is all mistakes of a configuration file.
type configError struct {
	file     string
	problems []configProblem
}

// Error returns a line for each mistake: file:line:column: text.
func (e *configError) Error() string {
	lines := make([]string, len(e.problems))
	for i, p := range e.problems {
		if lines[i] = e.file; p.line > 0 {
			lines[i] += fmt.Sprintf(":%d:%d", p.line, p.column)
		}
		lines[i] += ": " + p.text
	}
	return strings.Join(lines, "\n")
}

// readYAML reads text into the struct that into points to.
func readYAML(file string, text []byte, into any) *reader {
	r := &reader{file: file, places: map[string]place{}}
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	var docs []*yaml.Node
	for err == nil {
		var doc yaml.Node
		if err = loader.Load(&doc); err == nil {
			docs = append(docs, &doc)
		}
	}
	if !errors.Is(err, io.EOF) {
		r.syntax(err)
		return r
	}
	if len(docs) == 0 || len(docs[0].Content) == 0 {
		return r
	}
	if len(docs) > 1 {
		r.addAt(docs[1], "a configuration is one YAML document")
	}
	r.value(docs[0].Content[0], "", reflect.ValueOf(into).Elem())
	return r
}

func (r *reader) syntax(err error) {
	p := configProblem{text: "not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	if le, ok := errors.AsType[*yaml.LoadError](err); ok {
		p.place, p.text = place{le.Mark.Line, max(le.Mark.Column, 1)}, "not YAML: "+le.Message
	}
	r.problems = append(r.problems, p)
}

func (r *reader) addAt(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, configProblem{place{n.Line, n.Column}, fmt.Sprintf(format, args...)})
}

// add reports a mistake at the key with this path, or at the nearest one around it that the file has.
func (r *reader) add(path, format string, args ...any) {
	p := configProblem{text: fmt.Sprintf(format, args...)}
	if path != "" {
		p.text = path + ": " + p.text
	}
	for at := path; at != ""; at = at[:max(strings.LastIndexAny(at, ".["), 0)] {
		if where, ok := r.places[at]; ok {
			p.place = where
			break
		}
	}
	r.problems = append(r.problems, p)
}

// has reports whether the file has a key.
func (r *reader) has(path string) bool {
	_, ok := r.places[path]
	return ok
}

// err returns all mistakes, by place.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b configProblem) int {
		if a.line != b.line {
			return a.line - b.line
		}
		return a.column - b.column
	})
	return &configError{r.file, r.problems}
}

// value reads a node into v. Nothing (a key without value) leaves the default.
func (r *reader) value(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind == yaml.AliasNode {
		r.addAt(n, "%s: aliases are not supported; repeat what it stands for", path)
		return
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(n, path, v.Elem())
	case reflect.Struct:
		r.structure(n, path, v)
	case reflect.Map:
		r.mapping(n, path, v)
	case reflect.Slice:
		r.list(n, path, v)
	default:
		if n.Kind != yaml.ScalarNode {
			r.addAt(n, "%s: expected %s, found %s", path, wanted(v), kindName(n))
			return
		}
		r.scalar(n, path, v)
	}
}

func (r *reader) structure(n *yaml.Node, path string, v reflect.Value) {
	fields := map[string]reflect.Value{}
	var known []string
	for f, fv := range v.Fields() {
		known = append(known, f.Tag.Get("yaml"))
		fields[f.Tag.Get("yaml")] = fv
	}
	r.pairs(n, path, func(key, value *yaml.Node, at string) {
		field, ok := fields[key.Value]
		if !ok {
			r.addAt(key, "unknown key %q%s", at, suggestion(key.Value, known))
			return
		}
		r.value(value, at, field)
	})
}

func (r *reader) mapping(n *yaml.Node, path string, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	r.pairs(n, path, func(key, value *yaml.Node, at string) {
		element := reflect.New(v.Type().Elem()).Elem()
		r.value(value, at, element)
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
	})
}

// pairs calls fn for each key of a mapping and remembers its place.
func (r *reader) pairs(n *yaml.Node, path string, fn func(key, value *yaml.Node, at string)) {
	if n.Kind != yaml.MappingNode {
		what := path
		if what == "" {
			what = "the configuration"
		}
		r.addAt(n, "%s: expected keys with values, found %s", what, kindName(n))
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := key.Value
		if path != "" {
			at = path + "." + at
		}
		if r.has(at) {
			r.addAt(key, "key %q is there twice", at)
			continue
		}
		r.places[at] = place{key.Line, key.Column}
		fn(key, n.Content[i+1], at)
	}
}

func (r *reader) list(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		r.addAt(n, "%s: expected a list, found %s", path, kindName(n))
		return
	}
	for i, element := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		r.places[at] = place{element.Line, element.Column}
		e := reflect.New(v.Type().Elem()).Elem()
		if e.Type() == reflect.TypeFor[sourceConfig]() {
			e.Set(reflect.ValueOf(defaultSource()))
		}
		r.value(element, at, e)
		v.Set(reflect.Append(v, e))
	}
}

func (r *reader) scalar(n *yaml.Node, path string, v reflect.Value) {
	var err error
	switch v.Interface().(type) {
	case duration:
		var d duration
		if d, err = parseDuration(n.Value); err == nil {
			v.SetInt(int64(d))
		}
	case size:
		var s size
		if s, err = parseSize(n.Value); err == nil {
			v.SetInt(int64(s))
		}
	case string, secret:
		// A number or a word like yes where text belongs means that text.
		v.SetString(n.Value)
	case bool:
		if n.ShortTag() != "!!bool" {
			err = fmt.Errorf("expected true or false, found %s", kindName(n))
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case int:
		var i int64
		if i, err = strconv.ParseInt(strings.ReplaceAll(n.Value, "_", ""), 10, 32); err != nil {
			err = fmt.Errorf("expected a whole number, found %s", kindName(n))
		}
		v.SetInt(i)
	default:
		panic("bug: config field of type " + v.Type().String())
	}
	if err != nil {
		r.addAt(n, "%s: %s", path, err)
	}
}

func wanted(v reflect.Value) string {
	switch v.Interface().(type) {
	case duration:
		return "a duration"
	case size:
		return "a size"
	case bool:
		return "true or false"
	case int:
		return "a whole number"
	}
	return "text"
}

// kindName says what stands there. Text is not repeated: it could be a secret in the wrong place.
func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return n.Value
	case "!!null":
		return "nothing"
	}
	return "text"
}

// suggestion names the known word that is nearest to what was written, else all of them.
func suggestion(word string, known []string) string {
	if near := rules.Suggest(word, known); near != "" {
		return near
	}
	return " (expected one of " + strings.Join(known, ", ") + ")"
}
