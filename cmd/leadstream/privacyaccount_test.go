package main

import (
	"encoding/json"
	"fmt"
	"net/http"
)

const privacyAccounts = `
accounts:
  scores: [plain]
  stages: [quiet, busy]
  transitions: [{from: quiet, to: busy, when: 'people("visit", "30d") >= 3'}]
  handoffs: [{name: crowd, when: 'people("visit", "30d") >= 3'}]
`

// firm waits until the account consists of some of the people, with all their points and with nothing of anybody else.
func (p *privacyRun) firm(from, to int) {
	p.t.Helper()
	var raw json.RawMessage
	p.wait(fmt.Sprintf("the account has the people from %d to %d", from, to), func() bool {
		var v struct {
			Stage   string
			Scores  map[string]float64
			Members []struct{ Lead string }
		}
		if p.get("/v1/accounts/firm", &raw) != http.StatusOK || json.Unmarshal(raw, &v) != nil {
			return false
		}
		there := 0
		for i := from; i < to; i++ {
			for _, m := range v.Members {
				there += len(person(i).in([]byte(m.Lead)))
			}
		}
		return v.Stage == "busy" && v.Scores["plain"] == float64(102*(to-from)) && there == to-from && len(v.Members) == there
	})
	if who := p.found(raw); len(who) > 0 {
		p.t.Errorf("the account names %v", who)
	}
}
