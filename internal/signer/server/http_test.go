package server

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/signer/log"
)

// raw sends any request over the world's socket.
func (w *world) raw(method, path, body string) (int, string) {
	w.t.Helper()
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(w.dir, "s"))
		},
	}}
	req, err := http.NewRequestWithContext(w.t.Context(), method, "http://s"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

func TestOnlyTheVerbsAreAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	cases := []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/", "", 404}, {"POST", "/v1/sign", "{}", 404}, {"GET", "/v1/keys", "", 404}, {"POST", "/v1/log", "{}", 404},
		{"GET", "/v1/issue", "", 405}, {"PUT", "/v1/issue", "{}", 405}, {"GET", "/v1/check", "", 405}, {"POST", "/v1/trust", "{}", 405},
		{"DELETE", "/v1/log/entries", "", 405}, {"POST", "/v1/status", "", 405},
		{"POST", "/v1/issue", "", 400}, {"POST", "/v1/issue", "[]", 400}, {"POST", "/v1/issue", "null", 400}, {"POST", "/v1/issue", "{}x", 400},
		{"POST", "/v1/issue", `{"payload":"x"}`, 400}, {"POST", "/v1/issue", `{"event":{}}`, 400}, {"POST", "/v1/issue", `{"event":null}`, 400},
		{"POST", "/v1/issue", `{"event":{"body_base64":"e30="}}`, 400}, {"POST", "/v1/issue", `{"junk":null}`, 400},
		{"POST", "/v1/issue", `{"Event":{"body_base64":"e30=","signature_header":"t=1"}}`, 400},
		{"POST", "/v1/issue", `{"event":{"body_base64":"e30=","signature_header":"t=1"},"event":{"body_base64":"e30=","signature_header":"t=1"}}`, 400},
		{"POST", "/v1/issue", `{"event":{"body_base64":"e3 0=","signature_header":"t=1"}}`, 400},
		{"POST", "/v1/issue", `{"event":{"body_base64":"e30=","signature_header":7}}`, 400},
		{"POST", "/v1/check", `{"event":{"body_base64":"e30=","signature_header":"t=1"}}`, 400},
		{"POST", "/v1/check", strings.Repeat(" ", 1<<20+1), 413}, {"POST", "/v1/issue", strings.Repeat("x", maxRequest+1), 413},
		{"GET", "/v1/log/entries?from=-1", "", 400}, {"GET", "/v1/log/entries?from=x", "", 400}, {"GET", "/v1/log/entries?from=7", "", 200},
		{"GET", "/v1/log/entries?from=9223372036854775808", "", 400},
	}
	for _, c := range cases {
		status, answer := w.raw(c.method, c.path, c.body)
		if status != c.want {
			t.Errorf("%s %s %.60s: %d %s", c.method, c.path, c.body, status, answer)
		}
		var refusal signer.Error
		if err := json.Unmarshal([]byte(answer), &refusal); c.want != 200 && (err != nil || refusal.Code == "") {
			t.Errorf("%s %s: no code in %s", c.method, c.path, answer)
		}
	}
}

func TestCheckSaysWhoseEventItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	s := paid(pack("ord_1"), 25000)
	s.livemode, s.account, s.eventType = true, "acct_9", "charge.refunded" // none of these matters to check
	checked, err := w.client.Check(t.Context(), *s.event())
	want := signer.Checked{
		Valid: true, EventID: "evt_ord_1", Type: "charge.refunded", Created: start, Mode: "live", APIVersion: "2023-10-16",
		Account: "acct_9", ObjectID: "cs_evt_ord_1",
	}
	if err != nil || checked != want {
		t.Errorf("got %+v, %v", checked, err)
	}
	for _, at := range []time.Time{start.Add(-8 * 24 * time.Hour), start.Add(6 * time.Minute)} {
		if _, err := w.client.Check(t.Context(), *signed(s.body(), at, webhookSecret)); code(err) != signer.CodeTimestampOutside {
			t.Errorf("signed at %s: %v", at, err)
		}
	}
	status, answer := w.raw("POST", "/v1/check", `{"body_base64":"e30=","signature_header":"t=1,v1=00"}`)
	if status != 400 || !strings.Contains(answer, `"valid":false`) || !strings.Contains(answer, `"code":"signature-invalid"`) {
		t.Errorf("%d %s", status, answer)
	}
}

func TestStatusTrustAndCheckpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	w.mustIssue(paid(pack("ord_1"), 25000))
	status, err := w.client.Status(t.Context())
	if err != nil || !status.Ready || status.LogSize != 1 || status.Mode != "test" || status.SigningKeyID != "license-1" || status.TrustVersion != 1 {
		t.Errorf("%+v, %v", status, err)
	}
	bundle, err := w.client.Trust(t.Context())
	if err != nil || len(bundle.Templates) != 8 {
		t.Errorf("trust: %v", err)
	}
	signedNote, err := w.client.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := signer.NewLogVerifier("test/log", w.logKey.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	if tree, err := signer.OpenCheckpoint(signedNote, verifier); err != nil || tree.N != 1 {
		t.Errorf("%+v, %v", tree, err)
	}
	if _, err := signer.OpenCheckpoint(bytes.Replace(signedNote, []byte("\n1\n"), []byte("\n2\n"), 1), verifier); err == nil {
		t.Error("a changed checkpoint verifies")
	}
}

func TestASecondSignerRefusesToStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t).serve()
	if _, err := log.Open(w.logConfig()); !errors.Is(err, log.ErrInUse) {
		t.Errorf("same store: %v", err)
	}
	_, err := Listen(Socket{Path: filepath.Join(w.dir, "s"), GroupID: -1}, nil)
	if !errors.Is(err, errSocketInUse) {
		t.Errorf("same socket: %v", err)
	}
	if _, err := w.client.Status(t.Context()); err != nil {
		t.Errorf("the first signer is gone: %v", err)
	}
}

// Nobody else may connect before the signer has said who may.
func TestASocketIsClosedToOthersFromTheStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := listenClosed(path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want 0600", info.Mode(), err)
	}
}

func TestASocketLeftByAKilledSignerIsReplacedAndAFileIsNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(w.dir, "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	w.serve()
	if info, err := os.Stat(filepath.Join(w.dir, "s")); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode: %v, %v", info, err)
	}
	file := filepath.Join(w.dir, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(Socket{Path: file, GroupID: -1}, nil); err == nil {
		t.Error("replaced a file")
	}
	if text, _ := os.ReadFile(file); string(text) != "mine" {
		t.Error("the file is gone")
	}
}

func TestOtherUsersAreRefused(t *testing.T) {
	t.Parallel()
	answered := false
	handler := onlyPeers(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered = true }))
	// A TCP connection has no peer credentials, so it stands for everybody who is not allowed.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ConnContext: Socket{}.peer, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	res, err := http.Get("http://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusForbidden || answered {
		t.Errorf("status %d", res.StatusCode)
	}
}

func TestTooManyAtOnceAreToldToComeBack(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}, maxAtOnce), make(chan struct{})
	handler := limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	}))
	answers := make(chan int, maxAtOnce)
	serve := func() int {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		return recorder.Code
	}
	for range maxAtOnce {
		go func() { answers <- serve() }()
		<-entered
	}
	if got := serve(); got != http.StatusServiceUnavailable {
		t.Errorf("status %d", got)
	}
	close(release)
	for range maxAtOnce {
		if got := <-answers; got != http.StatusOK {
			t.Errorf("status %d", got)
		}
	}
}

func TestTheClientTellsAnAbsentSigner(t *testing.T) {
	t.Parallel()
	_, err := signer.NewClient(filepath.Join(t.TempDir(), "none")).Status(t.Context())
	if code(err) != signer.CodeUnavailable {
		t.Errorf("got %v", err)
	}
}
