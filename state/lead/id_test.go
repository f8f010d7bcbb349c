package lead

import "testing"

func TestHashIDIsPinned(t *testing.T) {
	// Hashes are stored: these values must never change.
	for id, want := range map[string]uint64{
		"":                                     0xef46db3751d8e999,
		"lead-42":                              0x27eabccc67ff3910,
		"a1bfd6ef-7700-48e4-92c4-667ec01d3a57": 0x95b861065f458de1,
	} {
		if got := HashID([]byte(id)); got != want || HashString(id) != want {
			t.Errorf("%q: %#x", id, got)
		}
	}
}

func TestOutputIDIsPinned(t *testing.T) {
	for _, test := range []struct {
		lead        string
		incarnation uint32
		seq         uint64
		want        string
	}{
		{"lead-42", 0, 1, "5e492fc1ef11f964bd10c31b2bbba155"},
		{"lead-42", 0, 2, "cecdaed00da2c169c81b995cb58c1bb1"},
		{"lead-42", 1, 1, "7bf3e2ca7c48c327c45027275cda91fc"},
		{"", 0, 0, "de47c9b27eb8d300dbb5f2c353e632c3"},
	} {
		if got := OutputID(test.lead, test.incarnation, test.seq); got != test.want {
			t.Errorf("%q %d %d: %s", test.lead, test.incarnation, test.seq, got)
		}
	}
}
