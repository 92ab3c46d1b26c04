package localpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ensureData makes the cluster's files when there are none. They are made
// beside and renamed, so that an interrupted initdb is never mistaken for one
// that finished.
func (c *Cluster) ensureData(ctx context.Context, bin string, who *account, unsafe bool) error {
	if _, err := os.Stat(filepath.Join(c.place.data(), "PG_VERSION")); err == nil {
		return c.checkVersion(bin)
	}
	fresh := c.place.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	if err := who.own(fresh); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	// initdb reads the password from a file, so that no command line shows it.
	secret := filepath.Join(c.place.root, "initial-password")
	if err := writeFile(secret, c.password+"\n"); err != nil {
		return err
	}
	defer os.Remove(secret)
	if err := who.own(secret); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	args := []string{"-D", fresh, "-U", superuser, "-A", "scram-sha-256", "--pwfile=" + secret,
		"-E", "UTF8", "--locale=C"}
	if unsafe {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), args...)
	cmd.Dir = "/"
	cmd.Env = serverEnv()
	cmd.SysProcAttr = who.attributes()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("localpg: initdb: %w: %s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(fresh, c.place.data()); err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	return nil
}

// checkVersion tells apart a cluster of another major version, which the
// server would refuse with less to go by.
func (c *Cluster) checkVersion(bin string) error {
	have, err := os.ReadFile(filepath.Join(c.place.data(), "PG_VERSION"))
	if err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	out, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return fmt.Errorf("localpg: postgres --version: %w", err)
	}
	want := firstNumber(string(out)) // "postgres (PostgreSQL) 15.18 (Debian …)"
	if got := firstNumber(string(have)); got != want {
		return fmt.Errorf("localpg: %s was made by PostgreSQL %d and %d is installed: install that version or remove the directory",
			c.dir, got, want)
	}
	return nil
}

// run starts the server and waits until it takes connections. After a crash the
// first try may meet processes of the old server that are still ending, so it
// tries again.
func (c *Cluster) run(ctx context.Context, bin string, who *account, unsafe, temporary, stale bool) error {
	tries := 1
	if stale {
		tries = 5
	}
	for {
		err := c.runOnce(ctx, bin, who, unsafe, temporary)
		tries--
		if err == nil || tries == 0 || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (c *Cluster) runOnce(ctx context.Context, bin string, who *account, unsafe, temporary bool) error {
	logPath := filepath.Join(c.dir, logFile)
	out, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("localpg: %w", err)
	}
	defer out.Close()
	// Not CommandContext: the server outlives the context of its start.
	cmd := exec.Command(filepath.Join(bin, "postgres"), c.serverArgs(unsafe)...)
	cmd.Dir = "/"
	cmd.Env = serverEnv()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = who.attributes()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("localpg: start postgres: %w", err)
	}
	var leftovers []string
	if temporary {
		leftovers = []string{c.place.root, c.dir}
	}
	dog, err := startWatchdog(cmd.Process.Pid, leftovers)
	c.cmd, c.done = cmd, make(chan struct{})
	go func() {
		c.exitErr = cmd.Wait()
		dog.dismiss() // the number may be given to another process from now on
		close(c.done)
	}()
	if err == nil {
		err = c.waitReady(ctx, logPath)
	}
	if err != nil {
		c.signal(syscall.SIGQUIT)
		<-c.done
	}
	return err
}

func (c *Cluster) serverArgs(unsafe bool) []string {
	settings := []string{
		"listen_addresses=",
		"unix_socket_directories=" + c.place.sockets(),
		"unix_socket_permissions=0777", // the password guards it
		"max_connections=200",
		"timezone=UTC",
		"log_timezone=UTC",
		"log_error_verbosity=terse", // the details quote rows, e-mail addresses among them
	}
	if unsafe {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off",
			"max_wal_size=2GB", "autovacuum_naptime=1h")
	}
	args := []string{"-D", c.place.data()}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}

// waitReady watches the file in which the server says how far it is.
func (c *Cluster) waitReady(ctx context.Context, logPath string) error {
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.done:
			return fmt.Errorf("localpg: postgres ended while starting (%v): see %s", c.exitErr, logPath)
		case <-ctx.Done():
			return fmt.Errorf("localpg: start postgres: %w", ctx.Err())
		case <-limit.C:
			return fmt.Errorf("localpg: postgres was not ready after %v: see %s", startLimit, logPath)
		case <-tick.C:
			pid, status, err := readPIDFile(c.place)
			if err == nil && pid == c.cmd.Process.Pid && status == "ready" {
				return nil
			}
		}
	}
}

// clearStale deals with what a killed owner or server left behind, and tells
// whether there was anything. The caller holds the directory's lock, so a
// server that still runs has lost its owner and is on its way out.
func clearStale(ctx context.Context, pl place) (stale bool, err error) {
	pid, _, err := readPIDFile(pl)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("localpg: %w", err)
	}
	if _, err := os.Stat("/proc/self/cwd"); err != nil {
		return true, nil // macOS: nothing tells whose process it is; PostgreSQL decides
	}
	if serves(pid, pl) {
		if err := waitGone(ctx, pid, pl); err != nil {
			return true, err
		}
	}
	if syscall.Kill(pid, 0) == nil && !serves(pid, pl) {
		// The number belongs to someone else by now. PostgreSQL would take
		// that process for a server and refuse to start.
		if err := os.Remove(pidFile(pl)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return true, fmt.Errorf("localpg: %w", err)
		}
	}
	for _, name := range []string{".s.PGSQL.5432", ".s.PGSQL.5432.lock"} {
		if err := os.Remove(filepath.Join(pl.sockets(), name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return true, fmt.Errorf("localpg: %w", err)
		}
	}
	return true, nil
}

// waitGone lets an orphaned server finish, then tells it to.
func waitGone(ctx context.Context, pid int, pl place) error {
	deadline := time.Now().Add(orphanLimit)
	_ = syscall.Kill(pid, syscall.SIGINT)
	for serves(pid, pl) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(pid, syscall.SIGQUIT)
			deadline = time.Now().Add(orphanLimit)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("localpg: wait for the last server to end: %w", ctx.Err())
		case <-time.After(pollEvery):
		}
	}
	return nil
}

// serves tells whether the process is a server of this place: PostgreSQL works
// in its data directory.
func serves(pid int, pl place) bool {
	cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	return err == nil && cwd == pl.data()
}

func pidFile(pl place) string { return filepath.Join(pl.data(), "postmaster.pid") }

// readPIDFile returns the process and the status of postmaster.pid: its first
// and its eighth line, which pg_ctl reads too. The status is empty early on.
func readPIDFile(pl place) (pid int, status string, err error) {
	text, err := os.ReadFile(pidFile(pl))
	if err != nil {
		return 0, "", err
	}
	lines := strings.Split(string(text), "\n")
	pid, err = strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 0 {
		return 0, "", fmt.Errorf("%s does not start with a process number: remove it if no server runs there", pidFile(pl))
	}
	if len(lines) > 7 {
		status = strings.TrimSpace(lines[7])
	}
	return pid, status, nil
}

// serverEnv keeps PGDATA, PGPORT and the like of the caller out.
func serverEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}
