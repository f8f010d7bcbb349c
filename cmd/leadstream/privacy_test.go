package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"leadstream/bench/broker"
	"leadstream/connectors/httpapi"
	"leadstream/engine"
	"leadstream/state"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const privacyRules = `
signals:
  visit: {match: 'event.type == "page"'}
  demo: {match: 'event.name == "Demo Requested"'}
scores:
  plain: {lines: [{signal: visit, add: 1}, {signal: demo, add: 100}, {id: silent, inactive: 30d, add: -1}]}
  fit: {lines: [{id: mail, when: 'traits.email.endsWith("@example.com")', add: 1}, {id: firm, when: 'account.stage == "busy"', add: 1}]}
stages: [visitor, lead]
transitions: [{from: visitor, to: lead, when: 'score.plain >= 100'}]
handoffs: [{name: hot, when: 'score.plain >= 100 && count("visit", "30d") >= 1', assign: {team: sales}}]
identity: {link_by: [email, phone]}
consent: {purposes: {email: }}
` + privacyAccounts

// somebody is a person whose identifiers can't be mistaken.
type somebody struct {
	user, device, crm, email, phone string
}

func person(i int) somebody {
	return somebody{fmt.Sprintf("zquser%04d", i), fmt.Sprintf("zqdevice%04d", i), fmt.Sprintf("zqcrm%04d", i),
		fmt.Sprintf("zqmail%04d@example.com", i), fmt.Sprintf("4955501%06d", i)}
}

func (s somebody) all() []string { return []string{s.user, s.device, s.crm, s.email, s.phone} }

// in returns the person's identifiers that are in b.
func (s somebody) in(b []byte) (found []string) {
	b = bytes.ToLower(b)
	for _, id := range s.all() {
		if bytes.Contains(b, []byte(id)) {
			found = append(found, id)
		}
	}
	return found
}

// events are what the person did, with message ids that begin with prefix.
func (s somebody) events(prefix string, at time.Time) (values []string) {
	add := func(user, device, text string) {
		values = append(values, fmt.Sprintf(`{"userId":%q,"anonymousId":%q,"messageId":"%s-%s-%d","timestamp":%q,%s}`, user, device, prefix, s.user, len(values),
			at.Add(time.Duration(len(values))*time.Millisecond).UTC().Format(time.RFC3339Nano), text))
	}
	add("", s.device, `"type":"page","properties":{"path":"/"}`)
	add(s.user, s.device, fmt.Sprintf(`"type":"identify","traits":{"email":%q,"phone":%q}`, strings.ToUpper(s.email), "+"+s.phone))
	add(s.user, "", `"type":"track","event":"Demo Requested","context":{"consent":{"categoryPreferences":{"email":true}}}`)
	add(s.crm, "", fmt.Sprintf(`"type":"identify","traits":{"email":%q}`, s.email))
	add(s.user, s.device, `"type":"page","properties":{"path":"/pricing"}`)
	add(s.user, "", `"type":"group","groupId":"firm"`)
	return values
}

// privacyRun is the test's program with what it has of people.
type privacyRun struct {
	*testProgram
	adm    *kadm.Client
	erased []somebody
}

func (p *privacyRun) sendAll(s somebody, prefix string, at time.Time) {
	for i, v := range s.events(prefix, at) {
		p.send(int32(i)%3, s.user, v)
	}
}

// found lists who of the erased is in some bytes.
func (p *privacyRun) found(b []byte) (found []string) {
	for _, s := range p.erased {
		found = append(found, s.in(b)...)
	}
	return found
}

// files lists the files under the data directory that have something of the erased.
func (p *privacyRun) files() (found []string) {
	err := filepath.WalkDir(filepath.Join(p.dir, "data"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if who := append(p.found(b), p.found([]byte(path))...); len(who) > 0 {
			found = append(found, fmt.Sprintf("%s: %v", filepath.Base(path), who))
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

// inTopic counts the records of a topic, also those that compaction has left, that have something of the erased.
func (p *privacyRun) inTopic(topic string) int {
	n := 0
	ends, err := p.adm.ListCommittedOffsets(p.t.Context(), topic)
	if err != nil {
		p.t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(p.addr), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.ConsumeTopics(topic))
	if err != nil {
		p.t.Fatal(err)
	}
	defer client.Close()
	left := map[int32]int64{}
	starts, err := p.adm.ListStartOffsets(p.t.Context(), topic)
	if err != nil {
		p.t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) {
		if s, ok := starts.Lookup(topic, o.Partition); ok && s.Offset < o.Offset {
			left[o.Partition] = o.Offset
		}
	})
	for deadline := time.Now().Add(time.Minute); len(left) > 0; {
		if time.Now().After(deadline) {
			p.t.Fatalf("%s can't be read to its end: %v", topic, left)
		}
		client.PollFetches(p.t.Context()).EachRecord(func(r *kgo.Record) {
			if who := append(p.found(r.Key), p.found(r.Value)...); len(who) > 0 && !r.Attrs.IsControl() {
				n++
			}
			for _, h := range r.Headers {
				if len(p.found(h.Value)) > 0 {
					n++
				}
			}
			if end, ok := left[r.Partition]; ok && r.Offset >= end-1 {
				delete(left, r.Partition)
			}
		})
	}
	return n
}

// log checks what the program has logged since it was started.
func (p *privacyRun) checkLog() {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "log"))
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range 8 {
		if who := person(i).in(text); len(who) > 0 {
			p.t.Errorf("the log names %v", who)
		}
	}
}

func (p *privacyRun) stop() {
	p.testProgram.stop()
	p.checkLog()
}

// cleaning sets how the broker cleans the state topic: at once, or as the program wants it.
func (p *privacyRun) cleaning(now bool) {
	p.t.Helper()
	day := "86400000"
	set := map[string]string{"min.cleanable.dirty.ratio": "0.5", "segment.ms": "604800000", "min.compaction.lag.ms": "3600000", "max.compaction.lag.ms": "9223372036854775807", "delete.retention.ms": day}
	if now {
		set = map[string]string{"min.cleanable.dirty.ratio": "0", "segment.ms": "100", "min.compaction.lag.ms": "0", "max.compaction.lag.ms": "100", "delete.retention.ms": "0"}
	}
	var alter []kadm.AlterConfig
	for k, v := range set {
		alter = append(alter, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: kadm.StringPtr(v)})
	}
	answers, err := p.adm.AlterTopicConfigs(p.t.Context(), alter, engine.TopicName(p.app, engine.TopicState))
	if err != nil || answers[0].Err != nil {
		p.t.Fatal(err, answers)
	}
}

// ask sends a request with a body to the API.
func (p *privacyRun) ask(method, path, body string) (int, []byte) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.api()+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return p.answer(p.http.Do(req))
}

// TestNothingIsLeft erases people, members of an account, of whom the program and a real broker have everything, by command line and HTTP, and looks
// at every byte that is left: of the state topic after a cleaning pass, of the audit topic, the store's files after a compaction,
// logs, metrics. What docs/privacy.md says is kept elsewhere must be all that is. Then all that they did is sent
// once more, and nobody comes back.
func TestNothingIsLeft(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a broker's cleaning pass: not in short tests")
	}
	b := broker.Shared(t)
	p := &privacyRun{testProgram: startProgram(t, testProgramConfig{rules: write(t, "privacy.yaml", privacyRules), brokers: b.Addr(), partitions: 3, shards: 3})}
	p.adm = kadm.NewClient(p.client)
	const people = 8
	began := time.Now().Add(-time.Hour)
	for i := range people {
		p.sendAll(person(i), "a", began)
	}
	linked := func(id string) bool {
		var v httpapi.LeadView
		return p.get("/v1/leads/"+id, &v) == 200 && len(v.IDs) == 2 && v.Events == 6
	}
	for i := range people {
		for _, id := range person(i).all()[:3] {
			p.wait("everybody is one lead", func() bool { return linked(id) })
		}
	}
	p.firm(0, people)
	p.stop() // now all of them are in the state topic and in the store
	p.erased = []somebody{person(0), person(1), person(2), person(3)}
	if n := p.inTopic(engine.TopicName(p.app, engine.TopicState)); n < 12 || len(p.files()) == 0 {
		t.Fatalf("%d records of the state topic and the files %v have them: the test looks at nothing", n, p.files())
	}
	p.start()
	p.exports(person(0))
	p.cleaning(true)
	p.eraseFour()
	for i := range people {
		code := p.get("/v1/leads/"+person(i).device, &httpapi.LeadView{})
		if erased := i < 4; erased != (code == 404) {
			t.Errorf("person %d: %d", i, code)
		}
	}
	p.firm(4, people)
	metrics := []byte(p.metrics())
	if who := p.found(metrics); len(who) > 0 || !bytes.Contains(metrics, []byte("leadstream_engine_nodes_removed_total")) {
		t.Errorf("the metrics name %v", who)
	}
	p.finish()
	p.stop()
	p.cleanState()
	p.checkTopics()
	p.checkStore()
	p.nobodyComesBack(began)
}

// exports looks at what is said to be kept of a person.
func (p *privacyRun) exports(s somebody) {
	p.t.Helper()
	for _, id := range []string{s.user, s.device, s.crm} {
		out, errOut, code := command(p.t, "lead", "export", id, "--server", p.api())
		var x exported
		if err := json.Unmarshal([]byte(out), &x); code != exitOK || err != nil {
			p.t.Fatalf("export: %d, %s, %v", code, errOut, err)
		}
		kinds := map[string]int{}
		for _, n := range x.Nodes {
			kinds[n.Kind]++
		}
		if kinds["lead"] != 1 || kinds["pointer"] != 2 || kinds["identifier"] != 2 || x.Lead == nil || len(x.Lead.Ledger) == 0 || len(x.Elsewhere) > 0 {
			p.t.Errorf("export of %s: %v, %+v", id, kinds, x.Lead)
		}
		for _, must := range []string{s.email, s.user, s.device, s.crm, `"Consents"`, `"Granted": true`, `"windows"`} {
			if !strings.Contains(strings.ToLower(out), strings.ToLower(must)) {
				p.t.Errorf("the export of %s does not have %s", id, must)
			}
		}
	}
	if _, _, code := command(p.t, "lead", "export", "nobody", "--server", p.api()); code != exitHTTP {
		p.t.Errorf("export of nobody: exit code %d", code)
	}
}

// eraseFour erases each person in another way.
func (p *privacyRun) eraseFour() {
	p.t.Helper()
	out, errOut, code := command(p.t, "lead", "erase", person(0).device, "--by", "officer", "--config", p.config)
	if code != exitOK || !strings.HasPrefix(out, "erased: ") {
		p.t.Errorf("lead erase: %d, %s%s", code, out, errOut)
	}
	out, errOut, code = command(p.t, "lead", "suppress", person(1).user, "--by", "officer", "--request", "case-1", "--config", p.config)
	if code != exitOK || !strings.Contains(out, "(request case-1)") {
		p.t.Errorf("lead suppress: %d, %s%s", code, out, errOut)
	}
	for i, f := range []func() (int, []byte){
		func() (int, []byte) {
			return p.ask(http.MethodDelete, "/v1/leads/"+person(2).crm+"?by=officer&wait=60s", "")
		},
		func() (int, []byte) {
			return p.ask(http.MethodPost, "/v1/leads/"+person(3).user+"/erase", `{"by":"officer","wait":"60s"}`)
		},
	} {
		code, answer := f()
		var e httpapi.Erasure
		if err := json.Unmarshal(answer, &e); err != nil || code != 200 || e.State != httpapi.ErasureDone || !e.Found || e.Removed < 2 {
			p.t.Errorf("erasure %d by HTTP: %d %s", i, code, answer)
		}
	}
}

// cleanState waits until the broker has cleaned the state topic. What was written last is never cleaned: so something is
// written behind it, as often as needed.
func (p *privacyRun) cleanState() {
	p.t.Helper()
	topic := engine.TopicName(p.app, engine.TopicState)
	for round := 0; p.inTopic(topic) > 0; round++ {
		if round == 12 {
			p.t.Fatalf("the state topic still has %d records of the erased", p.inTopic(topic))
		}
		time.Sleep(16 * time.Second) // the broker looks every 15 s
		p.cleaning(false)
		p.start()
		for i := 4; i < 8; i++ {
			p.sendAll(person(i), fmt.Sprintf("r%d", round), time.Now())
		}
		p.finish() // on every shard
		p.cleaning(true)
		p.stop()
	}
}

// checkTopics looks at all topics of the application.
func (p *privacyRun) checkTopics() {
	p.t.Helper()
	var kept []string
	for _, topic := range engine.Topics() {
		if p.inTopic(engine.TopicName(p.app, topic)) > 0 {
			kept = append(kept, topic.String())
		}
	}
	for _, topic := range kept {
		if !slices.Contains([]string{"inbox", "journal", "transitions", "handoffs", "deadletter"}, topic) {
			p.t.Errorf("topic %s has something of them", topic)
		}
	}
	if p.inTopic(p.topic) == 0 || !slices.Contains(kept, "transitions") {
		p.t.Errorf("nothing is kept in the source topic or in %v: the test looks at nothing", kept)
	}
	p.t.Logf("kept in the source topic and in %v", kept)
}

// checkStore looks at the store's files.
func (p *privacyRun) checkStore() {
	p.t.Helper()
	open := func() *state.Store {
		cluster := p.clusterID()
		st, err := state.Open(state.Options{Dir: filepath.Join(p.dir, "data"), App: p.app, ClusterID: cluster, Instance: "one"})
		if err != nil {
			p.t.Fatal(err)
		}
		return st
	}
	st := open()
	if err := st.Compact(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	nodes := 0
	for shard := range p.shards {
		err := st.Each(shard, "", func(id string, value []byte) (bool, error) {
			nodes++
			if who := append(p.found([]byte(id)), p.found(value)...); len(who) > 0 {
				p.t.Errorf("the store has %v", who)
			}
			return true, nil
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	if nodes == 0 {
		p.t.Error("the store is empty: the test looks at nothing")
	}
	if err := st.Close(); err != nil {
		p.t.Fatal(err)
	}
	if err := open().Close(); err != nil { // what is of no use any more is removed
		p.t.Fatal(err)
	}
	if found := p.files(); len(found) > 0 {
		p.t.Errorf("files have them: %v", found)
	}
}

func (p *privacyRun) clusterID() string {
	m, err := p.adm.BrokerMetadata(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return m.Cluster
}

// nobodyComesBack loses the disk, and sends all of it once more.
func (p *privacyRun) nobodyComesBack(began time.Time) {
	p.t.Helper()
	p.cleaning(false)
	if err := os.RemoveAll(filepath.Join(p.dir, "data")); err != nil {
		p.t.Fatal(err)
	}
	p.start()
	for i := range 4 {
		p.sendAll(person(i), "a", began)
		p.sendAll(person(i), "b", began.Add(time.Minute))
	}
	p.finish()
	p.finish()
	for i := range 4 {
		for _, id := range person(i).all()[:3] {
			if code := p.get("/v1/leads/"+id, &httpapi.LeadView{}); code != 404 {
				p.t.Errorf("%s is back", id)
			}
		}
	}
	for i := range 2 { // of whom the second is to be kept out
		p.send(0, person(i).user, fmt.Sprintf(`{"userId":%q,"type":"page","messageId":"new-%d","timestamp":%d}`, person(i).user, i, time.Now().UnixMilli()))
	}
	p.finish()
	var v httpapi.LeadView
	if code := p.get("/v1/leads/"+person(0).user, &v); code != 200 || v.Events != 1 {
		p.t.Errorf("who comes again is %d %+v", code, v)
	}
	if code := p.get("/v1/leads/"+person(1).user, &v); code != 404 {
		p.t.Error("who is to be kept out is there")
	}
	p.stop()
}
