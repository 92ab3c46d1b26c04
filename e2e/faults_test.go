package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stopPostgres stops the processes of the demo's database server and lists them, first the one that starts the others, so
// that it starts none meanwhile.
func (d *demo) stopPostgres(t *testing.T) []int {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(d.query(t, `SHOW data_directory`), "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(lock), "\n")
	server, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	pids := []int{server}
	signalAll(t, pids, syscall.SIGSTOP)
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		_, rest, _ := strings.Cut(string(data), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == first {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	signalAll(t, pids[1:], syscall.SIGSTOP)
	return pids
}

func signalAll(t *testing.T, pids []int, s syscall.Signal) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && err != syscall.ESRCH {
			t.Fatalf("signal %d: %v", pid, err)
		}
	}
}

// health reads /healthz.
func (d *demo) health(t *testing.T, portal string) (status int, parts map[string]string) {
	t.Helper()
	status, body, _ := request(t, http.MethodGet, portal+"/healthz", nil, nil)
	var answer struct{ Parts map[string]string }
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("/healthz: %d %s", status, body)
	}
	return status, answer.Parts
}

// soon is how long a page takes at most that says that something is down.
const soon = 4 * time.Second

func (c *client) downPage(what string, r reply) {
	c.t.Helper()
	c.clear(what, r, http.StatusServiceUnavailable, "does not answer")
	if r.took > soon || r.header.Get("Retry-After") == "" {
		c.t.Errorf("%s: took %v, Retry-After %q", what, r.took, r.header.Get("Retry-After"))
	}
}

func TestADatabaseThatHangsOrDiesIsToldAndLosesNothing(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	c := newClient(t, d).signIn()
	done, _ := c.buy("router-done")
	for n, kill := range []bool{false, true} {
		order, session := c.order(pack5, fmt.Sprintf("router-%d", n))
		pids := d.stopPostgres(t)
		if kill {
			signalAll(t, pids, syscall.SIGKILL)
		} else {
			d.payAt(t, session, "card_ok") // its webhook meets a database that hangs
			for _, path := range []string{"/", "/orders", "/orders/" + done, "/licenses", "/d/lnk_x.y"} {
				if path == "/d/lnk_x.y" {
					continue // refused by its token alone
				}
				c.downPage(path, c.get(path))
			}
			c.downPage("a form", c.post("/orders/"+order+"/cancel", url.Values{}))
			anonymous := newClient(t, d)
			c.downPage("a sign-in", anonymous.post("/sign-in", url.Values{"email": {anonymous.email}}))
			if r := anonymous.get("/packages"); r.status != http.StatusOK {
				t.Errorf("the package list needs no database and answers %d", r.status)
			}
			start := time.Now()
			status, parts := d.health(t, d.info.PortalURL)
			if status != http.StatusServiceUnavailable || parts["database"] != "down" || parts["signer"] != "ok" || time.Since(start) > soon {
				t.Errorf("/healthz says %d %v after %v", status, parts, time.Since(start))
			}
			body := []byte(`{"id":"evt_hang","object":"event","api_version":"2023-10-16","created":` + fmt.Sprint(time.Now().Unix()) +
				`,"livemode":false,"type":"checkout.session.expired","data":{"object":{"id":"cs_test_x","object":"checkout.session"}}}`)
			start = time.Now()
			if status, answer := d.webhook(t, d.info.PortalURL, body, d.signed(body, time.Now())); status != http.StatusServiceUnavailable || time.Since(start) > 2*soon {
				t.Errorf("the webhook answers %d %s after %v", status, answer, time.Since(start))
			}
			signalAll(t, pids, syscall.SIGCONT)
		}
		eventually(t, waitLong, "the database is there again, without a restart of the portal", func() bool {
			status, _ := d.health(t, d.info.PortalURL)
			return status == http.StatusOK
		})
		if kill {
			d.payAt(t, session, "card_ok")
		}
		d.issued(t, order) // the stand-in sent the event again
		if r := c.get("/orders/" + order); r.status != http.StatusOK || !strings.Contains(r.body, ready) {
			t.Errorf("afterwards the order's page answers %d", r.status)
		}
	}
	if n := d.logSize(t); n != 3 {
		t.Errorf("%d leaves for three orders", n)
	}
}

func TestASignerThatHangsIsToldAndLosesNothing(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	c := newClient(t, d).signIn()
	order, session := c.order(pack5, "router")
	d.signal(t, "signer", syscall.SIGSTOP)
	d.payAt(t, session, "card_ok")
	start := time.Now()
	body := []byte(`{"id":"evt_hang"}`)
	status, answer := d.webhook(t, d.info.PortalURL, body, d.signed(body, time.Now()))
	if took := time.Since(start); status != http.StatusServiceUnavailable || took > 2*soon || !strings.Contains(string(answer), "unavailable") {
		t.Errorf("the webhook answers %d %s after %v", status, answer, took)
	}
	if status, parts := d.health(t, d.info.PortalURL); status != http.StatusServiceUnavailable || parts["signer"] != "down" || parts["database"] != "ok" {
		t.Errorf("/healthz says %d %v", status, parts)
	}
	for _, path := range []string{"/packages", "/packages/" + pack5, "/orders/" + order, "/keys/keyring.json"} {
		if r := c.get(path); r.status != http.StatusOK || r.took > soon {
			t.Errorf("%s answers %d after %v; the signer's templates are remembered for a while", path, r.status, r.took)
		}
	}
	if n := d.query(t, `SELECT count(*)::text FROM events`); n != "0" {
		t.Errorf("%s events stored unchecked", n)
	}
	d.signal(t, "signer", syscall.SIGCONT)
	d.issued(t, order)
	if n := d.logSize(t); n != 1 {
		t.Errorf("%d leaves for one order", n)
	}
}

func TestStripeThatHangsIsToldAndTheOrderCanBePaidLater(t *testing.T) {
	t.Parallel()
	d := shared
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	portal, _ := d.secondPortal(t, "STRIPE_API_URL=http://"+l.Addr().String())
	c := newClient(t, d).signIn()
	order := c.draft(pack5, "router")
	c.base = portal
	r := c.post("/orders/"+order+"/pay", url.Values{"total": {"25000"}})
	c.clear("paying", r, http.StatusServiceUnavailable, "does not answer")
	if r.took > 20*time.Second {
		t.Errorf("told after %v", r.took)
	}
	if r := c.get("/orders/" + order); r.status != http.StatusOK {
		t.Errorf("meanwhile the order's page answers %d", r.status)
	}
	c.base = d.info.PortalURL
	c.goes(c.post("/orders/"+order+"/pay", url.Values{}), d.info.StripeURL)
	d.payAt(t, d.session(t, order), "card_ok")
	d.issued(t, order)
	if n := d.query(t, `SELECT count(*)::text FROM checkout_sessions WHERE order_id = $1`, order); n != "1" {
		t.Errorf("%s sessions for one payment", n)
	}
}

// gate is a way to the database's socket that can be shut: connections through it are cut.
type gate struct {
	t              *testing.T
	listen, target string
	mu             sync.Mutex
	l              net.Listener
	conns          []net.Conn
}

// newGate answers a gate that is shut, and the database's address behind it.
func newGate(t *testing.T, databaseURL string) (*gate, string) {
	t.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "gate") // socket paths must be short
	if err != nil {
		t.Fatal(err)
	}
	const socket = ".s.PGSQL.5432"
	q := u.Query()
	g := &gate{t: t, listen: filepath.Join(dir, socket), target: filepath.Join(q.Get("host"), socket)}
	t.Cleanup(func() { g.shut(); os.RemoveAll(dir) })
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return g, u.String()
}

func (g *gate) open() {
	g.t.Helper()
	l, err := net.Listen("unix", g.listen)
	if err != nil {
		g.t.Fatal(err)
	}
	g.mu.Lock()
	g.l = l
	g.mu.Unlock()
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("unix", g.target)
			if err != nil {
				in.Close()
				continue
			}
			g.mu.Lock()
			g.conns = append(g.conns, in, out)
			g.mu.Unlock()
			go func() { _, _ = io.Copy(out, in); out.Close() }()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
		}
	}()
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.l != nil {
		g.l.Close()
	}
	for _, c := range g.conns {
		c.Close()
	}
	g.l, g.conns = nil, nil
}

// process starts a command of the portal beside the demo's own, with its environment but for what is given.
func (d *demo) process(t *testing.T, command string, set ...string) (cmd *exec.Cmd, log *safeLog) {
	t.Helper()
	log = &safeLog{}
	cmd = exec.Command(filepath.Join(d.bin, "portal"), command)
	cmd.Env = append(d.portalEnv(t), set...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		ended := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		ended.Stop()
	})
	return cmd, log
}

type safeLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *safeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (d *demo) secondPortal(t *testing.T, set ...string) (address string, log *safeLog) {
	t.Helper()
	listen := freeAddress(t)
	_, log = d.process(t, "serve", append(set, "PORTAL_LISTEN="+listen)...)
	eventually(t, waitLong, "a second portal answers", func() bool {
		res, err := http.Get("http://" + listen + "/healthz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return true
	})
	_, port, _ := net.SplitHostPort(listen)
	return "http://localhost:" + port, log // cookies are of a host, not of a port
}

func TestThePortalStartsBeforeItsDatabase(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	c := newClient(t, d).signIn()
	g, through := newGate(t, d.info.DatabaseURL)
	portal, _ := d.secondPortal(t, "DATABASE_URL="+through)
	worker, said := d.process(t, "worker", "DATABASE_URL="+through)
	d.signal(t, "worker", syscall.SIGSTOP) // the one that is left must do it

	if status, parts := d.health(t, portal); status != http.StatusServiceUnavailable || parts["database"] != "down" {
		t.Errorf("/healthz says %d %v", status, parts)
	}
	mine := newClient(t, d)
	mine.base = portal
	mine.downPage("a sign-in", mine.post("/sign-in", url.Values{"email": {mine.email}}))
	order, session := c.order(pack5, "router")
	d.payAt(t, session, "card_ok")
	for round := range 2 {
		g.open()
		eventually(t, waitLong, "the second portal finds its database", func() bool {
			status, _ := d.health(t, portal)
			return status == http.StatusOK
		})
		d.issued(t, order)
		if round == 0 {
			g.shut()
			mine.downPage("a sign-in, the way cut", mine.post("/sign-in", url.Values{"email": {mine.email}}))
			order, session = c.order(pack5, "router-2")
			d.payAt(t, session, "card_ok")
		}
	}
	if err := worker.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the worker ended: %v\n%s", err, said)
	}
	d.signal(t, "worker", syscall.SIGCONT)
	if panicked.MatchString(said.String()) {
		t.Errorf("the worker says\n%s", said)
	}
}
