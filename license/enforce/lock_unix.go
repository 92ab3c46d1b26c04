//go:build unix

package enforce

import (
	"errors"
	"os"
	"syscall"
)

var errInUse = errors.New("another process uses it")

// lockFile takes an exclusive lock that ends with the process. A file system without locks gives none.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(errInUse, file.Close())
	}
	return file, nil
}

// unlockFile gives the lock up also where a child that is being started holds a copy of the file until its exec.
func unlockFile(file *os.File) error {
	_ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) // fails only where there was no lock
	return file.Close()
}

// syncFolder makes a rename in the folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
