package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"leadstream/connectors/formats"
	"leadstream/connectors/httpapi"
	"leadstream/connectors/kafka"
)

// recordOverhead is what key, headers and framing of a source record may take. With 1 MiB values it makes
// room for all that a topic with Kafka's own default limit can hold.
const recordOverhead = 4 << 10

// kafka returns how to reach and use the cluster.
func (c *config) kafka() kafka.Config {
	k := kafka.Config{
		Brokers: c.Brokers, App: c.App, Instance: c.Instance,
		Shards: int32(c.Shards), ReplicationFactor: int16(c.Replication.Factor), MinISR: int16(c.Replication.MinInSync),
		TLS: kafka.TLS{Enabled: c.TLS.Enabled, CAFile: c.TLS.CAFile, CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile,
			ServerName: c.TLS.ServerName},
		SASL: kafka.SASL{Mechanism: c.SASL.Mechanism, User: c.SASL.User, Password: string(c.SASL.Password),
			PasswordFile: c.SASL.PasswordFile, Token: string(c.SASL.Token), TokenFile: c.SASL.TokenFile, AllowPlaintext: c.SASL.AllowPlaintext},
		SessionTimeout: time.Duration(c.Group.SessionTimeout), RebalanceTimeout: time.Duration(c.Group.RebalanceTimeout),
		Dynamic: c.Group.Dynamic,
	}
	for name, t := range c.Topics {
		if k.Topics == nil {
			k.Topics = map[string]kafka.TopicConfig{}
		}
		k.Topics[name] = kafka.TopicConfig{ReplicationFactor: int16(t.ReplicationFactor), Configs: t.Settings}
	}
	for _, s := range c.Sources {
		// A record is more than its value, and Kafka's limits are on records.
		k.MaxSourceRecord = max(k.MaxSourceRecord, int32(s.MaxBytes)+recordOverhead)
	}
	return k
}

// formats returns how the source's records are read.
func (s sourceConfig) formats() formats.Config {
	f := formats.Config{MaxBytes: int(s.MaxBytes), CloudEvents: s.Format == formatCloudEvents}
	if m := s.Mapping; m != nil {
		f.Mapping = &formats.Mapping{
			Type: m.Type, UserID: m.UserID, AnonymousID: m.AnonymousID, PreviousID: m.PreviousID, GroupID: m.GroupID,
			MessageID: m.MessageID, Timestamp: m.Timestamp, TimestampUnit: m.TimestampUnit, Event: m.Event,
			Category: m.Category, Channel: m.Channel, Properties: m.Properties, Context: m.Context, Traits: m.Traits,
		}
	}
	return f
}

// tokens returns the API's tokens, none when the configuration names none.
func (h *httpConfig) tokens() (httpapi.Tokens, error) {
	text := []byte(h.TokenHashes)
	if h.TokenHashesFile != "" {
		var err error
		if text, err = os.ReadFile(h.TokenHashesFile); err != nil {
			return nil, err
		}
	}
	tokens, err := httpapi.ParseTokens(text)
	if err == nil && len(tokens) == 0 && (h.TokenHashesFile != "" || h.TokenHashes != "") {
		// An empty list must not open the API to everybody.
		err = fmt.Errorf("the list of token hashes is empty")
	}
	return tokens, err
}

// tls returns the API's certificate, nil without.
func (h *httpConfig) tls() (*tls.Config, error) {
	if h.TLS.CertFile == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(h.TLS.CertFile, h.TLS.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("%w: http.tls: %w", errConfig, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

// logger returns the process's logger.
func (l *logConfig) logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: map[string]slog.Level{
		"debug": slog.LevelDebug, "warn": slog.LevelWarn, "error": slog.LevelError}[l.Level]}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
