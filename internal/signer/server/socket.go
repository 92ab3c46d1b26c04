package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// Socket says where the signer answers and to whom.
type Socket struct {
	Path        string
	Mode        os.FileMode // 0: 0660
	GroupID     int         // -1: the signer's own
	AllowedUIDs []int       // users whose processes may ask; the signer's own is always allowed
}

// errSocketInUse says that another signer answers on the socket.
var errSocketInUse = errors.New("another signer answers on this socket")

// listen makes the socket. A socket that nobody answers on is left from a killed signer and is replaced; a live one, or a
// file that is no socket, is refused. The lock file beside it keeps two signers from doing this at once. The returned
// function gives socket and lock up.
func (s Socket) listen() (net.Listener, func(), error) {
	lock, err := os.OpenFile(s.Path+".lock", os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("socket lock: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, nil, errors.Join(errSocketInUse, lock.Close())
	}
	listener, err := s.bind()
	if err != nil {
		return nil, nil, errors.Join(err, unlock(lock))
	}
	return listener, func() {
		_ = listener.Close() // removes the socket
		_ = unlock(lock)
	}, nil
}

// unlock gives the lock up also where a child that is being started holds a copy of the file until its exec.
func unlock(lock *os.File) error {
	return errors.Join(syscall.Flock(int(lock.Fd()), syscall.LOCK_UN), lock.Close())
}

func (s Socket) bind() (net.Listener, error) {
	info, err := os.Lstat(s.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, err
	case info.Mode().Type() != os.ModeSocket:
		return nil, fmt.Errorf("%s exists and is not a socket", s.Path)
	default:
		conn, err := net.DialTimeout("unix", s.Path, time.Second)
		if err == nil {
			return nil, errors.Join(errSocketInUse, conn.Close())
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("socket: %w", err)
		}
		if err := os.Remove(s.Path); err != nil {
			return nil, err
		}
	}
	listener, err := listenClosed(s.Path)
	if err != nil {
		return nil, err
	}
	mode := s.Mode
	if mode == 0 {
		mode = 0o660
	}
	if err := errors.Join(os.Chown(s.Path, -1, s.GroupID), os.Chmod(s.Path, mode)); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// listenClosed makes a socket that is closed to others, as it must be until mode and group are set. The file that the
// kernel makes takes the mode of the socket; the umask would be that of the whole process.
func listenClosed(path string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var refused error
		err := raw.Control(func(fd uintptr) { refused = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, refused)
	}}
	return config.Listen(context.Background(), "unix", path)
}

// peerKey is the context key of the peer's verdict, kept for the life of a connection.
type peerKey struct{}

// peer notes whether the process at the other end runs as an allowed user. The kernel says who that is.
func (s Socket) peer(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, peerKey{}, s.allowed(conn))
}

func (s Socket) allowed(conn net.Conn) bool {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	var cred *unix.Ucred
	err = raw.Control(func(fd uintptr) { cred, _ = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil || cred == nil {
		return false
	}
	return int(cred.Uid) == os.Geteuid() || slices.Contains(s.AllowedUIDs, int(cred.Uid))
}

func onlyPeers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if allowed, _ := r.Context().Value(peerKey{}).(bool); !allowed {
			writeJSON(w, http.StatusForbidden, &signer.Error{Code: signer.CodeBadRequest, Message: "this user may not ask the signer"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Harden keeps the process's memory, and with it the keys, from other processes of the same user and out of core files.
func Harden() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("make memory not dumpable: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("switch core files off: %w", err)
	}
	return nil
}
