package license

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
)

// ReadFile returns the bytes of the license file at path, for Read. The file is opened once and judged by its
// descriptor: a symbolic link is followed (Kubernetes mounts secrets so), but a folder, device, socket or FIFO is
// refused without waiting for it, and so is a file larger than MaxFileSize. A file that is not there is
// license-missing, everything else license-invalid; every error is an *Error, without the path.
func ReadFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, fileError(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fileError(err)
	}
	if !info.Mode().IsRegular() {
		return nil, invalid("the path is not a regular file: " + kind(info.Mode()))
	}
	if info.Size() > MaxFileSize {
		return nil, tooLarge()
	}
	// A file may grow between the two calls.
	data, err := io.ReadAll(io.LimitReader(file, MaxFileSize+1))
	if err != nil {
		return nil, fileError(err)
	}
	if len(data) > MaxFileSize {
		return nil, tooLarge()
	}
	return data, nil
}

func tooLarge() *Error {
	return invalid("the file is larger than " + strconv.Itoa(MaxFileSize) + " bytes")
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

func fileError(err error) *Error {
	if errors.Is(err, fs.ErrNotExist) {
		return refuse(CodeMissing, "there is no license file at the configured path")
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return invalid("the license file cannot be read: " + err.Error())
}
