package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state/lead"
)

const leaveRules = `
signals:
  visit: {match: 'event.type == "page"'}
scores:
  plain: {lines: [{signal: visit, add: 1}]}
stages: [visitor]
retention: 20d
erase_grace: 5d
accounts:
  role: title
  roles: {decider: {weight: 2.5}}
  scores: [plain]
  stages: [quiet, busy]
  transitions:
    - {from: quiet, to: busy, when: 'people("visit", "30d") >= 3'}
    - {from: busy, to: quiet, when: 'people("visit", "30d") < 3'}
`

// colleague makes a lead of two ids that belongs to acme and has visited some pages.
func (r *rig) colleague(id, title string, visits int, at int64) {
	r.event(0, at, `"messageId":"%s-g","userId":%[1]q,"type":"group","groupId":"acme"`, id)
	r.event(1, at, `"messageId":"%s-i","userId":%[1]q,"anonymousId":"phone-%[1]s","type":"identify","traits":{"title":%q}`, id, title)
	for i := range visits {
		r.event(int32(i), at+int64(i), `"messageId":"%s-%d","userId":%[1]q,"type":"page"`, id, i)
	}
}

// awaitAccount waits until acme has these members, by role, and is in a stage. It returns what it is then.
func (r *rig) awaitAccount(p *process, stage string, want map[string]string) *engine.AccountView {
	r.t.Helper()
	var v *engine.AccountView
	var err error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if v, err = p.engine.Account(r.t.Context(), "acme", r.clock()); err != nil {
			continue
		}
		got := map[string]string{}
		for _, m := range v.Members {
			got[m.Lead] = m.Role
		}
		if v.Stage == stage && maps.Equal(got, want) {
			return v
		}
	}
	r.t.Fatalf("acme is %+v, %v, want %s with %v", v, err, stage, want)
	return nil
}

// TestLeavingLeadsLeaveTheirAccount erases one member of an account by the other of its ids, and lets another expire:
// neither counts any more in the account's score, its members or people(), and nothing that is kept names them.
func TestLeavingLeadsLeaveTheirAccount(t *testing.T) {
	const hour, day = int64(3_600_000), int64(86_400_000)
	for _, shards := range []int32{1, 4} {
		t.Run(fmt.Sprintf("shards=%d", shards), func(t *testing.T) {
			r := newRig(t, shards)
			r.set = mustRules(t, leaveRules)
			p := r.start("a", t.TempDir(), nil)
			at := r.clock() - hour
			r.colleague("ann-77", "decider", 2, at)
			r.colleague("bob-77", "user", 4, at)
			r.colleague("cid-77", "user", 8, at)
			r.settle(p)
			v := r.awaitAccount(p, "busy", map[string]string{"ann-77": "decider", "bob-77": "user", "cid-77": "user"})
			if got, want := v.Scores[0].Value, 2.5*2+4+8; got != want {
				t.Errorf("all three have %v points, want %v", got, want)
			}
			r.exported(p, "phone-ann-77", lead.Membership{Group: "acme", Account: "acme", Role: "decider", Parts: []lead.Part{{Value: 5}}})

			r.tell("phone-ann-77", rules.Command{Kind: rules.Erase, ID: "req", Salt: []byte("0123456789abcdef"), Time: r.clock()})
			r.awaitCleaned("req", 2)
			v = r.awaitAccount(p, "quiet", map[string]string{"bob-77": "user", "cid-77": "user"})
			if got, want := v.Scores[0].Value, 4.0+8; got != want {
				t.Errorf("without who was erased %v points, want %v", got, want)
			}

			r.skip.Add(15 * day)
			r.colleague("dan-77", "", 16, r.clock())
			r.event(2, r.clock(), `"messageId":"late","userId":"bob-77","type":"page"`)
			r.settle(p)
			v = r.awaitAccount(p, "busy", map[string]string{"bob-77": "user", "cid-77": "user", "dan-77": "user"})
			if got, want := v.Scores[0].Value, 5.0+8+16; got != want {
				t.Errorf("with one more %v points, want %v", got, want)
			}
			r.skip.Add(6 * day) // nothing was heard of cid for 21 days
			v = r.awaitAccount(p, "quiet", map[string]string{"bob-77": "user", "dan-77": "user"})
			if got, want := v.Scores[0].Value, 5.0+16; got != want {
				t.Errorf("without who has expired %v points, want %v", got, want)
			}
			r.settle(p) // what else is told of it
			r.settle(p)
			p.stop(t)
			r.check()
			r.uniqueOutputs()
			for id, state := range r.stored() {
				for _, who := range []string{"ann-77", "cid-77"} {
					if strings.HasPrefix(id, rules.AccountID("")) && bytes.Contains(state, []byte(who)) {
						t.Errorf("the account's state names %s", who)
					}
				}
			}
		})
	}
}

// exported checks what an export says of a lead's place in its account. A part's key and time are not compared.
func (r *rig) exported(p *process, id string, want lead.Membership) {
	r.t.Helper()
	nodes, _, err := p.engine.Export(id)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, n := range nodes {
		if n.Kind != engine.KindLead {
			continue
		}
		var l struct{ Account []lead.Membership }
		if err := json.Unmarshal(n.State, &l); err != nil {
			r.t.Fatal(err)
		}
		if len(l.Account) != 1 || len(l.Account[0].Parts) != len(want.Parts) {
			r.t.Fatalf("the export says %+v of the account, want %+v", l.Account, want)
		}
		got := l.Account[0]
		if got.Group != want.Group || got.Account != want.Account || got.Role != want.Role || got.Parts[0].Value != want.Parts[0].Value {
			r.t.Errorf("the export says %+v of the account, want %+v", got, want)
		}
		return
	}
	r.t.Fatalf("the export has no lead: %+v", nodes)
}
