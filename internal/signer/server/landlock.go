package server

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Reach is what a signer that has everything open may still touch of the file system. What it has open stays open: the
// store, its sockets and its log.
type Reach struct {
	Read   []string // files that a reload reads; it may read all of their folders, since a file may be replaced by another
	Remove []string // files that it removes when it stops; it may remove any of their folders
}

// What each version of Landlock's interface learned to refuse: https://docs.kernel.org/userspace-api/landlock.html.
const (
	landlockFS       = 1<<13 - 1 // version 1: everything up to LANDLOCK_ACCESS_FS_MAKE_SYM
	landlockRefer    = 2
	landlockTruncate = 3
	landlockTCP      = 4
	landlockIoctl    = 5
	landlockScopes   = 6
)

// Confine has the kernel refuse this process, for good and in every thread, all of the file system but the reach, all TCP
// but the connections to listeners that are open, and signals and abstract sockets of other processes. It says what came
// of it: a kernel without Landlock is no error, since the service manager's limits hold without it; one that has it and
// refuses is.
func Confine(r Reach) (string, error) {
	version, _, errno := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return "not in this kernel", nil
	}
	rules, err := newRuleset(int(version))
	if err != nil {
		return "", fmt.Errorf("landlock: %w", err)
	}
	defer unix.Close(rules)
	for _, path := range r.Read {
		err = errors.Join(err, allow(rules, path, unix.LANDLOCK_ACCESS_FS_READ_FILE|unix.LANDLOCK_ACCESS_FS_READ_DIR))
	}
	for _, path := range r.Remove {
		err = errors.Join(err, allow(rules, path, unix.LANDLOCK_ACCESS_FS_REMOVE_FILE))
	}
	if err != nil {
		return "", fmt.Errorf("landlock: %w", err)
	}
	for _, call := range [][3]uintptr{
		{unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1}, {unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(rules), 0},
	} {
		_, _, errno := syscall.AllThreadsSyscall(call[0], call[1], call[2], 0)
		if errno == syscall.ENOTSUP {
			return "not in this build: it links C", nil
		}
		if errno != 0 {
			return "", fmt.Errorf("landlock: %w", errno)
		}
	}
	return fmt.Sprintf("enforced, ABI %d", version), nil
}

// newRuleset refuses whatever a version can refuse.
func newRuleset(version int) (fd int, err error) {
	refused := unix.LandlockRulesetAttr{Handled_access_fs: landlockFS}
	if version >= landlockRefer {
		refused.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if version >= landlockTruncate {
		refused.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if version >= landlockTCP {
		refused.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	if version >= landlockIoctl {
		refused.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if version >= landlockScopes {
		refused.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
	}
	// An older kernel takes the larger structure as long as what it does not know is zero.
	n, _, errno := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&refused)), unsafe.Sizeof(refused), 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// allow opens the folder of a file to some access, and the folder of what the file points to where it is a link.
func allow(rules int, path string, access uint64) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	for _, dir := range []string{filepath.Dir(path), filepath.Dir(target)} {
		folder, err := os.OpenFile(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		// The kernel's structure has no padding: eight bytes of rights and four of descriptor.
		beneath := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(folder.Fd())}
		_, _, errno := syscall.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH,
			uintptr(unsafe.Pointer(&beneath)), 0, 0, 0)
		if err := folder.Close(); err != nil {
			return err
		}
		if errno != 0 {
			return fmt.Errorf("%s: %w", dir, errno)
		}
	}
	return nil
}
