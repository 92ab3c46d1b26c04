package server

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTheKernelSaysWhoAsks connects as another user than the signer's, which takes root; as anyone else the refusal of
// unknown peers is TestOtherUsersAreRefused's.
func TestTheKernelSaysWhoAsks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: cannot become another user")
		return
	}
	w := newWorld(t).serve()
	path := filepath.Join(w.dir, "s")
	for _, open := range []string{w.dir, path} {
		if err := os.Chmod(open, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for uid, want := range map[int]int{0: http.StatusOK, 65534: http.StatusForbidden} {
		if status, err := statusAs(uid, path); err != nil || status != want {
			t.Errorf("user %d: status %d, %v", uid, status, err)
		}
	}
}

// statusAs asks for the status as another user. Only one thread becomes that user; it ends with its goroutine.
func statusAs(uid int, path string) (status int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, so the thread is thrown away
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			err = errno
			return
		}
		var fd int
		if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0); err != nil {
			return
		}
		file := os.NewFile(uintptr(fd), "socket")
		defer file.Close()
		if err = unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			return
		}
		if _, err = file.WriteString("GET /v1/status HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n"); err != nil {
			return
		}
		var res *http.Response
		if res, err = http.ReadResponse(bufio.NewReader(file), nil); err == nil {
			status = res.StatusCode
			err = res.Body.Close()
		}
	}()
	<-done
	return status, err
}
