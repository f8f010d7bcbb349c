package httpapi

import (
	"encoding/json"
	"net/http"
)

// Problem is an RFC 9457 problem document, the body of every error.
type Problem struct {
	// Type is a URN that names the kind of problem for programs.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what to do. It holds no personal data.
	Detail string `json:"detail,omitempty"`
	// Shard, Owner and URL say who has a lead, where another process does (421), Lead by which id it is to be asked
	// there where that is another one.
	Shard *int32 `json:"shard,omitempty"`
	Lead  string `json:"lead,omitempty"`
	Owner string `json:"owner,omitempty"`
	URL   string `json:"url,omitempty"`
}

// problemBase begins every Problem.Type.
const problemBase = "urn:leadstream:problem:"

func problem(status int, kind, title, detail string) Problem {
	return Problem{Type: problemBase + kind, Title: title, Status: status, Detail: detail}
}

// write sends the problem as the answer.
func (p Problem) write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil {
		panic("bug: problem document: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	w.Write(append(body, '\n'))
}
