package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// authority makes certificates for one test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.issue("ca", nil)
	return a
}

// issue writes name.pem and name.key into the directory.
func (a *authority) issue(name string, hosts []net.IP) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: hosts,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	parent, signer := a.cert, a.key
	if parent == nil {
		tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, signer = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	must(a.t, err)
	private, err := x509.MarshalECPrivateKey(key)
	must(a.t, err)
	must(a.t, os.WriteFile(a.file(name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(a.t, os.WriteFile(a.file(name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600))
	cert, err := x509.ParseCertificate(der)
	must(a.t, err)
	return cert, key
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

// server is a broker's side, asking for client certificates of this authority when told to.
func (a *authority) server(mutual bool) *tls.Config {
	a.issue("broker", []net.IP{net.IPv4(127, 0, 0, 1)})
	pair, err := tls.LoadX509KeyPair(a.file("broker.pem"), a.file("broker.key"))
	must(a.t, err)
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if mutual {
		cfg.ClientAuth, cfg.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		cfg.ClientCAs.AddCert(a.cert)
	}
	return cfg
}

func secured(t *testing.T, opts ...kfake.Opt) []string {
	cluster, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1))...)
	must(t, err)
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()
}

// try opens a cluster with all its parts' kinds of connections, and returns Open's error.
func try(t *testing.T, brokers []string, sec TLS, sasl SASL) error {
	c, err := Open(t.Context(), Config{Brokers: brokers, App: "app", Instance: "a", Shards: 2, Slots: 1, TLS: sec, SASL: sasl,
		ConnectTimeout: 3 * time.Second, ReplicationFactor: 1})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.EnsureTopics(t.Context(), nil)
	must(t, err)
	w, err := c.Committer(t.Context())
	must(t, err)
	w.Close()
	return nil
}

func TestTLS(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	a.issue("client", nil)
	other.issue("client", nil)
	trusting := TLS{Enabled: true, CAFile: a.file("ca.pem")}
	with := func(o *authority) TLS {
		s := trusting
		s.CertFile, s.KeyFile = o.file("client.pem"), o.file("client.key")
		return s
	}
	plain, mutual := secured(t, kfake.TLS(a.server(false))), secured(t, kfake.TLS(a.server(true)))
	for _, tt := range []struct {
		name    string
		brokers []string
		sec     TLS
		want    error
	}{
		{"trusted", plain, trusting, nil},
		{"unknown authority", plain, TLS{Enabled: true, CAFile: other.file("ca.pem")}, ErrUnreachable},
		{"system authorities", plain, TLS{Enabled: true}, ErrUnreachable},
		{"other name", plain, TLS{Enabled: true, CAFile: a.file("ca.pem"), ServerName: "elsewhere"}, ErrUnreachable},
		{"not encrypted", plain, TLS{}, ErrUnreachable},
		{"mutual", mutual, with(a), nil},
		{"mutual without certificate", mutual, trusting, ErrUnreachable},
		{"mutual with a stranger's", mutual, with(other), ErrUnreachable},
		{"no file", plain, TLS{Enabled: true, CAFile: a.file("none.pem")}, ErrConfig},
		{"no certificates in it", plain, TLS{Enabled: true, CAFile: a.file("client.key")}, ErrConfig},
		{"no key file", mutual, TLS{Enabled: true, CertFile: a.file("client.pem"), KeyFile: a.file("none.key")}, ErrConfig},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := try(t, tt.brokers, tt.sec, SASL{}); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSASL(t *testing.T) {
	a := newAuthority(t)
	users := []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "right"), kfake.Superuser("SCRAM-SHA-256", "u", "right"),
		kfake.Superuser("SCRAM-SHA-512", "u", "right")}
	open, encrypted := secured(t, users...), secured(t, append(users, kfake.TLS(a.server(false)))...)
	sec := TLS{Enabled: true, CAFile: a.file("ca.pem")}
	must(t, os.WriteFile(a.file("password"), []byte("right\n"), 0o600))
	must(t, os.WriteFile(a.file("empty"), []byte("\n"), 0o600))
	for _, tt := range []struct {
		name    string
		brokers []string
		sec     TLS
		sasl    SASL
		ok      bool
	}{
		{"plain over tls", encrypted, sec, SASL{Mechanism: SASLPlain, User: "u", Password: "right"}, true},
		{"plain allowed", open, TLS{}, SASL{Mechanism: SASLPlain, User: "u", Password: "right", AllowPlaintext: true}, true},
		{"scram 256", open, TLS{}, SASL{Mechanism: SASLScram256, User: "u", Password: "right"}, true},
		{"scram 512", open, TLS{}, SASL{Mechanism: SASLScram512, User: "u", Password: "right"}, true},
		{"scram 512 over tls", encrypted, sec, SASL{Mechanism: SASLScram512, User: "u", Password: "right"}, true},
		{"password file", open, TLS{}, SASL{Mechanism: SASLScram512, User: "u", PasswordFile: a.file("password")}, true},
		{"empty password file", open, TLS{}, SASL{Mechanism: SASLScram512, User: "u", PasswordFile: a.file("empty")}, false},
		{"wrong password", open, TLS{}, SASL{Mechanism: SASLScram512, User: "u", Password: "wrong1"}, false},
		{"wrong plain password", encrypted, sec, SASL{Mechanism: SASLPlain, User: "u", Password: "wrong1"}, false},
		{"none", open, TLS{}, SASL{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := try(t, tt.brokers, tt.sec, tt.sasl)
			if (err == nil) != tt.ok {
				t.Errorf("got %v", err)
			}
			if err != nil && (strings.Contains(err.Error(), "right") || strings.Contains(err.Error(), "wrong1")) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

// The token is read again for each connection: one that was renewed is used.
func TestBearerTokenIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	m := (&SASL{Mechanism: SASLOAuthBearer, TokenFile: file}).mechanism()
	if m.Name() != SASLOAuthBearer {
		t.Fatalf("mechanism %q", m.Name())
	}
	if _, _, err := m.Authenticate(t.Context(), ""); err == nil {
		t.Error("authenticated without a token")
	}
	for _, token := range []string{"first", "second"} {
		must(t, os.WriteFile(file, []byte(token+"\n"), 0o600))
		_, said, err := m.Authenticate(t.Context(), "")
		must(t, err)
		if !strings.Contains(string(said), "Bearer "+token+"\x01") {
			t.Errorf("said %q, want token %q", said, token)
		}
	}
}
