package signer

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type testSigner struct {
	note.Verifier
	private ed25519.PrivateKey
}

func (s testSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.private, msg), nil }

func newTestSigner(t *testing.T, origin string) testSigner {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := NewLogVerifier(origin, public)
	if err != nil {
		t.Fatal(err)
	}
	return testSigner{verifier, private}
}

func TestACheckpointReadsInOneSpellingOnly(t *testing.T) {
	t.Parallel()
	s := newTestSigner(t, "test/log")
	sum := strings.Repeat("0f", 32)
	plain := Checkpoint{Tree: tlog.Tree{N: 7, Hash: tlog.Hash{1, 2}}}
	trusted := plain
	trusted.Trust = TrustSeen{Version: 3, SHA256: sum}
	for _, c := range []Checkpoint{plain, trusted} {
		signed, err := note.Sign(&note.Note{Text: c.Text("test/log")}, s)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OpenCheckpoint(signed, s); err != nil || got != c {
			t.Errorf("%+v reads as %+v, %v", c, got, err)
		}
		if got, err := ReadCheckpoint(signed); err != nil || got != c {
			t.Errorf("unverified, %+v reads as %+v, %v", c, got, err)
		}
		if _, err := OpenCheckpoint(bytes.Replace(signed, []byte("\n7\n"), []byte("\n8\n"), 1), s); err == nil {
			t.Error("another size under the same signature")
		}
		if _, err := OpenCheckpoint(signed, newTestSigner(t, "test/log")); err == nil {
			t.Error("another key's checkpoint")
		}
	}
	root := plain.Hash.String()
	for _, text := range []string{
		"", "test/log\n", "test/log\n7\n", "other/log\n7\n" + root + "\n", "test/log\n07\n" + root + "\n", "test/log\n-7\n" + root + "\n",
		"test/log\n7\nAAAA\n", "test/log\n7\n" + root + "\n\n", "test/log\n7\n" + root + "\nmore\n", "test/log\n7\n" + root + "\ntrust 3\n",
		"test/log\n7\n" + root + "\ntrust 0 " + sum + "\n", "test/log\n7\n" + root + "\ntrust 03 " + sum + "\n",
		"test/log\n7\n" + root + "\ntrust 3 " + sum[1:] + "\n", "test/log\n7\n" + root + "\ntrust 3 " + sum + "\ntrust 4 " + sum + "\n",
		"test/log\n7\n" + root + "\ntrust  3 " + sum + "\n", "test/log\n7\n" + root + "\nTrust 3 " + sum + "\n",
	} {
		signed, err := note.Sign(&note.Note{Text: text}, s)
		if err != nil {
			continue // such a text cannot be signed
		}
		if got, err := OpenCheckpoint(signed, s); err == nil {
			t.Errorf("%q reads as %+v", text, got)
		}
		if got, err := ReadCheckpoint(signed); err == nil && !strings.HasPrefix(text, "other/log") {
			t.Errorf("unverified, %q reads as %+v", text, got)
		}
	}
}
