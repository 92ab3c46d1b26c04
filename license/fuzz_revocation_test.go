package license

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzRevocationBundle asserts that whatever is accepted is read by encoding/json as the same values, that what was
// accepted survives writing and reading, and that no other claims verify with the signature of the first seed.
func FuzzRevocationBundle(f *testing.F) {
	original := revocationPayload()
	ring := revocationRing(f, "")
	file := encodeRevocations(f, original)
	f.Add(file)
	f.Add(bytes.Replace(file, []byte("refunded"), []byte(`\ud83d\udd12\u2028\u0000`), 1))
	f.Add(bytes.Replace(file, []byte("lic_c"), []byte("lic_a"), 1))
	f.Add([]byte(strings.ReplaceAll(string(file), ",", " ,\n")))
	empty := revocationPayload()
	empty.Entries = nil
	f.Add(signRevocations(f, empty))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := ReadRevocationBundle(data, ring, vectorNow); err == nil {
			if got := b.Payload(); !reflect.DeepEqual(got, original) && len(got.Entries) > 0 {
				t.Fatalf("verifies with other claims: %+v", got)
			}
		} else if CodeOf(err) != CodeRevocationFailed {
			t.Fatalf("refused with another code: %v", err)
		}
		e, refusal := parseRevocationEnvelope(string(data))
		if refusal != nil {
			return
		}
		checkRevocationsAgainstField(t, data, e)
		if e.payload.check() != nil || e.signature.algorithm != Algorithm || e.signature.keyID != e.payload.KeyID {
			return
		}
		written, err := EncodeRevocationBundle(e.payload, e.signature.value[:])
		if err != nil {
			if e.payload.checkUnique(e.payload.sorted()) == nil {
				t.Fatalf("accepted, but cannot be written: %v", err)
			}
			return
		}
		again, refusal := parseRevocationEnvelope(string(written))
		if refusal != nil {
			t.Fatalf("written, but not read again: %v\n%s", refusal, written)
		}
		e.size, again.size = 0, 0
		if len(e.payload.Entries) == 0 { // an empty list is read as nil or not, by its capacity
			e.payload.Entries, again.payload.Entries = nil, nil
		}
		if !reflect.DeepEqual(again, e) {
			t.Fatalf("read again as\n%+v\nwant\n%+v", again, e)
		}
	})
}

func checkRevocationsAgainstField(t *testing.T, data []byte, e *revocationEnvelope) {
	t.Helper()
	var field struct {
		Payload   RevocationPayload `json:"payload"`
		Signature struct {
			Algorithm string `json:"algorithm"`
			KeyID     string `json:"key_id"`
			Value     []byte `json:"value_base64"`
		} `json:"signature"`
	}
	if err := json.Unmarshal(data, &field); err != nil {
		t.Fatalf("accepted, but encoding/json says: %v", err)
	}
	ours := e.payload
	if len(ours.Entries) == 0 {
		ours.Entries, field.Payload.Entries = nil, nil
	}
	for _, at := range []*time.Time{&field.Payload.IssuedAt, &field.Payload.NotBefore, &field.Payload.ExpiresAt} {
		*at = at.UTC()
	}
	if !reflect.DeepEqual(ours, field.Payload) {
		t.Fatalf("read as\n%+v\nby encoding/json as\n%+v", ours, field.Payload)
	}
	if field.Signature.Algorithm != e.signature.algorithm || field.Signature.KeyID != e.signature.keyID || !bytes.Equal(field.Signature.Value, e.signature.value[:]) {
		t.Fatal("another signature is read")
	}
}
