package lead

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestForksShareNothingThatChanges draws a line of versions as epochs make them, some of them thrown away, and compares
// each with a copy that was made when it was done.
func TestForksShareNothingThatChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 12).Draw(t, "most")
		line := []*Lead{{ID: "ann"}}
		var recent [][]uint64 // of the versions, oldest first
		var ledger [][]Contribution
		n := uint64(0)
		for range rapid.IntRange(1, 40).Draw(t, "versions") {
			l := line[len(line)-1].Fork()
			want, ring := l.Ledger.List(), slices.Clone(l.Recent)
			for range rapid.IntRange(0, 6).Draw(t, "changes") {
				n++
				switch rapid.SampledFrom([]string{"enter", "enter", "enter", "remember", "remember", "own"}).Draw(t, "change") {
				case "enter":
					c := Contribution{Message: n, Score: uint16(n * n), Points: float64(n) / 2}
					if l.Ledger.Enter(&c, most); len(want) == most {
						want = want[1:]
					}
					want = append(want, c)
				case "remember":
					if next := l.RecentNext; len(ring) == most {
						ring[next] = n
					} else {
						ring = append(ring, n)
					}
					l.Remember(n, most)
				case "own":
					l.OwnRecent()
					for i := range want {
						want[i].Time++
					}
					l.Ledger = LedgerOf(want)
					for i := range l.Recent {
						l.Recent[i] ^= 1 << 40
						ring[i] ^= 1 << 40
					}
				}
			}
			line, recent, ledger = append(line, l), append(recent, ring), append(ledger, want)
			for i, v := range line[1:] {
				if !slices.Equal(v.Recent, recent[i]) || !slices.Equal(v.Ledger.List(), ledger[i]) {
					t.Fatalf("version %d of %d is %v %v, want %v %v", i+1, len(line), v.Recent, v.Ledger, recent[i], ledger[i])
				}
			}
			if len(line) > 2 && rapid.IntRange(0, 3).Draw(t, "abort") == 0 { // up to two epochs are not committed yet
				keep := len(line) - rapid.IntRange(1, 2).Draw(t, "thrown away")
				line, recent, ledger = line[:keep], recent[:keep-1], ledger[:keep-1]
			}
		}
	})
}
