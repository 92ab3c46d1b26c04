package evidence

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// How far from the clock an event's signature may be where freshness counts.
const (
	MaxAhead  = 5 * time.Minute
	MaxBehind = 7 * 24 * time.Hour
)

// What is wrong with a signature.
var (
	ErrSignature = errors.New("not signed by Stripe with this endpoint's secret")
	ErrTimestamp = errors.New("signed too far from now")
)

// Secret is a webhook endpoint's signing secret. A retired one proves only what was signed before it was retired.
type Secret struct {
	Value     string
	RetiredAt time.Time // zero while in use
}

// String keeps a secret out of logs.
func (Secret) String() string { return "[secret]" }

// GoString keeps a secret out of logs.
func (Secret) GoString() string { return "[secret]" }

// Verifier checks the header of https://docs.stripe.com/webhooks#verify-manually against an endpoint's secrets.
type Verifier struct{ secrets []Secret }

// minSecret is the fewest characters taken for a secret: a blank one would accept a signature made with a blank one.
const minSecret = 16

// NewVerifier returns a verifier; it refuses a blank or short secret, or none.
func NewVerifier(secrets []Secret) (*Verifier, error) {
	if len(secrets) == 0 {
		return nil, errors.New("no webhook secret")
	}
	for i, s := range secrets {
		if len(s.Value) < minSecret || strings.TrimSpace(s.Value) != s.Value {
			return nil, fmt.Errorf("webhook secret %d is blank, shorter than %d characters, or has space around it", i+1, minSecret)
		}
	}
	return &Verifier{secrets: append([]Secret(nil), secrets...)}, nil
}

// Verify checks that the header signs the body's exact bytes with one of the secrets, and returns the time of signing.
// Every v1 signature is tried against every secret in constant time. It does not look at the clock; Fresh does.
func (v *Verifier) Verify(body []byte, header string) (time.Time, error) {
	stamp, signatures, err := parseHeader(header)
	if err != nil {
		return time.Time{}, err
	}
	unix, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || unix <= 0 || unix > latest {
		return time.Time{}, ErrSignature
	}
	at := time.Unix(unix, 0).UTC()
	good := false
	for _, secret := range v.secrets {
		if !secret.RetiredAt.IsZero() && !at.Before(secret.RetiredAt) {
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret.Value))
		mac.Write([]byte(stamp))
		mac.Write([]byte{'.'})
		mac.Write(body)
		want := mac.Sum(nil)
		for _, signature := range signatures {
			if hmac.Equal(signature, want) {
				good = true
			}
		}
	}
	if !good {
		return time.Time{}, ErrSignature
	}
	return at, nil
}

// Fresh bounds the time of signing to MaxAhead and MaxBehind around now.
func Fresh(signedAt, now time.Time) error {
	if signedAt.After(now.Add(MaxAhead)) || signedAt.Before(now.Add(-MaxBehind)) {
		return ErrTimestamp
	}
	return nil
}

const (
	maxHeader     = 4 << 10
	maxSignatures = 16
)

// parseHeader reads t=…,v1=…,v1=…; other schemes are passed over. A second t is refused: it would let one header have two
// times.
func parseHeader(header string) (stamp string, signatures [][]byte, err error) {
	if len(header) > maxHeader {
		return "", nil, ErrSignature
	}
	for part := range strings.SplitSeq(header, ",") {
		name, value, ok := strings.Cut(part, "=")
		switch {
		case !ok:
			return "", nil, ErrSignature
		case name == "t" && stamp != "":
			return "", nil, ErrSignature
		case name == "t":
			stamp = value
		case name == "v1":
			signature, err := hex.DecodeString(value)
			if err != nil || len(signature) != sha256.Size {
				continue
			}
			signatures = append(signatures, signature)
		}
	}
	if stamp == "" || len(signatures) == 0 || len(signatures) > maxSignatures {
		return "", nil, ErrSignature
	}
	return stamp, signatures, nil
}
