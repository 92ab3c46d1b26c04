package account

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// alphabet has 32 letters and digits that are hard to mistake for one another, so that a random byte's low five bits pick
// one without bias.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const randomLength = 20 // characters after the prefix, five bits each

var signInID = regexp.MustCompile(`^sgn_[0-9a-z]{20}$`)

// newID answers prefix and 20 random characters.
func newID(random io.Reader, prefix string) (string, error) {
	b := make([]byte, randomLength)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	for i := range b {
		b[i] = alphabet[b[i]&31]
	}
	return prefix + string(b), nil
}

// secrets derives what is mailed from what is stored.
type secrets struct{ key []byte }

func (s secrets) derive(purpose, id string) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(purpose + "\x00" + id)) // a hash never errors
	return mac.Sum(nil)
}

// token is what the link carries: the sign-in's ID and the proof that the portal made it.
func (s secrets) token(id string) string {
	return id + "." + base64.RawURLEncoding.EncodeToString(s.derive("sign-in-link", id))
}

// open answers the ID in a token that the portal made, and false for any other.
func (s secrets) open(token string) (id string, ok bool) {
	id, proof, found := strings.Cut(token, ".")
	if !found || !signInID.MatchString(id) {
		return "", false
	}
	mac, err := base64.RawURLEncoding.Strict().DecodeString(proof)
	if err != nil || strings.ContainsAny(proof, "\r\n") { // the decoder skips line breaks
		return "", false
	}
	return id, hmac.Equal(mac, s.derive("sign-in-link", id))
}

// code is the six digits for typing by hand. The bias of the modulus is below 1 in 10^13.
func (s secrets) code(id string) string {
	return fmt.Sprintf("%06d", binary.BigEndian.Uint64(s.derive("sign-in-code", id))%1_000_000)
}

// codeMatches compares in constant time; spaces and hyphens that people or mail programs put in are ignored.
func (s secrets) codeMatches(id, typed string) bool {
	typed = strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '\u00a0' {
			return -1
		}
		return r
	}, typed)
	return hmac.Equal([]byte(typed), []byte(s.code(id)))
}

// limitKey names what is counted without telling whom: the digest needs the portal's secret to be guessed.
func (s secrets) limitKey(kind, subject string) string {
	return kind + ":" + base64.RawURLEncoding.EncodeToString(s.derive("limit-"+kind, subject))
}

func browserHash(browser string) []byte {
	sum := sha256.Sum256([]byte(browser))
	return sum[:]
}
