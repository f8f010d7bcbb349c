package importer

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// input writes a file to import.
func input(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// imported runs an import and returns the records as "key time value".
func imported(t *testing.T, mapping string, files ...string) ([]string, Stats) {
	t.Helper()
	m, err := ParseMapping([]byte(mapping))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	stats, err := Run(t.Context(), m, files, func(key, value []byte, ts int64) error {
		var doc struct{ Timestamp any }
		if err := json.Unmarshal(value, &doc); err != nil {
			t.Errorf("%s: %v", value, err)
		}
		got = append(got, string(key)+" "+string(value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if stats.Records != stats.Events+stats.Bad || stats.Events != len(got) {
		t.Errorf("something was dropped: %+v, %d events", stats, len(got))
	}
	return got, stats
}

func check(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func faults(s Stats) []string {
	var all []string
	for _, f := range s.Faults {
		f.File = filepath.Base(f.File)
		all = append(all, f.String())
	}
	return all
}

func TestCSV(t *testing.T) {
	const mapping = `
format: csv
user_id: "c{id}"
time: {value: "{at}"}
event: "{what}"
events: {a: Asked, "*": Other}
properties:
  - {name: note, value: "{note}"}
  - {name: n, value: "{n}", as: number}
  - {name: ok, value: "{ok}", as: boolean}
  - {name: where, value: "{file} {line} {{}}"}
`
	file := input(t, "x.csv", "\xef\xbb\xbfid,at,what,note,n,ok\r\n"+
		"1,2026-11-21T19:00:00Z,a,\"said \"\"hi\"\",\nthen left\",007,yes\r\n"+
		"\r\n"+
		"2,2026-11-21T18:00:00+01:00,b,,1e3,\r\n"+
		"3,soon,a,,,\r\n"+
		"4,2026-11-21,a,,many,\r\n"+
		"5,2026-11-21,a,,,maybe\r\n"+
		"6,2026-11-21,a\r\n"+
		"7,1969-12-31,a,,,\r\n"+
		"8,,a,,,\r\n"+
		"9,2026-11-21,,x,,\r\n"+
		"10,2026-11-21,a,\"never closed,,\r\n11,2026-11-21,a,,,")
	got, stats := imported(t, mapping, file)
	check(t, got, []string{
		`c1 {"type":"track","messageId":"x.csv:2","userId":"c1","timestamp":"2026-11-21T19:00:00.000Z","event":"Asked",` +
			`"properties":{"note":"said \"hi\",\nthen left","n":7,"ok":true,"where":"x.csv 2 {}"}}`,
		`c2 {"type":"track","messageId":"x.csv:5","userId":"c2","timestamp":"2026-11-21T17:00:00.000Z","event":"Other",` +
			`"properties":{"n":1e3,"where":"x.csv 5 {}"}}`,
	})
	check(t, faults(stats), []string{
		"x.csv:6: the time does not fit the layout",
		"x.csv:7: properties n is not a number",
		"x.csv:8: properties ok is not a boolean",
		"x.csv:9: the number of columns is not the header's",
		"x.csv:10: the time is before 1970",
		"x.csv:11: there is no time",
		"x.csv:12: the event's name is empty",
		"x.csv:13: a quote is never closed (it was read up to line 14)",
	})
	if stats.Blank != 1 || stats.Files != 1 {
		t.Errorf("%+v", stats)
	}
}

func TestCSVWithoutHeader(t *testing.T) {
	got, _ := imported(t, `
format: csv
delimiter: ";"
skip_lines: 1
columns: [who, when]
type: page
anonymous_id: "{who}"
message_id: "{who}-{when}"
time: {value: "{when}", layout: unix}
event: Home
`, input(t, "x", "made by somebody\na;1795287600.5\n"))
	check(t, got, []string{`a {"type":"page","messageId":"a-1795287600.5","anonymousId":"a","timestamp":"2026-11-21T19:00:00.500Z","name":"Home"}`})
}

func TestFieldsAndSorting(t *testing.T) {
	one := input(t, "one.txt", "  who  date n\n b  20261122 1 \n a 20261121 2\n")
	two := filepath.Join(t.TempDir(), "two.txt.gz")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte("who date n\nc\t20261121 3\n")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(z.Close(), os.WriteFile(two, packed.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	got, stats := imported(t, `
format: fields
user_id: "{who}"
time: {value: "{date}", layout: "%Y%m%d"}
event: Bought
sort: true
`, one, two)
	check(t, got, []string{
		`a {"type":"track","messageId":"one.txt:3","userId":"a","timestamp":"2026-11-21T00:00:00.000Z","event":"Bought"}`,
		`c {"type":"track","messageId":"two.txt:2","userId":"c","timestamp":"2026-11-21T00:00:00.000Z","event":"Bought"}`,
		`b {"type":"track","messageId":"one.txt:2","userId":"b","timestamp":"2026-11-22T00:00:00.000Z","event":"Bought"}`,
	})
	if stats.Last-stats.First != 86_400_000 {
		t.Errorf("%+v", stats)
	}
}

func TestJSONLines(t *testing.T) {
	got, stats := imported(t, `
format: jsonl
type: identify
user_id: "{user.id}"
time: {value: "{at}", layout: unix_ms}
traits:
  - {name: email, value: "{user.email}"}
  - {name: size, value: "{user.size}"}
  - {name: tags, value: "{tags}"}
  - {name: label, value: "{user.size}!"}
`, input(t, "x.jsonl", `{"at":1795287600000,"user":{"id":7,"email":"jane@example.com","size":3},"tags":["a"]}`+"\n"+
		`{"at":1795287600000,"user":{"email":"jane@example.com"}}`+"\n"+`{"at":`+"\n"+`[]`))
	check(t, got, []string{`7 {"type":"identify","messageId":"x.jsonl:1","userId":"7","timestamp":"2026-11-21T19:00:00.000Z",` +
		`"traits":{"email":"jane@example.com","size":3,"tags":["a"],"label":"3!"}}`})
	check(t, faults(stats), []string{"x.jsonl:2: there is no id", "x.jsonl:3: not JSON at byte 6", "x.jsonl:4: not a JSON object"})
}

func TestSegmentLines(t *testing.T) {
	const good = `{"type":"track","event":"E","anonymousId":"a","timestamp":"2026-11-21T19:00:00Z","extra":[1]}`
	got, stats := imported(t, "format: segment\n", input(t, "x.jsonl", good+"\n"+
		`{"type":"track","event":"E","userId":"jane@example.com"}`+"\n"+`{"type":"jane@example.com","userId":"u"}`+"\n"))
	check(t, got, []string{"a " + good})
	check(t, faults(stats), []string{"x.jsonl:2: there is no readable timestamp",
		"x.jsonl:3: unknown_type: not one of track, identify, page, screen, group, alias"})
}

func TestAliasAndGroup(t *testing.T) {
	file := input(t, "x.csv", "a,b,at\nold,new,2026-11-21\n,new,2026-11-21\n")
	got, stats := imported(t, "{format: csv, type: alias, previous_id: '{a}', user_id: '{b}', time: {value: '{at}', zone: Europe/Berlin}}", file)
	check(t, got, []string{`old {"type":"alias","messageId":"x.csv:2","userId":"new","previousId":"old","timestamp":"2026-11-20T23:00:00.000Z"}`})
	check(t, faults(stats), []string{"x.csv:3: there is no id"})
	got, _ = imported(t, "{format: csv, type: group, group_id: '{a}', user_id: '{b}', time: {value: '{at}'}}", file)
	if len(got) != 2 || !strings.Contains(got[0], `"groupId":"old"`) || strings.Contains(got[1], "groupId") {
		t.Errorf("%v", got)
	}
}

func TestLongLines(t *testing.T) {
	long := strings.Repeat("x", maxRecordBytes+1)
	file := input(t, "x.csv", "id,at\n"+long+",2026-11-21\n1,2026-11-21\n"+strings.Repeat("y", 1025)+",2026-11-21\n\""+strings.Repeat("z\n", maxRecordBytes/2)+"\"\n2,2026-11-21\n")
	got, stats := imported(t, "{format: csv, user_id: '{id}', time: {value: '{at}'}}", file)
	if len(got) != 2 || stats.Bad != 3 {
		t.Errorf("%d events, %v", len(got), faults(stats))
	}
}

func TestFaultsAreBounded(t *testing.T) {
	_, stats := imported(t, "{format: csv, user_id: '{id}', time: {value: '{at}'}}", input(t, "x.csv", "id,at\n"+strings.Repeat("1,x\n", 3*MaxFaults)))
	if stats.Bad != 3*MaxFaults || len(stats.Faults) != MaxFaults {
		t.Errorf("%d bad, %d shown", stats.Bad, len(stats.Faults))
	}
}

func TestRunErrors(t *testing.T) {
	good := input(t, "x.csv", "id,at\n1,2026-11-21\n2,2026-11-21\n")
	m := Mapping{Format: "csv", UserID: "{id}", Time: Time{Value: "{at}"}}
	sorted := m
	sorted.Sort, sorted.SortMax = true, 1
	other := m
	other.UserID = "{nobody}"
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(bytes.Repeat([]byte("1,2026-11-21\n"), 1000)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	broken := input(t, "x.csv.gz", packed.String()[:packed.Len()-20])
	full := errors.New("the topic is full")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	ok := func([]byte, []byte, int64) error { return nil }
	for _, test := range []struct {
		name string
		ctx  context.Context
		m    Mapping
		file string
		emit func(key, value []byte, ts int64) error
		want string
	}{
		{"mapping", t.Context(), Mapping{}, good, ok, "format: missing"},
		{"no file", t.Context(), m, good + ".no", ok, "opening"},
		{"no column", t.Context(), other, good, ok, `there is no column "nobody"; columns are id, at`},
		{"too many to sort", t.Context(), sorted, good, ok, "more than 1 events"},
		{"emit", t.Context(), m, good, func([]byte, []byte, int64) error { return full }, full.Error()},
		{"context", stopped, m, good, ok, context.Canceled.Error()},
		{"cut off", t.Context(), Mapping{Format: "csv", Columns: []string{"id", "at"}, UserID: "{id}", Time: m.Time}, broken, ok, "unexpected EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Run(test.ctx, test.m, []string{test.file}, test.emit)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if stats, err := Run(t.Context(), m, []string{input(t, "empty.csv", "")}, ok); err != nil || stats.Records != 0 {
		t.Errorf("an empty file: %+v, %v", stats, err)
	}
}

func TestMappingFaults(t *testing.T) {
	for mapping, wants := range map[string][]string{
		"format: xml":  {`"xml" is none of`},
		"formt: csv":   {"formt"},
		"format: [csv": {"reading mapping"},
		"{format: csv, type: click, time: {value: '{a', layout: '%Q', zone: Mars/Olympus}, header: false, delimiter: '||', sort_max: -1, skip_lines: -1, " +
			"events: {a: b}, properties: [{name: x, value: '{}', as: date}, {name: x}, {value: '}'}]}": {
			"type:", "brace", "%Q", "time zone", "columns: missing", "delimiter", "sort_max", "skip_lines", "events:", "as:", "twice", "no name", "names no column", "user_id"},
		"{format: csv, columns: [a], user_id: '{b}', time: {value: '{a}', layout: 2006-01-02}}": {"{b}: not among", "time layout"},
		"{format: jsonl, header: true, delimiter: ';', type: alias, time: {value: x}}":          {"neither", "only csv", "previous_id"},
		"{format: segment, user_id: x, sort: true, events: {a: b}}":                             {"events:", "user_id:"},
		"{format: csv, user_id: '{a}', time: {value: '{a}', layout: '%Y-%m-%d Week'}}":          {"stands for itself"},
		"{format: csv, user_id: '{a}', time: {value: '{a}', layout: 'yyyy'}}":                   {"no pattern"},
		"{format: csv, user_id: '{a}', time: {value: '{a}', layout: '%Y%'}}":                    {"percent"},
	} {
		_, err := ParseMapping([]byte(mapping))
		if err == nil {
			t.Errorf("%s is accepted", mapping)
			continue
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q is not in %v", mapping, want, err)
			}
		}
	}
}

func TestLayouts(t *testing.T) {
	for _, test := range []struct {
		layout, zone, text string
		want               int64 // -1: refused
	}{
		{"", "", "2026-11-21T19:00:00.123Z", 1795287600123},
		{"iso8601", "Europe/Berlin", "2026-11-21T20:00:00.123", 1795287600123},
		{"iso8601", "Europe/Berlin", "2026-11-21 19:00:00Z", 1795287600000},
		{"iso8601", "Europe/Berlin", "2026-07-01", 1782856800000},
		{"iso8601", "", "x", -1}, {"iso8601", "Europe/Berlin", "x", -1}, {"iso8601", "", " ", -1},
		{"unix", "", "1795287600.1234", 1795287600123}, {"unix", "", "-1", -1}, {"unix", "", "NaN", -1}, {"unix", "", "1e300", -1},
		{"unix_ms", "", "1795287600123", 1795287600123}, {"unix_ms", "", "x", -1},
		{"%d.%m.%Y %H:%M:%S", "Europe/Berlin", "21.11.2026 20:00:00", 1795287600000},
		{"%Y-%m-%d %H:%M:%S.%f", "", "2026-11-21 19:00:00.5", 1795287600500},
		{"%Y-%m-%dT%H:%M:%S.%f%z", "", "2026-11-21T20:00:00.123456+0100", 1795287600123},
		{"%b %e, %Y %I:%M %p", "", "Nov 21, 2026 07:00 PM", 1795287600000},
		{"%Y-%m-%d", "", "21.11.2026", -1}, {"%Y-%m-%d", "", "1969-01-01", -1},
	} {
		c := compiler{plan: plan{Mapping: Mapping{Time: Time{Layout: test.layout, Zone: test.zone}}}}
		c.layout()
		if err := c.err(); err != nil {
			t.Fatal(err)
		}
		got, err := c.plan.layout.parse(test.text)
		if (err != nil) != (test.want < 0) || err == nil && got != test.want {
			t.Errorf("%q in %q: %d, %v; want %d", test.text, test.layout, got, err, test.want)
		}
	}
}
