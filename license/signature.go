package license

import (
	"crypto/ed25519"
	"encoding/base64"
	"time"
)

// signature is what an envelope says about who signed its payload; nothing in it is trusted before it verified.
type signature struct {
	algorithm string
	keyID     string
	value     [ed25519.SignatureSize]byte
}

// key returns the key of the ring that must have made the signature over a payload which names the key payloadKeyID.
func (sig *signature) key(ring *KeyRing, role, payloadKeyID string, now time.Time) (*Key, *Error) {
	if sig.algorithm != Algorithm {
		return nil, invalid("the signature's algorithm is not " + Algorithm)
	}
	if sig.keyID != payloadKeyID {
		return nil, invalid("the payload's key_id is not the signature's")
	}
	return ring.find(sig.keyID, role, now)
}

// check refuses a signature that the key did not make over the message (RFC 8032, 5.1.7). It is the one place where
// the module verifies; the key is a ring's, so checkPoint has admitted it.
func (sig *signature) check(key *Key, message []byte) *Error {
	if !ed25519.Verify(key.Public, message, sig.value[:]) {
		return invalid("the signature does not match: the file was changed after it was issued")
	}
	return nil
}

func (s *scanner) signature(sig *signature) {
	const (
		algorithm = iota
		keyID
		value
		all = 1<<iota - 1
	)
	seen := s.object(func(name string) int {
		switch name {
		case "algorithm":
			sig.algorithm = s.string()
			return algorithm
		case "key_id":
			sig.keyID = s.string()
			return keyID
		case "value_base64":
			s.base64(sig.value[:])
			return value
		}
		return -1
	})
	if s.err == nil && seen != all {
		s.fail("the signature must hold algorithm, key_id and value_base64")
	}
}

// base64 reads exactly len(into) bytes (64 at most) from their one canonical spelling: standard alphabet, padded,
// no line breaks, and no bits set in the last character that decode to nothing.
func (s *scanner) base64(into []byte) {
	text := s.string()
	if s.err != nil {
		return
	}
	const longest = 88
	var source, decoded [longest]byte
	encoding := base64.StdEncoding.Strict()
	// The decoder skips line breaks, so a text of the right length that holds one comes out too short.
	if len(text) == encoding.EncodedLen(len(into)) {
		copy(source[:], text)
		if n, err := encoding.Decode(decoded[:], source[:len(text)]); err == nil && n == len(into) {
			copy(into, decoded[:n])
			return
		}
	}
	s.fail("not the canonical padded base64 of a value of the right length")
}
