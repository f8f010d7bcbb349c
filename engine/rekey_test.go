package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"leadstream/engine"
	"leadstream/rules"
)

// record is what an old shard begins with, at rest.
func record(shard, shards int32, tick int64, erased uint32, salt string) *engine.JournalRecord {
	j := &engine.JournalRecord{Epoch: uint64(100 + shard), TickStart: tick, TickEnd: tick, Cap: tick, ErasedStart: erased, ErasedEnd: erased,
		Rules: 7, Shards: shards, Closed: []string{fmt.Sprintf("s%d", shard%2)}, Sent: []int64{1}, Got: []int64{1},
		Parts: []engine.JournalPart{{Topic: "app.inbox", Partition: shard, Next: 9}}}
	if salt != "" {
		j.Salt = []byte(salt)
	}
	for p := shard; p < 10; p += shards {
		j.Parts = append(j.Parts, engine.JournalPart{Topic: "web", Partition: p, Next: int64(1000 + p)})
	}
	return j
}

// TestRekey: whatever the two numbers, every partition keeps its place and comes to its shard; every id finds on its new
// shard what the old one knew of erasures; time never jumps, and no incarnation is used again.
func TestRekey(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int32{1, 2, 3, 4, 6, 8, 12} {
		for _, m := range []int32{1, 2, 3, 4, 5, 8, 9, 16} {
			var old []*engine.JournalRecord
			for s := range n {
				salt := fmt.Sprintf("salt-%d", s)
				if s%3 == 2 {
					salt = ""
				}
				old = append(old, record(s, n, 500+rng.Int64N(100), rng.Uint32N(9), salt))
			}
			js, err := engine.Rekey("next", old, m)
			if err != nil || len(js) != int(m) {
				t.Fatalf("%d to %d: %d records: %v", n, m, len(js), err)
			}
			parts := 0
			for s, j := range js {
				if j.Shards != m || j.Redo != j.Epoch || j.Sent != nil || j.Parts[0].Topic != "next.inbox" || j.Parts[0].Partition != int32(s) || j.Parts[0].Next != 0 ||
					!slices.Equal(j.Closed, []string{"s0", "s1"}[:min(2, n)]) {
					t.Fatalf("%d to %d: shard %d begins with %+v", n, m, s, j)
				}
				for _, p := range j.Parts[1:] {
					parts++
					if p.Partition%m != int32(s) || p.Next != int64(1000+p.Partition) {
						t.Fatalf("%d to %d: shard %d has %+v", n, m, s, p)
					}
				}
			}
			if parts != 10 {
				t.Fatalf("%d to %d: %d partitions have a place, want 10", n, m, parts)
			}
			for i := range 200 {
				id := fmt.Appendf(nil, "id-%d", i)
				from, to := engine.ShardOf(id, n), engine.ShardOf(id, m)
				x, y := old[from], js[to]
				if got := engine.Place(string(id), from, n, m); !slices.Equal(got, []int32{to}) {
					t.Fatalf("%d to %d: %s goes to %v, want %d", n, m, id, got, to)
				}
				if y.TickEnd > x.TickEnd || y.ErasedEnd < x.ErasedEnd || y.Epoch < x.Epoch {
					t.Fatalf("%d to %d: %s comes from %+v to %+v", n, m, id, x, y)
				}
				if x.Salt == nil {
					continue
				}
				salts := append([][]byte{y.Salt}, y.OldSalts...)
				if !slices.ContainsFunc(salts, func(b []byte) bool { return string(b) == string(x.Salt) }) {
					t.Fatalf("%d to %d: the salt of %s is not known on its shard", n, m, id)
				}
				if bar := rules.BarID(x.Salt, string(id)); !slices.Contains(engine.Place(bar, from, n, m), to) {
					t.Fatalf("%d to %d: what an erasure left of %s does not come to its shard", n, m, id)
				}
			}
		}
	}
}

func TestRekeyRefuses(t *testing.T) {
	switching := record(0, 2, 5, 0, "")
	switching.OldRules = 6
	other := record(1, 2, 5, 0, "")
	other.Rules = 8
	for what, old := range map[string][]*engine.JournalRecord{
		"a rule switch":      {switching, record(1, 2, 5, 0, "")},
		"two rule sets":      {record(0, 2, 5, 0, ""), other},
		"nothing to go from": {nil, nil},
	} {
		if _, err := engine.Rekey("next", old, 4); !errors.Is(err, engine.ErrDisagree) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if js, err := engine.Rekey("next", []*engine.JournalRecord{nil, record(1, 2, 5, 0, "")}, 4); err != nil || js[0] != nil || js[2] != nil || js[1] == nil || js[3] == nil {
		t.Errorf("a shard without a journal: %v %v", js, err)
	}
}
