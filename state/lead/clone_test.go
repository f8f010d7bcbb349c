package lead

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
)

// change gives every field of v, at any depth and in place, another value. The bytes of trait
// values are immutable, so they are replaced rather than written to, as are slices inside of what accounts keep.
func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Ledger]() {
			cs := v.Interface().(Ledger).List()
			change(reflect.ValueOf(cs))
			v.Set(reflect.ValueOf(LedgerOf(cs)))
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				change(f)
			}
		}
	case reflect.Slice:
		switch v.Type() {
		case reflect.TypeFor[[]byte]():
			v.SetBytes([]byte("other"))
			return
		case reflect.TypeFor[[]Part](), reflect.TypeFor[sharedTraits]():
			v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, v.Len()), v))
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
	original := filled()
	dst := original.Clone()
	if !reflect.DeepEqual(dst, original) {
		t.Fatalf("clone %+v\noriginal %+v", dst, original)
	}
	change(reflect.ValueOf(dst).Elem())
	change(reflect.ValueOf(dst.OwnRare()).Elem())
	dst.Recent = append(dst.Recent, 1)
	dst.Ledger.Enter(&Contribution{}, 100)
	for i := range dst.Lines {
		dst.Lines[i].Counted = append(dst.Lines[i].Counted, 1)
		dst.Lines[i].Points = append(dst.Lines[i].Points, 1)
	}
	for i := range dst.Signals {
		dst.Signals[i].Entries = append(dst.Signals[i].Entries, Entry{})
		dst.Signals[i].Buckets = append(dst.Signals[i].Buckets, Bucket{})
	}
	if !reflect.DeepEqual(original, filled()) {
		t.Fatalf("the original changed with its clone: %+v", original)
	}
	// The pieces of a clone must not run into each other when they grow.
	for i, l := range dst.Lines {
		if n := len(l.Counted); n != 4 || l.Counted[0] != filled().Lines[i].Counted[0]+1 {
			t.Fatalf("line %d of the clone was overwritten by its neighbour: %+v", i, l)
		}
	}
}

// TestDecodeAfterShift decodes into a lead that lost an element by shifting the rest left: the element
// past the end shares its inner slices with one in use.
func TestDecodeAfterShift(t *testing.T) {
	for _, n := range []int{2, 3} {
		want := filled()
		want.Lines, want.Signals, want.Traits = want.Lines[:n], want.Signals[:n], want.Traits[:n]
		enc := AppendEncode(nil, want)
		shifted := filled()
		shifted.Lines = append(shifted.Lines[:0], shifted.Lines[1:]...)
		shifted.Signals = append(shifted.Signals[:0], shifted.Signals[1:]...)
		shifted.Traits = append(shifted.Traits[:0], shifted.Traits[1:]...)
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
				if v.Field(i).CanSet() {
					check(v.Field(i), l, path+"."+v.Type().Field(i).Name)
				}
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
	check(reflect.ValueOf(l.OwnRare()).Elem(), l, "Rare")
	grown := filled()
	grown.Traits = slices.Grow(grown.Traits, 100)
	if grown.Size() <= full {
		t.Error("Size counts only what slices hold")
	}
}

func TestCloneAllocations(t *testing.T) {
	l := filled()
	// The lead, its slices, what is rare and one slab for each kind of inner slice.
	if n := testing.AllocsPerRun(100, func() { l.Clone() }); n > 27 {
		t.Errorf("Clone allocates %v times", n)
	}
}

// TestRareIsThereOnlyWhereItHoldsSomething: it is neither copied nor decoded for a lead that has nothing of it.
func TestRareIsThereOnlyWhereItHoldsSomething(t *testing.T) {
	l := &Lead{ID: "a"}
	l.OwnRare().Early = append(l.OwnRare().Early, 7)
	if c := l.Clone(); c.rare == nil || c.rare == l.rare || c.Rare().Early[0] != 7 {
		t.Errorf("cloned %+v", c.rare)
	}
	l.OwnRare().Early = l.Rare().Early[:0]
	decoded := &Lead{ID: "b"}
	decoded.OwnRare().Tags = []Tag{{Name: "x"}}
	if err := Decode(AppendEncode(nil, l), decoded); err != nil {
		t.Fatal(err)
	}
	if c := l.Clone(); c.rare != nil || decoded.rare != nil || decoded.Rare() != &noRare || !noRare.empty() {
		t.Errorf("cloned %+v, decoded %+v, shared %+v", c.rare, decoded.rare, noRare)
	}
}

// TestJSONHasEveryField: what is exported of a person is all that is kept.
func TestJSONHasEveryField(t *testing.T) {
	l := filled()
	text := []byte("1")
	for i := range l.Traits {
		l.Traits[i].Value.Text, l.Rare().Fields[i].Value.Text, l.Rare().Held[i].Value.Text = text, text, text
		for j := range l.Account[i].Traits {
			l.Account[i].Traits[j].Value.Text = text
		}
	}
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for _, of := range []reflect.Type{reflect.TypeFor[Lead](), reflect.TypeFor[Rare](), reflect.TypeFor[Node]()} {
		for i := range of.NumField() {
			if f := of.Field(i); f.IsExported() && !f.Anonymous && len(got[f.Name]) == 0 {
				t.Errorf("%s.%s is left out", of.Name(), f.Name)
			}
		}
	}
}
