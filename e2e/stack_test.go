package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// waitLong is for what takes a restart or a back-off.
const waitLong = 45 * time.Second

// ownDemo starts a demo for one test alone, and stops it at the end.
func ownDemo(t *testing.T) *demo {
	t.Helper()
	dir, err := os.MkdirTemp("", "e2e-own-")
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{dir: dir, bin: shared.bin}
	t.Cleanup(d.remove)
	if err := d.start(); err != nil {
		t.Fatalf("demo: %v", err)
	}
	t.Cleanup(d.stop)
	return d
}

// query reads one value as text from the portal's database.
func (d *demo) query(t *testing.T, sql string, args ...any) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, d.info.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var v string
	if err := conn.QueryRow(ctx, sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func (d *demo) exec(t *testing.T, statements ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, d.info.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// ask sends one request to the signer's socket.
func (d *demo) ask(t *testing.T, method, path string, body any) (int, []byte) {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", d.info.SignerSocket)
		},
	}}
	defer client.CloseIdleConnections()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(method, "http://signer"+path, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, answer
}

// logEntries are the licenses in the signer's log; the revocation bundles, which a worker asks for when it starts, are not.
func (d *demo) logEntries(t *testing.T) []signer.Entry {
	t.Helper()
	status, answer := d.ask(t, http.MethodGet, "/v1/log/entries?from=0", nil)
	var page signer.Entries
	if err := json.Unmarshal(answer, &page); err != nil || status != http.StatusOK {
		t.Fatalf("log entries: %d %v", status, err)
	}
	return slices.DeleteFunc(page.Entries, func(e signer.Entry) bool { return e.Kind != "issuance" })
}

func (d *demo) logSize(t *testing.T) int { t.Helper(); return len(d.logEntries(t)) }

// healthy waits until the portal answers.
func (d *demo) healthy(t *testing.T) {
	t.Helper()
	eventually(t, waitLong, "the portal answers", func() bool {
		res, err := http.Get(d.info.PortalURL + "/healthz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// portalEnv is the environment that the demo gives the portal, read from the running process.
func (d *demo) portalEnv(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(d.pid(t, "portal")), "environ"))
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for _, pair := range strings.Split(string(data), "\x00") {
		if pair != "" {
			env = append(env, pair)
		}
	}
	return env
}

// fetch asks for a path inside the person's window, with its cookies, and answers the status.
func (p *person) fetch(path string) int {
	p.t.Helper()
	p.open("/help")
	return evalAwait[int](p, fmt.Sprintf(`(async () => {
		const stop = new AbortController();
		const res = await fetch(%q, {signal: stop.signal});
		stop.abort();
		return res.status;
	})()`, path))
}

// tellTroubles adds what the demo's processes complained about to a failed test's output.
func (d *demo) tellTroubles(t *testing.T) {
	if !t.Failed() {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(d.dir, "logs", "*.log"))
	for _, path := range logs {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, `"WARN"`) || strings.Contains(line, `"ERROR"`) || panicked.MatchString(line) {
				t.Logf("%s: %s", filepath.Base(path), line)
			}
		}
	}
}
