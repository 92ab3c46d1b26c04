package license

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func testKey(n byte) ed25519.PublicKey {
	seed := bytes.Repeat([]byte{n}, ed25519.SeedSize)
	return ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
}

func TestKeyRingFilesAreReadStrictly(t *testing.T) {
	t.Parallel()
	public := base64.StdEncoding.EncodeToString(testKey(1))
	key := func(more string) string {
		return `{"key_id": "k1", "algorithm": "ed25519", "public_key_base64": "` + public + `"` + more + `}`
	}
	ring := func(keys string) string { return `{"keys": [` + keys + `]}` }
	good := map[string]string{
		"plain":         ring(key("")),
		"license":       ring(key(`, "role": "license"`)),
		"revocation":    ring(key(`, "role": "revocation"`)),
		"times":         ring(key(`, "not_before": "2026-01-01T00:00:00Z", "not_after": "2026-01-01T00:00:00Z"`)),
		"two":           ring(key("") + "," + strings.Replace(key(""), "k1", "k2", 1)),
		"space":         " \r\n\t" + ring(key("")) + "\n",
		"escaped slash": strings.ReplaceAll(ring(key("")), "/", `\/`),
	}
	for name, text := range good {
		if _, err := ParseKeyRing([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := map[string]string{
		"nothing":             "",
		"empty object":        `{}`,
		"no keys":             ring(""),
		"null keys":           `{"keys": null}`,
		"list":                `[` + key("") + `]`,
		"trailing data":       ring(key("")) + "x",
		"byte-order mark":     "\uFEFF" + ring(key("")),
		"unknown name":        ring(key(`, "status": "active"`)),
		"unknown name above":  `{"version": 1, "keys": [` + key("") + `]}`,
		"keys twice":          `{"keys": [` + key("") + `], "keys": [` + key("") + `]}`,
		"Keys":                `{"Keys": [` + key("") + `]}`,
		"key_id twice":        ring(key(`, "key_id": "k1"`)),
		"same ID":             ring(key("") + "," + key("")),
		"unknown role":        ring(key(`, "role": "root"`)),
		"empty role":          ring(key(`, "role": ""`)),
		"null role":           ring(key(`, "role": null`)),
		"time with offset":    ring(key(`, "not_before": "2026-01-01T00:00:00+00:00"`)),
		"times reversed":      ring(key(`, "not_before": "2026-01-01T00:00:01Z", "not_after": "2026-01-01T00:00:00Z"`)),
		"other algorithm":     strings.Replace(ring(key("")), "ed25519", "Ed25519", 1),
		"no algorithm":        strings.Replace(ring(key("")), `"algorithm": "ed25519",`, "", 1),
		"no key":              ring(`{"key_id": "k1", "algorithm": "ed25519"}`),
		"no key_id":           strings.Replace(ring(key("")), `"key_id": "k1",`, "", 1),
		"empty key_id":        strings.Replace(ring(key("")), `"k1"`, `""`, 1),
		"long key_id":         strings.Replace(ring(key("")), `k1`, strings.Repeat("k", maxKeyIDLength+1), 1),
		"key without padding": strings.Replace(ring(key("")), `="`, `"`, 1),
		"key too short":       strings.Replace(ring(key("")), public, "AAAA", 1),
		"key too long":        strings.Replace(ring(key("")), public, "AAAA"+public, 1),
		"key of small order":  strings.Replace(ring(key("")), public, "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1),
		"too large":           ring(key("")) + strings.Repeat(" ", MaxKeyRingSize),
	}
	for name, text := range bad {
		if _, err := ParseKeyRing([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "key ring: ") {
			t.Errorf("%s: %v, want an error of the key ring", name, err)
		}
	}
}

func TestKeyRingHoldsBoundedNumberOfKeys(t *testing.T) {
	t.Parallel()
	var keys []Key
	for i := range MaxKeys + 1 {
		keys = append(keys, Key{ID: fmt.Sprint("k", i), Public: testKey(1)})
	}
	if _, err := NewKeyRing(keys[:MaxKeys]...); err != nil {
		t.Errorf("%d keys: %v", MaxKeys, err)
	}
	if _, err := NewKeyRing(keys...); err == nil {
		t.Errorf("%d keys are accepted", len(keys))
	}
	one := `{"key_id":"k","algorithm":"ed25519","public_key_base64":"` + base64.StdEncoding.EncodeToString(testKey(1)) + `"}`
	file := `{"keys":[` + strings.Repeat(one+",", MaxKeys) + one + `]}`
	if _, err := ParseKeyRing([]byte(file)); err == nil || !strings.Contains(err.Error(), "too many keys") {
		t.Errorf("a file of too many keys: %v", err)
	}
}

func TestKeyTimesAreWholeSeconds(t *testing.T) {
	t.Parallel()
	for _, k := range []Key{
		{ID: "k", Public: testKey(1), NotBefore: time.Unix(0, 1)},
		{ID: "k", Public: testKey(1), NotAfter: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if _, err := NewKeyRing(k); err == nil {
			t.Errorf("%v to %v is accepted", k.NotBefore, k.NotAfter)
		}
	}
	here := time.Date(2026, 1, 1, 2, 0, 0, 0, time.FixedZone("", 7200))
	ring, err := NewKeyRing(Key{ID: "k", Public: testKey(1), NotBefore: here})
	if err != nil || ring.Keys()[0].NotBefore != here.UTC() {
		t.Errorf("a time in another zone: %v", err)
	}
}

func TestKeyRingSurvivesWritingAndReading(t *testing.T) {
	t.Parallel()
	keys := []Key{
		{ID: "both", Public: testKey(1)},
		{ID: "license", Role: RoleLicense, Public: testKey(2), NotBefore: utc(t, "2026-01-01T00:00:00Z")},
		{ID: "<&>", Role: RoleRevocation, Public: testKey(3), NotAfter: utc(t, "2027-01-01T00:00:00Z")},
	}
	ring, err := NewKeyRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func() ([]byte, error){
		"MarshalJSON":        ring.MarshalJSON,
		"json.Marshal":       func() ([]byte, error) { return json.Marshal(ring) },
		"json.MarshalIndent": func() ([]byte, error) { return json.MarshalIndent(ring, "", " ") },
	} {
		data, err := write()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		back, err := ParseKeyRing(data)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, data)
		}
		if !reflect.DeepEqual(back.Keys(), keys) {
			t.Errorf("%s: reads back as %+v", name, back.Keys())
		}
	}
	ring.Keys()[0].Public[0] ^= 1
	keys[0].Public[0] ^= 1
	if !bytes.Equal(ring.Keys()[0].Public, testKey(1)) {
		t.Error("a caller can change a key of the ring")
	}
}

func TestKeysAreTrustedForTheirRoleAndTime(t *testing.T) {
	t.Parallel()
	index := readVectorIndex(t)
	public, _ := base64.StdEncoding.DecodeString(index.Keys[0].Public)
	from, to := utc(t, "2026-11-01T00:00:00Z"), utc(t, "2026-12-01T00:00:00Z")
	cases := []struct {
		name  string
		key   Key
		now   time.Time
		words string // "" for accepted
	}{
		{"no bounds", Key{}, to, ""},
		{"role license", Key{Role: RoleLicense}, to, ""},
		{"role revocation", Key{Role: RoleRevocation}, to, "not for signing a license"},
		{"a second before", Key{NotBefore: from}, from.Add(-time.Second), "not trusted before 2026-11-01"},
		{"at the start", Key{NotBefore: from, NotAfter: to}, from, ""},
		{"at the end", Key{NotBefore: from, NotAfter: to}, to, ""},
		{"a second after", Key{NotAfter: to}, to.Add(time.Second), "not trusted after 2026-12-01"},
		{"a nanosecond after", Key{NotAfter: to}, to.Add(1), "not trusted after"},
		{"another ID", Key{ID: "other"}, to, "which the key ring does not hold"},
	}
	for _, c := range cases {
		key := c.key
		key.Public = public
		if key.ID == "" {
			key.ID = index.Keys[0].ID
		}
		ring, err := NewKeyRing(Key{ID: "another", Public: testKey(9)}, key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Read(readVector(t, "accept-credit-pack.json"), ring, c.now)
		switch {
		case c.words == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.words != "" && (CodeOf(err) != CodeInvalid || !strings.Contains(fmt.Sprint(err), c.words)):
			t.Errorf("%s: %v, want %q", c.name, err, c.words)
		}
	}
	if _, err := Read(readVector(t, "accept-credit-pack.json"), nil, to); CodeOf(err) != CodeInvalid {
		t.Errorf("no ring: %v", err)
	}
}

func TestErrorsShowNoLongKeyID(t *testing.T) {
	t.Parallel()
	p := vectorPayload(t)
	p.KeyID = strings.Repeat("x", 10000)
	_, err := Read(signUnchecked(t, p), vectorRing(t), vectorNow)
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("the error has %d bytes", len(fmt.Sprint(err)))
	}
}

// The list of small-order spellings is the one that libsodium refuses (ge25519_has_small_order), each with both signs
// of x; the points were not made with the formulas under test.
func TestKeysThatAnyoneCouldSignForAreRefused(t *testing.T) {
	t.Parallel()
	small := []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	}
	for _, text := range small {
		for _, sign := range []byte{0, 0x80} {
			public, err := hex.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			public[31] |= sign
			if _, err := NewKeyRing(Key{ID: "k", Public: public}); err == nil {
				t.Errorf("%x is accepted", public)
			}
		}
	}
	for _, length := range []int{0, 31, 33, 64} {
		if _, err := NewKeyRing(Key{ID: "k", Public: make([]byte, length)}); err == nil {
			t.Errorf("a key of %d bytes is accepted", length)
		}
	}
}

// Whether a y is on the curve is worked out again here, by a square root instead of a Jacobi symbol.
func TestKeysThatAreNoPointAreRefused(t *testing.T) {
	t.Parallel()
	p, _ := new(big.Int).SetString("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed", 16)
	d, _ := new(big.Int).SetString("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3", 16)
	one, accepted := big.NewInt(1), 0
	for n := int64(2); n < 202; n++ {
		y2 := big.NewInt(n * n)
		top := new(big.Int).Sub(y2, one)
		bottom := new(big.Int).Add(new(big.Int).Mul(d, y2), one)
		x2 := new(big.Int).Mul(top, new(big.Int).ModInverse(bottom, p))
		onCurve := new(big.Int).ModSqrt(x2.Mod(x2, p), p) != nil

		public := make([]byte, ed25519.PublicKeySize)
		public[0] = byte(n)
		_, err := NewKeyRing(Key{ID: "k", Public: public})
		if (err == nil) != onCurve {
			t.Errorf("y = %d: %v, a point: %v", n, err, onCurve)
		}
		if err == nil {
			accepted++
		}
	}
	if accepted < 60 || accepted > 140 {
		t.Errorf("%d of 200 are accepted", accepted)
	}
	for n := range byte(50) {
		if _, err := NewKeyRing(Key{ID: "k", Public: testKey(n)}); err != nil {
			t.Errorf("a real key is refused: %v", err)
		}
	}
	last := slices.Repeat([]byte{0xff}, 32)
	if _, err := NewKeyRing(Key{ID: "k", Public: last}); err == nil {
		t.Error("a spelling above the field's prime is accepted")
	}
}
