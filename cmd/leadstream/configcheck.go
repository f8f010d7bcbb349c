package main

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"leadstream/connectors/formats"
	"leadstream/connectors/httpapi"
	"leadstream/connectors/kafka"
)

// check reports what is wrong with the values, beside what readYAML has found, and fills in the secrets
// that come from the environment.
func check(r *reader, c *config, sys system) {
	if c.DataDir == "" {
		r.add("data_dir", "missing; name a directory that this process may keep for itself")
	}
	if len(c.Rules) == 0 {
		r.add("rules", "missing; name at least one rule file")
	}
	for i, file := range c.Rules {
		if info, err := os.Stat(file); err != nil || info.IsDir() {
			r.add(at("rules", i), "%s can't be read as a file", filepath.Base(file))
		}
	}
	checkEngine(r, c)
	checkSources(r, c)
	checkSecrets(r, c, sys)
	checkKafka(r, c)
	checkHTTP(r, c)
	oneOf(r, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf(r, "log.format", c.Log.Format, "text", "json")
}

func at(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func oneOf(r *reader, path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		r.add(path, "expected one of %s", strings.Join(allowed, ", "))
	}
}

func checkEngine(r *reader, c *config) {
	between(r, "shards", c.Shards, 1, 4096)
	between(r, "standby_replicas", c.Standbys, 0, 15)
	between(r, "memory", c.Memory, 64<<20, 1<<40)
	between(r, "checkpoint_interval", c.CheckpointInterval, duration(time.Second), duration(24*time.Hour))
	between(r, "cut_interval", c.CutInterval, 0, duration(24*time.Hour))
	between(r, "idle_after", c.IdleAfter, duration(time.Second), duration(24*time.Hour))
	between(r, "watermark_wait", c.WatermarkWait, duration(time.Second), duration(24*time.Hour))
	between(r, "epoch.commit_interval", c.Epoch.CommitInterval, duration(time.Millisecond), duration(10*time.Second))
	between(r, "epoch.max_records", c.Epoch.MaxRecords, 1, 10_000_000)
	between(r, "epoch.max_timers", c.Epoch.MaxTimers, 1, 10_000_000)
	between(r, "epoch.max_outputs", c.Epoch.MaxOutputs, 1, 10_000_000)
	between(r, "epoch.max_bytes", c.Epoch.MaxBytes, 64<<10, 1<<30)
}

func between[T int | size | duration](r *reader, path string, v, least, most T) {
	if v < least || v > most {
		r.add(path, "%v is not between %v and %v", v, least, most)
	}
}

func checkSources(r *reader, c *config) {
	if len(c.Sources) == 0 {
		r.add("sources", "missing; name at least one source topic")
	}
	names, topics := map[string]bool{}, map[string]bool{}
	for i, s := range c.Sources {
		path := at("sources", i)
		switch {
		case s.Topic == "":
			r.add(path+".topic", "missing")
		case topics[s.Topic]:
			r.add(path+".topic", "topic %q is there twice", s.Topic)
		case names[s.Name]:
			r.add(path+".name", "name %q is there twice", s.Name)
		}
		names[s.Name], topics[s.Topic] = true, true
		oneOf(r, path+".format", s.Format, formatSegment, formatJSON, formatCloudEvents)
		switch {
		case s.Format == formatJSON && s.Mapping == nil:
			r.add(path+".mapping", "missing; format json needs to know where each field is found")
			continue
		case s.Format == formatSegment && s.Mapping != nil:
			r.add(path+".mapping", "format segment has no mapping; use format json or cloudevents")
			continue
		}
		between(r, path+".max_bytes", s.MaxBytes, 1, 512<<20)
		if _, err := formats.New(s.formats()); err != nil {
			addFaults(r, path, err)
		}
	}
}

// addFaults reports the faults that err joins. A fault that begins with the name of a key, as in
// "mapping type: ...", is reported there.
func addFaults(r *reader, path string, err error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		key, rest, _ := strings.Cut(err.Error(), ": ")
		key = strings.ReplaceAll(key, " ", ".")
		for k := key; k != ""; k = k[:max(strings.LastIndexByte(k, '.'), 0)] {
			if full := strings.TrimPrefix(path+"."+k, "."); r.has(full) {
				r.add(full, "%s", rest)
				return
			}
		}
		r.add(path, "%s", err)
		return
	}
	for _, fault := range joined.Unwrap() {
		addFaults(r, path, fault)
	}
}

// checkSecrets finds secrets that come from the environment, and sees that each comes from one place.
func checkSecrets(r *reader, c *config, sys system) {
	s := &c.SASL
	fromEnv(r, sys, "sasl.password", &s.Password, s.PasswordFile, s.PasswordEnv)
	fromEnv(r, sys, "sasl.token", &s.Token, s.TokenFile, s.TokenEnv)
	h := &c.HTTP
	fromEnv(r, sys, "http.token_hashes", &h.TokenHashes, h.TokenHashesFile, h.TokenHashesEnv)
}

func fromEnv(r *reader, sys system, path string, value *secret, file, env string) {
	given := 0
	for _, v := range []string{string(*value), file, env} {
		if v != "" {
			given++
		}
	}
	if given > 1 {
		r.add(path, "give only one of %[1]s, %[1]s_file and %[1]s_env", path[strings.LastIndexByte(path, '.')+1:])
	}
	if env == "" {
		return
	}
	v, ok := sys.getenv(env)
	if !ok || v == "" {
		r.add(path+"_env", "environment variable %s is not set", env)
	}
	*value = secret(v)
}

func checkKafka(r *reader, c *config) {
	if c.Embedded.Enabled {
		if len(c.Brokers) > 0 {
			r.add("brokers", "the embedded broker is enabled; leave one of the two out")
		}
		if c.TLS.Enabled || c.SASL.Mechanism != "" {
			r.add("embedded", "the embedded broker has neither tls nor sasl")
		}
		if c.Embedded.DataDir == "" {
			r.add("embedded.data_dir", "missing; name the directory in which the embedded broker keeps its topics")
		}
		return
	}
	if err := c.kafka().Validate(); err != nil {
		if joined, ok := errors.AsType[interface {
			error
			Unwrap() []error
		}](err); ok {
			for _, fault := range joined.Unwrap() {
				if !errors.Is(fault, kafka.ErrConfig) {
					addFaults(r, "", fault)
				}
			}
		}
	}
}

func checkHTTP(r *reader, c *config) {
	if (c.HTTP.TLS.CertFile == "") != (c.HTTP.TLS.KeyFile == "") {
		r.add("http.tls", "cert_file and key_file go together")
	}
	if u, err := url.Parse(c.HTTP.Advertise); c.HTTP.Advertise != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		r.add("http.advertise", "%q is not a URL like http://leads-1:8080", c.HTTP.Advertise)
	}
	between(r, "http.max_subscribers", c.HTTP.MaxSubscribers, 1, 100_000)
	tokens, err := c.HTTP.tokens()
	if err != nil {
		addFaults(r, "http.token_hashes", err)
	}
	if err := httpapi.CheckListen(c.HTTP.Listen, tokens); err != nil {
		r.add("http.listen", "%s", err)
	}
}
