package main

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestReadYAMLReportsEveryMistake(t *testing.T) {
	const text = `app: [a]
brokers: localhost:9092
shrads: 4
tls: yes please
memory: 12
epoch:
  commit_interval: 1 minute
  max_record: 5
  max_records: many
sources:
  - topic: a
    histroy: true
    mapping: {typ: x}
  - words
app: b
log: {level: info, level: debug}
topics: {inbox: {settings: {a: 1}}}
http: *anchor
`
	c := defaultConfig()
	r := readYAML("c.yaml", []byte(strings.Replace(text, "http: *anchor\n", "", 1)), &c)
	err := r.err()
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		"c.yaml:1:6: app: expected text, found a list",
		"c.yaml:2:10: brokers: expected a list, found text",
		`c.yaml:3:1: unknown key "shrads" (did you mean "shards"?)`,
		"c.yaml:4:6: tls: expected keys with values, found text",
		"c.yaml:5:9: memory: not a size: write it like 512MiB, 64KiB or 2GiB",
		"c.yaml:7:20: epoch.commit_interval: not a duration: write it like 30d, 1d12h, 15m, 90s or 250ms",
		`c.yaml:8:3: unknown key "epoch.max_record" (did you mean "max_records"?)`,
		"c.yaml:9:16: epoch.max_records: expected a whole number, found text",
		`c.yaml:12:5: unknown key "sources[0].histroy" (did you mean "history"?)`,
		`c.yaml:13:15: unknown key "sources[0].mapping.typ" (did you mean "type"?)`,
		"c.yaml:14:5: sources[1]: expected keys with values, found text",
		`c.yaml:15:1: key "app" is there twice`,
		`c.yaml:16:20: key "log.level" is there twice`,
	}
	if got := strings.Split(err.Error(), "\n"); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c.Topics["inbox"].Settings["a"] != "1" {
		t.Errorf("topics %v", c.Topics)
	}
}

func TestReadYAMLRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"a: b: c":                     "c.yaml:1:5: not YAML",
		"- a":                         "c.yaml:1:1: the configuration: expected keys with values, found a list",
		"app: a\n---\napp: b":         "one YAML document",
		"tls: &x {}\nsasl: *x":        "c.yaml:2:7: sasl: aliases are not supported",
		"embedded: {enabled: on}":     "embedded.enabled: expected true or false, found text",
		"zzz: 1":                      "expected one of app, instance",
		"sasl: {password: [hunter2]}": "sasl.password: expected text, found a list",
	} {
		c := defaultConfig()
		err := readYAML("c.yaml", []byte(text), &c).err()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error repeats a secret: %v", text, err)
		}
	}
}

func TestReadYAMLKeepsDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "app:\nepoch:\nsources: []\n"} {
		c := defaultConfig()
		if err := readYAML("c.yaml", []byte(text), &c).err(); err != nil || !reflect.DeepEqual(c, defaultConfig()) {
			t.Errorf("%q: %v, %+v", text, err, c)
		}
	}
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "250ms": 250 * time.Millisecond, "90s": 90 * time.Second, "1d12h": 36 * time.Hour,
		"1d1h1m1s1ms": 25*time.Hour + time.Minute + time.Second + time.Millisecond, "30d": 720 * time.Hour,
	} {
		got, err := parseDuration(text)
		if err != nil || time.Duration(got) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(got), err)
		}
		if again, err := parseDuration(got.String()); err != nil || again != got {
			t.Errorf("%s: written %s", text, got)
		}
	}
	for _, text := range []string{"", "1", "s", "1.5h", "-1s", "1s1m", "1h1h", "1w", "1d 2h", "99999999999999999999s", "40000d"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
	for text, want := range map[string]size{"0B": 0, "1B": 1, "64KiB": 65536, "512MiB": 512 << 20, "1.5GiB": -1, "2GiB": 2 << 30,
		"-1B": -1, "": -1, "5": -1, "5MB": -1, "99999999TiB": -1} {
		got, err := parseSize(text)
		if (err == nil) != (want >= 0) || err == nil && got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
		if err == nil && got.String() != text {
			t.Errorf("%q: written %s", text, got)
		}
	}
}
