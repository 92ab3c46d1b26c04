//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/metrum-ai/licensing-portal/license"
	"github.com/metrum-ai/licensing-portal/license/enforce"
)

const (
	routerPassword = "pass-7c1"
	routerToken    = "tok-3f9"
	linkToken      = "Zm9vYmFy-secret"
)

// startRouter is the script command "router [-asleep] [-noisy] [-broken] FILE": a router that enforces the license at
// FILE with keys.json, at $ROUTER. One that is asleep does not look at the file again, a noisy one has metrics, and a
// broken one is ready and serves no model.
func startRouter(ts *testscript.TestScript, _ bool, args []string) {
	is := map[string]bool{}
	for strings.HasPrefix(args[0], "-") {
		is[args[0]], args = true, args[1:]
	}
	ring, err := license.ReadKeyRing(ts.MkAbs("keys.json"))
	ts.Check(err)
	manager, err := enforce.New(enforce.Config{Path: ts.MkAbs(args[0]), Ring: ring, RouterVersion: "test-1"})
	ts.Check(err)
	fresh := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !is["-asleep"] {
				manager.Recheck()
			}
			h.ServeHTTP(w, r)
		})
	}
	mux := http.NewServeMux()
	mux.Handle("GET /readyz", fresh(manager.Ready()))
	mux.HandleFunc("GET /admin/license/status", func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(password), []byte(routerPassword)) != 1 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fresh(manager.Status()).ServeHTTP(w, r)
	})
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+routerToken || is["-broken"] {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	if is["-noisy"] {
		mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "up 1\nrouter_license_info{sku=%q,license_id=%q} 1\n", "x", manager.SafeStatus().LicenseID)
		})
	}
	server := httptest.NewServer(mux)
	ts.Defer(server.Close)
	ts.Setenv("ROUTER", server.URL)
	for name, secret := range map[string]string{"password": routerPassword, "token": routerToken} {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(secret+"\n"), 0o600))
	}
}

// startPortal is the script command "portal FILE": a portal that hands out FILE, as it is when it is asked for, at
// $PORTAL/d/TOKEN, and that answers badly in every way at other addresses. The file link holds a whole link. The file
// bundle.json is at $PORTAL/revocations.json; how often it went out whole is in the file sent. Each of the two must be
// replaced in one step where somebody may ask meanwhile. What went out is in the file served, a line each.
func startPortal(ts *testscript.TestScript, _ bool, args []string) {
	elsewhere := httptest.NewServer(http.NotFoundHandler())
	ts.Defer(elsewhere.Close)
	var mu sync.Mutex
	send := func(w http.ResponseWriter, data []byte) {
		mu.Lock()
		defer mu.Unlock()
		file, err := os.OpenFile(ts.MkAbs("served"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = io.WriteString(file, servedLine(data))
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /d/{token}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "<!doctype html><form method=post><button>Download license.json</button></form>")
	})
	mux.HandleFunc("POST /d/"+linkToken, func(w http.ResponseWriter, r *http.Request) {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil {
			w.WriteHeader(http.StatusGone)
			return
		}
		send(w, data)
	})
	var sent atomic.Int64
	mux.HandleFunc("GET /revocations.json", func(w http.ResponseWriter, r *http.Request) {
		data, err := os.ReadFile(ts.MkAbs("bundle.json"))
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		tag := fmt.Sprintf("\"%x\"", sha256.Sum256(data))
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_ = os.WriteFile(ts.MkAbs("sent"), fmt.Appendln(nil, "sent", sent.Add(1)), 0o600)
		send(w, data)
	})
	mux.HandleFunc("GET /huge.json", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte{' '}, license.MaxRevocationFileSize+1))
	})
	for token, h := range map[string]http.HandlerFunc{
		"gone": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) },
		"busy": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
		"down": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"page": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!doctype html>") },
		"big": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte{1}, license.MaxFileSize+1))
		},
		"away": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/d/x", http.StatusTemporaryRedirect)
		},
		"loop": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/d/loop", http.StatusTemporaryRedirect)
		},
		"moved": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/d/"+linkToken, http.StatusTemporaryRedirect)
		},
		"broken": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "500")
			_, _ = w.Write([]byte("{"))
		},
	} {
		mux.HandleFunc("POST /d/"+token, h)
	}
	server := httptest.NewServer(mux)
	ts.Defer(server.Close)
	ts.Setenv("PORTAL", server.URL)
	ts.Setenv("TOKEN", linkToken)
	ts.Check(os.WriteFile(ts.MkAbs("link"), []byte(server.URL+"/d/"+linkToken+"\n"), 0o600))
}

// waitFor is the script command "waitfor FILE WANT": until FILE holds what WANT holds.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	want, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && bytes.Equal(got, want) {
			return
		}
	}
	ts.Fatalf("%s is not %s after a minute", args[0], args[1])
}

func servedLine(data []byte) string { return fmt.Sprintf("%x\n", sha256.Sum256(data)) }

// waitTaken is the script command "waittaken FILE": until the portal has sent FILE twice. Then the one who asks again and
// again is done with the first.
func waitTaken(ts *testscript.TestScript, _ bool, args []string) {
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if served, err := os.ReadFile(ts.MkAbs("served")); err == nil && strings.Count(string(served), servedLine(data)) >= 2 {
			return
		}
	}
	ts.Fatalf("%s was not sent twice in a minute", args[0])
}
