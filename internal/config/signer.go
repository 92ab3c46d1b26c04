package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"os"
)

// SignerTLS is how a signer that has its own host is reached, as PEM text.
type SignerTLS struct {
	URL         string // SIGNER_URL, https://host:port
	Certificate string // SIGNER_CERTIFICATE_FILE: the portal's own, which the signer's configuration allows
	Key         Secret // SIGNER_KEY_FILE: of that certificate
	CA          string // SIGNER_CA_FILE: of the signer's certificate alone
}

// Load makes of the text what TLS takes.
func (s SignerTLS) Load() (tls.Certificate, *x509.CertPool, error) {
	certificate, err := tls.X509KeyPair([]byte(s.Certificate), []byte(s.Key.Reveal()))
	if err != nil {
		return tls.Certificate{}, nil, errors.New("SIGNER_CERTIFICATE_FILE and SIGNER_KEY_FILE are not a certificate and its key")
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(s.CA)) {
		return tls.Certificate{}, nil, errors.New("SIGNER_CA_FILE holds no certificate")
	}
	return certificate, pool, nil
}

// signer reads where the signer answers: on a socket of this host, or at a URL.
func (r *reader) signer() (socket string, remote *SignerTLS) {
	const urlName = "SIGNER_URL"
	address := r.optional(urlName, "")
	if address == "" {
		return r.socket("SIGNER_SOCKET"), nil
	}
	if r.optional("SIGNER_SOCKET", "") != "" {
		r.problem(urlName, "is set beside SIGNER_SOCKET: one signer answers")
	}
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Hostname() == "" || u.String() != "https://"+u.Host {
		r.problem(urlName, "is not https://host:port")
	}
	s := SignerTLS{URL: address}
	var ok [3]bool
	s.Certificate, ok[0] = r.publicFile("SIGNER_CERTIFICATE_FILE", "the portal's certificate for the signer")
	s.Key, ok[1] = r.secretFile("SIGNER_KEY_FILE", "a file with the key of SIGNER_CERTIFICATE_FILE")
	s.CA, ok[2] = r.publicFile("SIGNER_CA_FILE", "the certificate that the signer's certificate is signed with")
	if ok == [3]bool{true, true, true} {
		if _, _, err := s.Load(); err != nil {
			r.problems = append(r.problems, err)
		}
	}
	return "", &s
}

// publicFile reads a file that is no secret.
func (r *reader) publicFile(name, what string) (string, bool) {
	path := r.required(name, what)
	if path == "" {
		return "", false
	}
	text, err := os.ReadFile(path)
	if err != nil {
		r.problem(name, "cannot be used: %w", err)
		return "", false
	}
	return string(text), true
}
