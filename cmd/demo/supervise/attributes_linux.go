package supervise

import "syscall"

// attributes say how a child is forked. Each gets a process group, so that a
// Ctrl-C at the terminal reaches the supervisor alone. Go sets the parent-death
// signal after it changed the user, so that the change does not clear it.
func attributes(c Child) (*syscall.SysProcAttr, error) {
	a := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if c.As != nil {
		a.Credential = &syscall.Credential{Uid: c.As.UID, Gid: c.As.GID, Groups: c.As.Groups}
	}
	if c.NoNetwork {
		a.Cloneflags = syscall.CLONE_NEWNET
	}
	return a, nil
}
