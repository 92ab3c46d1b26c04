package license

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// groupOrder is L, the order of the base point (RFC 8032, 5.1).
func groupOrder() *big.Int {
	l, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	return l.Add(l, new(big.Int).Lsh(big.NewInt(1), 252))
}

// littleEndian writes n, taken modulo 2^256, as RFC 8032 writes integers.
func littleEndian(n *big.Int) []byte {
	mask := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
	out := new(big.Int).And(n, mask).FillBytes(make([]byte, 32))
	slices.Reverse(out)
	return out
}

func fromLittleEndian(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// signedAs is the credit pack vector with another signature.
func signedAs(tb testing.TB, signature []byte) []byte {
	tb.Helper()
	const value = "twaFSU3ll0D0HVlzva/MArltwaIIkaxTrpOtwQXPjSFd/2vKCcptHFBlVbSLJm7QqmbqyccVU5diwW4kCaCQBA=="
	return []byte(edited(tb, value, base64.StdEncoding.EncodeToString(signature)))
}

// A license has one signature that verifies. These are the ways in which implementations of Ed25519 have taken a
// second one: every test goes through Read, as a router does.
func TestNoSecondSignatureVerifies(t *testing.T) {
	t.Parallel()
	ring, key := vectorRing(t), vectorSigner(t)
	canonical, err := vectorPayload(t).Canonical()
	if err != nil {
		t.Fatal(err)
	}
	good := ed25519.Sign(key, canonical)
	if _, err := Read(signedAs(t, good), ring, vectorNow); err != nil {
		t.Fatalf("the good signature: %v", err)
	}
	r, s := good[:32], fromLittleEndian(good[32:])
	others := map[string][]byte{
		"nothing but zero":  make([]byte, 64),
		"nothing but ones":  bytes.Repeat([]byte{0xff}, 64),
		"halves exchanged":  slices.Concat(good[32:], r),
		"S of zero":         slices.Concat(r, make([]byte, 32)),
		"S of L":            slices.Concat(r, littleEndian(groupOrder())),
		"S of L minus one":  slices.Concat(r, littleEndian(new(big.Int).Sub(groupOrder(), big.NewInt(1)))),
		"S negated":         slices.Concat(r, littleEndian(new(big.Int).Sub(groupOrder(), s))),
		"of another text":   ed25519.Sign(key, append(slices.Clone(canonical), ' ')),
		"of no text":        ed25519.Sign(key, nil),
		"by another key":    ed25519.Sign(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)), canonical),
		"a byte less":       good[:63],
		"only R":            r,
		"a byte more":       append(slices.Clone(good), 0),
		"twice":             slices.Concat(good, good),
		"of the text's end": ed25519.Sign(key, canonical[1:]),
	}
	// S plus a multiple of L is the same scalar: up to the 15 that fit into 32 bytes.
	for k := int64(1); k < 16; k++ {
		more := new(big.Int).Add(s, new(big.Int).Mul(big.NewInt(k), groupOrder()))
		others["S plus L times "+big.NewInt(k).String()] = slices.Concat(r, littleEndian(more))
	}
	// R as a point of small order, and in spellings above the field's prime.
	for _, text := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		point, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, sign := range []byte{0, 0x80} {
			point := slices.Clone(point)
			point[31] |= sign
			others["R of small order "+hex.EncodeToString(point)] = slices.Concat(point, good[32:])
			others["R of small order and S of zero "+hex.EncodeToString(point)] = slices.Concat(point, make([]byte, 32))
		}
	}
	// Ed25519ctx and Ed25519ph are other schemes over the same key.
	withContext, err := key.Sign(nil, canonical, &ed25519.Options{Context: "license"})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha512.Sum512(canonical)
	preHashed, err := key.Sign(nil, digest[:], &ed25519.Options{Hash: crypto.SHA512})
	if err != nil {
		t.Fatal(err)
	}
	others["Ed25519ctx"], others["Ed25519ph"] = withContext, preHashed
	for bit := range 512 {
		flipped := slices.Clone(good)
		flipped[bit/8] ^= 1 << (bit % 8)
		others["bit "+big.NewInt(int64(bit)).String()] = flipped
	}
	for name, signature := range others {
		if _, err := Read(signedAs(t, signature), ring, vectorNow); CodeOf(err) != CodeInvalid {
			t.Errorf("%s: %v, want license-invalid", name, err)
		}
	}
}

// With a key of small order a signature exists that verifies over many messages; such a key never enters a ring, and
// no ring verifies with a key that it would not take today.
func TestKeyThatAnyoneCanSignForVerifiesNothing(t *testing.T) {
	t.Parallel()
	identity := append([]byte{1}, make([]byte, 31)...)
	forged := slices.Concat(identity, make([]byte, 32)) // R is the identity and S is 0
	if !ed25519.Verify(identity, []byte("any message"), forged) {
		t.Fatal("the standard library refuses it already: the test shows nothing")
	}
	if _, err := NewKeyRing(Key{ID: "test-ed25519-2026-01", Public: identity}); err == nil || !strings.Contains(err.Error(), "small order") {
		t.Errorf("%v, want a refusal", err)
	}
	file := []byte(`{"keys": [{"key_id": "test-ed25519-2026-01", "algorithm": "ed25519", "public_key_base64": "` +
		base64.StdEncoding.EncodeToString(identity) + `"}]}`)
	if _, err := ParseKeyRing(file); err == nil {
		t.Error("the key ring file is taken")
	}
	if _, err := Read(signedAs(t, forged), vectorRing(t), vectorNow); CodeOf(err) != CodeInvalid {
		t.Errorf("%v, want license-invalid", err)
	}
}
