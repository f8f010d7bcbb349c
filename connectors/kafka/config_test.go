package kafka

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func good() Config {
	return Config{Brokers: []string{"localhost:9092"}, App: "app", Instance: "one"}
}

func TestValidateDefaults(t *testing.T) {
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	c := good().withDefaults()
	if c.Shards != 8 || c.Slots != 8 || c.SessionTimeout != 6*time.Second || c.HeartbeatInterval != 30*time.Millisecond ||
		c.maxRecord() != 1<<20+64<<10 || c.Logger == nil {
		t.Errorf("defaults: %+v", c)
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"no brokers", func(c *Config) { c.Brokers = nil }, "brokers: none given"},
		{"no port", func(c *Config) { c.Brokers = []string{"localhost"} }, `"localhost" is not host:port`},
		{"port", func(c *Config) { c.Brokers = []string{"localhost:70000"} }, `"localhost:70000" is not host:port`},
		{"no app", func(c *Config) { c.App = "" }, "app: none given"},
		{"app", func(c *Config) { c.App = "my app" }, "app: \"my app\" has characters"},
		{"long app", func(c *Config) { c.App = strings.Repeat("a", 201) }, "app: longer than 200"},
		{"no instance", func(c *Config) { c.Instance = "" }, "instance: none given"},
		{"shards", func(c *Config) { c.Shards = -1 }, "shards: -1 is outside 1 to 10000"},
		{"slots", func(c *Config) { c.Slots = 65 }, "slots: 65 is outside 1 to 64"},
		{"isr", func(c *Config) { c.ReplicationFactor, c.MinISR = 2, 3 }, "3 is above the replication factor 2"},
		{"heartbeat", func(c *Config) { c.HeartbeatInterval = 3 * time.Second }, "heartbeat interval: 3s is above a third"},
		{"timeout", func(c *Config) { c.TransactionTimeout = 2 * time.Hour }, "transaction timeout: 2h0m0s is outside"},
		{"fetch", func(c *Config) { c.FetchMaxPartitionBytes = 16 << 20 }, "fetch max partition bytes: 16777216 is outside 1 to 8388608"},
		{"topic", func(c *Config) { c.Topics = map[string]TopicConfig{"jurnal": {}} }, `topics: "jurnal" is not a topic of ours`},
		{"tls files", func(c *Config) { c.TLS.CAFile = "ca.pem" }, "tls: files are given but it is not enabled"},
		{"tls key", func(c *Config) { c.TLS = TLS{Enabled: true, CertFile: "c.pem"} }, "needs both a certificate and a key"},
		{"tls version", func(c *Config) { c.TLS = TLS{Enabled: true, MinVersion: 0x0302} }, "below 1.2"},
		{"sasl mechanism", func(c *Config) { c.SASL.Mechanism = "GSSAPI" }, `mechanism "GSSAPI" is not one of`},
		{"sasl no mechanism", func(c *Config) { c.SASL.User = "u" }, "credentials are given but no mechanism"},
		{"sasl no user", func(c *Config) { c.SASL = SASL{Mechanism: SASLScram256, Password: "p"} }, "SCRAM-SHA-256 needs a user"},
		{"sasl no password", func(c *Config) { c.SASL = SASL{Mechanism: SASLScram512, User: "u"} }, "needs a password or a password file"},
		{"sasl both", func(c *Config) {
			c.SASL = SASL{Mechanism: SASLScram512, User: "u", Password: "secretword", PasswordFile: "f"}
		}, "needs a password or a password file"},
		{"plain", func(c *Config) { c.SASL = SASL{Mechanism: SASLPlain, User: "u", Password: "secretword"} }, "PLAIN sends the secret itself"},
		{"oauth", func(c *Config) { c.SASL = SASL{Mechanism: SASLOAuthBearer} }, "OAUTHBEARER needs a token file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := good()
			tt.change(&c)
			err := c.Validate()
			if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secretword") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
	err := Config{Slots: -1}.Validate()
	for _, want := range []string{"brokers: none", "app: none", "instance: none", "slots: -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
