//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// lock keeps two installations out of one folder. File systems that cannot lock a folder go without.
func (f folder) lock() (unlock func(), err error) {
	dir, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, errors.Join(fmt.Errorf("another installation is under way in %s", f.path), dir.Close())
	}
	return func() {
		_ = syscall.Flock(int(dir.Fd()), syscall.LOCK_UN)
		_ = dir.Close()
	}, nil
}

func owner(info fs.FileInfo) (uid, gid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}

// takeOwner changes the owner only where it differs, since not everyone may ask for even their own.
func takeOwner(file *os.File, a attributes) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if uid, gid, ok := owner(info); ok && uid == a.uid && gid == a.gid {
		return nil
	}
	return file.Chown(a.uid, a.gid)
}
