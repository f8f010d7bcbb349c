package rules

import (
	"bytes"
	_ "embed"
)

// schema is written by hand. A test compares its keys with those that Parse knows.
//
//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of a rule file, with which editors complete and explain keys. What it
// accepts may still be wrong: names and expressions are only checked by Parse.
func Schema() []byte { return bytes.Clone(schema) }
