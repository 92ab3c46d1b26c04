package signer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"
)

// TLSConfig says how a signer on another host is reached. Everything is required.
type TLSConfig struct {
	URL         string          // https://host:port, the host as the signer's certificate names it
	Certificate tls.Certificate // the caller's own, which the signer's configuration allows
	CAs         *x509.CertPool  // of the signer's certificate alone: no public CA
}

// NewTLSClient returns a client for a signer that answers over mutual TLS 1.3. It connects when it is first used.
func NewTLSClient(c TLSConfig) (*Client, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("signer: the URL is not like https://host:port")
	}
	if len(c.Certificate.Certificate) == 0 || c.CAs == nil {
		return nil, errors.New("signer: TLS takes a certificate of one's own and the CA of the signer's")
	}
	dialer := net.Dialer{Timeout: clientTimeout, KeepAlive: 15 * time.Second}
	return newClient(u.String(), &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: clientTimeout,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{c.Certificate}, RootCAs: c.CAs},
	}), nil
}
