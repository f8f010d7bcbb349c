package engine_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/rules"
)

const eraseRules = testRules + `
identity: {link_by: email}
retention: 20d
erase_grace: 5d
`

// tell says a command to a lead through the inbox.
func (r *rig) tell(id string, c rules.Command) {
	r.t.Helper()
	m, shard, err := engine.CommandLead(id, c, r.shards)
	if err != nil {
		r.t.Fatal(err)
	}
	r.log.Append(engine.TopicName("app", engine.TopicInbox), shard, nil, m, r.clock())
}

// event writes an event to some partition.
func (r *rig) event(part int32, at int64, format string, args ...any) {
	body := fmt.Sprintf(format, args...)
	r.log.Append("web", part%r.parts["web"], nil, fmt.Appendf(nil, `{"timestamp":%d,%s}`, at, body), r.clock())
}

// cleaned counts the audit records of a request by type.
func (r *rig) audited(request string) map[string]int {
	n := map[string]int{}
	for _, rec := range r.log.Output(engine.TopicAudit) {
		if string(rec.Key) == request {
			_, rest, _ := strings.Cut(string(rec.Value), `"type":"`)
			kind, _, _ := strings.Cut(rest, `"`)
			n[kind]++
		}
	}
	return n
}

// awaitCleaned waits until all nodes that an erasure removed are gone from the state topic.
func (r *rig) awaitCleaned(request string, nodes int) {
	r.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for r.audited(request)["cleaned"] < nodes {
		if time.Now().After(deadline) {
			r.t.Fatalf("request %s: %v, want %d cleaned", request, r.audited(request), nodes)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// stored is the state topic as a cleaning pass leaves it.
func (r *rig) stored() map[string][]byte {
	m := map[string][]byte{}
	for _, rec := range r.log.Output(engine.TopicState) {
		if m[string(rec.Key)] = rec.Value; rec.Value == nil {
			delete(m, string(rec.Key))
		}
	}
	return m
}

// uniqueOutputs fails when two outputs have one id.
func (r *rig) uniqueOutputs() {
	r.t.Helper()
	seen := map[string]bool{}
	for _, t := range []engine.Topic{engine.TopicTransitions, engine.TopicHandoffs} {
		for _, rec := range r.log.Output(t) {
			_, rest, _ := strings.Cut(string(rec.Value), `"id":"`)
			id, _, _ := strings.Cut(rest, `"`)
			if seen[id] {
				r.t.Fatalf("two outputs with id %s", id)
			}
			seen[id] = true
		}
	}
}

// person makes a lead of four ids and an e-mail address, with outputs.
func (r *rig) person(at int64) {
	r.event(0, at, `"messageId":"a1","anonymousId":"phone-77","type":"track","event":"Demo Requested"`)
	r.event(1, at+1, `"messageId":"a2","anonymousId":"laptop-77","userId":"jane-77","type":"page"`)
	r.event(2, at+2, `"messageId":"a3","anonymousId":"phone-77","userId":"jane-77","type":"identify","traits":{"email":"jane77@example.com","title":"CTO"}`)
	r.event(3, at+3, `"messageId":"a4","previousId":"old-77","userId":"jane-77","type":"alias"`)
}

var personIDs = []string{"jane-77", "phone-77", "laptop-77", "old-77", "jane77@example.com"}

// TestErase takes a person away through each of their ids.
func TestErase(t *testing.T) {
	for _, by := range personIDs[:4] {
		t.Run(by, func(t *testing.T) {
			r := newRig(t, 3)
			r.set = mustRules(t, eraseRules)
			r.produce(8, 20, 100)
			p := r.start("a", t.TempDir(), nil)
			at := r.clock()
			r.person(at)
			r.settle(p)
			r.settle(p)
			if _, err := p.engine.Lead(t.Context(), by, at+10); err != nil {
				t.Fatalf("before: %v", err)
			}
			r.tell(by, rules.Command{Kind: rules.Erase, ID: "req-1", By: "office", Salt: []byte("0123456789abcdef"), Time: at + 1000})
			r.awaitCleaned("req-1", 5) // four ids and the address
			for _, id := range personIDs[:4] {
				if v, err := p.engine.Lead(t.Context(), id, at+2000); err == nil {
					t.Errorf("%s is still there: %+v", id, v)
				}
			}
			for id, v := range r.stored() {
				for _, who := range personIDs {
					if strings.Contains(id, who) || bytes.Contains(v, []byte(who)) {
						t.Errorf("%s is in the state topic", who)
					}
				}
			}
			// What happened before the erasure is dropped, what comes later is somebody new.
			before := len(r.log.Output(engine.TopicTransitions))
			r.event(1, at+500, `"messageId":"b1","userId":"jane-77","type":"track","event":"Demo Requested"`)
			r.event(2, at+600, `"messageId":"b2","anonymousId":"phone-77","type":"track","event":"Demo Requested"`)
			r.settle(p)
			if n := len(r.log.Output(engine.TopicTransitions)); n != before {
				t.Errorf("%d outputs after old events, before %d", n, before)
			}
			r.event(1, at+5000, `"messageId":"b3","userId":"jane-77","type":"track","event":"Demo Requested"`)
			r.settle(p)
			v, err := p.engine.Lead(t.Context(), "jane-77", at+5000)
			if err != nil || v.Events != 1 || v.FirstSeen != at+5000 {
				t.Errorf("somebody new: %+v, %v", v, err)
			}
			p.stop(t)
			r.check()
			r.uniqueOutputs()
			erased := 0
			for _, rec := range r.log.Output(engine.TopicTransitions) {
				if strings.Contains(string(rec.Value), "lead.erased") {
					erased++
					for _, who := range personIDs {
						if bytes.Contains(rec.Value, []byte(who)) || bytes.Contains(rec.Key, []byte(who)) {
							t.Errorf("lead.erased says who: %s", rec.Value)
						}
					}
				}
			}
			if n := r.audited("req-1"); erased != 1 || n["erased"] != 1 || n["removed"] != 4 || n["kept"] != 0 {
				t.Errorf("%d lead.erased, audited %v", erased, n)
			}
			for _, rec := range r.log.Output(engine.TopicAudit) {
				for _, who := range personIDs {
					if bytes.Contains(rec.Value, []byte(who)) {
						t.Errorf("the audit record says who: %s", rec.Value)
					}
				}
			}
		})
	}
}

// TestSuppress keeps somebody out for good, also somebody who was never seen.
func TestSuppress(t *testing.T) {
	r := newRig(t, 2)
	r.set = mustRules(t, eraseRules)
	dir := t.TempDir()
	p := r.start("a", dir, nil)
	at := r.clock()
	r.event(1, at, `"messageId":"1","userId":"bob","type":"track","event":"Demo Requested"`)
	r.settle(p)
	for _, id := range []string{"bob", "never-seen"} {
		r.tell(id, rules.Command{Kind: rules.Erase, ID: "no-" + id, Suppress: true, Salt: []byte("salt"), Time: at + 1})
	}
	r.awaitCleaned("no-bob", 1)
	p.stop(t)
	r.skip.Add(200 * 86_400_000)
	p = r.start("a", dir, nil)
	for _, id := range []string{"bob", "never-seen"} {
		r.event(1, r.clock(), `"messageId":"2","userId":%q,"type":"track","event":"Demo Requested"`, id)
	}
	r.settle(p)
	for _, id := range []string{"bob", "never-seen"} {
		if v, err := p.engine.Lead(t.Context(), id, r.clock()); err == nil {
			t.Errorf("%s is back: %+v", id, v)
		}
	}
	p.stop(t)
	r.check()
}
