package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/signer/server"
)

// faulty is "signer serve" on a disk whose commits go wrong once there is a file named armed.
func faulty(moment, path string) error {
	c, err := loadConfig(path)
	if err != nil {
		return err
	}
	loaded, loadErr := c.load()
	store, logErr := c.logConfig()
	if err := errors.Join(loadErr, logErr); err != nil {
		return err
	}
	store.Commit = func(tx *bbolt.Tx) error {
		if _, err := os.Stat("armed"); err != nil {
			return tx.Commit()
		}
		return goWrong(moment, tx)
	}
	r := &running{path: path, config: c, clock: server.SystemClock(), logger: slog.New(slog.NewJSONHandler(os.Stderr, nil))}
	if r.store, err = log.Open(store); err != nil {
		return err
	}
	issuer, err := r.admit(loaded)
	if err != nil {
		return errors.Join(err, r.store.Close())
	}
	r.current = server.NewCurrent(issuer)
	return errors.Join(r.serve(context.Background(), nil), r.store.Close())
}

// goWrong ends a transaction whose license is signed and not logged yet.
func goWrong(moment string, tx *bbolt.Tx) error {
	switch moment {
	case "killed-before-the-commit":
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "killed-after-the-commit":
		return errors.Join(tx.Commit(), syscall.Kill(os.Getpid(), syscall.SIGKILL))
	case "no-space":
		return errors.Join(syscall.ENOSPC, tx.Rollback())
	case "io-error":
		return errors.Join(syscall.EIO, tx.Rollback())
	}
	return errors.New("unknown moment")
}

// crowd lets many ask at once with the same evidence.
func crowd(order, number, out string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	event, err := paidEvent(order)
	if err != nil {
		return err
	}
	client := signer.NewClient("s")
	answers, failures := make([][]byte, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if answers[i], failures[i] = client.Issue(context.Background(), signer.IssueRequest{Event: event}); !noAnswer(failures[i]) {
					return
				}
			}
		})
	}
	all.Wait()
	for _, answer := range answers {
		if len(answer) == 0 || !bytes.Equal(answer, answers[0]) {
			return errors.Join(append(failures, errors.New("the answers differ"))...)
		}
	}
	return os.WriteFile(out, answers[0], 0o600)
}

func logged(index, out string) error {
	from, err := strconv.ParseUint(index, 10, 64)
	if err != nil {
		return err
	}
	page, err := signer.NewClient("s").Entries(context.Background(), from)
	if err != nil {
		return err
	}
	if len(page.Entries) == 0 {
		return fmt.Errorf("the log has %d entries", page.Size)
	}
	return os.WriteFile(out, []byte(page.Entries[0].Envelope), 0o600)
}

func spoil(file, text string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	spoiled := bytes.ReplaceAll(data, []byte(text), append([]byte{text[0] ^ 1}, text[1:]...))
	if bytes.Equal(spoiled, data) {
		return errors.New("the text is not there")
	}
	return os.WriteFile(file, spoiled, 0o600)
}

func failed() error {
	client := signer.NewClient("s")
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		if status, err := client.Status(context.Background()); err == nil && !status.Ready {
			return nil
		}
	}
	return errors.New("the signer is still ready")
}

// fullDisk runs the signer with its store on a disk of its own that fills up: a tmpfs in a mount namespace, which needs root
// or user namespaces. Where neither is allowed, a limit on the size of files stands in; the kernel refuses to write either way.
func fullDisk() error {
	if os.Getenv("FULLDISK_INSIDE") == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		run := func(attributes *syscall.SysProcAttr, inside string) error {
			cmd := exec.Command(self)
			cmd.Args[0] = os.Args[0] // by which the test binary knows what to run
			cmd.Env = append(os.Environ(), "FULLDISK_INSIDE="+inside)
			cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdout, os.Stderr, attributes
			return cmd.Run()
		}
		mine := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		group := []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		namespaces := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: mine, GidMappings: group}
		if os.Getuid() == 0 {
			namespaces = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		}
		if run(namespaces, "probe") == nil {
			return run(namespaces, "tmpfs")
		}
		return run(nil, "limit")
	}
	return onFullDisk(os.Getenv("FULLDISK_INSIDE"))
}

const diskSize = 256 << 10

func mountDisk(size int, flags uintptr) error {
	return unix.Mount("disk", "disk", "tmpfs", flags, fmt.Sprintf("size=%d,mode=0700", size))
}

func onFullDisk(kind string) error {
	if kind != "limit" {
		err := errors.Join(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), mountDisk(diskSize, 0))
		if err != nil || kind == "probe" {
			return err
		}
	}
	if err := signerRun("log", "init", "-config", "config.json"); err != nil {
		return err
	}
	var before unix.Rlimit
	if kind == "limit" {
		if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
			return err
		}
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: diskSize, Max: before.Max}); err != nil {
			return err
		}
	}
	issued, err := untilFull()
	if err != nil {
		return err
	}
	if kind == "limit" {
		err = unix.Setrlimit(unix.RLIMIT_FSIZE, &before)
	} else {
		err = mountDisk(64<<20, unix.MS_REMOUNT)
	}
	if err == nil {
		err = afterwards(issued)
	}
	if err == nil {
		fmt.Printf("full after %d licenses (%s), and none was lost\n", issued, kind)
	}
	return err
}

func signerRun(args ...string) error {
	out, err := exec.Command("signer", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("signer %v: %w: %s", args, err, out)
	}
	return nil
}

func whileServing(do func() error) error {
	cmd := exec.Command("signer", "serve", "-config", "config.json")
	if err := cmd.Start(); err != nil {
		return err
	}
	err := wait()
	if err == nil {
		err = do()
	}
	return errors.Join(err, cmd.Process.Kill(), func() error { _ = cmd.Wait(); return nil }())
}

func licenseFile(n int) (order, out string) {
	return fmt.Sprint("ord_", n), filepath.Join(".", fmt.Sprint("license-", n))
}

// untilFull issues until the signer refuses for want of space, and wants it to refuse from then on. It tells how many licenses
// were issued.
func untilFull() (issued int, err error) {
	err = whileServing(func() error {
		for ; issued < 1000; issued++ {
			if err := pay(licenseFile(issued)); err != nil {
				break
			}
		}
		for range 2 {
			var refusal *signer.Error
			if err := pay(licenseFile(issued)); !errors.As(err, &refusal) || refusal.Code != signer.CodeLog {
				return fmt.Errorf("after %d licenses: %w", issued, err)
			}
		}
		if status, err := signer.NewClient("s").Status(context.Background()); err != nil || status.Ready {
			return fmt.Errorf("the signer says that it is ready: %+v, %w", status, err)
		}
		return nil
	})
	return issued, err
}

// afterwards wants every license as it was, and the log to go on.
func afterwards(issued int) error {
	if err := signerRun("log", "verify", "-config", "config.json"); err != nil {
		return err
	}
	return whileServing(func() error {
		for n := range issued {
			order, file := licenseFile(n)
			if err := pay(order, "again"); err != nil {
				return err
			}
			first, err := os.ReadFile(file)
			again, errAgain := os.ReadFile("again")
			if err := errors.Join(err, errAgain); err != nil || !bytes.Equal(first, again) {
				return fmt.Errorf("%s has other bytes: %w", order, err)
			}
		}
		if err := pay(licenseFile(issued)); err != nil {
			return err
		}
		status, err := signer.NewClient("s").Status(context.Background())
		if err == nil && status.LogSize != uint64(issued)+1 {
			err = fmt.Errorf("%d records for %d licenses", status.LogSize, issued+1)
		}
		return err
	})
}
