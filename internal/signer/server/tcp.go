package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"slices"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// TCP says where a signer that has its own host answers over mutual TLS, and to whom: TLS 1.3, and clients with a
// certificate of the client CAs that names one of the allowed names among its DNS names. The verbs and their bounds are
// those of the socket.
type TCP struct {
	Address      string // host:port
	Certificate  tls.Certificate
	ClientCAs    *x509.CertPool // of the clients alone: no public CA
	AllowedNames []string
}

// listen opens the port. It is plain TCP: multipath TCP would go around what the kernel refuses (see Confine).
func (t *TCP) listen() (net.Listener, error) {
	if t.ClientCAs == nil || len(t.AllowedNames) == 0 {
		return nil, errors.New("TLS without client CAs or allowed names")
	}
	config := net.ListenConfig{}
	config.SetMultipathTCP(false)
	listener, err := config.Listen(context.Background(), "tcp", t.Address)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(listener, &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{t.Certificate}, NextProtos: []string{"http/1.1"},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: t.ClientCAs, VerifyConnection: t.verify,
		SessionTicketsDisabled: true, // each connection proves its certificate anew
	}), nil
}

// verify takes a connection whose chain was verified already.
func (t *TCP) verify(state tls.ConnectionState) error {
	if len(state.VerifiedChains) == 0 || !slices.ContainsFunc(state.PeerCertificates[0].DNSNames, t.allowed) {
		return errors.New("the client's certificate has no allowed name")
	}
	return nil
}

func (t *TCP) allowed(name string) bool { return slices.Contains(t.AllowedNames, name) }

// onlyVerified answers nothing on a connection that did not pass verify, whatever let it in.
func onlyVerified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			writeJSON(w, http.StatusForbidden, &signer.Error{Code: signer.CodeBadRequest, Message: "this client may not ask the signer"})
			return
		}
		next.ServeHTTP(w, r)
	})
}
