package lead

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"runtime"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"pgregory.net/rapid"
)

// filled returns a lead in which no field, at any depth, is zero. It finds the fields by reflection, so
// that a field added to Lead is in every test that uses it.
func filled() *Lead {
	l := new(Lead)
	n := int64(0)
	fill3(reflect.ValueOf(l).Elem(), &n)
	fill3(reflect.ValueOf(l.OwnRare()).Elem(), &n)
	l.RecentNext = 2
	return l
}

func fill3(v reflect.Value, n *int64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Ledger]() {
			cs := make([]Contribution, 3)
			for i := range cs {
				fill3(reflect.ValueOf(&cs[i]).Elem(), n)
			}
			v.Set(reflect.ValueOf(LedgerOf(cs)))
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fill3(f, n)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range 3 {
			fill3(v.Index(i), n)
		}
	case reflect.String:
		v.SetString("s" + hex.EncodeToString([]byte{byte(*n >> 8), byte(*n)}))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(*n * 1e9)
	case reflect.Uint8:
		v.SetUint(uint64(*n%6) + 1)
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.25)
	default:
		panic("no value for a " + v.Type().String())
	}
}

func TestRoundTripOfEveryField(t *testing.T) {
	want := filled()
	got := new(Lead)
	if err := Decode(AppendEncode(nil, want), got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("a field is lost by the codec:\n got %+v\nwant %+v", got, want)
	}
	// A new field also needs a new schema version, once leads of the last one are in someone's topics.
	// A node is four elements; whether an array is shared is nobody else's business.
	if n := reflect.TypeFor[Lead]().NumField() - 2 + reflect.TypeFor[Rare]().NumField() + 4; n != leadFields-1 {
		t.Fatalf("Lead has %d fields, the encoding %d and the schema version", n, leadFields-1)
	}
}

func TestRoundTrip(t *testing.T) {
	reused := new(Lead)
	rapid.Check(t, func(t *rapid.T) {
		want := drawLead(t)
		enc := AppendEncode([]byte("prefix"), want)[len("prefix"):]
		got := new(Lead)
		for _, l := range []*Lead{got, reused} {
			if err := Decode(enc, l); err != nil {
				t.Fatal(err)
			}
			if again := AppendEncode(nil, l); !bytes.Equal(again, enc) {
				t.Fatalf("decoded lead encodes differently:\n%x\n%x", enc, again)
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
		if epoch, err := EncodedEpoch(enc); err != nil || epoch != want.Epoch {
			t.Fatalf("EncodedEpoch %d, %v, want %d", epoch, err, want.Epoch)
		}
		if due, err := EncodedDue(enc); err != nil || due != want.Due {
			t.Fatalf("EncodedDue %d, %v, want %d", due, err, want.Due)
		}
		if clone := AppendEncode(nil, want.Clone()); !bytes.Equal(clone, enc) {
			t.Fatalf("a clone encodes differently")
		}
	})
}

// drawLead draws leads with empty parts, extreme numbers and times far from the clock. Empty slices are nil.
func drawLead(t *rapid.T) *Lead {
	v := reflect.New(reflect.TypeFor[Lead]()).Elem()
	drawInto(t, v)
	l := v.Addr().Interface().(*Lead)
	if l.ID == "" {
		l.ID = "x"
	}
	l.RecentNext = uint32(rapid.IntRange(0, len(l.Recent)).Draw(t, "next"))
	return l
}

func drawInto(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Ledger]() {
			v.Set(reflect.ValueOf(LedgerOf(rapid.SliceOfN(rapid.Custom(drawContribution), 0, 4).Draw(t, "ledger"))))
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				drawInto(t, f)
			}
		}
	case reflect.Slice:
		n := rapid.SampledFrom([]int{0, 0, 1, 2, 9, 40}).Draw(t, "len")
		if n == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			drawInto(t, v.Index(i))
		}
	case reflect.String:
		n := rapid.SampledFrom([]int{0, 1, 31, 32, 255, 256, 65536}).Draw(t, "strlen")
		v.SetString(string(bytes.Repeat([]byte{'a'}, n)))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.OneOf(rapid.Int64(), rapid.Just(int64(0)), rapid.Just(Never), rapid.Just(int64(math.MinInt64)),
			rapid.Int64Range(1_790_000_000_000, 1_800_000_000_000)).Draw(t, "int"))
	case reflect.Uint8:
		v.SetUint(rapid.Uint64Range(0, uint64(Map)).Draw(t, "kind"))
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint") & (1<<v.Type().Bits() - 1))
	case reflect.Float64:
		v.SetFloat(rapid.OneOf(rapid.Float64(), rapid.Map(rapid.Int(), func(i int) float64 { return float64(i) }),
			rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1 << 53, 1<<53 - 1, -1 << 53, math.Inf(1)})).Draw(t, "float"))
	}
}

func TestDecodeRefusesEveryTruncation(t *testing.T) {
	enc := AppendEncode(nil, filled())
	for n := range enc {
		if err := Decode(enc[:n], new(Lead)); !errors.Is(err, ErrMalformed) {
			t.Fatalf("first %d of %d bytes: %v", n, len(enc), err)
		}
	}
	if err := Decode(append(enc, 0), new(Lead)); !errors.Is(err, ErrMalformed) {
		t.Fatalf("a byte more: %v", err)
	}
}

func TestDecodeErrors(t *testing.T) {
	enc := AppendEncode(nil, filled())
	newer := bytes.Clone(enc)
	newer[3] = SchemaVersion + 1
	if err := Decode(newer, new(Lead)); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("newer schema: %v", err)
	}
	short := append([]byte{codeFixArray + 2, SchemaVersion + 1}, enc[4:]...)
	if _, err := EncodedEpoch(short); !errors.Is(err, ErrNewerSchema) {
		t.Errorf("newer schema with fewer fields: %v", err)
	}
	for name, edit := range map[string]func(*Lead){
		"id":          func(l *Lead) { l.ID = "" },
		"recent next": func(l *Lead) { l.RecentNext = 4 },
		"trait kind":  func(l *Lead) { l.Traits[1].Value.Kind = Map + 1 },
	} {
		l := filled()
		edit(l)
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: a lead that can't be decoded was encoded", name)
				}
			}()
			AppendEncode(nil, l)
		}()
	}
}

// TestDecodeBoundsAllocation gives lengths that the input can't hold; trusting one of them would
// allocate gigabytes.
func TestDecodeBoundsAllocation(t *testing.T) {
	enc := AppendEncode(nil, filled())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range enc {
		for _, code := range []byte{codeArray32, codeStr32, codeBin32} {
			hostile := append(append(bytes.Clone(enc[:i]), code, 0x7f, 0xff, 0xff, 0xf8), enc[i:]...)
			_ = Decode(hostile, new(Lead)) // Inside a longer value the bytes may happen to mean something.
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > uint64(3*len(enc)*64*len(enc)) {
		t.Fatalf("decoding %d inputs of %d bytes allocated %d bytes", 3*len(enc), len(enc), n)
	}
}

func TestAnyMsgpackReaderReadsIt(t *testing.T) {
	l := filled()
	var got []any
	if err := msgpack.Unmarshal(AppendEncode(nil, l), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != leadFields {
		t.Fatalf("%d elements, want %d", len(got), leadFields)
	}
	want := map[int]any{4: l.ID, 12: l.UserID, 13: l.Zone}
	for i, w := range want {
		if got[i] != w {
			t.Errorf("element %d is %v, want %v", i, got[i], w)
		}
	}
	if recent, ok := got[21].([]byte); !ok || len(recent) != 8*len(l.Recent) {
		t.Errorf("element 21 is %v, want %d hashes", got[21], len(l.Recent))
	}
}

func TestEncodingIsSmall(t *testing.T) {
	// Empty slices take one byte each: the header, the small fields and the id are all that is left.
	enc := AppendEncode(nil, &Lead{ID: "x", Due: Never})
	if want := 5 + 38 + 2; len(enc) != want {
		t.Errorf("the smallest lead takes %d bytes, want %d: %x", len(enc), want, enc)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendEncode(nil, filled()))
	f.Add(AppendEncode(nil, &Lead{ID: "x", Due: Never}))
	f.Fuzz(func(t *testing.T, src []byte) {
		in := bytes.Clone(src)
		l := new(Lead)
		err := Decode(src, l)
		if !bytes.Equal(in, src) {
			t.Fatal("Decode changed its input")
		}
		epoch, epochErr := EncodedEpoch(src)
		due, dueErr := EncodedDue(src)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrNewerSchema) {
				t.Fatalf("unclassified error: %v", err)
			}
			return
		}
		if src[3] == 1 {
			return // what is written is always of the newest version
		}
		if epochErr != nil || dueErr != nil || epoch != l.Epoch || due != l.Due {
			t.Fatalf("peeked epoch %d (%v) and due %d (%v) of %d and %d", epoch, epochErr, due, dueErr, l.Epoch, l.Due)
		}
		clear(src)
		if out := AppendEncode(nil, l); !bytes.Equal(out, in) {
			t.Fatalf("decoded lead encodes differently:\n%x\n%x", in, out)
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	l := filled()
	enc := AppendEncode(nil, l)
	b.Run("op=encode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(enc)))
		var buf []byte
		for b.Loop() {
			buf = AppendEncode(buf[:0], l)
		}
	})
	b.Run("op=decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(enc)))
		dst := new(Lead)
		for b.Loop() {
			if err := Decode(enc, dst); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("op=clone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.Clone()
		}
	})
}
