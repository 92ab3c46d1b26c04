//go:build !linux

package supervise

import (
	"errors"
	"syscall"
)

// attributes say how a child is forked. Only Linux ends the children of a
// supervisor that was killed, and only Linux can take their network away.
func attributes(c Child) (*syscall.SysProcAttr, error) {
	if c.NoNetwork {
		return nil, errors.New("supervise: a child without network needs Linux")
	}
	a := &syscall.SysProcAttr{Setpgid: true}
	if c.As != nil {
		a.Credential = &syscall.Credential{Uid: c.As.UID, Gid: c.As.GID, Groups: c.As.Groups}
	}
	return a, nil
}
