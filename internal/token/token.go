// Package token makes the tokens of links that prove themselves: what a link is for and until when stands in the token, under
// a MAC with the portal's secret. Nothing is stored, so a dump of the database opens no link.
package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Why a token does not open.
var (
	ErrUnknown = errors.New("the portal did not make this link")
	ErrExpired = errors.New("the link expired")
)

const (
	minSecret  = 32
	maxSubject = 1024 // bytes
)

// Maker makes and opens the tokens of one purpose; a token of another is unknown to it. It is safe for concurrent use.
type Maker struct {
	purpose string
	secret  []byte
}

// NewMaker returns a maker for a purpose. The secret is the portal's, at least 32 bytes.
func NewMaker(purpose string, secret []byte) (*Maker, error) {
	if len(secret) < minSecret {
		return nil, fmt.Errorf("token: the secret has %d bytes, at least %d are needed", len(secret), minSecret)
	}
	return &Maker{purpose: purpose, secret: append([]byte(nil), secret...)}, nil
}

// Seal makes the token for a subject. It opens until the time, to the second.
func (m *Maker) Seal(subject string, until time.Time) string {
	body := base64.RawURLEncoding.EncodeToString([]byte(subject)) + "." + strconv.FormatInt(until.Unix(), 10)
	mac := m.derive("link", body)
	return body + "." + base64.RawURLEncoding.EncodeToString(mac[:])
}

// Open answers a token's subject and until when it opens. The error is ErrUnknown, or ErrExpired with both.
func (m *Maker) Open(token string, now time.Time) (subject string, until time.Time, err error) {
	cut := strings.LastIndexByte(token, '.')
	if cut < 0 || len(token) > 2*maxSubject {
		return "", time.Time{}, ErrUnknown
	}
	body := token[:cut]
	want := m.derive("link", body)
	got, err := base64.RawURLEncoding.Strict().DecodeString(token[cut+1:])
	if err != nil || strings.ContainsAny(token, "\r\n") || !hmac.Equal(got, want[:]) { // the decoder skips line breaks
		return "", time.Time{}, ErrUnknown
	}
	// From here on the portal wrote it.
	first, last, _ := strings.Cut(body, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	seconds, timeErr := strconv.ParseInt(last, 10, 64)
	if err != nil || timeErr != nil {
		return "", time.Time{}, ErrUnknown
	}
	subject, until = string(text), time.Unix(seconds, 0).UTC()
	if !now.Before(until) {
		return subject, until, ErrExpired
	}
	return subject, until, nil
}

// Derive makes 32 bytes that belong to a token and that nobody can tell from it: a challenge, for example.
func (m *Maker) Derive(what, token string) [sha256.Size]byte { return m.derive(what, token) }

func (m *Maker) derive(what, text string) (sum [sha256.Size]byte) {
	mac := hmac.New(sha256.New, m.secret)
	mac.Write([]byte(m.purpose + "\x00" + what + "\x00" + text)) // a hash never errors
	copy(sum[:], mac.Sum(nil))
	return sum
}
