package stripesim_test

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func diesWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// startsMockAndPanics makes the test below the run that is not to leave
// stripe-mock behind.
const startsMockAndPanics = "STRIPESIM_TEST_PANICS"

func TestStripeMockEndsWithARunThatPanics(t *testing.T) {
	if os.Getenv(startsMockAndPanics) != "" {
		m, err := startMock()
		if err != nil {
			t.Fatal(err)
		}
		panic("listening at " + m.url + " until now")
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestStripeMockEndsWithARunThatPanics$")
	dir := t.TempDir()
	cmd.Env = append(os.Environ(), startsMockAndPanics+"=1", "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	_, rest, found := strings.Cut(string(out), "listening at http://")
	address, _, _ := strings.Cut(rest, " until now")
	if err == nil || !found {
		t.Fatalf("the run did not panic: %v\n%s", err, out)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return
		}
		_ = conn.Close()
		if time.Now().After(end) {
			t.Fatal("stripe-mock outlived the run")
		}
	}
}
