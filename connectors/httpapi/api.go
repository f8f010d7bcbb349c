package httpapi

import (
	"context"
	"strconv"
	"time"
)

// Leads answers for single leads. Calls may overlap.
type Leads interface {
	// Lead returns the lead as it is at the time at (ms): scores are decayed to it, and where the lead's
	// own clock is later, that one counts (AsOf says which). ErrNotFound: there is no such lead.
	// ErrNotOwned, perhaps as an *ElsewhereError: another process has it.
	Lead(ctx context.Context, id string, at int64) (*LeadView, error)
	// Account returns an account as it is at the time at (ms), in the same way.
	Account(ctx context.Context, id string, at int64) (*AccountView, error)
}

// Engine tells how the process is doing. Calls may overlap and never block on the engine's work.
type Engine interface {
	// Ready reports whether every shard that this process owns is live; if not, why says what is missing.
	Ready() (ok bool, why string)
	// Status describes the process.
	Status() StatusView
}

// Time is an instant in ms since the Unix epoch, written as RFC 3339 in UTC with milliseconds.
type Time int64

// MarshalJSON writes the time as a string.
func (t Time) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, t.String()), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Time) UnmarshalJSON(text []byte) error {
	s, err := strconv.Unquote(string(text))
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return err
	}
	*t = Time(at.UnixMilli())
	return nil
}

// String returns the time as it is written in JSON.
func (t Time) String() string {
	return time.UnixMilli(int64(t)).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}

// LeadView is the answer to GET /v1/leads/{id}.
type LeadView struct {
	// ID is the lead id; UserID its latest userId, "" while it is anonymous.
	ID     string `json:"id"`
	UserID string `json:"user_id,omitempty"`
	// Stage is the present stage, StageSince when it was entered.
	Stage      string `json:"stage"`
	StageSince Time   `json:"stage_since"`
	// AsOf is the time that Scores, Grades and the ledger's Now are for.
	AsOf Time `json:"as_of"`
	// Scores are the values at AsOf; Grades are those of the scores that have them.
	Scores map[string]float64 `json:"scores"`
	Grades map[string]string  `json:"grades"`
	// Consents are what the lead said about the purposes of the rule set.
	Consents []Consent `json:"consents,omitempty"`
	// NextChangeAt is when time alone next may change something, null if never.
	NextChangeAt *Time `json:"next_change_at"`
	FirstSeen    Time  `json:"first_seen"`
	LastSeen     Time  `json:"last_seen"`
	// Events counts the events applied to the lead, duplicates left out.
	Events int64 `json:"events"`
	// Shard is the lead's shard, RuleSet the version of the rules that its scores follow.
	Shard   int32  `json:"shard"`
	RuleSet string `json:"rule_set"`
	// Ledger says what the scores consist of: for each score its entries' Now add up to its value. State
	// lines that hold come first, then contributions, newest first, at most 64. What older ones still add is
	// one entry with the line "older", what min and max take away one with the line "limit".
	Ledger []Contribution `json:"ledger"`
	// IDs are the ids that were merged into the lead, RefusedLinks the newest links that were refused.
	// Account is the account that the lead belongs to, Role what it is there.
	Account      string        `json:"account,omitempty"`
	Role         string        `json:"role,omitempty"`
	IDs          []string      `json:"ids,omitempty"`
	RefusedLinks []RefusedLink `json:"refused_links,omitempty"`
}

// RefusedLink is a link between two ids that was refused: second_user, never, max_ids or apart.
type RefusedLink struct {
	ID     string `json:"id"`
	With   string `json:"with"`
	Time   Time   `json:"time"`
	Reason string `json:"reason"`
}

// Consent is what a lead last said about one purpose.
type Consent struct {
	Purpose string `json:"purpose"`
	Granted bool   `json:"granted"`
	// Time is when it was said; Source the signal that said it, "context", or what a command names.
	Time   Time   `json:"time"`
	Source string `json:"source"`
}

// Contribution is one entry of a lead's ledger.
type Contribution struct {
	Score  string `json:"score"`
	Line   string `json:"line"`
	Signal string `json:"signal,omitempty"`
	// Time is the event's (or the timer's) time; Points what it changed the score by then; Now what is
	// left of it.
	Time   Time    `json:"time"`
	Points float64 `json:"points"`
	Now    float64 `json:"now"`
}

// StatusView is the answer to GET /v1/status.
type StatusView struct {
	App      string `json:"app"`
	Instance string `json:"instance"`
	Version  string `json:"version"`
	RuleSet  string `json:"rule_set"`
	// Started is when the process began.
	Started Time `json:"started"`
	// Ready says that all owned shards are live. Owned counts the shards that this process was given,
	// Restoring those of them that are being loaded.
	Ready     bool `json:"ready"`
	Owned     int  `json:"owned"`
	Restoring int  `json:"restoring"`
	// Shards are the live ones, ascending.
	Shards []ShardView `json:"shards"`
	// Standbys are shards of other instances that this one follows, Loading those of its own that it restores.
	Standbys []StandbyView `json:"standbys,omitempty"`
	Loading  []LoadingView `json:"loading,omitempty"`
	// Members are all instances as the group last spread the shards, this one included.
	Members []MemberView `json:"members,omitempty"`
	// Sources are the configured source topics, in the order of the configuration.
	Sources []SourceView `json:"sources,omitempty"`
}

// ShardView describes one owned shard.
type ShardView struct {
	Shard int32 `json:"shard"`
	// State is live, or behind while there are records that were not yet applied.
	State string `json:"state"`
	// Epoch is the last committed one; Redo the one that recovery would begin after, RedoAgeMs how long ago that was.
	Epoch     uint64 `json:"epoch"`
	Redo      uint64 `json:"redo"`
	RedoAgeMs int64  `json:"redo_age_ms"`
	// Tick is how far the shard's time has come, null before its first input.
	Tick *Time `json:"tick"`
	// Leads are those in memory; Dirty those not yet checkpointed; Timers those armed in memory; Lag counts
	// records that were not yet applied.
	Leads  int64 `json:"leads"`
	Dirty  int64 `json:"dirty"`
	Timers int64 `json:"timers"`
	Lag    int64 `json:"lag"`
}

// StandbyView describes one shard that this process follows.
type StandbyView struct {
	Shard int32 `json:"shard"`
	// State is loading, following while it is behind, or ready: it would take over in milliseconds.
	State string `json:"state"`
	// Epoch is the last one done again; Behind and BehindMs are how far that is behind the owner.
	Epoch    uint64 `json:"epoch"`
	Behind   uint64 `json:"behind"`
	BehindMs int64  `json:"behind_ms"`
	// Loaded counts records loaded of the state topic.
	Loaded int64 `json:"loaded"`
	// Failure is why it last began anew.
	Failure string `json:"failure,omitempty"`
}

// LoadingView describes one shard that is being restored. Loaded counts records of the state topic.
type LoadingView struct {
	Shard  int32 `json:"shard"`
	Loaded int64 `json:"loaded"`
}

// MemberView describes one instance of the application.
type MemberView struct {
	Instance string `json:"instance"`
	// URL is its API, "" when unknown.
	URL string `json:"url,omitempty"`
	// Owned and Standby are its shards, ascending. One that is being handed over is its next owner's.
	Owned   []int32 `json:"owned"`
	Standby []int32 `json:"standby"`
}

// SourceView describes one source topic.
type SourceView struct {
	Name    string `json:"name"`
	Topic   string `json:"topic"`
	History bool   `json:"history"`
	// Lag counts records of this process's shards that were not yet applied.
	Lag int64 `json:"lag"`
}
