package account

import (
	"net/mail"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxEmailBytes    = 254 // RFC 5321, 4.5.3.1.3, less the angle brackets
	maxLocalBytes    = 64  // RFC 5321, 4.5.3.1.1
	maxNameRunes     = 100
	maxNameBytes     = 200 // what an intent's customer_name holds
	maxReturnToBytes = 1000
)

// normalEmail answers the address in lower case, or ErrEmailInvalid. It takes a bare address only: no display name, no
// comment, no quoted local part, no IP address for a domain. An international domain stays as it was typed.
func normalEmail(s string) (string, error) {
	if strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) { // lower-casing would hide the latter
		return "", ErrEmailInvalid
	}
	s = strings.ToLower(strings.TrimSpace(s))
	if s == "" || len(s) > maxEmailBytes {
		return "", ErrEmailInvalid
	}
	parsed, err := mail.ParseAddress(s)
	if err != nil || parsed.Name != "" || parsed.Address != s {
		return "", ErrEmailInvalid
	}
	local, domain, _ := strings.Cut(s, "@")
	if len(local) > maxLocalBytes || !strings.Contains(domain, ".") || strings.ContainsAny(domain, "[]@") {
		return "", ErrEmailInvalid
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || r == utf8.RuneError || !unicode.IsPrint(r) }) {
		return "", ErrEmailInvalid
	}
	return s, nil
}

// localPath answers s if it is a path on this site, else "/". What a browser may read as another site's address is not:
// two slashes, a backslash, a scheme, control characters.
func localPath(s string) string {
	local := strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && len(s) <= maxReturnToBytes &&
		utf8.ValidString(s) && !strings.Contains(s, `\`) && !strings.ContainsFunc(s, unicode.IsControl)
	if !local {
		return "/"
	}
	return s
}

// normalName answers an organization's name without space around it, or ErrNameInvalid. It has to survive a form, Stripe's
// metadata and the license unchanged, so only what prints is taken.
func normalName(s string) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "", len(s) > maxNameBytes, !utf8.ValidString(s), utf8.RuneCountInString(s) > maxNameRunes:
		return "", ErrNameInvalid
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }):
		return "", ErrNameInvalid
	}
	return s, nil
}

// network is what attempts from an address are counted by: an IPv4 address, or the /64 that one IPv6 customer holds.
func network(remoteIP string) string {
	addr, err := netip.ParseAddr(remoteIP)
	if err != nil {
		return remoteIP
	}
	if addr = addr.Unmap(); addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return remoteIP
	}
	return prefix.String()
}
