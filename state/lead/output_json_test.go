package lead

import (
	"encoding/json"
	"math"
	"testing"
)

func TestAppendJSON(t *testing.T) {
	scores := []NamedScore{{Name: "engagement", Value: 62.5}, {Name: "fit", Value: 40, Grade: "B"}}
	top := []NamedContribution{
		{Score: "engagement", Line: "demo", Signal: "demo_request", Time: 1795287600000, Points: 50, Now: 49.25},
		{Score: "engagement", Line: "silent", Time: 1795287600001, Points: -1e-7, Now: 0},
	}
	for _, test := range []struct {
		name string
		o    Output
		want string
	}{
		{"stage change", Output{
			Kind: StageChanged, ID: "00ff", Lead: "lead-42", UserID: "lead-42", At: 1795287600123, Event: "m1", RuleSet: "v1",
			From: "lead", To: "mql", Reason: "engaged", EnteredAt: 1795287000000, InStage: 600123, Scores: scores, Top: top,
		}, `{"type":"stage.changed","id":"00ff","lead":"lead-42","user_id":"lead-42","at":1795287600123,` +
			`"at_time":"2026-11-21T19:00:00.123Z","event":"m1","rule_set":"v1","from":"lead","to":"mql","reason":"engaged",` +
			`"entered_at":1795287000000,"in_stage_ms":600123,"scores":{"engagement":62.5,"fit":40},"grades":{"fit":"B"},` +
			`"top":[{"score":"engagement","line":"demo","signal":"demo_request","time":1795287600000,"points":50,"now":49.25},` +
			`{"score":"engagement","line":"silent","signal":null,"time":1795287600001,"points":-1e-07,"now":0}]}`},
		{"hand-off", Output{
			Kind: HandOff, ID: "01", Lead: "a", At: -1, RuleSet: "v1", Name: "demo", Team: "emea", AcceptWithin: 14400000, To: "mql",
			Scores: scores[1:],
		}, `{"type":"handoff","id":"01","lead":"a","user_id":null,"at":-1,"at_time":"1969-12-31T23:59:59.999Z","event":null,` +
			`"rule_set":"v1","name":"demo","team":"emea","accept_within_ms":14400000,"stage":"mql","scores":{"fit":40},` +
			`"grades":{"fit":"B"},"top":[]}`},
		{"account", Output{
			Kind: StageChanged, ID: "02", Account: "acme", At: 5, Event: "m1", RuleSet: "v1", From: "new", To: "hot", Scores: scores[:1], MemberCount: 7,
			Members: []NamedMember{{Lead: "a", Role: "decider", Scores: scores[:1]}, {Lead: "b", Role: "user"}},
		}, `{"type":"stage.changed","id":"02","account":"acme","at":5,"at_time":"1970-01-01T00:00:00.005Z","event":"m1","rule_set":"v1",` +
			`"from":"new","to":"hot","reason":null,"entered_at":0,"in_stage_ms":0,"scores":{"engagement":62.5},"grades":{},"members":7,` +
			`"top_members":[{"lead":"a","role":"decider","scores":{"engagement":62.5}},{"lead":"b","role":"user","scores":{}}]}`},
		{"bare hand-off", Output{Kind: HandOff, To: "mql", Scores: []NamedScore{{Name: "x", Value: math.NaN()}}},
			`{"type":"handoff","id":"","lead":"","user_id":null,"at":0,"at_time":"1970-01-01T00:00:00.000Z","event":null,` +
				`"rule_set":"","name":"","team":null,"accept_within_ms":null,"stage":"mql","scores":{"x":null},"grades":{},"top":[]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(AppendJSON(nil, &test.o)); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func FuzzAppendJSON(f *testing.F) {
	f.Add("lead\x00", "m\xff", "\u2028", 1.5, int64(1))
	f.Add("", "", "", math.Inf(-1), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, id, event, name string, points float64, at int64) {
		for _, kind := range []Kind{StageChanged, HandOff} {
			o := Output{Kind: kind, Lead: id, Event: event, Name: name, From: name, Reason: event, At: at,
				Scores: []NamedScore{{Name: name, Value: points, Grade: id}},
				Top:    []NamedContribution{{Signal: name, Points: points, Now: points}}}
			text := AppendJSON([]byte("before"), &o)[len("before"):]
			var got struct {
				Lead   string
				At     int64
				Scores map[string]*float64
			}
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if got.Lead != string([]rune(id)) || got.At != at {
				t.Fatalf("%s: lead or time changed", text)
			}
			if v := got.Scores[string([]rune(name))]; v != nil && *v != points {
				t.Fatalf("%s: score changed from %v", text, points)
			}
		}
	})
}
