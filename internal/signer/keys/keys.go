// Package keys holds the signer's private keys: Ed25519, in PKCS#8 PEM files that only the signer's own user may read,
// encrypted with a passphrase that stands elsewhere.
//
// A key signs only what the trust bundle lets it sign; this package proves at start that each private key is the one whose
// public half the bundle names.
package keys

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// The types of PEM block: PKCS#8 as it is, and encrypted (RFC 7468, sections 10 and 11).
const (
	pemPlain     = "PRIVATE KEY"
	pemEncrypted = "ENCRYPTED PRIVATE KEY"
)

// minPassphrase is the least length of a passphrase that a key is written with: that of `openssl rand -base64 24`. One that
// is made by a machine and kept in a file needs no stretching, and only such a one is this long.
const minPassphrase = 32

// Load reads a private key file on the conditions of ReadPrivate. With a passphrase the file must be encrypted, so that a
// plain key put in its place is noticed; without one it must be plain.
func Load(path string, passphrase []byte) (crypto.Signer, error) {
	text, err := ReadPrivate(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || len(block.Headers) != 0 || len(bytes.TrimSpace(rest)) != 0 {
		return nil, fmt.Errorf("%s: not one PKCS#8 PEM private key", path)
	}
	key, err := open(block, passphrase)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func open(block *pem.Block, passphrase []byte) (crypto.Signer, error) {
	pkcs8 := block.Bytes
	switch {
	case block.Type == pemPlain && passphrase != nil:
		return nil, errors.New("not encrypted, though a passphrase is configured; encrypt it with: openssl pkcs8 -topk8 -scrypt")
	case block.Type == pemEncrypted && passphrase == nil:
		return nil, errors.New("encrypted, and no passphrase is configured")
	case block.Type == pemEncrypted:
		var err error
		if pkcs8, err = decrypt(block.Bytes, passphrase); err != nil {
			return nil, err
		}
		defer clear(pkcs8)
	case block.Type != pemPlain:
		return nil, errors.New("not a PKCS#8 private key; convert it with: openssl pkcs8 -topk8")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(pkcs8)
	switch {
	case err != nil && block.Type == pemEncrypted:
		return nil, errPassphrase // one in 256 wrong ones gives sound padding
	case err != nil:
		return nil, errors.New("not a PKCS#8 private key") // the parser's error may quote the file
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("not an Ed25519 private key")
	}
	return private, nil
}

// Generate makes a key and writes it to a new file of mode 0600; it never overwrites one. A nil passphrase writes it plain.
// The file is synced before it returns, so that no public key is published whose private half a crash could lose.
func Generate(path string, passphrase []byte, random io.Reader) (ed25519.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, err
	}
	block := &pem.Block{Type: pemPlain}
	if block.Bytes, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		return nil, err
	}
	if passphrase != nil {
		if len(passphrase) < minPassphrase {
			return nil, fmt.Errorf("the passphrase is shorter than %d characters; make one with: openssl rand -base64 32", minPassphrase)
		}
		block.Type = pemEncrypted
		if block.Bytes, err = encrypt(block.Bytes, passphrase, random); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	err = errors.Join(pem.Encode(f, block), f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return public, nil
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Set is the private keys at hand, by key ID. It holds signers, not bytes, so that a key may stay where it cannot be read.
type Set struct {
	keys map[string]member
}

type member struct {
	signer crypto.Signer
	status trust.KeyStatus
}

// Why a key does not sign.
var (
	ErrNoKey     = errors.New("private key is not at hand")
	ErrNotActive = errors.New("the trust bundle lets this key sign nothing yet")
)

// NewSet matches private keys to the bundle's public keys, telling all problems at once: each must be Ed25519 and named
// there under the same ID. A key that the bundle retired or revoked is refused; one that is only planned or published is
// kept and signs nothing.
func NewSet[S crypto.Signer](private map[string]S, bundle *trust.Bundle) (*Set, error) {
	named := map[string]trust.Key{}
	for _, k := range bundle.Keys {
		named[k.ID] = k
	}
	set := &Set{keys: map[string]member{}}
	var list []error
	for id, key := range private {
		in, ok := named[id]
		public, err := in.Public()
		switch {
		case !ok:
			list = append(list, fmt.Errorf("key %s: not in the trust bundle", id))
		case err != nil || !public.Equal(key.Public()):
			list = append(list, fmt.Errorf("key %s: the trust bundle has another public key", id))
		case in.Status == trust.KeyRetired || in.Status == trust.KeyRevoked:
			list = append(list, fmt.Errorf("key %s: %s in the trust bundle; remove it from the configuration", id, in.Status))
		}
		set.keys[id] = member{key, in.Status}
	}
	if err := errors.Join(list...); err != nil {
		return nil, err
	}
	return set, nil
}

// Has reports whether the private half of a key is at hand.
func (s *Set) Has(id string) bool { return s.keys[id].signer != nil }

// Sign signs a message with the named key. Which message and which key is the caller's decision, made from evidence and
// the key's window; a key whose status lets it sign nothing is refused here too.
func (s *Set) Sign(id string, message []byte) ([]byte, error) {
	key := s.keys[id]
	switch {
	case key.signer == nil:
		return nil, ErrNoKey
	case key.status != trust.KeySigning && key.status != trust.KeyVerifyOnly:
		return nil, ErrNotActive
	}
	return key.signer.Sign(rand.Reader, message, crypto.Hash(0))
}
