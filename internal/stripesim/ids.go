package stripesim

import (
	"fmt"
	"io"
	"sync"
)

const idAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// randomID is prefix and length characters of [0-9A-Za-z] drawn evenly from r.
func randomID(r io.Reader, prefix string, length int) (string, error) {
	out := make([]byte, 0, len(prefix)+length)
	out = append(out, prefix...)
	buf := make([]byte, 64)
	const limit = 256 - 256%len(idAlphabet) // above it the draw would be uneven
	for len(out) < len(prefix)+length {
		if _, err := io.ReadFull(r, buf); err != nil {
			return "", fmt.Errorf("read randomness: %w", err)
		}
		for _, b := range buf {
			if int(b) < limit && len(out) < len(prefix)+length {
				out = append(out, idAlphabet[int(b)%len(idAlphabet)])
			}
		}
	}
	return string(out), nil
}

// lockedReader makes a source of randomness safe for several readers.
type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *lockedReader) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}
