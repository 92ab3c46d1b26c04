package license

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ReadFile returns the bytes of the license file at path, for Read. The file is opened once and judged by its
// descriptor: a symbolic link is followed (Kubernetes mounts secrets so), but a folder, device, socket or FIFO is
// refused without waiting for it, and so is a file larger than MaxFileSize. A file that is not there is
// license-missing, everything else license-invalid; every error is an *Error, without the path.
func ReadFile(path string) ([]byte, error) {
	data, err := readRegular(path, MaxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refuse(CodeMissing, "there is no license file at the configured path")
	}
	if err != nil {
		return nil, invalid("the license file cannot be read: " + err.Error())
	}
	return data, nil
}

// ReadKeyRing reads the key ring file at path, opened as ReadFile opens a license file.
func ReadKeyRing(path string) (*KeyRing, error) {
	data, err := readRegular(path, MaxKeyRingSize)
	if err != nil {
		return nil, fmt.Errorf("key ring: %s: %w", path, err)
	}
	return ParseKeyRing(data)
}

// readRegular returns the content of a regular file of at most limit bytes. Its errors do not name the path.
func readRegular(path string, limit int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file but " + kind(info.Mode()))
	}
	// The size is only a hint: a file may grow between the two calls.
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if info.Size() > limit || int64(len(data)) > limit {
		return nil, fmt.Errorf("it is larger than %d bytes", limit)
	}
	return data, nil
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	default:
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
