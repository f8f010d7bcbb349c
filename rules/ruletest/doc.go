// Package ruletest runs golden tests of rule sets: given these events and this passing of time, a lead must
// go through exactly these stage changes and hand-offs.
//
// Tests are written in YAML; docs/rules-tools.md describes the format. Parse checks a test file against a rule
// set, Run runs its tests on an Evaluator of the same rules that the engine runs. An output that was not expected
// fails a test as one does that is missing.
package ruletest
