package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// answering is a listener on socket and TCP that serves one handler until stop.
type answering struct {
	socket  string
	clients map[string]*http.Client // by way in
	stop    context.CancelFunc
	done    chan error
}

func serveHandler(t *testing.T, handler http.Handler) *answering {
	t.Helper()
	w := newWorld(t)
	servers, clients := newAuthority(t, "servers"), newAuthority(t, "clients")
	a := &answering{socket: filepath.Join(w.dir, "s"), done: make(chan error, 1)}
	listener, err := Listen(Socket{Path: a.socket, GroupID: -1}, &TCP{
		Address: "127.0.0.1:0", Certificate: servers.server("signer.internal"), ClientCAs: clients.pool(), AllowedNames: []string{"portal.internal"},
	})
	if err != nil {
		t.Fatal(err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", a.socket)
	}
	address := listener.Address().String()
	a.clients = map[string]*http.Client{
		"socket": {Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}},
		"TLS": {Transport: &http.Transport{DisableKeepAlives: true, DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			return tls.Dial("tcp", address, &tls.Config{
				Certificates: []tls.Certificate{clients.client("portal.internal")}, RootCAs: servers.pool(), ServerName: "signer.internal",
			})
		}}},
	}
	ctx, cancel := context.WithCancel(t.Context())
	a.stop = cancel
	go func() { a.done <- listener.Serve(ctx, handler, w.logger, func() {}) }()
	return a
}

func TestWhatRunsIsAnsweredWhenTheSignerStops(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}, 2), make(chan struct{})
	a := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "answered")
	}))
	answers := make(chan string, len(a.clients))
	for name, client := range a.clients {
		scheme := map[string]string{"socket": "http", "TLS": "https"}[name]
		go func() {
			res, err := client.Get(scheme + "://signer/")
			if err != nil {
				answers <- name + ": " + err.Error()
				return
			}
			defer res.Body.Close()
			text, _ := io.ReadAll(res.Body)
			answers <- string(text)
		}()
		<-entered
	}
	a.stop()
	for { // until nobody is let in any more
		conn, err := net.Dial("unix", a.socket)
		if err != nil {
			break
		}
		_ = conn.Close()
		time.Sleep(time.Millisecond)
	}
	select {
	case err := <-a.done:
		t.Fatalf("stopped before it answered: %v", err)
	default:
	}
	close(release)
	for range a.clients {
		if got := <-answers; got != "answered" {
			t.Error(got)
		}
	}
	if err := <-a.done; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(a.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
}

// TestWhoeverStallsIsCut sends a part of a request and waits: neither a header nor a body may take long.
func TestWhoeverStallsIsCut(t *testing.T) {
	t.Parallel()
	a := serveHandler(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := readBody(r); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(func() {
		a.stop()
		if err := <-a.done; err != nil {
			t.Error(err)
		}
	})
	for name, sent := range map[string]string{
		"nothing": "", "half a header": "POST /v1/issue HTTP/1.1\r\nHost: s\r\n",
		"half a body": "POST /v1/issue HTTP/1.1\r\nHost: s\r\nContent-Length: 100\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			conn, err := net.Dial("unix", a.socket)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			if err := conn.SetReadDeadline(began.Add(30 * time.Second)); err != nil {
				t.Fatal(err)
			}
			// Cut, after a refusal perhaps; only our own deadline would be an error of time.
			if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("kept open for half a minute")
			}
			if took := time.Since(began); took < requestTimeout/2 {
				t.Errorf("cut after %v, which a slow caller would not survive", took)
			}
		})
	}
}
