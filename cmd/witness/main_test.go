package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/mod/sumdb/note"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
	"github.com/metrum-ai/licensing-portal/internal/signer/keys"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/signer/server"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/internal/witness"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"witness": main,
		"fixture": func() {
			if err := fixture(os.Args[1:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		},
	})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata/script", Setup: func(env *testscript.Env) error {
		env.Setenv("GORACE", "atexit_sleep_ms=0") // else each process waits a second at its end under the race detector
		return nil
	}})
}

// fixture is the signer's side: a log that is served on a socket.
func fixture(args []string) error {
	switch args[0] {
	case "init":
		return initialize()
	case "serve": // serve BRANCH SIZE: log records up to SIZE, then serve until interrupted
		size, err := strconv.Atoi(args[2])
		if err != nil {
			return err
		}
		return serve(args[1], size)
	case "wait": // wait SIZE ALARM: until the witness's state says so
		return wait(args[1], args[2])
	}
	return errors.New("unknown fixture")
}

func logConfig() (log.Config, error) {
	key, err := keys.Load("log.pem", nil)
	return log.Config{Path: "log.db", Origin: "test/log", Key: key}, err
}

func initialize() error {
	public, err := keys.Generate("log.pem", nil, rand.Reader)
	if err != nil {
		return err
	}
	verifier, err := note.NewEd25519VerifierKey("test/log", public)
	if err != nil {
		return err
	}
	c, err := logConfig()
	if err != nil {
		return err
	}
	text, err := json.Marshal(config{Source: "unix:s", LogKey: verifier, Dir: "copy", Poll: "20ms", Silence: "30s"})
	return errors.Join(err, os.WriteFile("config.json", text, 0o600), log.Init(c))
}

type noKeys struct{}

func (noKeys) Has(string) bool                     { return false }
func (noKeys) Sign(string, []byte) ([]byte, error) { return nil, errors.New("no key") }

func serve(branch string, size int) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := logConfig()
	if err != nil {
		return err
	}
	opened, err := log.Open(c)
	if err != nil {
		return err
	}
	for n := int(opened.Size()); n < size; n++ {
		_, err := opened.Append(ctx, log.Record{
			Kind: log.KindIssuance, FulfillmentKey: fmt.Sprint(branch, n), LicenseID: fmt.Sprint("lic", branch, n), IntentSHA256: "aa",
			Event: []byte("{}"), SignatureHeader: "t=1", Envelope: []byte("license\n"), IssuedAt: time.Now().UTC().Truncate(time.Second),
		}, nil)
		if err != nil {
			return err
		}
	}
	verifier, err := evidence.NewVerifier([]evidence.Secret{{Value: "whsec_0123456789abcdef0123"}})
	if err != nil {
		return err
	}
	now := time.Now().UTC().Truncate(time.Second)
	issuer, err := server.New(server.Config{
		Bundle: &trust.Bundle{SchemaVersion: 1, Version: 1, Templates: catalog.Launch(), Keys: []trust.Key{{
			ID: "license-1", Role: trust.RoleLicense, PublicKeyBase64: base64.StdEncoding.EncodeToString(c.Key.Public().(ed25519.PublicKey)),
			SignFrom: now, SignUntil: now.AddDate(1, 0, 0), VerifyUntil: now.AddDate(5, 0, 0), Status: trust.KeySigning,
		}}},
		BundleBytes: []byte("{}"), Keys: noKeys{}, Verifier: verifier, Log: opened,
	})
	if err != nil {
		return err
	}
	listener, err := server.Listen(server.Socket{Path: "s", Mode: 0o600, GroupID: -1}, nil)
	if err != nil {
		return err
	}
	err = listener.Serve(ctx, issuer.Handler(), slog.New(slog.DiscardHandler), func() {})
	return errors.Join(err, opened.Close())
}

func wait(size, alarm string) error {
	var state witness.State
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(25 * time.Millisecond) {
		var err error
		if state, err = witness.ReadState("copy"); err != nil {
			return err
		}
		kind := "none"
		if state.Alarm != nil {
			kind = string(state.Alarm.Kind)
		}
		if fmt.Sprint(state.Size) == size && kind == alarm {
			return nil
		}
	}
	return fmt.Errorf("the state is still %+v", state)
}

func TestAConfigurationTellsAllItsProblems(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/config.json"
	for text, want := range map[string][]string{
		`{"source":"s","log_key":"x","dir":"","poll":"1","silence":"-1s"}`: {"source", "log_key", "dir", "poll", "silence"},
		`{"source":"unix:s","log_key":"x","dir":"d","secret":1}`:           {"unknown field"},
		`{}`: {"source", "log_key", "dir"},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var stderr bytes.Buffer
		err := run(t.Context(), []string{"status", "-config", path}, nil, &stderr, &stderr)
		for _, problem := range want {
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%s: %q is not in %v", text, problem, err)
			}
		}
	}
}
