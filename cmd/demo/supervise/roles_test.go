package supervise_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/cmd/demo/supervise"
)

// TestMain lets the test binary play the children as well.
func TestMain(m *testing.M) {
	role, ok := roles[os.Getenv("SUPERVISE_TEST_ROLE")]
	if !ok {
		os.Exit(m.Run())
	}
	role()
}

// playing is how long a child plays at most: longer than a test waits for it to be ended.
const playing = 10 * time.Minute

var roles = map[string]func(){
	"wait": func() { time.Sleep(playing) },
	"slow": func() {
		time.Sleep(200 * time.Millisecond)
		fmt.Println("ready now")
		time.Sleep(playing)
	},
	"broken": func() {
		fmt.Fprintln(os.Stderr, "the reason why")
		os.Exit(3)
	},
	"orderly": func() {
		got := make(chan os.Signal, 1)
		signal.Notify(got, syscall.SIGTERM)
		fmt.Println("listening")
		<-got
		f, err := os.OpenFile(os.Getenv("ORDER"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(f, os.Getenv("NAME"))
	},
	"deaf": func() {
		signal.Ignore(syscall.SIGTERM)
		cmd := exec.Command("/bin/sleep", "600")
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Println("grandchild", cmd.Process.Pid)
		_ = cmd.Wait()
		time.Sleep(playing)
	},
	"describe": func() {
		groups, _ := os.Getgroups()
		interfaces, err := net.Interfaces()
		if err != nil {
			panic(err)
		}
		up := slices.DeleteFunc(interfaces, func(i net.Interface) bool { return i.Flags&net.FlagUp == 0 })
		fmt.Println("uid", os.Getuid(), "gid", os.Getgid(), "groups", groups, "interfaces up", len(up))
	},
	"environment": func() {
		env := os.Environ()
		slices.Sort(env)
		fmt.Println(strings.Join(env, "\n"))
	},
	"supervisor": supervisorRole,
}

func supervisorRole() {
	dir := os.Getenv("DIR")
	s, err := supervise.New(supervise.Config{
		PIDDir: filepath.Join(dir, "pids"), LogDir: filepath.Join(dir, "logs"),
		StopLimit: time.Second, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		panic(err)
	}
	if err := s.Start(context.Background(), child("own", "wait")); err != nil {
		panic(err)
	}
	if os.Geteuid() == 0 {
		other := supervise.Child{
			Name: "other", Path: "/bin/sleep", Args: []string{"600"},
			As: &supervise.Identity{UID: 61001, GID: 61001}, NoNetwork: true,
		}
		if err := s.Start(context.Background(), other); err != nil {
			panic(err)
		}
	}
	time.Sleep(playing)
}

// sharedCopy is this test binary where every user may start it.
func sharedCopy(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "supervise-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "child")
	// Were it written here, a process that another test starts meanwhile would hold it open: "text file busy".
	if output, err := exec.Command("cp", os.Args[0], path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}
