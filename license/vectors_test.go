package license

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// vectorFingerprint is the instance that the vectors are bound to.
const vectorFingerprint = "fp:prod-a"

const vectorDir = "testdata/vectors"

type vectorIndex struct {
	Keys []struct {
		ID     string `json:"key_id"`
		Public string `json:"public_key_base64"`
		Seed   string `json:"seed_hex"`
	}
	Cases []struct {
		File, Verdict string
		Now           time.Time
	}
}

func readVectorIndex(tb testing.TB) vectorIndex {
	tb.Helper()
	var index vectorIndex
	if err := json.Unmarshal(readVector(tb, "index.json"), &index); err != nil {
		tb.Fatal(err)
	}
	return index
}

func readVector(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(vectorDir, name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func vectorRing(tb testing.TB) *KeyRing {
	tb.Helper()
	var keys []Key
	for _, k := range readVectorIndex(tb).Keys {
		public, err := base64.StdEncoding.DecodeString(k.Public)
		if err != nil {
			tb.Fatal(err)
		}
		keys = append(keys, Key{ID: k.ID, Public: public})
	}
	ring, err := NewKeyRing(keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return ring
}

func TestVectorsHaveTheirVerdicts(t *testing.T) {
	t.Parallel()
	ring := vectorRing(t)
	cases := readVectorIndex(t).Cases
	seen := map[string]bool{"index.json": true}
	for _, c := range cases {
		seen[c.File] = true
		l, err := Read(readVector(t, c.File), ring, c.Now)
		if err == nil {
			err = l.Check(c.Now, vectorFingerprint)
		}
		verdict := string(CodeOf(err))
		if err == nil {
			verdict = "accept"
		}
		if verdict != c.Verdict {
			t.Errorf("%s: %s (%v), want %s", c.File, verdict, err, c.Verdict)
		}
		var refusal *Error
		if err != nil && !errors.As(err, &refusal) {
			t.Errorf("%s: error is a %T, want *Error", c.File, err)
		}
	}
	files, err := fs.Glob(os.DirFS(vectorDir), "*.json")
	if err != nil || len(files) < 35 {
		t.Fatalf("%d vectors, error %v", len(files), err)
	}
	for _, file := range files {
		if !seen[file] {
			t.Errorf("%s is not in index.json", file)
		}
	}
}

func TestVectorsHaveTheirCanonicalPayload(t *testing.T) {
	t.Parallel()
	ring, now := vectorRing(t), time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	files, err := fs.Glob(os.DirFS(vectorDir), "*.canonical")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d canonical vectors, error %v", len(files), err)
	}
	for _, file := range files {
		l, err := Read(readVector(t, strings.TrimSuffix(file, "canonical")+"json"), ring, now)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		got, err := l.Payload().Canonical()
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if want := readVector(t, file); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", file, got, want)
		}
	}
}

func TestVectorsAsIssuedAreWrittenByteForByte(t *testing.T) {
	t.Parallel()
	rewritten := map[string]bool{ // written by hand, in another way than issued ones
		"accept-absent-grace.json":              true,
		"accept-explicit-zero-limit.json":       true,
		"accept-other-key-order-and-space.json": true,
	}
	for _, c := range readVectorIndex(t).Cases {
		if c.Verdict != "accept" {
			continue
		}
		data := readVector(t, c.File)
		e, refusal := parseEnvelope(string(data))
		if refusal != nil {
			t.Fatalf("%s: %v", c.File, refusal)
		}
		got, err := Encode(e.payload, e.signature.value[:])
		if err != nil {
			t.Fatalf("%s: %v", c.File, err)
		}
		if same := bytes.Equal(got, data); same == rewritten[c.File] {
			t.Errorf("%s: written as issued is %v:\n%s", c.File, same, got)
		}
	}
}
