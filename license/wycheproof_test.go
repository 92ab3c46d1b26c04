package license

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

type wycheproof struct {
	NumberOfTests int
	TestGroups    []struct {
		Key struct {
			Public string `json:"pk"`
		}
		Tests []struct {
			ID        int `json:"tcId"`
			Comment   string
			Message   string `json:"msg"`
			Signature string `json:"sig"`
			Result    string
		}
	}
}

// An envelope's message is always a payload, so these go through its parts: the key through a key ring file, the
// signature through the member of an envelope, and both with the vector's message through the check that Read and
// ReadRevocationBundle make.
func TestWycheproofVectorsHaveTheirVerdicts(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "wycheproof", "eddsa_test.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors wycheproof
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, group := range vectors.TestGroups {
		ring, err := ParseKeyRing([]byte(`{"keys": [{"key_id": "w", "algorithm": "ed25519", "public_key_base64": "` +
			base64OfHex(t, group.Key.Public) + `"}]}`))
		if err != nil {
			t.Errorf("the key %s, which signed: %v", group.Key.Public, err)
			continue
		}
		for _, v := range group.Tests {
			count[v.Result]++
			message, err := hex.DecodeString(v.Message)
			if err != nil {
				t.Fatal(err)
			}
			refusal := verifyMember(ring, `{"algorithm": "ed25519", "key_id": "w", "value_base64": "`+
				base64OfHex(t, v.Signature)+`"}`, message)
			switch v.Result {
			case "valid":
				if refusal != nil {
					t.Errorf("%d (%s): %v, want it to verify", v.ID, v.Comment, refusal)
				}
			case "invalid":
				if refusal == nil || refusal.Code != CodeInvalid {
					t.Errorf("%d (%s): %v, want license-invalid", v.ID, v.Comment, refusal)
				}
			default: // "acceptable": a signature has one spelling here, so each would need an argument of its own
				t.Errorf("%d (%s): the result %q is new: decide what the module does", v.ID, v.Comment, v.Result)
			}
		}
	}
	if count["valid"] != 84 || count["invalid"] != 61 || vectors.NumberOfTests != 84+61 {
		t.Errorf("%v of %d vectors ran, want 84 valid and 61 invalid ones", count, vectors.NumberOfTests)
	}
}

func verifyMember(ring *KeyRing, member string, message []byte) *Error {
	s, sig := &scanner{text: member}, new(signature)
	s.signature(sig)
	if s.end(); s.err != nil {
		return s.err
	}
	key, refusal := sig.key(ring, RoleLicense, "w", vectorNow)
	if refusal != nil {
		return refusal
	}
	return sig.check(key, message)
}

func base64OfHex(tb testing.TB, text string) string {
	tb.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(data)
}
