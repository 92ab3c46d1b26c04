// Package regular reads regular files and nothing else: opened once, judged by the descriptor, bounded in size. A
// symbolic link is followed (Kubernetes mounts secrets so); a folder, device, socket or FIFO is refused without
// waiting for it.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// Read returns the content of a regular file of at most limit bytes. Its errors do not name the path.
func Read(path string, limit int64) (string, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return "", withoutPath(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is not a regular file but " + kind(info.Mode()))
	}
	// The size is only a hint: a file may grow between the two calls.
	var text strings.Builder
	text.Grow(int(min(max(info.Size(), 0), limit)))
	size, err := io.Copy(&text, io.LimitReader(file, limit+1))
	if err != nil {
		return "", withoutPath(err)
	}
	if info.Size() > limit || size > limit {
		return "", fmt.Errorf("it is larger than %d bytes", limit)
	}
	return text.String(), nil
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	default: // a socket does not open
		return "a device"
	}
}

func withoutPath(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
