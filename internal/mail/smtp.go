package mail

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Server is where mail goes out.
type Server struct {
	Host     string
	Port     int
	Security Security
	Username string
	Password string
}

// Security says how the connection is protected.
type Security int

// The ways: not at all (a catcher on this host), TLS begun with STARTTLS or not at all, TLS from the first byte.
const (
	Plain Security = iota
	StartTLS
	TLS
)

// ParseSMTPURL reads smtp://[user:password@]host[:port] or smtps://…. smtps is TLS from the first byte (port 465); smtp is
// STARTTLS, required (port 587); but smtp to this very host is plain (port 25) and then takes no password. The error holds
// no part of the URL, which may have a password in it.
func ParseSMTPURL(s string) (Server, error) {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" {
		return Server{}, errors.New("SMTP address is not like smtp://host:port or smtps://user:password@host:port")
	}
	server := Server{Host: u.Hostname(), Username: u.User.Username()}
	server.Password, _ = u.User.Password()
	switch {
	case u.Scheme == "smtps":
		server.Security, server.Port = TLS, 465
	case u.Scheme == "smtp" && loopback(server.Host):
		server.Security, server.Port = Plain, 25
	case u.Scheme == "smtp":
		server.Security, server.Port = StartTLS, 587
	default:
		return Server{}, errors.New("SMTP address must begin with smtp:// or smtps://")
	}
	if port := u.Port(); port != "" {
		if server.Port, err = strconv.Atoi(port); err != nil || server.Port < 1 || server.Port > 65535 {
			return Server{}, errors.New("SMTP port is not 1 to 65535")
		}
	}
	if server.Security == Plain && server.Username != "" {
		return Server{}, errors.New("SMTP credentials need TLS: use smtps://")
	}
	if (server.Username == "") != (server.Password == "") {
		return Server{}, errors.New("SMTP user and password belong together")
	}
	return server, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// options turns the server into go-mail's. helo is a domain name to greet with; step bounds the greeting, and the mail.
func (s Server) options(helo string, step time.Duration) []gomail.Option {
	options := []gomail.Option{
		gomail.WithPort(s.Port), gomail.WithTimeout(step), gomail.WithHELO(helo), gomail.WithoutNoop(), gomail.WithoutRset(),
	}
	switch s.Security {
	case Plain:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	case StartTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case TLS:
		options = append(options, gomail.WithSSL())
	}
	if s.Username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(s.Username), gomail.WithPassword(s.Password))
	}
	return options
}
