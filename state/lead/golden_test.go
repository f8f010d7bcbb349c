package lead

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

var writeGolden = flag.Bool("write-golden", false, "write the golden lead of the present schema version, if there is none yet")

// goldenV1 is the lead in testdata/lead_v1.hex. The file is what leadstream wrote when schema 1 was the
// newest: it is never written again, and fields that came later are zero in it.
func goldenV1() *Lead {
	const at = 1_795_000_000_000
	return &Lead{
		ID: "u-1001", Epoch: 421_337, Incarnation: 2, Seq: 17, Rules: 0xfeed_face_cafe_beef,
		Clock: at, FirstSeen: at - 86_400_000*40, LastSeen: at, LastActive: at - 1500, Events: 93,
		UserID: "u-1001", Zone: "Europe/Berlin", Stage: 3, StageSince: at - 3_600_000, Due: at + 987_654_321,
		Scores: []Score{{Value: 73.125, At: at, Remainder: 4.0625, RemainderAt: at - 86_400_000}, {Value: -5, At: at - 1}},
		Lines: []Line{
			{Slot: 1, Key: 0x0123_4567_89ab_cdef, Fired: at - 60_000, Counted: []int64{at - 120_000, at - 60_000}, Points: []float64{5, 2.5}},
			{Slot: 4, Counted: []int64{at}},
		},
		Signals: []Signal{{
			Slot: 2, Last: at,
			Entries: []Entry{{Time: at - 9, Message: 77, Value: 1}, {Time: at, Message: 0xffff_ffff_ffff_ffff, Value: 1999.99}},
			Buckets: []Bucket{{Newest: at - 7*86_400_000, Count: 40, Sum: 812.5}},
		}},
		Edges:      []Edge{{On: true, Until: at + 30*86_400_000}, {}},
		Traits:     []Trait{{Name: "plan", Value: Value{Kind: String, Text: []byte(`"pro"`)}, Time: at - 5, Message: 9}},
		Recent:     []uint64{1, 0xdead_beef_dead_beef, 3},
		RecentNext: 1,
		Ledger:     LedgerOf([]Contribution{{Message: 77, Time: at - 9, Points: 10, Line: 1, Signal: 2}, {Time: at, Points: -0.5, Score: 1, Line: 4, Signal: NoSlot}}),
	}
}

func changeLedger(l *Lead, change func(cs []Contribution)) {
	cs := l.Ledger.List()
	change(cs)
	l.Ledger = LedgerOf(cs)
}

// goldenV2 is the lead in testdata/lead_v2.hex, written when schema 2 was the newest.
func goldenV2() *Lead {
	const at = 1_795_000_000_000
	l := goldenV1()
	l.Scores[0].Gain, l.Scores[0].Steps = at-86_400_000, 3
	changeLedger(l, func(cs []Contribution) { cs[0].Steps = 2 })
	l.OwnRare().Fields = []Field{{Slot: 1, Value: Value{Kind: String, Text: []byte(`"ads"`)}, Time: at - 77, Message: 12}}
	l.OwnRare().Tags = []Tag{{Name: "go", Weight: 1.25, At: at - 3}, {Name: "kafka", Weight: 0.448, At: at}}
	l.OwnRare().Held = []Held{
		{Kind: HeldPoints, Slot: 2, Due: at + 600_000, Time: at, Message: 77, Key: 5, Points: 2, Mail: 8, Link: 9},
		{Kind: HeldTag, Slot: 0, Due: at + 600_001, Time: at, Message: 78, Points: 1, Value: Value{Kind: String, Text: []byte("go")}},
	}
	l.OwnRare().Early = []uint64{42}
	l.Ready = true
	return l
}

// goldenV3 is the lead in testdata/lead_v3.hex, written when schema 3 was the newest.
func goldenV3() *Lead {
	const at = 1_795_000_000_000
	l := goldenV2()
	changeLedger(l, func(cs []Contribution) { cs[1].Own = 0xabcd })
	l.Node = Node{Pointer: 4, User: true, Known: true, Apart: []string{"dev-9"}}
	l.IDs = []LinkedID{{ID: "dev-1", Merged: true}, {ID: "dev-2"}}
	l.OwnRare().Claims = []uint64{0x1234_5678_9abc_def0}
	l.OwnRare().Refused = []Refusal{{ID: "dev-2", With: "u-1001", Time: at - 1000, Why: 1}}
	return l
}

// goldenV4 is the lead in testdata/lead_v4.hex, written when schema 4 was the newest.
func goldenV4() *Lead {
	l := goldenV3()
	const at = 1_795_000_000_000
	l.Spins = 300
	l.After, l.Gone = at-5000, true
	l.OwnRare().Named = []string{"\x0012ab"}
	return l
}

// goldenV5 is the lead in testdata/lead_v5.hex, written when schema 5 was the newest.
func goldenV5() *Lead {
	l := goldenV4()
	l.OwnRare().Consents = []Consent{{Purpose: "ads", Time: 1_794_000_000_000, Source: "unsubscribed"}, {Purpose: "email", Granted: true, Time: 1_795_000_000_000, Source: "context"}}
	return l
}

// goldenV6 is the lead in testdata/lead_v6.hex, written when schema 6 was the newest.
func goldenV6() *Lead {
	const at = 1_795_000_000_000
	l := goldenV5()
	parts := []Part{{Key: 0xfeed_face_cafe_beef, Value: 12.5, At: at - 60_000}}
	seen := []Part{{Key: 7, At: at - 1000}}
	l.Account = []Membership{{Group: "acme", Time: at - 9000, Message: 5, Account: "acme", Role: "decider", Parts: parts, Seen: seen, Stage: "hot",
		Facts:   []Part{{Key: 9, Value: 1}},
		Traits:  []Trait{{Name: "plan", Value: Value{Kind: String, Text: []byte(`"pro"`)}, Time: at - 5, Message: 9}},
		Members: []Member{{ID: "u-1001", Role: "decider", Pointer: 4, Parts: parts, Seen: seen}, {ID: "u-1002", Role: "user"}},
		Others:  2, Rest: parts}}
	return l
}

func TestGolden(t *testing.T) {
	for file, want := range map[string]*Lead{"testdata/lead_v1.hex": goldenV1(), "testdata/lead_v2.hex": goldenV2(), "testdata/lead_v3.hex": goldenV3(), "testdata/lead_v4.hex": goldenV4(),
		"testdata/lead_v5.hex": goldenV5(), "testdata/lead_v6.hex": goldenV6()} {
		newest := strings.HasSuffix(file, fmt.Sprintf("_v%d.hex", SchemaVersion))
		if *writeGolden && newest {
			writeOnce(t, file, want)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		enc, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			t.Fatal(err)
		}
		got := new(Lead)
		if err := Decode(enc, got); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", file, got, want)
		}
		if newest && !bytes.Equal(AppendEncode(nil, want), enc) {
			t.Errorf("%s: encoded differently now, without a new schema version:\n%x", file, AppendEncode(nil, want))
		}
	}
}

func writeOnce(t *testing.T, file string, l *Lead) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	text := hex.EncodeToString(AppendEncode(nil, l))
	for len(text) > 64 {
		_, err = f.WriteString(text[:64] + "\n")
		if err != nil {
			t.Fatal(err)
		}
		text = text[64:]
	}
	if _, err := f.WriteString(text + "\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
