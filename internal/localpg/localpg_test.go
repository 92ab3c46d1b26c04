package localpg

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// ownerEnv turns the test binary into a process that owns a cluster, for the
// tests that kill such a process.
const ownerEnv = "LOCALPG_TEST_OWNER"

func TestMain(m *testing.M) {
	if dir, ok := os.LookupEnv(ownerEnv); ok {
		if err := own(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// own starts the cluster in dir, or a temporary one, says where and waits for
// its death.
func own(dir string) error {
	ctx := context.Background()
	var c *Cluster
	if dir == "" {
		t, err := StartTemporary(ctx, nil)
		if err != nil {
			return err
		}
		c = t.Cluster
	} else {
		var err error
		if c, err = Start(ctx, Config{Dir: dir, Unsafe: true}); err != nil {
			return err
		}
	}
	fmt.Println(c.cmd.Process.Pid, c.place.root, c.dir)
	select {}
}

// owner is another process that owns a cluster.
type owner struct {
	cmd       *exec.Cmd
	pid       int // of the server
	root, dir string
}

func startOwner(t *testing.T, dir string) owner {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), ownerEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := owner{cmd: cmd}
	t.Cleanup(o.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the owner did not start its cluster: %v", err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if _, err := fmt.Sscan(line, &o.pid, &o.root, &o.dir); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return o
}

func (o owner) kill() {
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
}

func startIn(t *testing.T, dir string) *Cluster {
	t.Helper()
	c, err := Start(t.Context(), Config{Dir: dir, Unsafe: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	return c
}

func stop(t *testing.T, c *Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// clusterDir is a directory whose place outside, if any, is removed after the test.
func clusterDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "pg")
	t.Cleanup(func() {
		if err := Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func exec1(t *testing.T, c *Cluster, db, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.DatabaseURL(db))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var answer string
	err = conn.QueryRow(t.Context(), sql).Scan(&answer)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func gone(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, os.ErrNotExist)
}

func TestASecondStartGoesOnWithTheData(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	c := startIn(t, dir)
	for range 2 {
		if err := c.EnsureDatabase(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
	}
	exec1(t, c, "shop", `CREATE TABLE kept AS SELECT 'yes' AS v`)
	url := c.DatabaseURL("shop")
	stop(t, c)
	stop(t, c)

	again := startIn(t, dir)
	if got := exec1(t, again, "shop", `SELECT v FROM kept`); got != "yes" {
		t.Errorf("kept = %q", got)
	}
	if got := again.DatabaseURL("shop"); got != url {
		t.Error("the address changed between two starts")
	}
}

func TestTwoDirectoriesDoNotMeet(t *testing.T) {
	t.Parallel()
	a, b := startIn(t, clusterDir(t)), startIn(t, clusterDir(t))
	if err := a.EnsureDatabase(t.Context(), "only_a"); err != nil {
		t.Fatal(err)
	}
	if got := exec1(t, b, "postgres", `SELECT count(*)::text FROM pg_database WHERE datname = 'only_a'`); got != "0" {
		t.Error("a database of one cluster shows in the other")
	}
	if got := exec1(t, b, "postgres", `SHOW listen_addresses`); got != "" {
		t.Errorf("listen_addresses = %q, want none", got)
	}
}

func TestAWrongPasswordIsRefused(t *testing.T) {
	t.Parallel()
	c := startIn(t, clusterDir(t))
	url := strings.Replace(c.DatabaseURL("postgres"), c.password, "guess", 1)
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		conn.Close(t.Context())
		t.Error("connected with a wrong password")
	}
}

func TestADirectoryInUseIsRefused(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	c := startIn(t, dir)
	if _, err := Start(t.Context(), Config{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("second start: %v, want ErrInUse", err)
	}
	if err := Remove(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("remove: %v, want ErrInUse", err)
	}
	if got := exec1(t, c, "postgres", `SELECT 'alive'`); got != "alive" {
		t.Error("the first cluster does not answer")
	}
}

func TestTheServerEndsWithAKilledOwnerAndStartsAgain(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	o := startOwner(t, dir)
	o.kill()
	// At once: the old server is still ending.
	c := startIn(t, dir)
	if c.cmd.Process.Pid == o.pid {
		t.Fatal("the same process serves")
	}
	if got := exec1(t, c, "postgres", `SELECT 'alive'`); got != "alive" {
		t.Error("no answer")
	}
}

func TestATemporaryClusterIsGoneWithItsKilledOwner(t *testing.T) {
	t.Parallel()
	o := startOwner(t, "")
	o.kill()
	eventually(t, "the server ends", func() bool { return syscall.Kill(o.pid, 0) != nil })
	eventually(t, "its files are removed", func() bool { return gone(o.root) && gone(o.dir) })
}

func TestATemporaryClusterIsGoneAfterStop(t *testing.T) {
	t.Parallel()
	c, err := StartTemporary(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !gone(c.dir) || !gone(c.place.root) {
		t.Error("files stay behind")
	}
}

func TestAKilledServerIsNoticedAndRecovers(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	c := startIn(t, dir)
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("nobody noticed")
	}
	stop(t, c)
	again := startIn(t, dir)
	if got := exec1(t, again, "postgres", `SELECT 'alive'`); got != "alive" {
		t.Error("no answer")
	}
}

func TestAPIDFileThatNamesAStrangerIsNoObstacle(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	c := startIn(t, dir)
	stop(t, c)
	// A living process of the server's own user that is not the server.
	who, err := serverUser()
	if err != nil {
		t.Fatal(err)
	}
	stranger := exec.Command("sleep", "60")
	stranger.Dir = "/"
	stranger.SysProcAttr = who.attributes()
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stranger.Process.Kill(); _ = stranger.Wait() })
	text := strconv.Itoa(stranger.Process.Pid) + "\n" + c.place.data() + "\n1\n5432\n\n\n\n\n"
	for _, path := range []string{pidFile(c.place), filepath.Join(c.place.sockets(), ".s.PGSQL.5432.lock")} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := who.own(path); err != nil {
			t.Fatal(err)
		}
	}
	startIn(t, dir)
	if syscall.Kill(stranger.Process.Pid, 0) != nil {
		t.Error("the stranger was killed")
	}
}

func TestAnInterruptedInitdbIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	c := startIn(t, dir)
	stop(t, c)
	if err := os.Rename(c.place.data(), c.place.data()+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(c.place.data()+".new", "global", "pg_control")); err != nil {
		t.Fatal(err)
	}
	startIn(t, dir)
}

func TestAMovedDirectoryKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	c := startIn(t, dir)
	exec1(t, c, "postgres", `CREATE TABLE kept AS SELECT 'yes' AS v`)
	stop(t, c)
	moved := clusterDir(t)
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if got := exec1(t, startIn(t, moved), "postgres", `SELECT v FROM kept`); got != "yes" {
		t.Errorf("kept = %q", got)
	}
}

func TestALongDirectoryStillGetsASocket(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(clusterDir(t), strings.Repeat("long", 20), strings.Repeat("name", 20))
	t.Cleanup(func() {
		if err := Remove(dir); err != nil {
			t.Error(err)
		}
	})
	startIn(t, dir)
}

func TestAClusterOfAnotherVersionIsRefusedByName(t *testing.T) {
	t.Parallel()
	dir := clusterDir(t)
	c := startIn(t, dir)
	stop(t, c)
	if err := os.WriteFile(filepath.Join(c.place.data(), "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Config{Dir: dir}); err == nil || !strings.Contains(err.Error(), "PostgreSQL 9") {
		t.Errorf("start: %v", err)
	}
}

func TestFirstNumber(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int{
		"15": 15, "postgresql@17": 17, "pgsql-16": 16, "postgresql-16.3": 16, "pgsql": 0, "": 0,
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)": 15,
	} {
		if got := firstNumber(in); got != want {
			t.Errorf("firstNumber(%q) = %d, want %d", in, got, want)
		}
	}
}
