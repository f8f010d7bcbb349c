package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"leadstream/connectors/httpapi"
)

const exampleConfig = "../../deploy/leadstream.yaml"

// testSystem has the given environment.
func testSystem(env map[string]string) system {
	return system{
		getenv:   func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		hostname: func() (string, error) { return "host 1.example", nil },
	}
}

// TestExampleHasEveryKey: the example is the reference of all keys, so that none may be missing.
func TestExampleHasEveryKey(t *testing.T) {
	text, err := os.ReadFile(exampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	c := defaultConfig()
	r := readYAML(exampleConfig, text, &c)
	if err := r.err(); err != nil {
		t.Fatal(err)
	}
	c.Sources[0].Mapping = c.Sources[1].Mapping
	var missing []string
	walkKeys(reflect.ValueOf(c), "", func(path string) {
		path = strings.Replace(path, "sources[0].mapping", "sources[1].mapping", 1)
		if !r.has(path) {
			missing = append(missing, path)
		}
	})
	if len(missing) > 0 {
		t.Errorf("%s lacks %s", exampleConfig, strings.Join(missing, ", "))
	}
}

// walkKeys calls fn for the path of every field, of lists and maps with those of one element.
func walkKeys(v reflect.Value, path string, fn func(string)) {
	switch v.Kind() {
	case reflect.Pointer:
		walkKeys(v.Elem(), path, fn)
	case reflect.Struct:
		for f, fv := range v.Fields() {
			at := strings.TrimPrefix(path+"."+f.Tag.Get("yaml"), ".")
			fn(at)
			walkKeys(fv, at, fn)
		}
	case reflect.Slice:
		if v.Len() > 0 {
			walkKeys(v.Index(0), path+"[0]", fn)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			walkKeys(v.MapIndex(key), path+"."+key.String(), fn)
		}
	}
}

// TestExampleShowsDefaults: whatever the example says beside its sources, brokers, files and names is what
// holds without it.
func TestExampleShowsDefaults(t *testing.T) {
	text, err := os.ReadFile(exampleConfig)
	if err != nil {
		t.Fatal(err)
	}
	c := defaultConfig()
	if err := readYAML(exampleConfig, text, &c).err(); err != nil {
		t.Fatal(err)
	}
	web := defaultSource()
	web.Name, web.Topic = "web", "events"
	if !reflect.DeepEqual(c.Sources[0], web) {
		t.Errorf("source %+v, want %+v", c.Sources[0], web)
	}
	want := defaultConfig()
	want.Instance, want.Brokers, want.Topics, want.Sources, want.Rules, want.DataDir =
		c.Instance, c.Brokers, c.Topics, c.Sources, c.Rules, c.DataDir
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
}

// write puts files into a new directory and returns the path of the first one.
func write(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, files[0])
}

const smallConfig = "brokers: [b:9092]\nsources: [{topic: events}]\nrules: [r.yaml]\ndata_dir: data\n"

func TestLoadConfig(t *testing.T) {
	file := write(t, "c.yaml", smallConfig+"sasl: {mechanism: PLAIN, user: u, password_env: P, allow_plaintext: true}\n", "r.yaml", "")
	c, err := loadConfig(file, testSystem(map[string]string{"P": "hunter2"}))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(file)
	if c.Rules[0] != filepath.Join(dir, "r.yaml") || c.DataDir != filepath.Join(dir, "data") {
		t.Errorf("paths %s, %s are not relative to the file", c.Rules[0], c.DataDir)
	}
	if c.Instance != "host-1.example" || c.Sources[0].Name != "events" || c.Sources[0].Format != "segment" {
		t.Errorf("defaults: instance %q, source %+v", c.Instance, c.Sources[0])
	}
	if k := c.kafka(); k.SASL.Password != "hunter2" || k.App != "leadstream" || k.Shards != 8 || k.MaxSourceRecord != 1<<20+4096 {
		t.Errorf("kafka: app %s, shards %d, source record %d", k.App, k.Shards, k.MaxSourceRecord)
	}
}

// TestSecretsFromTheEnvironment: each secret has a key that names an environment variable.
func TestSecretsFromTheEnvironment(t *testing.T) {
	_, hash := httpapi.NewToken()
	file := write(t, "c.yaml", smallConfig+"sasl: {mechanism: OAUTHBEARER, token_env: T, allow_plaintext: true}\n"+
		"http: {listen: ':80', token_hashes_env: H}\n", "r.yaml", "")
	c, err := loadConfig(file, testSystem(map[string]string{"T": "hunter2", "H": hash + " ops"}))
	if err != nil {
		t.Fatal(err)
	}
	if k := c.kafka(); k.SASL.Token != "hunter2" {
		t.Error("no token from the environment")
	}
	if tokens, err := c.HTTP.tokens(); err != nil || len(tokens) != 1 || tokens[0].Roles != httpapi.RoleOps {
		t.Errorf("%d token hashes from the environment, %v", len(tokens), err)
	}
}

func TestLoadConfigReportsEveryMistake(t *testing.T) {
	file := write(t, "c.yaml", `app: "no spaces"
brokers: [broker]
shards: 0
tls: {cert_file: x}
sasl:
  mechanism: PLAIN
  user: u
  password: hunter2
  password_file: p
topics: {journals: {}}
sources:
  - {topic: a, format: json}
  - {topic: a, format: xml}
  - topic: b
    format: json
    mapping:
      type: const:nothing
      timestamp: a..b
  - {topic: c, mapping: {type: a}}
  - {name: d}
rules: [nowhere.yaml]
memory: 1MiB
epoch: {commit_interval: 1h}
http:
  listen: 0.0.0.0:80
  token_hashes_env: NOPE
  tls: {cert_file: x}
log: {level: loud, format: xml}
`)
	_, err := loadConfig(file, testSystem(nil))
	if err == nil {
		t.Fatal("no error")
	}
	var got []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if text, ok := strings.CutPrefix(line, file); ok {
			got = append(got, text)
		}
	}
	want := []string{
		": data_dir: missing; name a directory",
		":1:1: app: \"no spaces\" has characters",
		":2:1: brokers: \"broker\" is not host:port",
		":3:1: shards: 0 is not between 1 and 4096",
		":4:1: tls: files are given but it is not enabled",
		":5:1: sasl: PLAIN needs a password or a password file, not both",
		":5:1: sasl: PLAIN sends the secret itself",
		":8:3: sasl.password: give only one of password, password_file and password_env",
		":10:1: topics: \"journals\" is not a topic of ours",
		":12:5: sources[0].mapping: missing; format json",
		":13:6: sources[1].topic: topic \"a\" is there twice",
		":13:16: sources[1].format: expected one of segment, json, cloudevents",
		":16:5: sources[2].mapping: neither user_id nor anonymous_id",
		":17:7: sources[2].mapping.type: ",
		":18:7: sources[2].mapping.timestamp: \"a..b\" has an empty step",
		":19:16: sources[3].mapping: format segment has no mapping",
		":20:5: sources[4].topic: missing",
		":21:9: rules[0]: nowhere.yaml can't be read as a file",
		":22:1: memory: 1MiB is not between 64MiB and 1TiB",
		":23:9: epoch.commit_interval: 1h is not between 1ms and 10s",
		":25:3: http.listen: 0.0.0.0:80 is open to other machines",
		":26:3: http.token_hashes_env: environment variable NOPE is not set",
		":27:3: http.tls: cert_file and key_file go together",
		":28:7: log.level: expected one of debug",
		":28:20: log.format: expected one of text",
	}
	for _, w := range want {
		found := false
		for i, g := range got {
			if strings.HasPrefix(g, w) {
				got = append(got[:i:i], got[i+1:]...)
				found = true
				break
			}
		}
		if !found {
			t.Errorf("missing: %s", w)
		}
	}
	for _, g := range got {
		t.Errorf("not expected: %s", g)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("the error shows a secret")
	}
	if exitCode(err) != exitConfig {
		t.Errorf("exit code %d", exitCode(err))
	}
}

func TestLoadConfigRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":        "sources: missing",
		"a: b: c": "not YAML",
		smallConfig + "embedded: {enabled: true}":                                                     "brokers: the embedded broker is enabled",
		strings.Replace(smallConfig, "brokers: [b:9092]", "embedded: {enabled: true}", 1):             "embedded.data_dir: missing",
		strings.Replace(smallConfig, "brokers: [b:9092]", "", 1):                                      "brokers: none given",
		smallConfig + "http: {token_hashes: hunter2}":                                                 "http.token_hashes: line 1: the first word is no SHA-256",
		smallConfig + "http: {token_hashes_file: r.yaml}":                                             "the list of token hashes is empty",
		smallConfig + "http: {token_hashes_file: gone}":                                               "no such file",
		smallConfig + "sasl: {mechanism: OAUTHBEARER, token_env: T, allow_plaintext: true, token: x}": "give only one of token",
	} {
		_, err := loadConfig(write(t, "c.yaml", text, "r.yaml", ""), testSystem(map[string]string{"T": "t"}))
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, errConfig) {
			t.Errorf("%q: %v\nwant %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error shows a secret: %v", text, err)
		}
	}
	if _, err := loadConfig(filepath.Join(t.TempDir(), "no.yaml"), testSystem(nil)); exitCode(err) != exitConfig {
		t.Errorf("no file: %v", err)
	}
}

// TestPrintConfig: what is printed is a configuration that means the same, but for secrets.
func TestPrintConfig(t *testing.T) {
	_, hash := httpapi.NewToken()
	file := write(t, "c.yaml", smallConfig+"sasl: {mechanism: PLAIN, user: u, password: hunter2, allow_plaintext: true}\n"+
		"http: {token_hashes: "+hash+"}\ntopics: {journal: {settings: {segment.ms: 5}}}\n", "r.yaml", "")
	c, err := loadConfig(file, testSystem(nil))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := printConfig(&out, c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), hash) || !strings.Contains(out.String(), redacted) {
		t.Errorf("secrets in\n%s", out.String())
	}
	again := defaultConfig()
	if err := readYAML("printed", out.Bytes(), &again).err(); err != nil {
		t.Fatal(err)
	}
	again.SASL.Password, again.HTTP.TokenHashes = c.SASL.Password, c.HTTP.TokenHashes
	if !reflect.DeepEqual(&again, c) {
		t.Errorf("printed and read again: %+v\nwant %+v\n%s", again, *c, out.String())
	}
	if _, err := yaml.Dump(c); err != nil {
		t.Fatal(err)
	}
}

func FuzzReadYAML(f *testing.F) {
	f.Add(smallConfig)
	f.Add("epoch: {max_records: 1}\nsources: [{}, {mapping: {}}]")
	f.Fuzz(func(t *testing.T, text string) {
		c := defaultConfig()
		r := readYAML("c.yaml", []byte(text), &c)
		if r.err() != nil || !r.has("brokers") {
			return
		}
		check(r, &c, testSystem(nil))
	})
}
