package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"leadstream/connectors/feed"
	"leadstream/connectors/formats"
	"leadstream/connectors/httpapi"
	"leadstream/connectors/kafka"
	"leadstream/engine"
	"leadstream/rules"
	"leadstream/state"
)

// service is a running leadstream: what run and demo start.
type service struct {
	cfg     *config
	log     *slog.Logger
	rules   *rules.Set
	cluster *kafka.Cluster
	engine  *engine.Engine
	running atomic.Pointer[engine.Engine] // engine, for goroutines that are there before it
	ran     bool
	feed    *feed.Feed
	api     *httpapi.Server
	// brokers are the addresses that clients use.
	brokers []string
	// storeFailed gets the reason once the store has failed.
	storeFailed chan error
	// closers release what start opened, last first.
	closers []func() error
}

// start opens everything in the order in which mistakes are cheapest to find, and leaves nothing open
// when it fails. Nothing runs yet but the broker, if it is embedded, and the group membership.
func start(ctx context.Context, c *config, log *slog.Logger) (_ *service, err error) {
	s := &service{cfg: c, log: log, storeFailed: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.rules, err = loadRules(c.Rules, io.Discard); err != nil {
		return nil, err
	}
	for _, w := range s.rules.Warnings() {
		log.Warn("rule set", "warning", w.String())
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	partitions, err := s.connect(ctx, registry)
	if err != nil {
		return nil, err
	}
	if s.feed, err = feed.Open(ctx, feed.Config{Options: s.cluster.ClientOptions,
		Topics: []string{s.cluster.TopicName(engine.TopicTransitions), s.cluster.TopicName(engine.TopicHandoffs)}}); err != nil {
		return nil, fmt.Errorf("%w: %w", kafka.ErrTopic, err)
	}
	s.onClose(func() error { s.feed.Close(); return nil })
	if err := s.openAPI(registry); err != nil {
		return nil, err
	}
	s.onClose(func() error {
		if s.ran {
			return nil // Run has closed it
		}
		return s.api.Close()
	})
	return s, s.openEngine(ctx, partitions, registry)
}

// onClose adds something to release, before all that was opened earlier.
func (s *service) onClose(f func() error) { s.closers = append(s.closers, f) }

func (s *service) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// connect starts the embedded broker if there is one, connects, and returns the sources' partition counts.
func (s *service) connect(ctx context.Context, registry *prometheus.Registry) (map[string]int32, error) {
	c := s.cfg
	k := c.kafka()
	sources := s.sourceTopics()
	if c.Embedded.Enabled {
		topics := map[string]int32{}
		for _, topic := range sources {
			topics[topic] = int32(c.Shards)
		}
		broker, err := kafka.StartEmbedded(kafka.Embedded{Dir: c.Embedded.DataDir, SyncWrites: c.Embedded.DataDir != "",
			Port: c.Embedded.Port, Topics: topics, Logger: s.log})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", kafka.ErrUnreachable, err)
		}
		s.onClose(func() error { broker.Close(); return nil })
		k.Brokers = broker.Addresses()
	}
	s.brokers = k.Brokers
	k.Logger, k.Metrics = s.log, registry
	var err error
	if s.cluster, err = kafka.Open(ctx, k); err != nil {
		return nil, err
	}
	s.onClose(func() error { s.cluster.Close(); return nil })
	return s.cluster.EnsureTopics(ctx, sources)
}

func (s *service) sourceTopics() []string {
	var topics []string
	for _, source := range s.cfg.Sources {
		topics = append(topics, source.Topic)
	}
	return topics
}

// openEngine opens the store and what the engine needs of Kafka. The group is joined last, because from
// then on shards are expected to be worked on.
func (s *service) openEngine(ctx context.Context, partitions map[string]int32, registry *prometheus.Registry) error {
	c := s.cfg
	store, err := state.Open(state.Options{Dir: c.DataDir, App: c.App, ClusterID: s.cluster.ClusterID(), Instance: c.Instance,
		Logger: s.log, OnFatal: func(err error) { s.storeFailed <- err }}.Within(int64(c.Memory)))
	if err != nil {
		return err
	}
	s.onClose(store.Close)
	registry.MustRegister(store.Collector())
	sources, err := engineSources(c.Sources)
	if err != nil {
		return err
	}
	committer, err := s.cluster.Committer(ctx)
	if err != nil {
		return err
	}
	s.onClose(func() error { committer.Close(); return nil })
	inputs, err := s.cluster.Inputs()
	if err != nil {
		return err
	}
	s.onClose(func() error { inputs.Close(); return nil })
	group, err := s.cluster.Join(kafka.Member{Address: advertised(c.HTTP.Advertise, s.api.URL()), Standbys: c.Standbys,
		Holdings: func() []engine.Holding {
			if e := s.running.Load(); e != nil {
				return e.Holdings()
			}
			return engine.StoredHoldings(store, int32(c.Shards))
		}})
	if err != nil {
		return err
	}
	s.onClose(func() error { return leave(group) })
	cut := time.Duration(c.CutInterval)
	if cut == 0 {
		cut = -1 // The engine's word for never.
	}
	s.engine, err = engine.New(engine.Config{
		App: c.App, Shards: int32(c.Shards), Sources: sources, SourcePartitions: partitions, TopicIDs: s.cluster.TopicIDs(), Rules: s.rules, Logic: logic(),
		CommitInterval: time.Duration(c.Epoch.CommitInterval), CheckpointInterval: time.Duration(c.CheckpointInterval), CutInterval: cut,
		IdleAfter: time.Duration(c.IdleAfter), WatermarkWait: time.Duration(c.WatermarkWait),
		MaxEpochRecords: c.Epoch.MaxRecords, MaxEpochTimers: c.Epoch.MaxTimers, MaxEpochOutputs: c.Epoch.MaxOutputs,
		MaxEpochBytes: int(c.Epoch.MaxBytes), MaxRecordBytes: int(c.kafka().MaxSourceRecord), CacheBytes: int64(c.Memory / 2),
		Clock: func() int64 { return time.Now().UnixMilli() }, Logger: s.log, Registerer: registry,
		Inputs: inputs, Group: group, Committer: committer, History: s.cluster.History(), Store: store,
	})
	if err == nil {
		s.running.Store(s.engine)
	}
	return err
}

// advertised is the URL under which others find the API that listens at a URL.
func advertised(configured, listens string) string {
	if configured != "" {
		return configured
	}
	u, err := url.Parse(listens)
	if err != nil {
		return listens
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			u.Host = net.JoinHostPort(name, u.Port())
		}
	}
	return u.String()
}

// leave gives up the shards of a group that the engine has not run with, or has left already.
func leave(group *kafka.Group) error {
	go func() { // Leave hands the shards back as a change, and closes the channel.
		for change := range group.Changes() {
			change.Done()
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return group.Leave(ctx)
}

func engineSources(configured []sourceConfig) ([]engine.SourceConfig, error) {
	var sources []engine.SourceConfig
	for _, c := range configured {
		newDecoder, err := formats.New(c.formats())
		if err != nil {
			return nil, fmt.Errorf("%w: source %q: %w", errConfig, c.Name, err)
		}
		sources = append(sources, engine.SourceConfig{Name: c.Name, Topic: c.Topic, History: c.History, NewDecoder: newDecoder})
	}
	return sources, nil
}

func (s *service) openAPI(registry *prometheus.Registry) error {
	tokens, err := s.cfg.HTTP.tokens()
	if err != nil {
		return fmt.Errorf("%w: http.token_hashes: %w", errConfig, err)
	}
	tlsConfig, err := s.cfg.HTTP.tls()
	if err != nil {
		return err
	}
	if tlsConfig == nil && len(tokens) > 0 {
		s.log.Warn("the API has tokens but no certificate: tokens travel unencrypted unless a proxy before it encrypts", "listen", s.cfg.HTTP.Listen)
	}
	view := &apiView{service: s, started: time.Now()}
	s.api, err = httpapi.Open(httpapi.Config{Listen: s.cfg.HTTP.Listen, Tokens: tokens, TLS: tlsConfig, Leads: view, Engine: view, Privacy: view,
		Feed: s.feed, Registry: registry, Log: s.log, Now: time.Now, MaxSubscribers: s.cfg.HTTP.MaxSubscribers})
	if err != nil {
		return fmt.Errorf("%w: %w", errHTTP, err)
	}
	return nil
}

// run works until ctx ends or something fails, then stops in order: the API, which then shows nothing
// that is about to go; the engine, which commits and saves; and what both use.
func (s *service) run(ctx context.Context) error {
	s.log.Info("leadstream started", "version", version(), "app", s.cfg.App, "instance", s.cfg.Instance, "rule_set", s.rules.Version(),
		"api", s.api.URL())
	s.ran = true
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var running sync.WaitGroup
	var engineErr, apiErr, storeErr, topicErr error
	running.Go(func() {
		engineErr = s.engine.Run(ctx)
		cancel(engineErr)
	})
	running.Go(func() {
		apiErr = s.api.Run(ctx)
		cancel(apiErr)
	})
	running.Go(func() {
		if topicErr = s.cluster.Watch(ctx, s.sourceTopics(), s.engine.SourceGrown); topicErr != nil {
			cancel(topicErr)
		}
	})
	select {
	case storeErr = <-s.storeFailed:
		cancel(storeErr)
	case <-ctx.Done():
	}
	running.Wait()
	err := errors.Join(storeErr, topicErr, engineErr, apiErr, s.close())
	if err == nil {
		s.log.Info("leadstream stopped")
	}
	return err
}
