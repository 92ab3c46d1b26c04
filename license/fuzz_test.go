package license

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The types below are the format as a router in the field reads it: encoding/json into structs, the payload written
// again, and the canonical form through a map.
type fieldEnvelope struct {
	Payload   fieldPayload `json:"payload"`
	Signature struct {
		Algorithm string `json:"algorithm"`
		KeyID     string `json:"key_id"`
		Value     string `json:"value_base64"`
	} `json:"signature"`
}

type fieldPayload struct {
	SchemaVersion int             `json:"schema_version"`
	LicenseID     string          `json:"license_id"`
	CustomerID    string          `json:"customer_id"`
	CustomerName  string          `json:"customer_name,omitempty"`
	Product       string          `json:"product"`
	SKU           string          `json:"sku"`
	Features      []string        `json:"features"`
	Limits        fieldLimits     `json:"limits"`
	Deployment    fieldDeployment `json:"deployment"`
	IssuedAt      time.Time       `json:"issued_at"`
	NotBefore     time.Time       `json:"not_before"`
	ExpiresAt     time.Time       `json:"expires_at"`
	GraceUntil    time.Time       `json:"grace_until"`
	KeyID         string          `json:"key_id"`
	Issuer        string          `json:"issuer"`
	Notes         string          `json:"notes,omitempty"`
}

type fieldLimits struct {
	MaxModelGroups        int64    `json:"max_model_groups,omitempty"`
	MaxCallers            int64    `json:"max_callers,omitempty"`
	MaxMonthlyRequests    int64    `json:"max_monthly_requests,omitempty"`
	MaxTotalTokens        int64    `json:"max_total_tokens,omitempty"`
	MaxTotalRequests      int64    `json:"max_total_requests,omitempty"`
	WindowTokens          int64    `json:"window_tokens,omitempty"`
	WindowRequests        int64    `json:"window_requests,omitempty"`
	WindowDurationSeconds int64    `json:"window_duration_seconds,omitempty"`
	MaxConcurrent         int64    `json:"max_concurrent,omitempty"`
	MaxAdmins             int64    `json:"max_admins,omitempty"`
	MaxRetentionDays      int64    `json:"max_retention_days,omitempty"`
	MaxInstances          int64    `json:"max_instances,omitempty"`
	AllowedSkins          []string `json:"allowed_skins,omitempty"`
}

type fieldDeployment struct {
	Mode                        string   `json:"mode,omitempty"`
	DeploymentID                string   `json:"deployment_id,omitempty"`
	AllowedEnvironments         []string `json:"allowed_environments,omitempty"`
	InstanceFingerprintRequired bool     `json:"instance_fingerprint_required,omitempty"`
	InstanceFingerprint         string   `json:"instance_fingerprint,omitempty"`
	AllowedInstances            []string `json:"allowed_instances,omitempty"`
	BindingVersion              int      `json:"binding_version,omitempty"`
	AllowedInstanceFingerprints []string `json:"allowed_instance_fingerprints,omitempty"`
	MaxOfflineInstances         int64    `json:"max_offline_instances,omitempty"`
}

// fieldCanonical returns what a router in the field verifies the signature over.
func fieldCanonical(p fieldPayload) ([]byte, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, err
	}
	return json.Marshal(members)
}

// checkAgainstField asserts that a file which parseEnvelope accepted is read by a router in the field as the same
// claims, the same signed bytes and the same signature.
func checkAgainstField(t *testing.T, data []byte, e *envelope) {
	t.Helper()
	var field fieldEnvelope
	if err := json.Unmarshal(data, &field); err != nil {
		t.Fatalf("accepted, but encoding/json says: %v", err)
	}
	canonical := e.payload.appendCanonical(nil)
	theirs, err := fieldCanonical(field.Payload)
	if err != nil {
		t.Fatal(err)
	}
	// An empty list of features; no reader accepts it, for want of routing, but the two write it differently.
	if len(field.Payload.Features) == 0 {
		theirs = bytes.Replace(theirs, []byte(`"features":null`), []byte(`"features":[]`), 1)
	}
	if !bytes.Equal(canonical, theirs) {
		t.Fatalf("another payload is signed:\n%s\n%s", canonical, theirs)
	}
	signature, err := base64.StdEncoding.DecodeString(field.Signature.Value)
	if err != nil || !bytes.Equal(signature, e.signature.value[:]) {
		t.Fatalf("another signature is read: %x %v", signature, err)
	}
	if field.Signature.Algorithm != e.signature.algorithm || field.Signature.KeyID != e.signature.keyID {
		t.Fatalf("another key is read: %q %q", field.Signature.Algorithm, field.Signature.KeyID)
	}
}

func FuzzEnvelope(f *testing.F) {
	files, err := fs.Glob(os.DirFS(vectorDir), "*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if file != "index.json" {
			f.Add(readVector(f, file))
		}
	}
	f.Add(signUnchecked(f, fullPayload(f)))
	for _, edit := range [][2]string{
		{`cust_7QK2M9`, `\ud83d\udd12\u2028\u0000\b\f\/`},
		{`5000000`, `9007199254740991`},
		{`5000000`, `5e6`},
		{`"sku"`, `"s\u006bu"`},
		{"\"usage_reporting\"", `""`},
		{`2027-11-01T00:00:00Z`, `9999-12-31T23:59:59Z`},
		{`2027-11-01T00:00:00Z`, `2027-11-01T00:00:00\u005a`},
	} {
		f.Add([]byte(edited(f, edit[0], edit[1])))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, refusal := parseEnvelope(string(data))
		if refusal != nil {
			if refusal.Code == "" || refusal.Reason == "" {
				t.Fatalf("refused without a reason: %+v", refusal)
			}
			return
		}
		checkAgainstField(t, data, e)
		if e.payload.check() != nil || e.signature.algorithm != Algorithm || e.signature.keyID != e.payload.KeyID {
			return
		}
		file, err := Encode(e.payload, e.signature.value[:])
		if err != nil {
			if len(data) <= MaxFileSize/8 { // indentation and escapes make a large file larger
				t.Fatalf("accepted, but cannot be written: %v", err)
			}
			return
		}
		again, refusal := parseEnvelope(string(file))
		if refusal != nil {
			t.Fatalf("written, but not read again: %v\n%s", refusal, file)
		}
		if !reflect.DeepEqual(again, e) {
			t.Fatalf("read again as\n%+v\nwant\n%+v", again, e)
		}
	})
}

// parsePayload reads a payload without its envelope.
func parsePayload(text string) (*Payload, *Error) {
	s, p := &scanner{text: text}, new(Payload)
	s.payload(p)
	s.end()
	return p, s.err
}

// FuzzPayload asserts that what is signed is one to one with what is meant: two payloads that are accepted have the
// same canonical bytes exactly where they are the same claims, and a payload is read again from its canonical bytes
// and from what is written for people.
func FuzzPayload(f *testing.F) {
	credit, full := vectorPayload(f), fullPayload(f)
	pretty := &writer{indent: true}
	credit.encode(pretty)
	f.Add(string(credit.appendCanonical(nil)), string(pretty.buf))
	f.Add(string(full.appendCanonical(nil)), string(credit.appendCanonical(nil)))
	for _, edit := range [][2]string{ // another spelling of the same claims, and the same spelling of others
		{`"sku"`, `"s\u006bu"`}, {`"max_total_tokens":`, `"max_admins":0,"max_total_tokens":`}, {`"max_total_tokens"`, `"max_total_requests"`},
		{`"features":["routing"`, `"features":["dynamic_score","routing"`}, {`"mode":`, `"deployment_id":`},
	} {
		f.Add(string(credit.appendCanonical(nil)), strings.Replace(string(credit.appendCanonical(nil)), edit[0], edit[1], 1))
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		p, refusal := parsePayload(one)
		if refusal != nil {
			return
		}
		canonical, pretty := p.appendCanonical(nil), &writer{indent: true}
		p.encode(pretty)
		for _, text := range []string{string(canonical), string(pretty.buf)} {
			again, refusal := parsePayload(text)
			if refusal != nil || !reflect.DeepEqual(again, p) {
				t.Fatalf("read again as\n%+v (%v)\nwant\n%+v\nfrom %s", again, refusal, p, text)
			}
		}
		q, refusal := parsePayload(other)
		if refusal != nil {
			return
		}
		if same := reflect.DeepEqual(p, q); same != bytes.Equal(canonical, q.appendCanonical(nil)) {
			t.Fatalf("the same claims: %v, but what is signed is\n%s\n%s", same, canonical, q.appendCanonical(nil))
		}
	})
}

// FuzzSigned changes a signed file: whatever still verifies must mean exactly what was signed.
func FuzzSigned(f *testing.F) {
	original := fullPayload(f)
	file := signUnchecked(f, original)
	ring := vectorRing(f)
	f.Add(file)
	f.Add(bytes.ReplaceAll(file, []byte(","), []byte(" ,\n")))
	f.Add(bytes.Replace(file, []byte(`"sku"`), []byte(`"s\u006bu"`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Read(data, ring, vectorNow)
		if err != nil {
			return
		}
		if l.Payload().LicenseID != original.LicenseID {
			return // one of the vectors, by way of the corpus
		}
		if !reflect.DeepEqual(l.Payload(), original) {
			t.Fatalf("verifies with other claims: %+v", l.Payload())
		}
	})
}

func FuzzKeyRing(f *testing.F) {
	ring, err := NewKeyRing(
		Key{ID: "a", Public: testKey(1)},
		Key{ID: "b", Role: RoleLicense, Public: testKey(2), NotBefore: utc(f, "2026-01-01T00:00:00Z")},
		Key{ID: "\u2028", Role: RoleRevocation, Public: testKey(3), NotAfter: utc(f, "2026-01-01T00:00:00Z")},
	)
	if err != nil {
		f.Fatal(err)
	}
	data, err := ring.MarshalJSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(strings.Replace(string(data), `"role"`, `"Role"`, 1)))
	f.Add([]byte(`{"keys":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		ring, err := ParseKeyRing(data)
		if err != nil {
			return
		}
		var field struct {
			Keys []struct {
				ID        string    `json:"key_id"`
				Algorithm string    `json:"algorithm"`
				Role      string    `json:"role"`
				Public    []byte    `json:"public_key_base64"`
				NotBefore time.Time `json:"not_before"`
				NotAfter  time.Time `json:"not_after"`
			} `json:"keys"`
		}
		if err := json.Unmarshal(data, &field); err != nil {
			t.Fatalf("accepted, but encoding/json says: %v", err)
		}
		keys := ring.Keys()
		for i, k := range field.Keys {
			want := Key{ID: k.ID, Role: k.Role, Public: ed25519.PublicKey(k.Public), NotBefore: k.NotBefore, NotAfter: k.NotAfter}
			if !reflect.DeepEqual(keys[i], want) || k.Algorithm != Algorithm {
				t.Fatalf("key %d is read as %+v, by encoding/json as %+v", i, keys[i], want)
			}
		}
		written, err := ring.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseKeyRing(written)
		if err != nil && len(written) <= MaxKeyRingSize || err == nil && !reflect.DeepEqual(again, ring) {
			t.Fatalf("written, but not read again: %v\n%s", err, written)
		}
	})
}
