package signer

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is what the log signs of itself: its tree, and the newest trust bundle that was ever in force. So whoever
// holds a checkpoint, a witness for instance, remembers both for a store that has to be rebuilt.
type Checkpoint struct {
	tlog.Tree
	Trust TrustSeen
}

// TrustSeen names a trust bundle; its zero value is none.
type TrustSeen struct {
	Version int64
	SHA256  string // hex, of the bundle's exact bytes
}

// Text is the body of a signed checkpoint, as https://c2sp.org/tlog-checkpoint has it: lines with the log's name, its size
// and its root hash, and as an extension "trust VERSION SHA256" once there was a trust bundle.
func (c Checkpoint) Text(origin string) string {
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, c.N, c.Hash)
	if c.Trust != (TrustSeen{}) {
		text += fmt.Sprintf("trust %d %s\n", c.Trust.Version, c.Trust.SHA256)
	}
	return text
}

// NewLogVerifier returns the verifier of a log's checkpoints. The origin is the log's name, for instance
// "licensing-portal/log".
func NewLogVerifier(origin string, public ed25519.PublicKey) (note.Verifier, error) {
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

var errCheckpoint = errors.New("checkpoint does not verify")

// OpenCheckpoint verifies a signed checkpoint and reads it. What would be written otherwise than Text writes it is refused.
func OpenCheckpoint(signed []byte, verifier note.Verifier) (Checkpoint, error) {
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: %w", errCheckpoint, err)
	}
	return parseCheckpoint(opened.Text, verifier.Name())
}

// ReadCheckpoint reads a signed checkpoint without verifying it: it is as good as where it came from.
func ReadCheckpoint(signed []byte) (Checkpoint, error) {
	text := string(signed)
	text = text[:strings.LastIndex(text, "\n\n")+1]
	origin, _, _ := strings.Cut(text, "\n")
	return parseCheckpoint(text, origin)
}

func parseCheckpoint(text, origin string) (Checkpoint, error) {
	c, err := parseLines(strings.Split(text, "\n"))
	if err != nil || c.Text(origin) != text {
		return Checkpoint{}, fmt.Errorf("%w: not a checkpoint of this log", errCheckpoint)
	}
	return c, nil
}

func parseLines(lines []string) (c Checkpoint, err error) {
	if len(lines) < 4 {
		return c, errCheckpoint
	}
	if c.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil || c.N < 0 {
		return c, errCheckpoint
	}
	hash, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(hash) != tlog.HashSize {
		return c, errCheckpoint
	}
	c.Hash = tlog.Hash(hash)
	if fields := strings.Fields(lines[3]); len(fields) == 3 {
		c.Trust.SHA256 = fields[2]
		sum, hexErr := hex.DecodeString(fields[2])
		if c.Trust.Version, err = strconv.ParseInt(fields[1], 10, 64); err != nil || hexErr != nil || len(sum) != tlog.HashSize || c.Trust.Version < 1 {
			return c, errCheckpoint
		}
	}
	return c, nil
}
