package httpapi

import (
	"cmp"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// route is one address of the API.
type route struct {
	pattern string
	// roles are those of which a token must have one; 0 asks for no token at all.
	roles  Role
	handle http.HandlerFunc
	// method is the only one that is answered; "" is GET, and HEAD.
	method string
	// stream says that the answer has no end, so that it is not counted as a request in work.
	stream bool
}

func (s *Server) routes() []route {
	routes := s.readRoutes()
	if s.cfg.Privacy == nil {
		return routes
	}
	return append(routes,
		route{pattern: routeDelete, roles: RolePrivacy, method: http.MethodDelete, handle: s.deleteLead},
		route{pattern: routeErase, roles: RolePrivacy, method: http.MethodPost, handle: s.postErase},
		route{pattern: routeExport, roles: RolePrivacy, handle: s.export})
}

func (s *Server) readRoutes() []route {
	exposition := promhttp.HandlerFor(s.cfg.Registry, promhttp.HandlerOpts{Registry: s.cfg.Registry, ErrorLog: nil})
	return []route{
		{pattern: routeIndex, roles: RoleRead | RoleOps | RolePrivacy, handle: s.index},
		{pattern: routeLead, roles: RoleRead, handle: s.lead},
		{pattern: routeAccount, roles: RoleRead, handle: s.account},
		{pattern: routeStream, roles: RoleRead, handle: s.stream, stream: true},
		{pattern: routeStatus, roles: RoleOps, handle: s.status},
		{pattern: routeMetrics, roles: RoleOps, handle: exposition.ServeHTTP},
		{pattern: routeHealth, handle: s.health},
		{pattern: routeReady, handle: s.ready},
	}
}

// handler puts the routes together with what all of them share.
func (s *Server) handler(routes []route) http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		pattern := r.pattern
		if pattern == routeIndex {
			pattern = "/{$}"
		}
		mux.Handle(pattern, s.wrap(r))
	}
	mux.Handle("/", s.wrap(route{pattern: routeNone, roles: RoleRead | RoleOps | RolePrivacy, handle: func(w http.ResponseWriter, _ *http.Request) {
		problem(http.StatusNotFound, "no-such-route", "No such address", "GET / lists the addresses there are.").write(w)
	}}))
	return mux
}

// wrap checks who asks and how, bounds requests in work, and counts.
func (s *Server) wrap(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		began := s.cfg.Now()
		rec := &recorder{ResponseWriter: w, code: http.StatusOK}
		h := rec.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		if p, ok := s.admit(r, req); !ok {
			if p.Status == http.StatusUnauthorized {
				h.Set("WWW-Authenticate", `Bearer realm="leadstream"`)
			}
			if p.Status == http.StatusMethodNotAllowed {
				h.Set("Allow", r.allow())
			}
			p.write(rec)
		} else {
			s.serve(r, rec, req)
		}
		took := s.cfg.Now().Sub(began)
		s.metrics.answered(r.pattern, rec.code, took)
		// The path holds ids of people, so the route stands for it.
		s.cfg.Log.Debug("http request", "route", r.pattern, "code", rec.code, "ms", float64(took)/float64(time.Millisecond))
	})
}

func (s *Server) serve(r route, rec *recorder, req *http.Request) {
	if !r.stream {
		if !s.requests.tryAcquire() {
			rec.Header().Set("Retry-After", "1")
			problem(http.StatusServiceUnavailable, "busy", "Busy", "The bound on requests in work is reached; try again.").write(rec)
			return
		}
		defer s.requests.release()
	}
	r.handle(rec, req)
}

func (r *route) answers(method string) bool {
	if r.method != "" {
		return method == r.method
	}
	return method == http.MethodGet || method == http.MethodHead && !r.stream
}

func (r *route) allow() string { return cmp.Or(r.method, "GET, HEAD") }

// admit checks method, host and token.
func (s *Server) admit(r route, req *http.Request) (Problem, bool) {
	if !r.answers(req.Method) {
		return problem(http.StatusMethodNotAllowed, "method-not-allowed", "Method not allowed", "This address answers "+cmp.Or(r.method, http.MethodGet)+"."), false
	}
	if len(s.cfg.Tokens) == 0 {
		// Without tokens only this machine may ask, and a web page on it that had its own name point here
		// (DNS rebinding) is not this machine: its requests carry that name.
		if !isLoopback(hostOnly(req.Host)) {
			return problem(http.StatusForbidden, "host-not-allowed", "Host not allowed",
				"Without tokens the API answers only to localhost and loopback addresses."), false
		}
		return Problem{}, true
	}
	if r.roles == 0 {
		return Problem{}, true
	}
	scheme, token, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return problem(http.StatusUnauthorized, "token-required", "Token required", "Send Authorization: Bearer <token>."), false
	}
	roles, ok := s.cfg.Tokens.find(strings.TrimSpace(token))
	if !ok {
		return problem(http.StatusUnauthorized, "token-unknown", "Token unknown", "The token is not one of the configured ones."), false
	}
	if roles&r.roles == 0 {
		return problem(http.StatusForbidden, "role-missing", "Role missing", "The token's roles do not allow this."), false
	}
	return Problem{}, true
}

// hostOnly cuts the port off a Host header.
func hostOnly(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.Trim(host, "[]")
}

// recorder remembers the status code for metrics.
type recorder struct {
	http.ResponseWriter
	code  int
	wrote bool
}

// WriteHeader remembers the first code.
func (r *recorder) WriteHeader(code int) {
	if !r.wrote {
		r.code, r.wrote = code, true
	}
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap lets a ResponseController find the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
