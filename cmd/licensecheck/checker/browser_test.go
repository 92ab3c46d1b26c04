package checker

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// What a phone loads, in bytes. A growth past these is a decision, not an accident.
const (
	maxProgram = 4 << 20
	maxGzipped = 1_150_000
)

// buildProgram compiles the checker for browsers and returns the paths of it and of Go's loader.
func buildProgram(t *testing.T) (program, loader string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "licensecheck.wasm")
	build := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "..")
	build.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return program, filepath.Join(strings.TrimSpace(string(root)), "lib", "wasm", "wasm_exec.js")
}

func TestProgramIsSmallEnoughForAPhone(t *testing.T) {
	t.Parallel()
	program, _ := buildProgram(t)
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var size counter
	w, err := gzip.NewWriterLevel(&size, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes, %d gzipped", len(data), size)
	if len(data) > maxProgram || size > maxGzipped {
		t.Errorf("%d bytes and %d gzipped, more than %d and %d", len(data), size, maxProgram, maxGzipped)
	}
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

const page = `<!doctype html><title>check</title><script src="/wasm_exec.js"></script><script src="/start.js"></script>`

const start = `const go = new Go();
WebAssembly.instantiateStreaming(fetch("/licensecheck.wasm"), go.importObject).then(r => { go.run(r.instance); window.started = true; });`

// serve is a site with the checker under a policy as strict as the portal's, and counts what is asked of it.
func serve(t *testing.T) (address string, requests *atomic.Int64) {
	t.Helper()
	program, loader := buildProgram(t)
	requests = new(atomic.Int64)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'")
		_, _ = io.WriteString(w, page)
	})
	mux.HandleFunc("GET /start.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = io.WriteString(w, start)
	})
	mux.HandleFunc("GET /wasm_exec.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, loader) })
	mux.HandleFunc("GET /licensecheck.wasm", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/wasm")
		http.ServeFile(w, r, program)
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL, requests
}

func browser(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(2*time.Minute), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	if path := os.Getenv("CHROME"); path != "" {
		options = append(options, chromedp.ExecPath(path))
	}
	limited, done := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(done)
	allocator, stop := chromedp.NewExecAllocator(limited, options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	return ctx
}

func ask(t *testing.T, ctx context.Context, script string) string {
	t.Helper()
	answer, err := chromedp.Run(ctx, chromedp.Evaluate[string](script))
	if err != nil {
		t.Fatalf("%.200s: %v", script, err)
	}
	return answer
}

// The browser gives each file the same answer as the same code outside of it, and asks nobody.
func TestBrowserAnswersAsGoDoes(t *testing.T) {
	t.Parallel()
	address, requests := serve(t)
	ctx := browser(t)
	if err := chromedp.Do(ctx, chromedp.Navigate(address+"/")); err != nil {
		t.Fatalf("Chromium: %v", err)
	}
	for deadline := time.Now().Add(time.Minute); ask(t, ctx, `String(window.started && typeof licenseCheck)`) != "function"; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the checker did not start in a minute")
		}
	}
	before := requests.Load()
	keys := ring(t)
	bytesOf := func(data []byte) string {
		return fmt.Sprintf("Uint8Array.from(atob(%q), c => c.charCodeAt(0))", base64.StdEncoding.EncodeToString(data))
	}
	good := vector(t, "accept-credit-pack.json")
	files := map[string]string{"marked": "\uFEFF" + good, "wrapped": wrap(good, "\r\n"), "half": good[:500], "empty": "", "receipt": "%PDF-1.7",
		"huge": strings.Repeat("x", MaxFile+100)}
	for _, c := range readIndex(t).Cases {
		files[c.File] = vector(t, c.File)
	}
	for name, text := range files {
		got := ask(t, ctx, fmt.Sprintf("licenseCheck(%s, %s, %d)", bytesOf([]byte(text)), bytesOf(keys), now.UnixMilli()))
		if want := Check([]byte(text), keys, now).JSON(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for _, arguments := range []string{"", "1, 2, 3", "new Uint8Array(1), new Uint8Array(1)", "'a', new Uint8Array(1), 1",
		"new Uint8Array(1), null, 1", "new Uint8Array(1), new Uint8Array(1), '1'", "{length: 9}, {length: 9}, 1"} {
		var got struct{ Verdict Verdict }
		if err := json.Unmarshal([]byte(ask(t, ctx, "licenseCheck("+arguments+")")), &got); err != nil || got.Verdict != Unable {
			t.Errorf("licenseCheck(%s): %+v %v", arguments, got, err)
		}
	}
	if after := requests.Load(); after != before {
		t.Errorf("%d requests were made while files were checked", after-before)
	}
}
