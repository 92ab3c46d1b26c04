// Package keys holds the signer's private keys: Ed25519, in PKCS#8 PEM files that only the signer's own user may read.
//
// A key signs only what the trust bundle lets it sign; this package proves at start that each private key is the one whose
// public half the bundle names.
package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/metrum-ai/licensing-portal/internal/trust"
)

const (
	pemType  = "PRIVATE KEY"
	maxBytes = 16 << 10
)

// Load reads a private key file. It refuses a file that is not regular, that another user owns, or that anyone but its
// owner may read.
func Load(path string) (ed25519.PrivateKey, error) {
	text, err := ReadPrivate(path)
	if err != nil {
		return nil, err
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != pemType || len(bytes.TrimSpace(rest)) != 0 {
		return nil, fmt.Errorf("%s: not one PKCS#8 PEM private key", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: not a PKCS#8 private key", path) // the parser's error may quote the file
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: not an Ed25519 private key", path)
	}
	return private, nil
}

// ReadPrivate reads a file that holds a secret, on the conditions of Load.
func ReadPrivate(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat() // of what was opened, so nothing can be swapped in between
	if err != nil {
		return nil, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", path)
	case int(owner.Uid) != os.Geteuid():
		return nil, fmt.Errorf("%s: owned by user %d; it must be owned by the signer's user %d", path, owner.Uid, os.Geteuid())
	case info.Mode().Perm()&0o177 != 0:
		return nil, fmt.Errorf("%s: mode %04o lets others in; make it 0600 or 0400", path, info.Mode().Perm())
	case info.Size() > maxBytes:
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxBytes)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxBytes))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

// Generate makes a key and writes it to a new file of mode 0600; it never overwrites one. The file is synced before it
// returns, so that no public key is published whose private half a crash could lose.
func Generate(path string, random io.Reader) (ed25519.PublicKey, error) {
	public, private, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	err = errors.Join(pem.Encode(f, &pem.Block{Type: pemType, Bytes: der}), f.Sync(), f.Close(), syncDir(filepath.Dir(path)))
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

// Set is the private keys at hand, by key ID.
type Set struct {
	keys map[string]ed25519.PrivateKey
}

// ErrNoKey says that the private half of a key is not at hand.
var ErrNoKey = errors.New("private key is not at hand")

// NewSet matches private keys to the bundle's public keys, telling all problems at once: each must be named there under
// the same ID. A key that the bundle retired or revoked is refused.
func NewSet(private map[string]ed25519.PrivateKey, bundle *trust.Bundle) (*Set, error) {
	named := map[string]trust.Key{}
	for _, k := range bundle.Keys {
		named[k.ID] = k
	}
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
	}
	if err := errors.Join(list...); err != nil {
		return nil, err
	}
	return &Set{keys: private}, nil
}

// Has reports whether the private half of a key is at hand.
func (s *Set) Has(id string) bool { return s.keys[id] != nil }

// Sign signs a message with the named key. Which message and which key is the caller's decision, made from evidence.
func (s *Set) Sign(id string, message []byte) ([]byte, error) {
	key := s.keys[id]
	if key == nil {
		return nil, ErrNoKey
	}
	return ed25519.Sign(key, message), nil
}
