package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// TLS says how connections are encrypted. The zero value is plain text.
type TLS struct {
	Enabled bool
	// CAFile is a PEM file of the authorities to trust. Default: the system's.
	CAFile string
	// CertFile and KeyFile are this client's certificate, for clusters that ask for one. Both are read
	// again for every new connection, so that a renewed certificate is used without a restart.
	CertFile, KeyFile string
	// ServerName is checked against the broker's certificate. Default: the address's host.
	ServerName string
	// MinVersion is a crypto/tls version. Default TLS 1.2.
	MinVersion uint16
}

func (t *TLS) validate(bad func(string, ...any)) {
	if !t.Enabled {
		if t.CAFile != "" || t.CertFile != "" || t.KeyFile != "" {
			bad("tls: files are given but it is not enabled")
		}
		return
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		bad("tls: a client certificate needs both a certificate and a key file")
	}
	if t.MinVersion != 0 && t.MinVersion < tls.VersionTLS12 {
		bad("tls: versions below 1.2 are not supported")
	}
}

// config loads the files; nil without TLS.
func (t *TLS) config() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	cfg := &tls.Config{ServerName: t.ServerName, MinVersion: max(t.MinVersion, tls.VersionTLS12)}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading tls authorities: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading tls authorities: %q has no PEM certificate", t.CAFile)
		}
	}
	if t.CertFile != "" {
		load := func() (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return nil, fmt.Errorf("reading tls client certificate: %w", err)
			}
			return &cert, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return cfg, nil
}

// The SASL mechanisms.
const (
	SASLPlain       = "PLAIN"
	SASLScram256    = "SCRAM-SHA-256"
	SASLScram512    = "SCRAM-SHA-512"
	SASLOAuthBearer = "OAUTHBEARER"
)

// SASL says how this process proves who it is. The zero value does not.
type SASL struct {
	// Mechanism is one of the SASL constants, or empty.
	Mechanism string
	// User and Password are for PLAIN and SCRAM. PasswordFile is read for every new connection instead
	// of Password when given.
	User, Password, PasswordFile string
	// Token is the bearer token of OAUTHBEARER. TokenFile is read for every new connection instead of Token
	// when given.
	Token, TokenFile string
	// AllowPlaintext permits PLAIN and OAUTHBEARER, which send the secret itself, without TLS.
	AllowPlaintext bool
}

func (s *SASL) validate(bad func(string, ...any), encrypted bool) {
	switch s.Mechanism {
	case "":
		if s.User != "" || s.Password != "" || s.PasswordFile != "" || s.Token != "" || s.TokenFile != "" {
			bad("sasl: credentials are given but no mechanism")
		}
		return
	case SASLPlain, SASLScram256, SASLScram512:
		if s.User == "" {
			bad("sasl: %s needs a user", s.Mechanism)
		}
		if (s.Password == "") == (s.PasswordFile == "") {
			bad("sasl: %s needs a password or a password file, not both", s.Mechanism)
		}
	case SASLOAuthBearer:
		if (s.Token == "") == (s.TokenFile == "") {
			bad("sasl: %s needs a token file or a token, not both", s.Mechanism)
		}
	default:
		bad("sasl: mechanism %q is not one of %s, %s, %s, %s", s.Mechanism, SASLPlain, SASLScram256, SASLScram512, SASLOAuthBearer)
	}
	if secret := s.Mechanism == SASLPlain || s.Mechanism == SASLOAuthBearer; secret && !encrypted && !s.AllowPlaintext {
		bad("sasl: %s sends the secret itself; enable tls, or allow plaintext explicitly", s.Mechanism)
	}
}

// mechanism returns nil without SASL.
func (s *SASL) mechanism() sasl.Mechanism {
	switch s.Mechanism {
	case SASLPlain:
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			pass, err := s.password()
			return plain.Auth{User: s.User, Pass: pass}, err
		})
	case SASLScram256:
		return scram.Sha256(s.scram)
	case SASLScram512:
		return scram.Sha512(s.scram)
	case SASLOAuthBearer:
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			if s.TokenFile == "" {
				return oauth.Auth{Token: s.Token}, nil
			}
			token, err := secretFile(s.TokenFile)
			return oauth.Auth{Token: token}, err
		})
	}
	return nil
}

func (s *SASL) scram(context.Context) (scram.Auth, error) {
	pass, err := s.password()
	return scram.Auth{User: s.User, Pass: pass}, err
}

func (s *SASL) password() (string, error) {
	if s.PasswordFile == "" {
		return s.Password, nil
	}
	return secretFile(s.PasswordFile)
}

// secretFile reads a secret; the text of its errors never holds the content.
func secretFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading sasl secret: %w", err)
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" {
		return "", errors.New("reading sasl secret: the file is empty")
	}
	return secret, nil
}
