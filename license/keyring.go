package license

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// What a key may verify. A key without a role verifies both.
const (
	RoleLicense    = "license"
	RoleRevocation = "revocation"
)

// Bounds of a key ring file.
const (
	MaxKeyRingSize = 64 << 10 // bytes
	MaxKeys        = 256
	maxKeyIDLength = 128 // bytes
)

// Key is one public key of a key ring. It is trusted from NotBefore to NotAfter, both included.
type Key struct {
	ID        string
	Role      string // "license", "revocation" or "" for both
	Public    ed25519.PublicKey
	NotBefore time.Time // zero: no bound
	NotAfter  time.Time // zero: no bound
}

// KeyRing is the set of public keys a verifier trusts. It is immutable and safe for concurrent use.
type KeyRing struct{ keys []Key }

// NewKeyRing makes a key ring. It refuses an empty ring, more than MaxKeys keys, two keys with one ID, an unknown
// role, a time that a key ring file cannot hold, and a public key that is not a point of large order on the curve
// in its canonical spelling.
func NewKeyRing(keys ...Key) (*KeyRing, error) {
	if len(keys) == 0 {
		return nil, errors.New("key ring: it holds no keys")
	}
	if len(keys) > MaxKeys {
		return nil, fmt.Errorf("key ring: it holds %d keys, more than %d", len(keys), MaxKeys)
	}
	ring := &KeyRing{keys: slices.Clone(keys)}
	for i := range ring.keys {
		key := &ring.keys[i]
		key.NotBefore, key.NotAfter = key.NotBefore.UTC(), key.NotAfter.UTC()
		if err := key.check(); err != nil {
			return nil, fmt.Errorf("key ring: key %d: %w", i+1, err)
		}
		if slices.ContainsFunc(ring.keys[:i], func(k Key) bool { return k.ID == key.ID }) {
			return nil, fmt.Errorf("key ring: key %d: the key_id %q is there twice", i+1, key.ID)
		}
		key.Public = bytes.Clone(key.Public)
	}
	return ring, nil
}

func (k *Key) check() error {
	switch {
	case k.ID == "" || len(k.ID) > maxKeyIDLength || !utf8.ValidString(k.ID):
		return fmt.Errorf("key_id must be text of 1 to %d bytes", maxKeyIDLength)
	case k.Role != "" && k.Role != RoleLicense && k.Role != RoleRevocation:
		return errors.New(`role must be "license" or "revocation", or left out for both`)
	case len(k.Public) != ed25519.PublicKeySize:
		return fmt.Errorf("an Ed25519 public key has %d bytes, this one %d", ed25519.PublicKeySize, len(k.Public))
	case !k.NotBefore.IsZero() && !writable(k.NotBefore), !k.NotAfter.IsZero() && !writable(k.NotAfter):
		return errors.New("not_before and not_after must be whole seconds of the years 1 to 9999")
	case !k.NotBefore.IsZero() && !k.NotAfter.IsZero() && k.NotAfter.Before(k.NotBefore):
		return errors.New("not_after is before not_before")
	}
	return checkPoint(k.Public)
}

// Keys returns a copy of the keys, in the ring's order.
func (r *KeyRing) Keys() []Key {
	keys := slices.Clone(r.keys)
	for i := range keys {
		keys[i].Public = bytes.Clone(keys[i].Public)
	}
	return keys
}

// find returns the key for what role does, trusted at now. A nil ring trusts nothing.
func (r *KeyRing) find(id, role string, now time.Time) (*Key, *Error) {
	if r != nil {
		for i := range r.keys {
			key := &r.keys[i]
			if key.ID != id {
				continue
			}
			switch {
			case key.Role != "" && key.Role != role:
				return nil, invalid("the key " + shownID(id) + " is not for signing a " + role)
			case now.Before(key.NotBefore):
				return nil, invalid("the key " + shownID(id) + " is not trusted before " + key.NotBefore.Format(time.RFC3339))
			case !key.NotAfter.IsZero() && now.After(key.NotAfter):
				return nil, invalid("the key " + shownID(id) + " is not trusted after " + key.NotAfter.Format(time.RFC3339))
			}
			return key, nil
		}
	}
	return nil, invalid("signed with the key " + shownID(id) + ", which the key ring does not hold: update the key ring")
}

// shownID is a key ID as an error may show it: quoted, and not a whole file.
func shownID(id string) string {
	if len(id) > maxKeyIDLength {
		return "(an ID of " + strconv.Itoa(len(id)) + " bytes)"
	}
	return strconv.QuoteToASCII(id)
}

// ParseKeyRing reads a key ring file as strictly as a license file: no unknown or duplicate names, nothing after
// the object, at most MaxKeyRingSize bytes.
func ParseKeyRing(data []byte) (*KeyRing, error) {
	if len(data) > MaxKeyRingSize {
		return nil, fmt.Errorf("key ring: the file is larger than %d bytes", MaxKeyRingSize)
	}
	s := &scanner{text: string(data)}
	var keys []Key
	seen := s.object(func(name string) int {
		if name != "keys" {
			return -1
		}
		s.array(func() {
			if len(keys) == MaxKeys {
				s.fail("too many keys")
				return
			}
			keys = append(keys, s.key())
		})
		return 0
	})
	s.end()
	if s.err != nil {
		return nil, errors.New("key ring: " + s.err.Reason)
	}
	if seen == 0 {
		return nil, errors.New("key ring: the file has no keys")
	}
	return NewKeyRing(keys...)
}

func (s *scanner) key() Key {
	const (
		keyID = iota
		algorithm
		public
		required = 1<<iota - 1
	)
	const (
		role = iota + 3
		notBefore
		notAfter
	)
	k := Key{Public: make(ed25519.PublicKey, ed25519.PublicKeySize)}
	seen := s.object(func(name string) int {
		switch name {
		case "key_id":
			k.ID = s.string()
			return keyID
		case "algorithm":
			if s.string() != Algorithm {
				s.fail("algorithm must be " + Algorithm)
			}
			return algorithm
		case "public_key_base64":
			s.base64(k.Public)
			return public
		case "role":
			if k.Role = s.string(); k.Role == "" {
				s.fail("role must not be empty: leave it out for both")
			}
			return role
		case "not_before":
			k.NotBefore = s.timestamp()
			return notBefore
		case "not_after":
			k.NotAfter = s.timestamp()
			return notAfter
		}
		return -1
	})
	if s.err == nil && seen&required != required {
		s.fail("a key must hold key_id, algorithm and public_key_base64")
	}
	return k
}

// MarshalJSON writes the key ring file's format, which ParseKeyRing reads.
func (r *KeyRing) MarshalJSON() ([]byte, error) {
	w := &writer{indent: true}
	w.open('{')
	w.member("keys").open('[')
	for i := range r.keys {
		k := &r.keys[i]
		w.element()
		w.open('{')
		w.member("key_id").string(k.ID)
		w.member("algorithm").string(Algorithm)
		w.optionalString("role", k.Role)
		w.member("public_key_base64").string(base64.StdEncoding.EncodeToString(k.Public))
		if !k.NotBefore.IsZero() {
			w.member("not_before").time(k.NotBefore)
		}
		if !k.NotAfter.IsZero() {
			w.member("not_after").time(k.NotAfter)
		}
		w.close('}')
	}
	w.close(']')
	w.close('}')
	return append(w.buf, '\n'), nil
}
