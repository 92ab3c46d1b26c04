package license

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// vectorNow is a time at which the vectors that are good are in force.
var vectorNow = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

func vectorSigner(tb testing.TB) ed25519.PrivateKey {
	tb.Helper()
	seed, err := hex.DecodeString(readVectorIndex(tb).Keys[0].Seed)
	if err != nil {
		tb.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(seed)
}

// vectorPayload is the payload of accept-credit-pack.json.
func vectorPayload(tb testing.TB) Payload {
	tb.Helper()
	e, err := parseEnvelope(string(readVector(tb, "accept-credit-pack.json")))
	if err != nil {
		tb.Fatal(err)
	}
	return e.payload
}

// signUnchecked issues p with the vectors' key, whatever rules it breaks.
func signUnchecked(tb testing.TB, p Payload) []byte {
	tb.Helper()
	signature := ed25519.Sign(vectorSigner(tb), p.appendCanonical(nil))
	w := &writer{}
	p.encode(w)
	return []byte(`{"payload":` + string(w.buf) + `,"signature":{"algorithm":"ed25519","key_id":"` + p.KeyID +
		`","value_base64":"` + base64.StdEncoding.EncodeToString(signature) + `"}}`)
}

// edited returns the credit pack vector with one piece of text replaced, and fails when it is not there once.
func edited(tb testing.TB, old, new string) string {
	tb.Helper()
	text := string(readVector(tb, "accept-credit-pack.json"))
	if strings.Count(text, old) != 1 {
		tb.Fatalf("%q is %d times in the vector", old, strings.Count(text, old))
	}
	return strings.Replace(text, old, new, 1)
}

func utc(tb testing.TB, text string) time.Time {
	tb.Helper()
	t, ok := parseTime(text)
	if !ok {
		tb.Fatalf("bad time %q", text)
	}
	return t
}
