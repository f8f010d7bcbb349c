package httpapi

import (
	"encoding/json"
	"net/http"
)

// AccountView is the answer to GET /v1/accounts/{id}.
type AccountView struct {
	ID string `json:"id"`
	// Stage is the present stage, StageSince when it was entered.
	Stage      string `json:"stage"`
	StageSince Time   `json:"stage_since"`
	// AsOf is the time that Scores and the members' parts are for.
	AsOf   Time               `json:"as_of"`
	Scores map[string]float64 `json:"scores"`
	// Traits are those that rules read.
	Traits map[string]json.RawMessage `json:"traits"`
	// NextChangeAt is when time alone next may change something, null if never.
	NextChangeAt *Time `json:"next_change_at"`
	// FirstSeen and LastSeen are the earliest and latest time of what leads told the account.
	FirstSeen Time `json:"first_seen"`
	LastSeen  Time `json:"last_seen"`
	// Shard is the account's shard, RuleSet the version of the rules that it follows.
	Shard   int32  `json:"shard"`
	RuleSet string `json:"rule_set"`
	// Members are the leads of the account by id: their parts add up to Scores, with those of Others.
	Members []Member `json:"members"`
	// Others are members beyond the bound of those kept one by one, null without any.
	Others *OtherMembers `json:"others"`
	// Conditions are those of the account's transitions and hand-offs, as they are at AsOf, in the order of the files.
	Conditions []Condition `json:"conditions"`
}

// Condition is the condition of a transition or a hand-off.
type Condition struct {
	// Type is "stage.changed" or "handoff", what comes of it; When is the condition's text.
	Type string `json:"type"`
	When string `json:"when"`
	// To and Reason are a transition's, Name and Team a hand-off's.
	To     string `json:"to,omitempty"`
	Reason string `json:"reason,omitempty"`
	Name   string `json:"name,omitempty"`
	Team   string `json:"team,omitempty"`
	// Open says that it starts at the present stage, Holds that the condition is true.
	Open  bool `json:"open"`
	Holds bool `json:"holds"`
	// NotBefore is when min_stay or a cooldown ends, null if that is no more in the way.
	NotBefore *Time `json:"not_before"`
}

// Member is one lead of an account.
type Member struct {
	Lead string `json:"lead"`
	Role string `json:"role"`
	// Weight is the role's.
	Weight float64 `json:"weight"`
	// Scores are what the lead adds to the account's, weighted by its role.
	Scores map[string]float64 `json:"scores"`
	// Signals are the latest times of those that the account's conditions look at.
	Signals map[string]Time `json:"signals,omitempty"`
}

// OtherMembers are members that are not kept one by one.
type OtherMembers struct {
	Count  int64              `json:"count"`
	Scores map[string]float64 `json:"scores"`
}

// account answers GET /v1/accounts/{id}, with the parameter at as for leads.
func (s *Server) account(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	at, ok := s.asOf(w, r)
	switch {
	case !ok:
		return
	case len(id) > maxLeadID:
		problem(http.StatusNotFound, "account-not-found", "No such account", "").write(w)
		return
	}
	view, err := s.cfg.Leads.Account(r.Context(), id, at)
	if err != nil {
		p := s.leadProblem(err)
		if p.Status == http.StatusNotFound {
			p = problem(http.StatusNotFound, "account-not-found", "No such account", "No lead has told anything about it, or the rules have no accounts.")
		}
		p.write(w)
		return
	}
	writeJSON(w, view)
}

// asOf reads the parameter at; when it can't be read, that is answered.
func (s *Server) asOf(w http.ResponseWriter, r *http.Request) (at int64, ok bool) {
	text := r.URL.Query().Get("at")
	if text == "" {
		return s.cfg.Now().UnixMilli(), true
	}
	if at, ok = parseTime(text); !ok {
		problem(http.StatusBadRequest, "bad-parameter", "Bad parameter", "at must be a time like 2026-01-31T12:00:00Z, or milliseconds since 1970.").write(w)
	}
	return at, ok
}
