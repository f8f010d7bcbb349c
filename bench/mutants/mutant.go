package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// mutant is one way to break the engine.
type mutant struct {
	// Name and Why say what is broken: which sentence of the design does not hold any more.
	Name, Why string
	// File holds Old exactly once, and New in its place when it is broken.
	File, Old, New string
	// Package, Test (a regular expression) and Args say which test must fail.
	Package, Test string
	Args          []string
}

// list is the file of all mutants, in a checkout.
const list = "bench/mutants/mutants.txt"

// load reads the list. An entry is
//
//	== name
//	why, in one or more lines
//	file: engine/shard.go
//	test: ./engine TestSimulation -seeds 300
//	<<<<
//	the old text
//	====
//	the new text
//	>>>>
func load(root string) ([]mutant, error) {
	text, err := os.ReadFile(filepath.Join(root, list))
	if err != nil {
		return nil, err
	}
	var all []mutant
	seen := map[string]bool{}
	for i, block := range strings.Split("\n"+string(text), "\n== ") {
		if i == 0 { // what the file says of itself
			continue
		}
		m, err := parse(block)
		if err != nil {
			return nil, fmt.Errorf("%s, entry %d: %w", list, i, err)
		}
		if seen[m.Name] {
			return nil, fmt.Errorf("%s: %q is there twice", list, m.Name)
		}
		seen[m.Name] = true
		all = append(all, *m)
	}
	return all, nil
}

func parse(block string) (*mutant, error) {
	head, rest, ok := strings.Cut(block, "\n<<<<\n")
	old, rest, ok2 := strings.Cut(rest, "\n====\n")
	changed, _, ok3 := strings.Cut("\n"+rest, "\n>>>>")
	if !ok || !ok2 || !ok3 {
		return nil, errors.New("it has no <<<<, ==== and >>>>")
	}
	m := &mutant{Old: old, New: strings.TrimPrefix(changed, "\n")}
	for i, line := range strings.Split(head, "\n") {
		file, isFile := strings.CutPrefix(line, "file: ")
		test, isTest := strings.CutPrefix(line, "test: ")
		switch {
		case i == 0:
			m.Name = line
		case isFile:
			m.File = file
		case isTest:
			f := strings.Fields(test)
			if len(f) < 2 {
				return nil, fmt.Errorf("%q: a test is a package and a name", m.Name)
			}
			m.Package, m.Test, m.Args = f[0], f[1], f[2:]
		default:
			m.Why += line + "\n"
		}
	}
	if m.File == "" || m.Test == "" || m.Why == "" || m.Old == m.New {
		return nil, fmt.Errorf("%q: it needs a reason, a file, a test and two texts that differ", m.Name)
	}
	return m, nil
}

// there says whether the old text stands in its file, once.
func (m *mutant) there(root string) error {
	_, err := m.mutated(root)
	return err
}

func (m *mutant) mutated(root string) ([]byte, error) {
	src, err := os.ReadFile(filepath.Join(root, m.File))
	if err != nil {
		return nil, fmt.Errorf("mutant %q: %w", m.Name, err)
	}
	if n := bytes.Count(src, []byte(m.Old)); n != 1 {
		return nil, fmt.Errorf("mutant %q: its text stands in %s %d times, want once: say in %s what is to be broken now", m.Name, m.File, n, list)
	}
	return bytes.Replace(src, []byte(m.Old), []byte(m.New), 1), nil
}

var failure = regexp.MustCompile(`(?m)^\s+\S+_test\.go:\d+: (.*)$|^(panic: .*)$`)

// kill runs the mutant's test and returns what it said. It is an error if the test passes, or does not run.
func (m *mutant) kill(ctx context.Context, root string) (said string, err error) {
	changed, err := m.mutated(root)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	abs, err := filepath.Abs(filepath.Join(root, m.File))
	if err != nil {
		return "", err
	}
	file, overlay := filepath.Join(dir, filepath.Base(m.File)), filepath.Join(dir, "overlay.json")
	table, err := json.Marshal(map[string]map[string]string{"Replace": {abs: file}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(file, changed, 0o600), os.WriteFile(overlay, table, 0o600)); err != nil {
		return "", err
	}
	out, err := goTest(ctx, root, overlay, m)
	switch {
	case err == nil && bytes.Contains(out, []byte("no tests to run")):
		return "", fmt.Errorf("there is no test %s in %s", m.Test, m.Package)
	case err == nil:
		return "", fmt.Errorf("%s passes", m.Test)
	case bytes.Contains(out, []byte("[build failed]")) || bytes.Contains(out, []byte("[setup failed]")):
		return "", fmt.Errorf("it does not compile:\n%s", out)
	case !bytes.Contains(out, []byte("--- FAIL")) && !bytes.Contains(out, []byte("panic:")) && !bytes.Contains(out, []byte("fatal error:")):
		return "", fmt.Errorf("the test did not run:\n%s", out)
	}
	for _, x := range failure.FindAllSubmatch(out, -1) {
		if line := string(x[1]) + string(x[2]); !strings.HasPrefix(line, "again: ") {
			return line[:min(len(line), 110)], nil
		}
	}
	return "the test fails", nil
}
