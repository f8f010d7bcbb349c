package importer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// dataFile finds a file of the shared data sets, which are not part of the project.
func dataFile(t *testing.T, name ...string) string {
	t.Helper()
	dir := os.Getenv("LEADSTREAM_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(append([]string{dir}, name...)...)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the real data sets are not here (LEADSTREAM_DATA or %s): %v", dir, err)
	}
	return path
}

func TestShippedMappings(t *testing.T) {
	for _, test := range []struct {
		mapping string
		data    []string
		events  int
		leads   int
		name    string // one event's name and how many there are
		named   int
		sum     float64 // of the property revenue
	}{
		{"bpi12w.yaml", []string{"bpi12w", "bpi_12_w.csv.gz"}, 72_413, 9_658, "", 0, 0},
		{"cdnow.yaml", []string{"cdnow", "CDNOW_master.txt.gz"}, 69_659, 23_570, "Order Completed", 69_659, 2_500_315.63},
	} {
		t.Run(test.mapping, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "import", test.mapping))
			if err != nil {
				t.Fatal(err)
			}
			m, err := ParseMapping(text)
			if err != nil {
				t.Fatal(err)
			}
			leads, names, ids := map[string]bool{}, map[string]int{}, map[string]bool{}
			var last int64
			var sum float64
			stats, err := Run(t.Context(), m, []string{dataFile(t, test.data...)}, func(key, value []byte, ts int64) error {
				var e struct {
					UserID, MessageID, Event string
					Properties               struct{ Revenue float64 }
				}
				if err := json.Unmarshal(value, &e); err != nil {
					return err
				}
				if ts < last || e.UserID != string(key) {
					t.Fatalf("%s at %d, after %d", value, ts, last)
				}
				last = ts
				leads[e.UserID], ids[e.MessageID] = true, true
				names[e.Event]++
				sum += e.Properties.Revenue
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if stats.Events != test.events || stats.Bad != 0 || len(leads) != test.leads || len(ids) != test.events {
				t.Errorf("%+v, %d leads, %d message ids; want %d events of %d leads", stats, len(leads), len(ids), test.events, test.leads)
			}
			if test.name != "" && names[test.name] != test.named {
				t.Errorf("names %v", names)
			}
			if d := sum - test.sum; d < -0.01 || d > 0.01 {
				t.Errorf("the revenues' sum is %.2f, want %.2f", sum, test.sum)
			}
			t.Logf("%d events, %v", stats.Events, names)
		})
	}
}
