package httpapi

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config configures a Server. Listen, Leads, Engine, Feed, Registry, Log and Now are required; for
// every limit zero means its default.
type Config struct {
	// Listen is the address, host:port; port 0 takes a free one. A host that is no loopback address needs Tokens.
	Listen string
	// Tokens are those that may ask. Empty: anyone on this machine may.
	Tokens Tokens
	// TLS, when set, makes the server speak TLS only.
	TLS *tls.Config

	Leads  Leads
	Engine Engine
	Feed   Feed
	// Privacy may be nil: then nobody is erased, and nothing exported, by HTTP.
	Privacy Privacy
	// Registry is where /metrics reads, and where the server's own metrics are registered.
	Registry *prometheus.Registry
	Log      *slog.Logger
	// Now is the wall clock.
	Now func() time.Time

	// MaxRequests bounds requests in work at once, streams not counted. Default 256.
	MaxRequests int
	// MaxSubscribers bounds open event streams. Default 256.
	MaxSubscribers int
	// MaxCatchUps bounds the streams that read old events from Kafka at once. Default 8.
	MaxCatchUps int
	// WindowEvents and WindowBytes bound the recent events kept in memory. Default 16,384 and 32 MiB.
	WindowEvents int
	WindowBytes  int
	// Heartbeat is the longest silence on a stream. Default 15 s.
	Heartbeat time.Duration
	// WriteTimeout is how long one write to a client may take. Default 10 s.
	WriteTimeout time.Duration
	// StopTimeout is how long Run waits for requests in work when it is told to stop. Default 5 s.
	StopTimeout time.Duration

	// readTimeout is how long reading a request may take. Default 10 s.
	readTimeout time.Duration
	// tailRetry is how long the tail reader waits before it begins again. Default 1 s.
	tailRetry time.Duration
}

func (c Config) withDefaults() Config {
	set := func(v *int, to int) {
		if *v == 0 {
			*v = to
		}
	}
	setTime := func(v *time.Duration, to time.Duration) {
		if *v == 0 {
			*v = to
		}
	}
	set(&c.MaxRequests, 256)
	set(&c.MaxSubscribers, 256)
	set(&c.MaxCatchUps, 8)
	set(&c.WindowEvents, 16384)
	set(&c.WindowBytes, 32<<20)
	setTime(&c.Heartbeat, 15*time.Second)
	setTime(&c.WriteTimeout, 10*time.Second)
	setTime(&c.StopTimeout, 5*time.Second)
	setTime(&c.readTimeout, 10*time.Second)
	setTime(&c.tailRetry, time.Second)
	return c
}

// validate returns all faults at once.
func (c Config) validate() error {
	var faults []error
	add := func(bad bool, text string) {
		if bad {
			faults = append(faults, errors.New(text))
		}
	}
	add(c.Leads == nil || c.Engine == nil || c.Feed == nil || c.Registry == nil || c.Log == nil || c.Now == nil,
		"leads, engine, feed, registry, log and now are required")
	add(c.MaxRequests < 0 || c.MaxSubscribers < 0 || c.MaxCatchUps < 0 || c.WindowEvents < 0 || c.WindowBytes < 0 ||
		c.Heartbeat < 0 || c.WriteTimeout < 0 || c.StopTimeout < 0, "limits must not be negative")
	return errors.Join(append(faults, CheckListen(c.Listen, c.Tokens))...)
}

// CheckListen tells what is wrong with an address for Config.Listen, given the tokens.
func CheckListen(address string, tokens Tokens) error {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return fmt.Errorf("%q is not host:port", address)
	}
	if !isLoopback(address) && len(tokens) == 0 {
		return fmt.Errorf("%s is open to other machines, and that needs tokens (`leadstream token` makes one); or listen on 127.0.0.1", address)
	}
	return nil
}

// isLoopback reports whether only this machine can reach host:port. A name other than localhost is not
// trusted to stay one, and an empty host is every address.
func isLoopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
