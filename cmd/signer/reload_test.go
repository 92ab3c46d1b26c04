package main

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/signer/log"
)

// host is a folder with everything that a signer needs, as a person would make it.
type host struct {
	t      *testing.T
	dir    string
	config string
}

func newHost(t *testing.T) *host {
	t.Helper()
	h := &host{t: t, dir: t.TempDir()}
	h.config = h.path("config.json")
	h.must(surroundings(h.dir))
	h.put("license.json", h.run("keygen", "-id", "license-1", "-role", "license", "-out", h.path("license.pem"), "-passphrase-file", h.path("passphrase")))
	h.run("keygen", "-id", "test/log", "-role", "log", "-out", h.path("log.pem"), "-passphrase-file", h.path("passphrase"))
	h.bundle("3")
	h.run("log", "init", "-config", h.config)
	return h
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

func (h *host) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) put(name, text string) {
	h.t.Helper()
	h.must(os.WriteFile(h.path(name), []byte(text), 0o600))
}

// run runs a command of the signer and returns what it printed.
func (h *host) run(args ...string) string {
	h.t.Helper()
	var out, errOut bytes.Buffer
	if err := run(h.t.Context(), args, nil, &out, &errOut); err != nil {
		h.t.Fatalf("signer %s: %v %s", args, err, &errOut)
	}
	return out.String()
}

// bundle writes a trust bundle with the license key and has both root holders sign it.
func (h *host) bundle(version string) {
	h.t.Helper()
	h.must(bundle(h.dir, version, "license.json"))
	h.sign()
}

func (h *host) sign() {
	h.t.Helper()
	for _, root := range []string{"root1", "root2"} {
		h.run("trust", "sign", "-key", h.path(root), h.path("trust.json"))
	}
}

// replace changes a file's text, of which one part must be there.
func (h *host) replace(name, old, to string) {
	h.t.Helper()
	text, err := os.ReadFile(h.path(name))
	h.must(err)
	if !strings.Contains(string(text), old) {
		h.t.Fatalf("%s does not hold %s", name, old)
	}
	h.put(name, strings.Replace(string(text), old, to, 1))
}

func (h *host) start() (*running, error) { return start(h.config, slog.New(slog.DiscardHandler)) }

func TestAReloadTakesNothingThatWouldNotStart(t *testing.T) {
	t.Parallel()
	cases := map[string]func(h *host){
		"a lower version": func(h *host) { h.bundle("2") },
		"another bundle under the version": func(h *host) {
			h.replace("trust.json", `"per_day": 100`, `"per_day": 101`)
			h.sign()
		},
		"a bundle that nobody signed": func(h *host) { h.must(bundle(h.dir, "4", "license.json")) },
		"no bundle":                   func(h *host) { h.must(os.Remove(h.path("trust.json"))) },
		"a bundle that asks for more records": func(h *host) {
			h.bundle("4")
			h.replace("trust.json", `"minimum_log_size": 0`, `"minimum_log_size": 1`)
			h.sign()
		},
		"a revoked key": func(h *host) {
			h.replace("license.json", `"signing"`, `"revoked"`)
			h.bundle("4")
		},
		"a key that the bundle does not name": func(h *host) {
			h.replace("license.json", `"license-1"`, `"license-2"`)
			h.bundle("4")
		},
		"no private key":        func(h *host) { h.must(os.Remove(h.path("license.pem"))) },
		"a private key for all": func(h *host) { h.must(os.Chmod(h.path("license.pem"), 0o644)) },
		"another passphrase":    func(h *host) { h.put("passphrase", passphrase+"!\n") },
		"no passphrase":         func(h *host) { h.must(os.Remove(h.path("passphrase"))) },
		"a plain key": func(h *host) {
			h.must(os.Remove(h.path("license.pem")))
			h.put("license.json", h.run("keygen", "-id", "license-1", "-role", "license", "-out", h.path("license.pem"), "-unencrypted"))
			h.bundle("4")
		},
		"no webhook secret":         func(h *host) { h.must(os.Remove(h.path("secret"))) },
		"another root holder":       func(h *host) { h.replace("config.json", `"root_threshold":2`, `"root_threshold":3`) },
		"no configuration":          func(h *host) { h.must(os.Remove(h.config)) },
		"a legacy key ring missing": func(h *host) { h.replace("config.json", `"store"`, `"legacy_keys_file":"old.json","store"`) },
	}
	for name, damage := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			r, err := h.start()
			h.must(err)
			before := r.current.Issuer()
			damage(h)
			if err := r.reload(); err == nil {
				t.Error("reloaded")
			}
			if r.current.Issuer() != before {
				t.Error("what was in force is no longer")
			}
			h.must(r.store.Close())
			if again, err := h.start(); err == nil {
				t.Error("started, so the reload refused too much")
				h.must(again.store.Close())
			}
		})
	}
}

func TestWhatARunningSignerCannotChangeTakesARestart(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"socket": {`"socket":"s"`, `"socket":"other"`}, "store": {`"log.db"`, `"other.db"`}, "log's name": {`"test/log"`, `"test/other"`},
		"users": {`"allowed_uids":[]`, `"allowed_uids":[1]`}, "log key": {`"log.pem"`, `"license.pem"`},
	} {
		h := newHost(t)
		r, err := h.start()
		h.must(err)
		h.replace("config.json", change[0], change[1])
		if err := r.reload(); err == nil || !strings.Contains(err.Error(), "restart") {
			t.Errorf("%s: %v", name, err)
		}
		h.must(r.store.Close())
	}
}

func TestAReloadIsRememberedAndKeysAreLoadedAnew(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	r, err := h.start()
	h.must(err)
	h.must(os.Remove(h.path("license.pem")))
	h.put("license.json", h.run("keygen", "-id", "license-2", "-role", "license", "-out", h.path("license.pem"), "-passphrase-file", h.path("passphrase")))
	h.replace("config.json", `"license-1"`, `"license-2"`)
	h.bundle("4")
	h.must(r.reload())
	if status := r.current.Issuer().Status(); status.TrustVersion != 4 || status.SigningKeyID != "license-2" || !status.Ready {
		t.Errorf("%+v", status)
	}
	h.must(r.store.Close())
	h.bundle("3")
	if _, err := h.start(); !errors.Is(err, log.ErrRollback) {
		t.Errorf("the version that was reloaded is forgotten: %v", err)
	}
}
