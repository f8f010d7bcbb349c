package main

import "time"

// config is the configuration file. Its keys, with what they mean, are in deploy/leadstream.yaml, which a
// test compares with this type. Every field without omitempty in that file has a default from defaultConfig.
type config struct {
	App      string   `yaml:"app"`
	Instance string   `yaml:"instance"`
	Brokers  []string `yaml:"brokers"`

	TLS      tlsConfig      `yaml:"tls"`
	SASL     saslConfig     `yaml:"sasl"`
	Embedded embeddedConfig `yaml:"embedded"`

	Shards      int                    `yaml:"shards"`
	Replication replicationConfig      `yaml:"replication"`
	Topics      map[string]topicConfig `yaml:"topics"`
	Group       groupConfig            `yaml:"group"`
	Standbys    int                    `yaml:"standby_replicas"`

	Sources []sourceConfig `yaml:"sources"`
	Rules   []string       `yaml:"rules" path:"file"`

	DataDir string      `yaml:"data_dir" path:"file"`
	Memory  size        `yaml:"memory"`
	Epoch   epochConfig `yaml:"epoch"`

	CheckpointInterval duration `yaml:"checkpoint_interval"`
	CutInterval        duration `yaml:"cut_interval"`
	IdleAfter          duration `yaml:"idle_after"`
	WatermarkWait      duration `yaml:"watermark_wait"`

	HTTP httpConfig `yaml:"http"`
	Log  logConfig  `yaml:"log"`
}

type tlsConfig struct {
	Enabled    bool   `yaml:"enabled"`
	CAFile     string `yaml:"ca_file" path:"file"`
	CertFile   string `yaml:"cert_file" path:"file"`
	KeyFile    string `yaml:"key_file" path:"file"`
	ServerName string `yaml:"server_name"`
}

type saslConfig struct {
	Mechanism      string `yaml:"mechanism"`
	User           string `yaml:"user"`
	Password       secret `yaml:"password"`
	PasswordFile   string `yaml:"password_file" path:"file"`
	PasswordEnv    string `yaml:"password_env"`
	Token          secret `yaml:"token"`
	TokenFile      string `yaml:"token_file" path:"file"`
	TokenEnv       string `yaml:"token_env"`
	AllowPlaintext bool   `yaml:"allow_plaintext"`
}

type embeddedConfig struct {
	Enabled bool   `yaml:"enabled"`
	DataDir string `yaml:"data_dir" path:"file"`
	Port    int    `yaml:"port"`
}

type replicationConfig struct {
	Factor    int `yaml:"factor"`
	MinInSync int `yaml:"min_in_sync"`
}

type topicConfig struct {
	ReplicationFactor int               `yaml:"replication_factor"`
	Settings          map[string]string `yaml:"settings"`
}

type groupConfig struct {
	SessionTimeout   duration `yaml:"session_timeout"`
	RebalanceTimeout duration `yaml:"rebalance_timeout"`
	Dynamic          bool     `yaml:"dynamic"`
}

type sourceConfig struct {
	Name     string         `yaml:"name"`
	Topic    string         `yaml:"topic"`
	Format   string         `yaml:"format"`
	Mapping  *mappingConfig `yaml:"mapping"`
	History  bool           `yaml:"history"`
	MaxBytes size           `yaml:"max_bytes"`
}

type mappingConfig struct {
	Type          string `yaml:"type"`
	UserID        string `yaml:"user_id"`
	AnonymousID   string `yaml:"anonymous_id"`
	PreviousID    string `yaml:"previous_id"`
	GroupID       string `yaml:"group_id"`
	MessageID     string `yaml:"message_id"`
	Timestamp     string `yaml:"timestamp"`
	TimestampUnit string `yaml:"timestamp_unit"`
	Event         string `yaml:"event"`
	Category      string `yaml:"category"`
	Channel       string `yaml:"channel"`
	Properties    string `yaml:"properties"`
	Context       string `yaml:"context"`
	Traits        string `yaml:"traits"`
}

type epochConfig struct {
	CommitInterval duration `yaml:"commit_interval"`
	MaxRecords     int      `yaml:"max_records"`
	MaxTimers      int      `yaml:"max_timers"`
	MaxOutputs     int      `yaml:"max_outputs"`
	MaxBytes       size     `yaml:"max_bytes"`
}

type httpConfig struct {
	Listen          string        `yaml:"listen"`
	Advertise       string        `yaml:"advertise"`
	TokenHashes     secret        `yaml:"token_hashes"`
	TokenHashesFile string        `yaml:"token_hashes_file" path:"file"`
	TokenHashesEnv  string        `yaml:"token_hashes_env"`
	TLS             httpTLSConfig `yaml:"tls"`
	MaxSubscribers  int           `yaml:"max_subscribers"`
}

type httpTLSConfig struct {
	CertFile string `yaml:"cert_file" path:"file"`
	KeyFile  string `yaml:"key_file" path:"file"`
}

type logConfig struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// defaultConfig is what holds where the file says nothing.
func defaultConfig() config {
	return config{
		App:                "leadstream",
		Shards:             8,
		Embedded:           embeddedConfig{Port: 9092},
		Memory:             512 << 20,
		CheckpointInterval: duration(time.Minute),
		CutInterval:        duration(30 * time.Second),
		IdleAfter:          duration(30 * time.Second),
		WatermarkWait:      duration(time.Minute),
		Group:              groupConfig{SessionTimeout: duration(6 * time.Second), RebalanceTimeout: duration(30 * time.Second)},
		Epoch: epochConfig{CommitInterval: duration(100 * time.Millisecond), MaxRecords: 20_000, MaxTimers: 20_000,
			MaxOutputs: 5_000, MaxBytes: 16 << 20},
		HTTP: httpConfig{Listen: "127.0.0.1:8080", MaxSubscribers: 256},
		Log:  logConfig{Level: "info", Format: "text"},
	}
}

// defaultSource is what holds where an entry of sources says nothing.
func defaultSource() sourceConfig {
	return sourceConfig{Format: formatSegment, MaxBytes: 1 << 20}
}

// The formats of sources.
const (
	formatSegment     = "segment"
	formatJSON        = "json"
	formatCloudEvents = "cloudevents"
)
