package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Privacy erases people, and says what is kept of them. Calls may overlap.
type Privacy interface {
	// Erase asks for an erasure and waits, for at most r.Wait, until it is done. What it returns says how far it came; an
	// error, that it is not known to have been asked for.
	Erase(ctx context.Context, r ErasureRequest) (*Erasure, error)
	// Export returns what this process keeps of the person of an id, as a document for JSON. ErrNotFound: nothing is kept.
	Export(ctx context.Context, id string) (any, error)
}

// ErasureRequest asks for a person to be erased.
type ErasureRequest struct {
	// ID is any id of the person.
	ID string `json:"-"`
	// By is who asks, for the audit. It is required, and at most 200 bytes.
	By string `json:"by"`
	// Request is an id of the request's own; "" has one made.
	Request string `json:"request"`
	// Suppress keeps the person out for good.
	Suppress bool `json:"suppress"`
	// Wait is how long to wait for the erasure to be done, at most 5 minutes.
	Wait time.Duration `json:"-"`
}

// Erasure is how far an erasure has come.
type Erasure struct {
	Request string `json:"request"`
	// State is written: not applied yet; applied: all is forgotten, durably, and not gone from the state topic yet; or
	// done: gone from there too.
	State string `json:"state"`
	// Found says that there was such a lead. Asked counts the ids that were asked to go with it; of them Removed did
	// and Kept were not the person's. Cleaned counts those that are gone from the state topic, the lead included.
	Found   bool `json:"found"`
	Asked   int  `json:"asked"`
	Removed int  `json:"removed"`
	Kept    int  `json:"kept"`
	Cleaned int  `json:"cleaned"`
}

// The states of an erasure.
const (
	ErasureWritten = "written"
	ErasureApplied = "applied"
	ErasureDone    = "done"
)

const (
	maxWait     = 5 * time.Minute
	maxBy       = 200
	maxErasures = 16
)

// CheckErasure says what is wrong with a request, "" if nothing is.
func CheckErasure(r *ErasureRequest) string {
	plain := func(s string) bool {
		return len(s) <= maxBy && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f })
	}
	switch {
	case r.By == "" || !plain(r.By):
		return "by must say who asks, in at most 200 bytes"
	case !plain(r.Request):
		return "request must be at most 200 bytes"
	case r.ID == "" || len(r.ID) > maxLeadID || r.ID[0] == 0:
		return "the id is none of a person's"
	case r.Wait < 0 || r.Wait > maxWait:
		return "wait must be a time like 30s, at most 5m"
	}
	return ""
}

// deleteLead answers DELETE /v1/leads/{id}?by=WHO.
func (s *Server) deleteLead(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	e := ErasureRequest{By: q.Get("by"), Request: q.Get("request")}
	if text := q.Get("suppress"); text != "" {
		var err error
		if e.Suppress, err = strconv.ParseBool(text); err != nil {
			badErasure("suppress must be true or false").write(w)
			return
		}
	}
	s.erase(w, r, e, q.Get("wait"))
}

// postErase answers POST /v1/leads/{id}/erase, which has the same in a JSON object.
func (s *Server) postErase(w http.ResponseWriter, r *http.Request) {
	// A web page can send a form anywhere, but no JSON without asking first.
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		problem(http.StatusUnsupportedMediaType, "bad-media-type", "Bad media type", "Send Content-Type: application/json.").write(w)
		return
	}
	var body struct {
		ErasureRequest
		Wait string `json:"wait"`
	}
	dec := json.NewDecoder(io.LimitReader(r.Body, 64<<10))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil {
		badErasure("the body must be a JSON object with by, and perhaps suppress, request, wait").write(w)
		return
	}
	s.erase(w, r, body.ErasureRequest, body.Wait)
}

func badErasure(detail string) Problem {
	return problem(http.StatusBadRequest, "bad-parameter", "Bad parameter", detail)
}

func (s *Server) erase(w http.ResponseWriter, r *http.Request, e ErasureRequest, wait string) {
	e.ID = r.PathValue("id")
	if wait != "" {
		var err error
		if e.Wait, err = time.ParseDuration(wait); err != nil {
			e.Wait = -1
		}
	}
	if fault := CheckErasure(&e); fault != "" {
		badErasure(fault).write(w)
		return
	}
	if !s.erasures.tryAcquire() {
		w.Header().Set("Retry-After", "1")
		problem(http.StatusServiceUnavailable, "busy", "Busy", "The bound on erasures in work is reached; try again.").write(w)
		return
	}
	defer s.erasures.release()
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(e.Wait + 30*time.Second)); err != nil {
		s.cfg.Log.Debug("extending a write deadline", "err", err)
	}
	done, err := s.cfg.Privacy.Erase(r.Context(), e)
	if err != nil {
		s.cfg.Log.Error("erasing a lead", "err", err)
		problem(http.StatusServiceUnavailable, "not-written", "Not written",
			"The erasure could not be written, or not followed; the log of this process says more. Ask again.").write(w)
		return
	}
	code := http.StatusAccepted
	if done.State == ErasureDone {
		code = http.StatusOK
	}
	writeJSONCode(w, code, done)
}

// export answers GET /v1/leads/{id}/export.
func (s *Server) export(w http.ResponseWriter, r *http.Request) {
	doc, err := s.cfg.Privacy.Export(r.Context(), r.PathValue("id"))
	if err != nil {
		s.leadProblem(err).write(w)
		return
	}
	writeJSON(w, doc)
}
