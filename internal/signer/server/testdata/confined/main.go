// Command confined confines itself as the signer does and then tries what it may and what it may not. It prints one line
// for each try: its name, and ok or the error. Its argument is a folder made by TestAConfinedSignerReachesNothingElse.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/metrum-ai/licensing-portal/internal/signer/server"
)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	at := func(elements ...string) string { return filepath.Join(append([]string{dir}, elements...)...) }
	store, err := os.OpenFile(at("store", "log.db"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	report, err := server.Confine(server.Reach{Read: []string{at("conf", "signer.json"), at("link", "trust.json")}, Remove: []string{at("run", "s")}})
	fmt.Printf("report %s\n", report)
	if err != nil {
		return err
	}
	try := func(name string, do func() error) {
		if err := do(); err != nil {
			fmt.Println(name, err)
		} else {
			fmt.Println(name, "ok")
		}
	}
	read := func(path string) func() error { return func() error { _, err := os.ReadFile(path); return err } }
	try("read-configuration", read(at("conf", "signer.json")))
	try("read-beside-it", read(at("conf", "other.json"))) // as a file that replaced it would be
	try("read-through-link", read(at("link", "trust.json")))
	try("list-trust-folder", func() error { _, err := os.ReadDir(at("link")); return err })
	try("write-open-store", func() error {
		_, err := store.WriteAt([]byte("grown"), 4096)
		return errors.Join(err, store.Truncate(8192), store.Sync())
	})
	try("remove-socket", func() error { return os.Remove(at("run", "s")) })
	try("accept", func() error { // connections to what listens already still come in; the test makes one
		fmt.Printf("address %s\n", listener.Addr())
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		return conn.Close()
	})

	try("read-passwd", read("/etc/passwd"))
	try("read-store-by-path", read(at("store", "log.db")))
	try("read-elsewhere", read(at("elsewhere")))
	try("list-root", func() error { _, err := os.ReadDir("/"); return err })
	try("write-configuration", func() error { return os.WriteFile(at("conf", "signer.json"), []byte("{}"), 0o600) })
	try("truncate-configuration", func() error { return os.Truncate(at("conf", "signer.json"), 0) })
	try("create-in-run", func() error { return os.WriteFile(at("run", "new"), nil, 0o600) })
	try("rename-store", func() error { return os.Rename(at("store", "log.db"), at("store", "gone.db")) })
	try("remove-store", func() error { return os.Remove(at("store", "log.db")) })
	try("make-folder", func() error { return os.Mkdir(at("store", "folder"), 0o700) })
	try("run-program", func() error { return exec.Command("/bin/true").Run() })
	try("listen-tcp", func() error {
		config := net.ListenConfig{}
		config.SetMultipathTCP(false) // Landlock knows plain TCP; where multipath TCP is on, only the network namespace helps
		l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err == nil {
			err = l.Close()
		}
		return err
	})
	try("connect-tcp", func() error {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err == nil {
			err = conn.Close()
		}
		return err
	})
	try("read-passwd-on-any-thread", func() error {
		var all sync.WaitGroup
		read := make(chan error, 32)
		for range cap(read) { // blocked in calls at once, so on as many threads
			all.Go(func() {
				_, err := os.ReadFile("/etc/passwd")
				read <- err
			})
		}
		all.Wait()
		for range cap(read) {
			if err := <-read; !errors.Is(err, os.ErrPermission) {
				return err
			}
		}
		return os.ErrPermission
	})
	return nil
}
