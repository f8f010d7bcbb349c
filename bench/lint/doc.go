// Package lint checks the rules of the house that no linter knows: which package may import which,
// where goroutines and clocks may be, how long a file may grow, and that the guides name only
// commands and files that exist.
//
// Every check is a function from a Tree to findings, so that a test can show it a bad sample; the
// repository itself is just one more sample, which must have no findings.
package lint

//go:generate go run ./generate
