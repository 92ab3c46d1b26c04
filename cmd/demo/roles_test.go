package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// TestMain lets the test binary play the demo's programs as well, by the name
// it is started under. The real ones are started by the tests in e2e.
func TestMain(m *testing.M) {
	roles := map[string]func() error{"portal": portalRole, "signer": signerRole, "router": routerRole, "licensectl": sidecarRole, "demo": demoRole}
	role, ok := roles[filepath.Base(os.Args[0])]
	if !ok {
		os.Exit(m.Run())
	}
	if err := role(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func untilTold() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	<-told
}

func answer(ln net.Listener, text any) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(text) })
	go func() { _ = http.Serve(ln, handler) }()
}

// portalRole answers with its user and its arguments, and fails to migrate a
// database named broken.
func portalRole() error {
	for _, name := range []string{"DATABASE_URL", "SMTP_URL", "PORTAL_SECRET_FILE", "STRIPE_API_KEY_FILE", "SIGNER_SOCKET"} {
		if os.Getenv(name) == "" {
			return errors.New(name + " is missing")
		}
	}
	if _, err := os.ReadFile(os.Getenv("PORTAL_SECRET_FILE")); err != nil {
		return err
	}
	switch os.Args[1] {
	case "serve":
		ln, err := net.Listen("tcp", os.Getenv("PORTAL_LISTEN"))
		if err != nil {
			return err
		}
		answer(ln, map[string]int{"uid": os.Getuid()})
		untilTold()
	case "worker":
		fmt.Println("worker works")
		untilTold()
	case "migrate":
		if os.Getenv("DATABASE_URL") == "postgres://broken" {
			return errors.New("cannot reach the database")
		}
	case "catalog":
		// The signer and the stand-in must be up by now.
		if _, err := signer.NewClient(os.Getenv("SIGNER_SOCKET")).Status(context.Background()); err != nil {
			return err
		}
		resp, err := http.Get(os.Getenv("STRIPE_API_URL") + "/v1/products")
		if err != nil {
			return err
		}
		return resp.Body.Close()
	}
	return nil
}

// signerRole reads its files as the signer does and answers that it is ready.
func signerRole() error {
	text, err := os.ReadFile(os.Args[len(os.Args)-1])
	if err != nil {
		return err
	}
	var c signerConfig
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	if os.Args[1] == "log" {
		return os.WriteFile(c.Store, []byte("log"), 0o600)
	}
	for _, path := range []string{c.Store, c.LogKeyFile, c.WebhookSecrets[0].File, c.Keys[0].PrivateKeyFile, c.Trust} {
		if _, err := os.ReadFile(path); err != nil {
			return err
		}
	}
	_ = os.Remove(c.Socket)
	ln, err := net.Listen("unix", c.Socket)
	if err != nil {
		return err
	}
	if c.SocketGroup != "" {
		group, err := strconv.Atoi(c.SocketGroup)
		if err != nil {
			return err
		}
		if err := errors.Join(os.Chown(c.Socket, -1, group), os.Chmod(c.Socket, 0o660)); err != nil {
			return err
		}
	}
	answer(ln, signer.Status{Ready: true, UID: os.Getuid()})
	untilTold()
	return nil
}

func routerRole() error {
	for i, arg := range os.Args {
		if arg == "-listen" {
			ln, err := net.Listen("tcp", os.Args[i+1])
			if err != nil {
				return err
			}
			answer(ln, "router")
			untilTold()
			return nil
		}
	}
	return errors.New("-listen is missing")
}

// sidecarRole has to have where the bundle comes from and a directory that it
// may write to.
func sidecarRole() error {
	if len(os.Args) < 2 || os.Args[1] != "revocations" || os.Args[len(os.Args)-2] != "-to" {
		return fmt.Errorf("not a call of revocations: %q", os.Args)
	}
	if err := os.WriteFile(os.Args[len(os.Args)-1], nil, 0o600); err != nil {
		return err
	}
	untilTold()
	return nil
}

func demoRole() error { return run(context.Background(), nil, os.Getenv, os.Stdout, os.Stderr) }
