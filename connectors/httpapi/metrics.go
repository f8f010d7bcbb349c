package httpapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the server's own. All series that are certain to be used exist from the start.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec

	subscribers prometheus.Gauge
	catchUps    prometheus.Gauge
	events      *prometheus.CounterVec
	closed      *prometheus.CounterVec
	window      prometheus.Gauge
	tailErrors  prometheus.Counter
}

// Why a stream ended, as the label says it.
const (
	closedClient   = "client"
	closedSlow     = "slow"
	closedStopping = "stopping"
	closedFailed   = "failed"
)

func newMetrics(reg prometheus.Registerer, routes []string) (*metrics, error) {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "leadstream", Subsystem: "httpapi", Name: name, Help: help}
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts(opts("requests_total",
			"Requests answered, by route and status code.")), []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "leadstream", Subsystem: "httpapi",
			Name: "request_seconds", Help: "Time to answer a request, by route; streams are not counted.",
			Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}}, []string{"route"}),
		subscribers: prometheus.NewGauge(prometheus.GaugeOpts(opts("stream_subscribers", "Open event streams."))),
		catchUps: prometheus.NewGauge(prometheus.GaugeOpts(opts("stream_catchups",
			"Event streams that read old events from Kafka."))),
		events: prometheus.NewCounterVec(prometheus.CounterOpts(opts("stream_events_total",
			"Events sent to subscribers, by type.")), []string{"type"}),
		closed: prometheus.NewCounterVec(prometheus.CounterOpts(opts("stream_closed_total",
			"Event streams ended, by reason.")), []string{"reason"}),
		window: prometheus.NewGauge(prometheus.GaugeOpts(opts("window_events", "Recent events kept in memory."))),
		tailErrors: prometheus.NewCounter(prometheus.CounterOpts(opts("tail_errors_total",
			"Times that reading the output topics failed and was begun again."))),
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.subscribers, m.catchUps, m.events, m.closed, m.window, m.tailErrors} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	for _, route := range routes {
		m.requests.WithLabelValues(route, "200")
	}
	for _, kind := range eventTypes {
		m.events.WithLabelValues(kind)
	}
	for _, reason := range []string{closedClient, closedSlow, closedStopping, closedFailed} {
		m.closed.WithLabelValues(reason)
	}
	return m, nil
}

func (m *metrics) answered(route string, code int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(code)).Inc()
	if route != routeStream {
		m.seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}
