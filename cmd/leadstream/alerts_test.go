package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// TestAlerts: every alert has an expression over metrics that exist, and says what to do.
func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("../../deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			n++
			names := regexp.MustCompile(`leadstream_[a-z_]+`).FindAllString(r.Expr, -1)
			if len(names) == 0 || r.Annotations["summary"] == "" || r.Annotations["action"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%s: %+v", r.Alert, r)
			}
			for _, name := range names {
				if !strings.Contains(string(guide), "| `"+name+"` |") {
					t.Errorf("%s: there is no metric %s", r.Alert, name)
				}
			}
		}
	}
	if n < 8 {
		t.Errorf("%d alerts", n)
	}
}
