package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// authority is a CA of a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	made := a.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	a.cert, a.key = made.Leaf, made.PrivateKey.(*ecdsa.PrivateKey)
	return a
}

// make signs a certificate; an authority without one signs its own.
func (a *authority) make(template *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) server(name string) tls.Certificate {
	return a.make(&x509.Certificate{
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

func (a *authority) client(names ...string) tls.Certificate {
	return a.make(&x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// serveTLS serves the world over TLS too and returns the address.
func (w *world) serveTLS(t *TCP) string {
	w.t.Helper()
	w.tcp = t
	w.serve()
	return w.listener.Address().String()
}

func TestAClientWithAnAllowedCertificateIsServedOverTLS(t *testing.T) {
	t.Parallel()
	servers, clients := newAuthority(t, "servers"), newAuthority(t, "clients")
	w := newWorld(t)
	address := w.serveTLS(&TCP{
		Address: "127.0.0.1:0", Certificate: servers.server("signer.internal"), ClientCAs: clients.pool(),
		AllowedNames: []string{"portal.internal", "worker.internal"},
	})
	overSocket := w.client
	client, err := signer.NewTLSClient(signer.TLSConfig{
		URL: "https://" + address, Certificate: clients.client("other.internal", "worker.internal"), CAs: servers.pool(),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.client = client
	envelope := w.mustIssue(paid(pack("ord_1"), 25000))
	w.payload(envelope)
	w.client = overSocket
	if again := w.mustIssue(paid(pack("ord_1"), 25000)); string(again) != string(envelope) {
		t.Error("socket and TLS answer differently")
	}
	if w.store.Size() != 1 {
		t.Errorf("%d records", w.store.Size())
	}
}

func TestOthersAreRefusedOverTLS(t *testing.T) {
	t.Parallel()
	servers, clients, strangers := newAuthority(t, "servers"), newAuthority(t, "clients"), newAuthority(t, "clients")
	w := newWorld(t)
	address := w.serveTLS(&TCP{
		Address: "127.0.0.1:0", Certificate: servers.server("signer.internal"), ClientCAs: clients.pool(), AllowedNames: []string{"portal.internal"},
	})
	common := clients.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: "portal.internal"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	expired := clients.make(&x509.Certificate{
		DNSNames: []string{"portal.internal"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
	})
	serving := clients.make(&x509.Certificate{DNSNames: []string{"portal.internal"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	allowed := clients.client("portal.internal")
	for name, config := range map[string]*tls.Config{
		"another name":              {Certificates: []tls.Certificate{clients.client("portal.internal.example", "internal", "*.internal")}},
		"the name as common name":   {Certificates: []tls.Certificate{common}},
		"another CA":                {Certificates: []tls.Certificate{strangers.client("portal.internal")}},
		"the server's CA":           {Certificates: []tls.Certificate{servers.client("portal.internal")}},
		"its own CA":                {Certificates: []tls.Certificate{newAuthority(t, "portal.internal").client("portal.internal")}},
		"no certificate":            {},
		"an expired certificate":    {Certificates: []tls.Certificate{expired}},
		"a certificate for servers": {Certificates: []tls.Certificate{serving}},
		"TLS 1.2":                   {Certificates: []tls.Certificate{allowed}, MaxVersion: tls.VersionTLS12},
	} {
		config.RootCAs, config.ServerName = servers.pool(), "signer.internal"
		if err := askOver(address, config); err == nil {
			t.Errorf("%s: served", name)
		}
	}
	if err := askOver(address, &tls.Config{Certificates: []tls.Certificate{allowed}, RootCAs: servers.pool(), ServerName: "signer.internal"}); err != nil {
		t.Errorf("the test's way of asking does not work: %v", err)
	}
	res, err := http.Get("http://" + address + "/v1/status")
	if err == nil {
		defer res.Body.Close()
		if text, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusBadRequest || strings.Contains(string(text), "ready") {
			t.Errorf("plain HTTP: %d %s", res.StatusCode, text)
		}
	}
}

// askOver asks for the status over one connection.
func askOver(address string, config *tls.Config) error {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	res, err := client.Get("https://" + address + "/v1/status")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return nil
}

func TestTheClientRefusesAnotherSigner(t *testing.T) {
	t.Parallel()
	servers, clients := newAuthority(t, "servers"), newAuthority(t, "clients")
	w := newWorld(t)
	address := w.serveTLS(&TCP{
		Address: "127.0.0.1:0", Certificate: servers.server("signer.internal"), ClientCAs: clients.pool(), AllowedNames: []string{"portal.internal"},
	})
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]signer.TLSConfig{
		"another CA":   {URL: "https://" + address, CAs: clients.pool()},
		"another name": {URL: "https://localhost:" + port, CAs: servers.pool()},
	} {
		c.Certificate = clients.client("portal.internal")
		client, err := signer.NewTLSClient(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Status(t.Context()); code(err) != signer.CodeUnavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := signer.TLSConfig{URL: "https://signer.internal:8443", Certificate: clients.client("portal.internal"), CAs: servers.pool()}
	for name, change := range map[string]func(*signer.TLSConfig){
		"plain HTTP": func(c *signer.TLSConfig) { c.URL = "http://signer.internal" }, "no host": func(c *signer.TLSConfig) { c.URL = "https://:8443" },
		"a path": func(c *signer.TLSConfig) { c.URL += "/v1" }, "a password": func(c *signer.TLSConfig) { c.URL = "https://a:b@signer.internal" },
		"no certificate": func(c *signer.TLSConfig) { c.Certificate = tls.Certificate{} }, "no CA": func(c *signer.TLSConfig) { c.CAs = nil },
	} {
		c := good
		change(&c)
		if _, err := signer.NewTLSClient(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTLSIsNotServedHalfConfigured(t *testing.T) {
	t.Parallel()
	clients := newAuthority(t, "clients")
	certificate := clients.server("signer.internal")
	for name, c := range map[string]*TCP{
		"no names":      {Address: "127.0.0.1:0", Certificate: certificate, ClientCAs: clients.pool()},
		"no client CAs": {Address: "127.0.0.1:0", Certificate: certificate, AllowedNames: []string{"portal.internal"}},
		"no port":       {Address: "127.0.0.1", Certificate: certificate, ClientCAs: clients.pool(), AllowedNames: []string{"portal.internal"}},
	} {
		socket := Socket{Path: filepath.Join(newWorld(t).dir, "s"), GroupID: -1}
		if _, err := Listen(socket, c); err == nil {
			t.Errorf("%s: listens", name)
		}
		again, err := Listen(socket, nil)
		if err != nil {
			t.Fatalf("%s: the socket was not given up: %v", name, err)
		}
		again.Close()
	}
	var served atomic.Bool
	handler := onlyVerified(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Store(true) }))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	res, err := http.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusForbidden || served.Load() {
		t.Errorf("status %d", res.StatusCode)
	}
}
