package lead

import (
	"reflect"
	"slices"
	"testing"
)

// change gives every field of v, at any depth and in place, another value. The bytes of trait
// values are immutable, so they are replaced rather than written to.
func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			change(v.Field(i))
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[[]byte]() {
			v.SetBytes([]byte("other"))
			return
		}
		for i := range v.Len() {
			change(v.Index(i))
		}
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	}
}

func TestChangingACloneChangesNothingElse(t *testing.T) {
	dirty := filled()
	change(reflect.ValueOf(dirty).Elem())
	smaller := filled()
	smaller.Lines, smaller.Signals = smaller.Lines[:1], smaller.Signals[:1]
	for name, dst := range map[string]*Lead{"new": new(Lead), "same size": dirty, "smaller": smaller} {
		original := filled()
		original.CloneInto(dst)
		if !reflect.DeepEqual(dst, original) {
			t.Fatalf("%s: clone %+v\noriginal %+v", name, dst, original)
		}
		change(reflect.ValueOf(dst).Elem())
		for i := range dst.Lines {
			dst.Lines[i].Counted = append(dst.Lines[i].Counted, 1)
			dst.Lines[i].Points = append(dst.Lines[i].Points, 1)
		}
		for i := range dst.Signals {
			dst.Signals[i].Entries = append(dst.Signals[i].Entries, Entry{})
			dst.Signals[i].Buckets = append(dst.Signals[i].Buckets, Bucket{})
		}
		if !reflect.DeepEqual(original, filled()) {
			t.Fatalf("%s: the original changed with its clone: %+v", name, original)
		}
		// The pieces of a clone must not run into each other when they grow.
		for i, l := range dst.Lines {
			if n := len(l.Counted); n != 4 || l.Counted[0] != filled().Lines[i].Counted[0]+1 {
				t.Fatalf("%s: line %d of the clone was overwritten by its neighbour: %+v", name, i, l)
			}
		}
	}
}

// TestCloneIntoAfterShift clones into a lead that lost an element by shifting the rest left: the copy
// past the end shares its inner slices with an element in use.
func TestCloneIntoAfterShift(t *testing.T) {
	for _, n := range []int{2, 3} {
		dst := filled()
		dst.Lines = append(dst.Lines[:0], dst.Lines[1:]...)
		dst.Signals = append(dst.Signals[:0], dst.Signals[1:]...)
		dst.Traits = append(dst.Traits[:0], dst.Traits[1:]...)
		want := filled()
		want.Lines, want.Signals, want.Traits = want.Lines[:n], want.Signals[:n], want.Traits[:n]
		enc := AppendEncode(nil, want)
		want.CloneInto(dst)
		if !reflect.DeepEqual(dst, want) {
			t.Fatalf("clone of %d lines into a shifted lead: %+v", n, dst)
		}
		shifted := filled()
		shifted.Lines = append(shifted.Lines[:0], shifted.Lines[1:]...)
		shifted.Signals = append(shifted.Signals[:0], shifted.Signals[1:]...)
		if err := Decode(enc, shifted); err != nil || !reflect.DeepEqual(shifted, want) {
			t.Fatalf("decoding %d lines into a shifted lead: %+v, %v", n, shifted, err)
		}
	}
}

func TestDecodeKeepsSharedTexts(t *testing.T) {
	l := new(Lead)
	if err := Decode(AppendEncode(nil, filled()), l); err != nil {
		t.Fatal(err)
	}
	clone := l.Clone()
	next := filled()
	for i := range next.Traits {
		next.Traits[i].Value.Text = []byte("ooo")
	}
	if err := Decode(AppendEncode(nil, next), l); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(clone, filled()) {
		t.Fatal("decoding into a lead changed the texts of its clone")
	}
}

func TestSizeCountsEverySliceAndString(t *testing.T) {
	full := filled().Size()
	var check func(v reflect.Value, l *Lead, path string)
	check = func(v reflect.Value, l *Lead, path string) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				check(v.Field(i), l, path+"."+v.Type().Field(i).Name)
			}
		case reflect.Slice, reflect.String:
			old := reflect.New(v.Type()).Elem()
			old.Set(v)
			if v.Kind() == reflect.Slice && v.Len() > 0 {
				check(v.Index(0), l, path+"[0]")
			}
			v.SetZero()
			if l.Size() >= full {
				t.Errorf("Size doesn't count %s", path)
			}
			v.Set(old)
		}
	}
	l := filled()
	check(reflect.ValueOf(l).Elem(), l, "Lead")
	grown := filled()
	grown.Ledger = slices.Grow(grown.Ledger, 100)
	if grown.Size() <= full {
		t.Error("Size counts only what slices hold")
	}
}

func TestCloneAllocations(t *testing.T) {
	l, dst := filled(), new(Lead)
	l.CloneInto(dst)
	if n := testing.AllocsPerRun(100, func() { l.CloneInto(dst) }); n != 0 {
		t.Errorf("CloneInto a lead of the same shape allocates %v times", n)
	}
	// The lead, its slices and one slab for each kind of inner slice.
	if n := testing.AllocsPerRun(100, func() { l.Clone() }); n > 21 {
		t.Errorf("Clone allocates %v times", n)
	}
}
