package rules

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime/debug"
	"slices"
	"testing"

	"leadstream/state/lead"
)

// bender changes one thing in a lead, anywhere in it.
type bender struct{ r *rand.Rand }

var strange = []int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt32, 1 << 61, farthest, minTime, math.MaxUint16, 64, 65, 3_000_000_000_000}

// bend changes a value: a number becomes a strange one, a list loses, doubles, swaps or bends an element.
func (b *bender) bend(v reflect.Value) {
	if !v.CanSet() {
		return // the mark of a format
	}
	switch v.Kind() {
	case reflect.Struct:
		if n := v.NumField(); n > 0 {
			b.bend(v.Field(b.r.IntN(n)))
		}
	case reflect.Slice:
		n := v.Len()
		if n == 0 {
			if b.r.IntN(2) == 0 {
				v.Set(reflect.MakeSlice(v.Type(), 1+b.r.IntN(3), 3))
			}
			return
		}
		switch i := b.r.IntN(n); b.r.IntN(5) {
		case 0:
			v.Set(v.Slice(0, i))
		case 1:
			v.Set(reflect.AppendSlice(v.Slice3(0, n, n), v.Slice(i, n)))
		case 2:
			v.Set(reflect.AppendSlice(v.Slice3(0, i, i), v.Slice(min(i+1, n), n)))
		case 3:
			j := b.r.IntN(n)
			x := reflect.ValueOf(v.Index(i).Interface())
			v.Index(i).Set(v.Index(j))
			v.Index(j).Set(x)
		default:
			b.bend(v.Index(i))
		}
	case reflect.Int, reflect.Int64, reflect.Int32, reflect.Int16, reflect.Int8:
		v.SetInt(strange[b.r.IntN(len(strange))])
	case reflect.Uint64, reflect.Uint32, reflect.Uint16, reflect.Uint8:
		v.SetUint(uint64(strange[b.r.IntN(len(strange))]))
	case reflect.Float64:
		v.SetFloat([]float64{math.NaN(), math.Inf(1), -math.MaxFloat64, math.MaxFloat64, 0, -1, 5e-324}[b.r.IntN(7)])
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.String:
		v.SetString([]string{"", "x", accountPrefix + "acme", identifierPrefix, "\xff"}[b.r.IntN(5)])
	}
}

// fullLead is a lead to which much has happened.
func fullLead(t testing.TB, e *Evaluator, id string, seed uint64) *lead.Lead {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 9))
	names := []string{"Other"}
	for i := range e.set.signals {
		names = append(names, e.set.signals[i].match.names...)
	}
	l, at := e.set.NewLead(id, 1), int64(1_700_000_000_000)
	for n := range 150 {
		at += r.Int64N(day / 4)
		_, _ = e.Apply(l, fullEvent(r, id, n, at, names), nil)
	}
	e.Pending()
	return l
}

func fullEvent(r *rand.Rand, id string, n int, at int64, names []string) *lead.Event {
	message := fmt.Sprint(id, n)
	return &lead.Event{
		Type: []lead.Type{lead.Track, lead.Page, lead.Identify, lead.Group}[r.IntN(4)], Time: at, Name: names[r.IntN(len(names))], GroupID: []byte("acme"),
		UserID: []byte(id), RoutingID: []byte(id), MessageID: []byte(message), MessageHash: lead.HashString(message),
		Properties: lead.Object(fmt.Sprintf(`{"path": "/pricing/%d", "email_id": "%[1]d", "event_id": "e%[1]d", "content": "c%[1]d", "product_id": %[1]d, "link": "l%[1]d",
			"topic": "t%[1]d", "category": "c%[1]d", "total": %[1]d.5, "value": "5", "minutes": 40, "stars": 5, "kind": "soft", "n": 3}`, r.IntN(40))),
		Traits: lead.Object(`{"email": "a@acme.example", "employees": 50, "title": "CEO", "budget": 5, "plan": "pro"}`),
	}
}

// TestFits bends states that come in letters, everywhere in them. Whatever decodes is refused, or it is merged and goes on without a
// panic, and its state can be read again.
func TestFits(t *testing.T) {
	for _, file := range []string{"../deploy/rules/b2b-saas.yaml", "../deploy/rules/events-and-webinars.yaml", "../deploy/rules/e-commerce.yaml", "../deploy/rules/accounts.yaml", "testdata/everything.good.yaml"} {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set, err := Parse(File{Name: file, Src: src})
		if err != nil {
			t.Fatal(err)
		}
		e := set.NewEvaluator()
		first, second := fullLead(t, e, "ann", 1), fullLead(t, e, "bob", 2)
		if err := set.Fits(second); err != nil {
			t.Fatalf("%s: a lead as it is: %v", file, err)
		}
		refused, merged := 0, 0
		for seed := range uint64(400) {
			b := bender{rand.New(rand.NewPCG(seed, 3))}
			bent := second.Clone()
			for range 1 + b.r.IntN(2) {
				if b.r.IntN(3) == 0 {
					b.bend(reflect.ValueOf(bent.OwnRare()).Elem())
				} else {
					b.bend(reflect.ValueOf(bent).Elem())
				}
			}
			from := arrived(bent)
			if from == nil {
				continue
			}
			if err := set.Fits(from); err != nil {
				if !errors.Is(err, ErrUnfit) {
					t.Fatal(err)
				}
				refused++
				continue
			}
			merged++
			takeIn(t, e, first, from, fmt.Sprintf("%s, seed %d", file, seed))
		}
		if refused < 60 || merged < 60 {
			t.Errorf("%s: %d were refused, %d merged", file, refused, merged)
		}
	}
}

// arrived is a lead as it comes out of a letter, nil when no letter can hold it.
func arrived(l *lead.Lead) *lead.Lead {
	defer func() { _ = recover() }() // the codec writes nothing that it can't read
	b := lead.AppendEncode(nil, l)
	from := new(lead.Lead)
	if lead.Decode(b, from) != nil {
		return nil
	}
	return from
}

// takeIn merges a lead into one that lives and into one that is new, and lets both go on.
func takeIn(t *testing.T, e *Evaluator, first, from *lead.Lead, what string) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("%s: %v\n%s", what, p, debug.Stack())
		}
	}()
	r := rand.New(rand.NewPCG(4, 4))
	for _, l := range []*lead.Lead{first.Clone(), e.set.NewLead("cy", 1)} {
		m := Letter{Kind: StateLetter, To: l.ID, From: from.ID, Cause: ByAlias, Time: from.Clock}
		_, _, _ = e.Receive(l, from.Clone(), &m, nil, nil)
		at := int64(1_705_000_000_000)
		for n := range 3 {
			_, _ = e.Apply(l, fullEvent(r, l.ID, 1000+n, at, []string{"Demo Requested"}), nil)
		}
		_ = e.Fire(l, at+60*day, nil)
		_ = e.View(l, at+70*day)
		e.Pending()
		if err := lead.Decode(lead.AppendEncode(nil, l), new(lead.Lead)); err != nil {
			t.Fatalf("%s: it can't be read again: %v", what, err)
		}
	}
}

// TestLetterCheck bends letters between leads and accounts in the same way.
func TestLetterCheck(t *testing.T) {
	set := newMerger(t, fastAccounts).set
	w := newCompany(set)
	for i, id := range []string{"a", "b", "c"} {
		w.event(id, int64(1_000_000+i), lead.Event{Type: lead.Page, Properties: lead.Object(`{"n":4}`)})
		w.event(id, int64(1_000_000+i), group("acme"))
	}
	parts := []Part{{Key: set.accounts.keys[0], Value: 3, At: 1_000_100}}
	letters := []Letter{
		{Kind: MemberLetter, To: AccountID("acme"), From: "a", Time: 1_000_200, Note: &Note{Role: "user", Known: true, Parts: parts, Was: parts, Seen: parts, Instead: []Place{{ID: "b", Was: parts}}, Traits: []TraitNote{{Name: "plan", Kind: 3, Text: []byte(`"x"`), Time: 5}}}},
		{Kind: AccountLetter, To: "a", From: "acme", Time: 1_000_200, Note: &Note{Stage: "warm", Facts: parts}},
		{Kind: LinkLetter, To: "a", From: "a", Target: "b", Cause: ByEvent, Time: 1_000_200, Room: 5},
		{Kind: SplitLetter, To: "a", From: "b", Cause: BySplit, Time: 1_000_200, IDs: []string{"c"}},
		{Kind: ClaimLetter, To: identifierID("email", "a@b"), From: "a", Time: 1_000_200, First: 5},
	}
	ids := []string{"a", "b", AccountID("acme"), AccountID("new"), identifierID("email", "a@b"), ""}
	refused, taken := 0, 0
	for seed := range uint64(6000) {
		b := bender{rand.New(rand.NewPCG(seed, 8))}
		m := letters[b.r.IntN(len(letters))]
		if m.Note != nil {
			n := *m.Note
			n.Parts, n.Was, n.Seen, n.Facts, n.Instead, n.Traits = slices.Clone(n.Parts), slices.Clone(n.Was), slices.Clone(n.Seen), slices.Clone(n.Facts), slices.Clone(n.Instead), slices.Clone(n.Traits)
			m.Note = &n
		}
		switch x := reflect.ValueOf(&m).Elem(); b.r.IntN(4) {
		case 0:
			m.Kind = LetterKind(b.r.IntN(9))
		case 1:
			*[]*string{&m.To, &m.From, &m.Target}[b.r.IntN(3)] = ids[b.r.IntN(len(ids))]
		case 2:
			if m.Note != nil {
				for _, name := range []string{"Parts", "Was", "Seen", "Facts", "Instead", "Traits", "Pointer", "Role"} {
					if b.r.IntN(3) == 0 {
						b.bend(reflect.ValueOf(m.Note).Elem().FieldByName(name))
					}
				}
			}
		default:
			for _, name := range []string{"Time", "Room", "First", "Cause", "IDs"} {
				if b.r.IntN(3) == 0 {
					b.bend(x.FieldByName(name))
				}
			}
		}
		if err := m.Check(); err != nil || m.To == "" || m.Kind == EraseLetter {
			refused++
			continue
		}
		taken++
		x := newCompany(set)
		x.e = w.e
		for id, l := range w.nodes {
			x.nodes[id] = l.Clone()
		}
		func() {
			defer func() {
				if p := recover(); p != nil {
					t.Fatalf("seed %d: %v\n%+v", seed, p, m)
				}
			}()
			var more []Letter
			x.out, more, _ = x.e.Receive(x.node(m.To), nil, &m, nil, nil)
			for range 20 {
				pending := append(x.e.Pending(), more...)
				more = nil
				for i := range pending {
					if pending[i].Check() == nil && pending[i].State == nil {
						x.out, more, _ = x.e.Receive(x.node(pending[i].To), nil, &pending[i], x.out, more)
					}
				}
			}
			x.e.Pending()
			for id, l := range x.nodes {
				x.out = x.e.Fire(l, 1_100_000, x.out)
				if err := lead.Decode(lead.AppendEncode(nil, l), new(lead.Lead)); err != nil {
					t.Fatalf("seed %d: %q: %v", seed, id, err)
				}
			}
			x.e.Pending()
		}()
	}
	if refused < 500 || taken < 2000 {
		t.Errorf("%d were refused, %d taken", refused, taken)
	}
}

// TestLeftBuckets merges a window that still has the buckets of a span that its rules no longer ask for.
func TestLeftBuckets(t *testing.T) {
	w := newWindow(maxEntries, true)
	sig := newSignal(0)
	w.interleave(&sig, &lead.Signal{Last: 9, Entries: []lead.Entry{{Time: 9}}, Buckets: []lead.Bucket{{Newest: 3, Count: 2}, {Newest: 5, Count: 1}}}, 10)
	if len(sig.Buckets) != 0 || len(sig.Entries) != 1 || sig.Last != 9 {
		t.Errorf("it has %+v", sig)
	}
}
