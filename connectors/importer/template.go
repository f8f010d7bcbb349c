package importer

import (
	"slices"
	"strconv"
	"strings"
)

// template is a text with places to fill in.
type template []part

// part is either a literal, a column's ref, or one of the fixed names.
type part struct {
	literal string
	ref     int
	kind    partKind
}

type partKind uint8

const (
	partLiteral partKind = iota
	partColumn
	partFile
	partLine
)

// template prepares a template and notes the columns that it uses.
func (c *compiler) template(what, text string) template {
	var t template
	literal := ""
	for text != "" {
		i := strings.IndexAny(text, "{}")
		if i < 0 {
			literal += text
			break
		}
		literal += text[:i]
		brace := text[i]
		text = text[i+1:]
		if text != "" && text[0] == brace { // doubled: itself
			literal += string(brace)
			text = text[1:]
			continue
		}
		end := strings.IndexByte(text, '}')
		if brace == '}' || end < 0 || strings.IndexByte(text[:end], '{') >= 0 {
			c.fault("%s: a brace without its partner; a brace itself is written {{ or }}", what)
			return nil
		}
		if literal != "" {
			t = append(t, part{literal: literal})
			literal = ""
		}
		t = append(t, c.placeholder(what, strings.TrimSpace(text[:end])))
		text = text[end+1:]
	}
	if literal != "" {
		t = append(t, part{literal: literal})
	}
	return t
}

func (c *compiler) placeholder(what, name string) part {
	switch name {
	case "":
		c.fault("%s: {} names no column", what)
	case "file":
		return part{kind: partFile}
	case "line":
		return part{kind: partLine}
	}
	ref := slices.Index(c.columns, name)
	if ref < 0 {
		ref = len(c.columns)
		c.columns = append(c.columns, name)
	}
	return part{kind: partColumn, ref: ref}
}

// fill writes the template for a record.
func (t template) fill(r *record) string {
	switch len(t) {
	case 0:
		return ""
	case 1:
		return r.part(t[0])
	}
	var b strings.Builder
	for _, p := range t {
		b.WriteString(r.part(p))
	}
	return b.String()
}

func (r *record) part(p part) string {
	switch p.kind {
	case partColumn:
		return r.column(p.ref)
	case partFile:
		return r.file.name
	case partLine:
		return strconv.Itoa(r.line)
	}
	return p.literal
}
