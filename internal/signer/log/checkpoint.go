package log

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// noteSigner signs checkpoints in the form of golang.org/x/mod/sumdb/note with a key that came as PKCS#8.
type noteSigner struct {
	note.Verifier
	private ed25519.PrivateKey
}

func (s noteSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.private, msg), nil }

func newNoteSigner(origin string, private ed25519.PrivateKey) (noteSigner, error) {
	verifier, err := NewVerifier(origin, private.Public().(ed25519.PublicKey))
	if err != nil {
		return noteSigner{}, err
	}
	return noteSigner{Verifier: verifier, private: private}, nil
}

// NewVerifier returns the verifier of a log's checkpoints. The origin is the log's name, for instance
// "licensing-portal/log".
func NewVerifier(origin string, public ed25519.PublicKey) (note.Verifier, error) {
	text, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return nil, fmt.Errorf("log key: %w", err)
	}
	verifier, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("log origin %q or key: %w", origin, err)
	}
	return verifier, nil
}

// signCheckpoint writes the checkpoint of https://c2sp.org/tlog-checkpoint: origin, size and root hash.
func signCheckpoint(signer noteSigner, tree tlog.Tree) ([]byte, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), tree.N, tree.Hash)
	return note.Sign(&note.Note{Text: text}, signer)
}

var errCheckpoint = errors.New("checkpoint does not verify")

// OpenCheckpoint verifies a signed checkpoint and returns the tree it names.
func OpenCheckpoint(signed []byte, verifier note.Verifier) (tlog.Tree, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%w: %w", errCheckpoint, err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("%w: not a checkpoint of this log", errCheckpoint)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("%w: size", errCheckpoint)
	}
	hash, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(hash) != tlog.HashSize {
		return tlog.Tree{}, fmt.Errorf("%w: root hash", errCheckpoint)
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(hash)}, nil
}
