package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"leadstream/connectors/importer"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")

// TestImportGuide holds the guide to what it shows: its mappings, its configuration, and the event it promises.
func TestImportGuide(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "importing.md"))
	if err != nil {
		t.Fatal(err)
	}
	mappings, configs := 0, 0
	for _, block := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(block[1], "format:") {
			mappings++
			if _, err := importer.ParseMapping([]byte(block[1])); err != nil {
				t.Errorf("%v in\n%s", err, block[1])
			}
			continue
		}
		configs++
		rules, err := filepath.Abs(importPath("bpi12w-rules.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := loadConfig(write(t, "c.yaml", strings.Replace(block[1], "deploy/import/bpi12w-rules.yaml", rules, 1)), testSystem(nil)); err != nil {
			t.Errorf("%v in\n%s", err, block[1])
		}
	}
	if mappings < 2 || configs != 1 {
		t.Errorf("found %d mappings and %d configurations", mappings, configs)
	}
	out, errOut, code := command(t, "import", "--mapping", importPath("bpi12w.yaml"), "--dry-run", importPath("bpi12w-sample.csv"))
	shown := regexp.MustCompile(`(?m)^\{.*…\}$`).FindString(string(text))
	if code != exitOK || shown == "" || !strings.HasPrefix(out, strings.TrimSuffix(shown, "…}")) || !strings.Contains(string(text), errOut) {
		t.Errorf("the guide shows\n%s\nthe program says\n%s%s", shown, out, errOut)
	}
}
