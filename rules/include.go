package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// maxFiles bounds how many files one rule set may consist of.
const maxFiles = 1_000

// Expand reads the named rule files and those that they include, and returns them in the order in which
// Parse is to read them: what a file includes comes before the file itself, in the order of its list, and each
// file comes once, however often it is named. Names in a file are relative to that file.
//
// read returns the text of a file. What it returns for one of names ends Expand with that error. Everything that is
// wrong with an include is returned as *Problems. Files that are not YAML are left to Parse to complain about.
func Expand(read func(name string) ([]byte, error), names ...string) ([]File, error) {
	x := expansion{read: read, state: make(map[string]uint8)}
	x.order = make(map[string]int)
	var unread []error
	for _, name := range names {
		unread = append(unread, x.file(filepath.Clean(name), name))
	}
	if err := errors.Join(unread...); err != nil {
		return nil, err
	}
	if err := x.err(); err != nil {
		return nil, err
	}
	return x.files, nil
}

// expansion is one run of Expand: a depth-first walk.
type expansion struct {
	collector
	read  func(name string) ([]byte, error)
	files []File
	state map[string]uint8 // by cleaned name: fileOpen, fileDone
	open  []string         // those that are being read, as they were named, each included by the one before
}

const (
	fileOpen = iota + 1
	fileDone
)

// file reads a file and what it includes. The error is the one of read.
func (x *expansion) file(path, shown string) error {
	if x.state[path] == fileDone {
		return nil
	}
	src, err := x.read(path)
	if err != nil {
		return err
	}
	x.order[shown] = len(x.order)
	x.state[path] = fileOpen
	x.open = append(x.open, shown)
	f := File{Name: shown, Src: src, expanded: true}
	var unheard collector // Parse reads the file again and tells what is wrong with the rest of it.
	if top, ok := unheard.readYAML(f); ok {
		unheard.object(top, "a rule file", field{key: includeKey, read: func(v ynode) {
			x.list(v, includeKey, true, func(v ynode) { x.include(v, path) })
		}})
	}
	x.open = x.open[:len(x.open)-1]
	x.state[path] = fileDone
	x.files = append(x.files, f)
	return nil
}

const includeKey = "include"

// include reads the file that an entry of the list in the file at from names.
func (x *expansion) include(v ynode, from string) {
	name, ok := x.includeName(v)
	if !ok {
		return
	}
	path := filepath.FromSlash(name)
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(from), path)
	}
	path = filepath.Clean(path)
	switch {
	case x.state[path] == fileOpen:
		x.errorf(v, "include: the files include each other: %s", x.circle(path))
		return
	case len(x.files)+len(x.open) >= maxFiles:
		x.errorf(v, "include: more than %d files", maxFiles)
		return
	}
	if err := x.file(path, path); err != nil {
		if pe, ok := errors.AsType[*fs.PathError](err); ok {
			err = pe.Err // the path is said already
		}
		x.errorf(v, "include: reading %q: %s", path, err)
	}
}

// includeName checks the name of a file.
func (c *collector) includeName(v ynode) (string, bool) {
	name, ok := c.text(v, includeKey)
	switch {
	case !ok:
		return "", false
	case name == "" || strings.TrimSpace(name) != name || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		c.errorf(v, "include must be the name of a file, found %q", shorten(name))
		return "", false
	}
	return name, true
}

// circle shows how the file at path comes to include itself.
func (x *expansion) circle(path string) string {
	i := len(x.open) - 1
	for i > 0 && filepath.Clean(x.open[i]) != path {
		i--
	}
	return strings.Join(append(x.open[i:len(x.open):len(x.open)], x.open[i]), " -> ")
}

// readInclude accepts what Expand has followed.
func (ld *loader) readInclude(n ynode) {
	if !n.f.expanded {
		ld.errorf(n, "include: the files that it names were not read")
		return
	}
	ld.list(n, includeKey, true, func(v ynode) { ld.includeName(v) })
}

// firstPlace returns where a name was declared first, to be added to what is said of the second time.
func (ld *loader) firstPlace(kind, name string) string {
	if n, ok := ld.places[kind+"\x00"+name]; ok {
		return fmt.Sprintf("; first in %s:%d", n.f.name, n.Line)
	}
	return ""
}

// notePlace notes where a name is declared.
func (ld *loader) notePlace(kind, name string, n ynode) {
	if n.Node == nil {
		return // the stage of a rule set that declares none
	}
	if ld.places == nil {
		ld.places = make(map[string]ynode)
	}
	ld.places[kind+"\x00"+name] = n
}
