// Command generate writes what the guides take from the code. Run it by `make generate`.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"leadstream/bench/lint"
)

func main() {
	// go generate runs it in the directory of package lint.
	if err := run(filepath.Join("..", "..")); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	tree, err := lint.Load(root)
	if err != nil {
		return err
	}
	text, ok := lint.Regenerate(tree)
	if !ok {
		return errors.New(lint.ReferenceGuide + " does not have the marks around what is generated")
	}
	return os.WriteFile(filepath.Join(root, filepath.FromSlash(lint.ReferenceGuide)), []byte(text), 0o644)
}
