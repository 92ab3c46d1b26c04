package license

import (
	"crypto/ed25519"
	"reflect"
	"strings"
	"testing"
)

// As in edges_test.go, for revocation bundles.

func TestReaderOfBundlesSaysWhereItStopped(t *testing.T) {
	t.Parallel()
	good := string(encodeRevocations(t, revocationPayload()))
	for text, want := range map[string]string{
		"\uFEFF" + good:                       "byte-order mark",
		"":                                    "the file is cut short (byte 1)",
		"{}":                                  "must hold a payload and a signature",
		`{"payload": {}}`:                     "the payload lacks a required name",
		`{"payload": []}`:                     "expected an object (byte 13)",
		`{"payload": {"entries": {}}}`:        "expected a list (byte 25)",
		`{"payload": {"entries": [7]}}`:       "expected an object (byte 26)",
		`{"payload": {"entries": [{}]}}`:      "an entry must hold license_id, status and effective_at",
		`{"payload": {"entries": [{"x":1}]}}`: "unknown name, or one spelled in another case (byte 27)",
		good + "x":                            "something follows the JSON object",
		good[:strings.Index(good, `"signature"`)] + `"signature":{}}`:                    "the signature must hold algorithm, key_id and value_base64",
		good[:strings.LastIndex(good, ",\n  \"signature\"")] + "}":                       "must hold a payload and a signature",
		strings.Replace(good, `"reason":"refunded",`, `"reason":"refunded"`, 1):          "the object is cut short or lacks a comma",
		strings.Replace(good, `"status":"revoked"`, `"status":"x","status":"x"`, 1):      "duplicate name",
		strings.Replace(good, `"superseded_by":"lic_d"`, `"superseded_by":null`, 1):      "null is not allowed",
		strings.Replace(good, `"effective_at":"2026`, `"effective_at":"0026-13-x`, 1):    "RFC 3339",
		strings.Replace(good, `"license_id":"lic_a",`, ``, 1):                            "an entry must hold license_id, status and effective_at",
		strings.Replace(good, `"status":"revoked"`, `"reason":"revoked"`, 1):             "duplicate name",
		strings.Replace(good, `,"status":"suspended"`, ``, 1):                            "an entry must hold license_id, status and effective_at",
		strings.Replace(good, `"schema_version": 1,`, ``, 1):                             "the payload lacks a required name",
		strings.Replace(good, `"issuer": "metrum-ai",`, ``, 1):                           "the payload lacks a required name",
		strings.Replace(good, `"product": "genai-smart-router",`, `"product": null,`, 1): "null is not allowed",
	} {
		if _, err := ReadRevocationBundle([]byte(text), revocationRing(t, ""), vectorNow); CodeOf(err) != CodeRevocationFailed || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

func TestTextsOfAnEntryMayBeAsLongAsTheBound(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("x", MaxRevocationText)
	for name, edit := range map[string]func(*RevocationEntry){
		"license":   func(e *RevocationEntry) { e.LicenseID = longest },
		"reason":    func(e *RevocationEntry) { e.Reason = longest },
		"successor": func(e *RevocationEntry) { e.SupersededBy = longest },
	} {
		p := revocationPayload()
		edit(&p.Entries[0])
		if _, err := ReadRevocationBundle(encodeRevocations(t, p), revocationRing(t, ""), vectorNow); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An issuer's first bundle has no entries, and reads as it was written: a list that is nil, not one that is empty.
func TestBundleWithoutEntriesSurvivesWritingAndReading(t *testing.T) {
	t.Parallel()
	p := revocationPayload()
	p.Entries = nil
	b, err := ReadRevocationBundle(encodeRevocations(t, p), revocationRing(t, ""), vectorNow)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Payload(); !reflect.DeepEqual(got, p) || b.Len() != 0 {
		t.Errorf("read as %+v", got)
	}
	if got, found := b.Lookup("lic_a"); found {
		t.Errorf("a license is said to be %+v", got)
	}
}

func TestLicenseNamedTwiceIsFoundAnywhere(t *testing.T) {
	t.Parallel()
	for _, ids := range []string{"aa", "aab", "abb", "bab", "abcc", "cabc"} {
		p := revocationPayload()
		p.Entries = nil
		for _, id := range strings.Split(ids, "") {
			p.Entries = append(p.Entries, RevocationEntry{LicenseID: id, Status: StatusRevoked})
		}
		if _, err := p.Canonical(); err == nil || !strings.Contains(err.Error(), "same license_id") {
			t.Errorf("%s: %v", ids, err)
		}
	}
}

func TestEpochsAreFromOneToBelow2To53(t *testing.T) {
	t.Parallel()
	for epoch, fits := range map[int64]bool{0: false, 1: true, maxNumber - 1: true, maxNumber: false, -1: false} {
		p := revocationPayload()
		p.RevocationEpoch = epoch
		if _, err := p.Canonical(); (err == nil) != fits {
			t.Errorf("%d: %v", epoch, err)
		}
	}
}

// What is signed of a bundle's entries may reach the bound, and not a byte more.
func TestSignedEntriesReachTheirBoundToTheByte(t *testing.T) {
	t.Parallel()
	p := revocationPayload()
	p.Entries = p.Entries[:1]
	fill := func(n int) (string, *Error) {
		p.Entries[0].Reason = strings.Repeat("x", n)
		canonical, refusal := p.appendCanonical(nil)
		return string(canonical), refusal
	}
	short, refusal := fill(1)
	if refusal != nil {
		t.Fatal(refusal)
	}
	most := MaxRevocationFileSize - strings.Index(short, `],"expires_at"`) + 1
	if _, refusal := fill(most); refusal != nil {
		t.Errorf("at the bound: %v", refusal)
	}
	if _, refusal := fill(most + 1); refusal == nil {
		t.Error("a byte above the bound is signed")
	}
}

// The bounds are promises to whoever issues bundles, and to whoever has memory for so much.
func TestLargestBundleIsWrittenAndRead(t *testing.T) {
	t.Parallel()
	if MaxRevocationFileSize != 33554432 || MaxRevocations != 200000 || MaxRevocationText != 512 {
		t.Error("a bound of the format changed")
	}
	p := revocationPayload()
	p.Entries = manyRevocations(90_000, strings.Repeat("x", 200))
	file := encodeRevocations(t, p)
	lengthen := func(by int) {
		for i := range p.Entries {
			more := min(by, MaxRevocationText-len(p.Entries[i].Reason))
			p.Entries[i].Reason += strings.Repeat("x", more)
			by -= more
		}
		if by != 0 {
			t.Fatalf("%d bytes have no place: the case does not fit any more", by)
		}
	}
	lengthen(MaxRevocationFileSize - len(file))
	if file = encodeRevocations(t, p); len(file) != MaxRevocationFileSize {
		t.Fatalf("%d bytes", len(file))
	}
	if b, err := ReadRevocationBundle(file, revocationRing(t, ""), vectorNow); err != nil || b.Len() != 90_000 {
		t.Errorf("a file of the largest size: %v", err)
	}
	if _, err := ReadRevocationBundle(append(file, '\n'), revocationRing(t, ""), vectorNow); CodeOf(err) != CodeRevocationFailed || !strings.Contains(err.Error(), "larger than 33554432 bytes") {
		t.Errorf("a file above the largest size: %v", err)
	}
	lengthen(1)
	if _, err := EncodeRevocationBundle(p, make([]byte, ed25519.SignatureSize)); CodeOf(err) != CodeRevocationFailed || !strings.Contains(err.Error(), "larger than 33554432 bytes") {
		t.Errorf("a file above the largest size is written: %v", err)
	}
}
