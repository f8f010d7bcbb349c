package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Routes, as metrics name them.
const (
	routeIndex   = "/"
	routeLead    = "/v1/leads/{id}"
	routeDelete  = "DELETE /v1/leads/{id}"
	routeErase   = "/v1/leads/{id}/erase"
	routeExport  = "/v1/leads/{id}/export"
	routeAccount = "/v1/accounts/{id}"
	routeStream  = "/v1/events/stream"
	routeStatus  = "/v1/status"
	routeMetrics = "/metrics"
	routeHealth  = "/healthz"
	routeReady   = "/readyz"
	routeNone    = "none"
)

// Server answers HTTP requests. Open makes one, Run serves.
type Server struct {
	cfg      Config
	metrics  *metrics
	hub      *hub
	listener net.Listener
	http     *http.Server

	requests    semaphore
	subscribers semaphore
	catchUps    semaphore
	erasures    semaphore
	// stopping is closed when Run begins to stop: streams end by themselves.
	stopping chan struct{}
}

// Open checks the configuration and listens. The caller must call Run, or Close.
func Open(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	s := &Server{cfg: cfg, requests: newSemaphore(cfg.MaxRequests), subscribers: newSemaphore(cfg.MaxSubscribers),
		catchUps: newSemaphore(cfg.MaxCatchUps), erasures: newSemaphore(maxErasures), stopping: make(chan struct{})}
	routes := s.routes()
	names := []string{routeNone}
	for _, r := range routes {
		names = append(names, r.pattern)
	}
	var err error
	if s.metrics, err = newMetrics(cfg.Registry, names); err != nil {
		return nil, fmt.Errorf("http: registering metrics: %w", err)
	}
	s.hub = newHub(cfg, s.metrics)
	s.http = &http.Server{
		Handler:           s.handler(routes),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       cfg.readTimeout,
		// Streams set a deadline of their own before every write.
		WriteTimeout:   30 * time.Second,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
		ErrorLog:       slog.NewLogLogger(cfg.Log.Handler(), slog.LevelDebug),
	}
	if s.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	if cfg.TLS != nil {
		s.listener = tls.NewListener(s.listener, cfg.TLS)
	}
	return s, nil
}

// URL is where the server listens.
func (s *Server) URL() string {
	if s.cfg.TLS != nil {
		return "https://" + s.listener.Addr().String()
	}
	return "http://" + s.listener.Addr().String()
}

// Close stops listening, for a server that is not going to Run.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends, then ends streams, waits up to StopTimeout for requests in work, and
// returns when everything has ended. It returns nil when ctx ended.
func (s *Server) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	tailCtx, stopTail := context.WithCancel(context.WithoutCancel(ctx))
	defer stopTail() // Last to stop: streams are served from what it reads.
	running.Go(func() { s.hub.run(tailCtx) })

	served := make(chan error, 1)
	running.Go(func() { served <- s.http.Serve(s.listener) })
	select {
	case err := <-served:
		return fmt.Errorf("http: serving: %w", err)
	case <-ctx.Done():
	}
	close(s.stopping)
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StopTimeout)
	defer cancel()
	if err := s.http.Shutdown(stopCtx); err != nil {
		s.cfg.Log.Warn("stopping the http server: requests were cut off", "err", err)
		if err := s.http.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("http: closing: %w", err)
		}
	}
	return nil
}

// semaphore bounds how many of something there are; a full one refuses rather than waits.
type semaphore chan struct{}

func newSemaphore(n int) semaphore { return make(semaphore, n) }

func (s semaphore) tryAcquire() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s semaphore) release() { <-s }
