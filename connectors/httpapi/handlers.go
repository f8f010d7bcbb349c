package httpapi

import (
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"strconv"
	"time"
)

// maxLeadID bounds the id in a path; no lead has a longer one.
const maxLeadID = 4096

// lead answers GET /v1/leads/{id}. The parameter at (RFC 3339 or ms) asks for the scores at a later time
// than now, given that nothing happens until then.
func (s *Server) lead(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if len(id) > maxLeadID {
		problem(http.StatusNotFound, "lead-not-found", "No such lead", "").write(w)
		return
	}
	at, ok := s.asOf(w, r)
	if !ok {
		return
	}
	view, err := s.cfg.Leads.Lead(r.Context(), id, at)
	if err != nil {
		s.leadProblem(err).write(w)
		return
	}
	writeJSON(w, view)
}

func (s *Server) leadProblem(err error) Problem {
	if errors.Is(err, ErrNotFound) {
		return problem(http.StatusNotFound, "lead-not-found", "No such lead", "No event of this id has been applied.")
	}
	if errors.Is(err, ErrNotOwned) {
		p := problem(http.StatusMisdirectedRequest, "lead-elsewhere", "Lead is elsewhere",
			"This process does not have the lead's shard, or not yet.")
		if where, ok := errors.AsType[*ElsewhereError](err); ok {
			p.Shard, p.Lead, p.Owner, p.URL = &where.Shard, where.Lead, where.Instance, where.URL
		}
		return p
	}
	s.cfg.Log.Error("reading a lead", "err", err)
	return problem(http.StatusInternalServerError, "internal", "Internal error", "The log of this process says more.")
}

// parseTime reads RFC 3339 or milliseconds since the epoch.
func parseTime(text string) (int64, bool) {
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
		return ms, ms >= 0
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	return at.UnixMilli(), err == nil
}

// status answers GET /v1/status.
func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, s.cfg.Engine.Status())
}

// health answers GET /healthz: the process is there and answers.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]string{"status": "ok"})
}

// ready answers GET /readyz: every shard that this process owns is live.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if ok, why := s.cfg.Engine.Ready(); !ok {
		problem(http.StatusServiceUnavailable, "not-ready", "Not ready", why).write(w)
		return
	}
	writeJSON(w, map[string]string{"status": "ready"})
}

func writeJSON(w http.ResponseWriter, v any) { writeJSONCode(w, http.StatusOK, v) }

func writeJSONCode(w http.ResponseWriter, code int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic("bug: answer that is no JSON: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(body, '\n'))
}

var indexPage = template.Must(template.New("index").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>leadstream</title>
<h1>leadstream</h1>
<p>{{.App}}, instance {{.Instance}}, version {{.Version}}</p>
<ul>
<li><code>GET /v1/leads/{id}</code>: a lead's scores now, its stage, and what made them
<li><code>GET /v1/leads/{id}/export</code>: all that is kept of a person;
    <code>DELETE /v1/leads/{id}?by=WHO</code> or <code>POST /v1/leads/{id}/erase</code>: erase them
<li><code>GET /v1/accounts/{id}</code>: a company's scores now, its stage, and its members' parts
<li><a href="/v1/events/stream">/v1/events/stream</a>: stage changes and hand-offs as they happen (Server-Sent Events;
    filters <code>?type=</code>, <code>?stage=</code>, <code>?lead=</code>; begins at <code>?from=earliest</code>, an event id or the end)
<li><a href="/v1/status">/v1/status</a>: shards, epochs, lag
<li><a href="/metrics">/metrics</a>: for Prometheus
<li><a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a>: for probes
</ul>
</html>
`))

// index answers GET /: what there is.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'")
	if err := indexPage.Execute(w, s.cfg.Engine.Status()); err != nil {
		s.cfg.Log.Debug("writing the index", "err", err)
	}
}
