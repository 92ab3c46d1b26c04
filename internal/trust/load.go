package trust

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/ssh"
)

// maxSignatures bounds the signature files read beside a bundle.
const maxSignatures = 64

// Load reads a bundle and the detached signatures beside it (PATH.sig, PATH.<name>.sig), and verifies both. It returns
// the bundle and its exact bytes.
func Load(path string, roots []ssh.PublicKey, threshold int) (*Bundle, []byte, error) {
	raw, signatures, err := ReadFiles(path)
	if err != nil {
		return nil, nil, err
	}
	if _, err := Verify(raw, signatures, roots, threshold); err != nil {
		return nil, nil, fmt.Errorf("trust bundle: %w", err)
	}
	b, err := Parse(raw)
	if err != nil {
		return nil, nil, err
	}
	return b, raw, nil
}

// ReadFiles reads a bundle's bytes and the signatures beside it, and checks neither.
func ReadFiles(path string) (raw []byte, signatures [][]byte, err error) {
	if raw, err = readBounded(path, MaxBytes); err != nil {
		return nil, nil, fmt.Errorf("trust bundle: %w", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, nil, fmt.Errorf("trust bundle: %w", err)
	}
	var names []string
	for _, entry := range entries {
		// Match by hand: the path itself may hold characters that mean something to Glob.
		if ok, _ := filepath.Match("*.sig", entry.Name()); ok && hasStem(entry.Name(), filepath.Base(path)) {
			names = append(names, entry.Name())
		}
	}
	if len(names) > maxSignatures {
		return nil, nil, fmt.Errorf("trust bundle: more than %d signature files", maxSignatures)
	}
	slices.Sort(names)
	for _, name := range names {
		signature, err := readBounded(filepath.Join(filepath.Dir(path), name), 16<<10)
		if err != nil {
			return nil, nil, fmt.Errorf("trust bundle: %w", err)
		}
		signatures = append(signatures, signature)
	}
	return raw, signatures, nil
}

func hasStem(name, stem string) bool {
	return len(name) > len(stem) && name[:len(stem)] == stem && name[len(stem)] == '.'
}

func readBounded(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > max {
		return nil, fmt.Errorf("%s is larger than %d bytes", filepath.Base(path), max)
	}
	return data, nil
}
