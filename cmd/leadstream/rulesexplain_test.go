package main

import (
	"bytes"
	"os"
	"testing"

	"leadstream/rules"
)

func TestExplain(t *testing.T) {
	const golden = "testdata/explain.txt"
	out, errOut, code := command(t, "rules", "explain", "testdata/explain.yaml")
	if code != exitOK || errOut != "" {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	again, _, _ := command(t, "rules", "explain", "testdata/explain.yaml")
	if again != out {
		t.Error("the same rules are explained in two ways")
	}
	if *update {
		if err := os.WriteFile(golden, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out != string(want) {
		t.Errorf("it differs from %s; run the test with -update and look at the difference:\n%s", golden, out)
	}
	if _, _, code := command(t, "rules", "explain", "nowhere.yaml"); code != exitConfig {
		t.Errorf("a missing file: exit code %d", code)
	}
}

func TestSchema(t *testing.T) {
	out, _, code := command(t, "rules", "schema")
	if code != exitOK || !bytes.Equal([]byte(out), rules.Schema()) {
		t.Errorf("exit code %d", code)
	}
}
