package importer

import (
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// Whatever the library's strict reader accepts must be read the same here.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "\"a\",\"b\"\"c\"\n", "\"a\nb\",c\n", "\"\",\n", "a,\"b\n\nc\",d\ne", "\"a,b\",c\n\n,\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "\r") || strings.HasPrefix(text, "\xef\xbb\xbf") || strings.HasPrefix(text, "\x1f\x8b") {
			return // line ends inside of quotes are kept as they are by neither
		}
		reader := csv.NewReader(strings.NewReader(text))
		reader.FieldsPerRecord = -1
		want, err := reader.ReadAll()
		if err != nil {
			return
		}
		path := input(t, "x.csv", text)
		in, err := openFile(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := in.close(); err != nil {
				t.Error(err)
			}
		}()
		p := &plan{Mapping: Mapping{Format: formatCSV}, delimiter: ','}
		var got [][]string
		for {
			r := record{file: in}
			if err := in.read(p, &r); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			if r.text != nil {
				got = append(got, slices.Clone(r.columns))
			}
		}
		// A line of spaces is blank here and a record there.
		want = slices.DeleteFunc(want, func(r []string) bool { return len(r) == 1 && strings.TrimSpace(r[0]) == "" })
		got = slices.DeleteFunc(got, func(r []string) bool { return len(r) == 1 && strings.TrimSpace(r[0]) == "" })
		if !slices.EqualFunc(got, want, slices.Equal[[]string]) {
			t.Fatalf("%q: got %q, want %q", text, got, want)
		}
	})
}
