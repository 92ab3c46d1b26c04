package config

import (
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	minPortalSecret = 32
	maxSocketPath   = 107 // sun_path of a Unix socket, less its zero byte
)

var stripeKey = regexp.MustCompile(`^(sk|rk)_(test|live)_[0-9A-Za-z_]+$`)

// reader reads variables and collects what is wrong with them.
type reader struct {
	getenv   func(string) string
	problems []error
}

func (r *reader) problem(name, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf("%s "+format, append([]any{name}, args...)...))
}

// required answers a variable, or notes that it is missing.
func (r *reader) required(name, what string) string {
	v := strings.TrimSpace(r.getenv(name))
	if v == "" {
		r.problem(name, "is missing: %s", what)
	}
	return v
}

func (r *reader) optional(name, otherwise string) string {
	if v := strings.TrimSpace(r.getenv(name)); v != "" {
		return v
	}
	return otherwise
}

func (r *reader) databaseURL() Secret {
	const name = "DATABASE_URL"
	v := r.required(name, "like postgres://user:password@host:5432/portal")
	if u, err := url.Parse(v); v != "" && (err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql")) {
		r.problem(name, "is not like postgres://user:password@host:5432/portal")
	}
	return NewSecret(v)
}

func (r *reader) publicURL() string {
	const name = "PORTAL_PUBLIC_URL"
	v := r.required(name, "the address that customers open, like https://licenses.example.com")
	if v == "" {
		return ""
	}
	u, err := bareOrigin(v)
	if err != nil || (u.Scheme == "http" && !isLocal(u.Hostname())) {
		r.problem(name, "is not https://host (or http://localhost), without a path")
		return ""
	}
	return u.String()
}

func (r *reader) origin(name, otherwise string) string {
	u, err := bareOrigin(r.optional(name, otherwise))
	if err != nil {
		r.problem(name, "is not http(s)://host, without a path")
		return ""
	}
	return u.String()
}

// bareOrigin takes scheme, host and port alone, and only characters that may stand in a Content-Security-Policy.
func bareOrigin(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSuffix(s, "/"))
	if err != nil {
		return nil, err
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || strings.ContainsAny(u.Host, " ;,'\"*") ||
		u.String() != u.Scheme+"://"+u.Host {
		return nil, errors.New("not an origin")
	}
	return u, nil
}

func isLocal(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

func (r *reader) listen() string {
	const name = "PORTAL_LISTEN"
	v := r.optional(name, "127.0.0.1:8080")
	_, port, err := net.SplitHostPort(v)
	if n, convErr := strconv.ParseUint(port, 10, 16); err != nil || convErr != nil || n == 0 {
		r.problem(name, "is not host:port")
	}
	return v
}

// webhookURL is where Stripe sends events: unless it is told, the portal's own path.
func (r *reader) webhookURL(public string) string {
	const name = "STRIPE_WEBHOOK_URL"
	v := r.optional(name, "")
	if v == "" {
		return strings.TrimSuffix(public, "/") + "/webhooks/stripe"
	}
	if u, err := url.Parse(v); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		r.problem(name, "is not an http(s) URL")
	}
	return v
}

// loopback takes a host:port that other hosts cannot reach; "" for none.
func (r *reader) loopback(name string) string {
	v := r.optional(name, "")
	if v == "" {
		return ""
	}
	if a, err := netip.ParseAddrPort(v); err != nil || !a.Addr().IsLoopback() || a.Port() == 0 {
		r.problem(name, "is not a loopback address and port, such as 127.0.0.1:9464")
	}
	return v
}

// address takes a bare e-mail address.
func (r *reader) address(name string) string {
	v := r.required(name, "an e-mail address")
	if a, err := netmail.ParseAddress(v); v != "" && (err != nil || a.Name != "" || a.Address != v) {
		r.problem(name, "is not an e-mail address")
	}
	return v
}

// mailbox takes an e-mail address, with a name before it or not.
func (r *reader) mailbox(name string) string {
	v := r.required(name, `like "Licenses <licenses@example.com>"`)
	if _, err := netmail.ParseAddress(v); v != "" && err != nil {
		r.problem(name, `is not like "Licenses <licenses@example.com>"`)
	}
	return v
}

func (r *reader) prefixes(name string) []netip.Prefix {
	var list []netip.Prefix
	for s := range strings.SplitSeq(r.getenv(name), ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if addr, err := netip.ParseAddr(s); err == nil {
			list = append(list, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			r.problem(name, "is not a list of addresses and networks like 10.0.0.0/8,::1")
			return nil
		}
		list = append(list, p.Masked())
	}
	return list
}

func (r *reader) socket(name string) string {
	v := r.required(name, "the path of the signer's socket; or SIGNER_URL, where the signer has its own host")
	if len(v) > maxSocketPath {
		r.problem(name, "is longer than %d bytes, which no Unix socket can be", maxSocketPath)
	}
	return v
}

// secretFile reads the file that a variable names.
func (r *reader) secretFile(name, what string) (Secret, bool) {
	path := r.required(name, what)
	if path == "" {
		return Secret{}, false
	}
	s, err := ReadSecretFile(path)
	if err != nil {
		r.problem(name, "cannot be used: %w", err)
		return Secret{}, false
	}
	return s, true
}

func (r *reader) portalSecret() Secret {
	const name = "PORTAL_SECRET_FILE"
	s, ok := r.secretFile(name, "a file with 32 random bytes or more, the same for all processes")
	if ok && len(s.Reveal()) < minPortalSecret {
		r.problem(name, "holds less than %d bytes", minPortalSecret)
	}
	return s
}

// stripe reads key and address together: a live key goes out over TLS alone.
func (r *reader) stripe() (Secret, string) {
	const keyName, urlName = "STRIPE_API_KEY_FILE", "STRIPE_API_URL"
	key, ok := r.secretFile(keyName, "a file with a restricted key that begins with rk_test_ or rk_live_")
	m := stripeKey.FindStringSubmatch(key.Reveal())
	if ok && m == nil {
		r.problem(keyName, "does not hold a key that begins with rk_test_, rk_live_, sk_test_ or sk_live_")
	}
	apiURL := r.origin(urlName, "https://api.stripe.com")
	if m != nil && Mode(m[2]) == ModeLive && strings.HasPrefix(apiURL, "http://") {
		r.problem(urlName, "must be https with a live key")
	}
	return key, apiURL
}

// smtpURL looks at scheme and host; mail.New judges the rest.
func (r *reader) smtpURL() Secret {
	const name = "SMTP_URL"
	v := r.required(name, "like smtps://user:password@host:465")
	if u, err := url.Parse(v); v != "" && (err != nil || (u.Scheme != "smtp" && u.Scheme != "smtps") || u.Hostname() == "") {
		r.problem(name, "is not like smtps://user:password@host:465")
	}
	return NewSecret(v)
}

func (r *reader) duration(name string, otherwise, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(r.optional(name, otherwise.String()))
	if err != nil || d < least || d > most {
		r.problem(name, "is not a duration from %v to %v, like %v", least, most, otherwise)
	}
	return d
}

func (r *reader) number(name string, otherwise, least, most int) int {
	n, err := strconv.Atoi(r.optional(name, strconv.Itoa(otherwise)))
	if err != nil || n < least || n > most {
		r.problem(name, "is not a number from %d to %d", least, most)
	}
	return n
}
