package main

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// printConfig writes the configuration that holds, defaults included, as YAML with secrets left out.
func printConfig(w io.Writer, c *config) error {
	text, err := yaml.Dump(node(reflect.ValueOf(*c)), yaml.WithIndent(2))
	if err != nil {
		return fmt.Errorf("printing configuration: %w", err)
	}
	_, err = w.Write(text)
	return err
}

// node turns a configuration value into YAML, in the order of the struct.
func node(v reflect.Value) *yaml.Node {
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return text(s.String())
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
		}
		return node(v.Elem())
	case reflect.Struct:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for f, fv := range v.Fields() {
			n.Content = append(n.Content, text(f.Tag.Get("yaml")), node(fv))
		}
		return n
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			e := node(v.Index(i))
			if e.Kind != yaml.ScalarNode {
				n.Style = 0
			}
			n.Content = append(n.Content, e)
		}
		return n
	case reflect.Map:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range sortedKeys(v) {
			n.Content = append(n.Content, text(key), node(v.MapIndex(reflect.ValueOf(key))))
		}
		return n
	case reflect.String:
		return text(v.String())
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: strings.TrimSpace(fmt.Sprint(v.Interface()))}
}

// text is a string that stays one, also where it looks like a number.
func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

func sortedKeys(m reflect.Value) []string {
	keys := make([]string, 0, m.Len())
	for _, k := range m.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	return keys
}
