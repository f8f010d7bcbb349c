package lead

import (
	"math"
	"strconv"
	"time"
)

// AppendJSON appends the output's record value: one JSON object without line breaks, with its fields
// always in the same order. What a kind does not have is left out; what an output of the kind could have but
// has not (user_id of an anonymous lead, reason of a transition without one) is null. Times are ms since
// 1970; at_time says the same as at in RFC 3339.
func AppendJSON(dst []byte, o *Output) []byte {
	dst = append(dst, `{"type":`...)
	dst = appendQuoted(dst, o.Kind.String())
	dst = appendText(dst, "id", o.ID)
	if o.Account != "" {
		dst = appendText(dst, "account", o.Account)
	} else {
		dst = appendText(dst, "lead", o.Lead)
		dst = appendOptional(dst, "user_id", o.UserID)
	}
	dst = appendInt(dst, "at", o.At)
	dst = append(dst, `,"at_time":"`...)
	dst = time.UnixMilli(o.At).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, '"')
	dst = appendOptional(dst, "event", o.Event)
	dst = appendText(dst, "rule_set", o.RuleSet)
	switch o.Kind {
	case LeadErased: // nothing that tells who it was
		return append(dst, '}')
	case LeadExpired:
		dst = appendText(dst, "stage", o.To)
		dst = appendInt(dst, "entered_at", o.EnteredAt)
		dst = appendInt(dst, "in_stage_ms", o.InStage)
	case StageChanged:
		dst = appendText(dst, "from", o.From)
		dst = appendText(dst, "to", o.To)
		dst = appendOptional(dst, "reason", o.Reason)
		dst = appendInt(dst, "entered_at", o.EnteredAt)
		dst = appendInt(dst, "in_stage_ms", o.InStage)
	case LeadMerged:
		dst = appendText(dst, "from", o.From)
		dst = appendText(dst, "into", o.To)
		dst = appendOptional(dst, "reason", o.Reason)
	case HandOff:
		dst = appendText(dst, "name", o.Name)
		dst = appendOptional(dst, "team", o.Team)
		if o.AcceptWithin > 0 {
			dst = appendInt(dst, "accept_within_ms", o.AcceptWithin)
		} else {
			dst = append(dst, `,"accept_within_ms":null`...)
		}
		dst = appendText(dst, "stage", o.To)
	}
	dst = appendScores(dst, o.Scores)
	if len(o.Matrices) > 0 {
		dst = appendCells(dst, o.Matrices)
	}
	if o.Account != "" {
		return append(appendMembers(dst, o), '}')
	}
	dst = appendTop(dst, o.Top)
	return append(dst, '}')
}

func appendMembers(dst []byte, o *Output) []byte {
	dst = appendInt(dst, "members", o.MemberCount)
	dst = append(dst, `,"top_members":[`...)
	for i := range o.Members {
		m := &o.Members[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"lead":`...)
		dst = appendQuoted(dst, m.Lead)
		dst = appendText(dst, "role", m.Role)
		dst = append(appendValues(dst, m.Scores), '}')
	}
	return append(dst, ']')
}

func appendScores(dst []byte, scores []NamedScore) []byte {
	dst = appendValues(dst, scores)
	dst = append(dst, `,"grades":{`...)
	some := false
	for _, s := range scores {
		if s.Grade == "" {
			continue
		}
		if some {
			dst = append(dst, ',')
		}
		some = true
		dst = append(appendQuoted(dst, s.Name), ':')
		dst = appendQuoted(dst, s.Grade)
	}
	return append(dst, '}')
}

func appendValues(dst []byte, scores []NamedScore) []byte {
	dst = append(dst, `,"scores":{`...)
	for i, s := range scores {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, s.Name), ':')
		dst = appendFloat(dst, s.Value)
	}
	return append(dst, '}')
}

func appendCells(dst []byte, cells []NamedCell) []byte {
	dst = append(dst, `,"matrix":{`...)
	for i, c := range cells {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, c.Name), ':')
		dst = appendQuoted(dst, c.Cell)
	}
	return append(dst, '}')
}

func appendTop(dst []byte, top []NamedContribution) []byte {
	dst = append(dst, `,"top":[`...)
	for i := range top {
		c := &top[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"score":`...)
		dst = appendQuoted(dst, c.Score)
		dst = appendText(dst, "line", c.Line)
		dst = appendOptional(dst, "signal", c.Signal)
		dst = appendInt(dst, "time", c.Time)
		dst = appendFloat(append(dst, `,"points":`...), c.Points)
		dst = appendFloat(append(dst, `,"now":`...), c.Now)
		dst = append(dst, '}')
	}
	return append(dst, ']')
}

func appendName(dst []byte, name string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

func appendText(dst []byte, name, s string) []byte {
	return appendQuoted(appendName(dst, name), s)
}

func appendOptional(dst []byte, name, s string) []byte {
	if s == "" {
		return append(appendName(dst, name), "null"...)
	}
	return appendText(dst, name, s)
}

func appendInt(dst []byte, name string, n int64) []byte {
	return strconv.AppendInt(appendName(dst, name), n, 10)
}

// appendFloat writes the shortest text that reads back as f. JSON has no NaN and no infinity; scores never
// are either, and null is better than a record nobody can parse.
func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, f, 'f', -1, 64)
}
