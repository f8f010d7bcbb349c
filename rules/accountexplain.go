package rules

import (
	"math"
	"strings"

	"leadstream/state/lead"
)

// account measures a lead's place in an account, and what an account keeps of each member.
func (z *sizer) account() {
	r := z.set.accounts
	if r == nil {
		return
	}
	parts := func(most bool, n int) []lead.Part {
		list := make([]lead.Part, n)
		for i := range list {
			list[i] = lead.Part{Key: math.MaxUint64, Value: sampleNumber(most), At: sampleTime(most)}
		}
		return list
	}
	name := strings.Repeat("x", typicalID)
	z.add("account", "membership", "the account, the role, what it was told and what it said", func(l *lead.Lead, most bool) {
		l.Account = []lead.Membership{{Group: name, Time: sampleTime(most), Message: math.MaxUint64, Account: name, Role: defaultRole,
			Parts: parts(most, len(r.scores)), Seen: parts(most, len(r.signals)), Facts: parts(most, len(r.set.handoffs)-r.set.side.normal)}}
	})
	z.add("account", "member", "of the account's own state, for each lead: its role and its part in the scores", func(l *lead.Lead, most bool) {
		l.Account = []lead.Membership{{Members: []lead.Member{{ID: name, Role: defaultRole, Parts: parts(most, len(r.scores)), Seen: parts(most, len(r.signals))}}}}
	})
}
