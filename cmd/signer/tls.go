package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	"github.com/metrum-ai/licensing-portal/internal/signer/server"
)

// tlsConfig is where a signer that has its own host answers over mutual TLS, beside its socket.
type tlsConfig struct {
	Listen          string   `json:"listen"` // host:port
	CertificateFile string   `json:"certificate_file"`
	PrivateKeyFile  string   `json:"private_key_file"`
	ClientCAFile    string   `json:"client_ca_file"` // of the portal's certificates alone
	AllowedNames    []string `json:"allowed_names"`  // DNS names of the portal's certificates
}

func (t *tlsConfig) validate() error {
	var list []error
	if _, _, err := net.SplitHostPort(t.Listen); err != nil {
		list = append(list, errors.New("tls: listen is not host:port"))
	}
	if t.CertificateFile == "" || t.PrivateKeyFile == "" || t.ClientCAFile == "" {
		list = append(list, errors.New("tls: certificate_file, private_key_file or client_ca_file is missing"))
	}
	if len(t.AllowedNames) == 0 || slices.Contains(t.AllowedNames, "") {
		list = append(list, errors.New("tls: allowed_names is missing or holds an empty name"))
	}
	return errors.Join(list...)
}

func (t *tlsConfig) files() []*string {
	return []*string{&t.CertificateFile, &t.PrivateKeyFile, &t.ClientCAFile}
}

// load reads the certificates. They are read at the start alone: a new certificate takes a restart.
func (t *tlsConfig) load() (*server.TCP, error) {
	key, keyErr := keys.ReadPrivate(t.PrivateKeyFile)
	chain, chainErr := os.ReadFile(t.CertificateFile)
	ca, caErr := os.ReadFile(t.ClientCAFile)
	if err := errors.Join(keyErr, chainErr, caErr); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, errors.New("tls: certificate_file and private_key_file are not a certificate and its key")
	}
	cas := x509.NewCertPool()
	if !cas.AppendCertsFromPEM(ca) {
		return nil, errors.New("tls: client_ca_file holds no certificate")
	}
	return &server.TCP{Address: t.Listen, Certificate: certificate, ClientCAs: cas, AllowedNames: t.AllowedNames}, nil
}
