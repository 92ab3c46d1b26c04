//go:build unix

package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
	"github.com/metrum-ai/licensing-portal/license/enforce"
)

// asRouter makes the test binary be the router, so that a test can kill a process of its own.
const asRouter = "EXAMPLE_ROUTER_TEST_IS_ROUTER"

// killRounds lets a long run kill more often: KILL_ROUNDS=100 go test -run Kill ./examples/router
const killRounds = "KILL_ROUNDS"

func TestMain(m *testing.M) {
	if os.Getenv(asRouter) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// process is a router in a process of its own.
type process struct {
	command *exec.Cmd
	url     string
	client  *http.Client
}

func spawn(t *testing.T, dir string) *process {
	t.Helper()
	path := func(name string) string { return filepath.Join(dir, name) }
	command := exec.Command(os.Args[0], "-license", path("license.json"), "-keys", path("keys.json"), "-listen", "127.0.0.1:0",
		"-fingerprint", "fp:a", "-admin-user", "operator", "-admin-password-file", path("password"), "-token-file", path("token"))
	command.Env = append(os.Environ(), asRouter+"=1")
	log, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{command: command, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: time.Minute}}
	t.Cleanup(func() { p.kill() })
	lines := bufio.NewScanner(log)
	listening := regexp.MustCompile(`msg=listening address=(\S+)`)
	for lines.Scan() {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			p.url = "http://" + found[1]
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return p
		}
	}
	t.Fatal("the router did not start")
	return nil
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
	p.client.CloseIdleConnections()
}

// used returns the counter of requests, or false when the router does not answer any more.
func (p *process) used() (int64, bool) {
	request, err := http.NewRequest(http.MethodGet, p.url+"/admin/license/status", nil)
	if err != nil {
		return 0, false
	}
	request.SetBasicAuth("operator", testPassword)
	response, err := p.client.Do(request)
	if err != nil {
		return 0, false
	}
	defer response.Body.Close()
	var status struct {
		Counters *enforce.Counters `json:"counters"`
	}
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil || status.Counters == nil {
		return 0, false
	}
	return status.Counters.RequestsUsed, true
}

// load asks on several connections until ctx is done, and counts what was asked and what was answered with 200.
func (p *process) load(ctx context.Context, asked, answered *atomic.Int64) {
	var callers sync.WaitGroup
	for range 8 {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for ctx.Err() == nil {
				request, err := http.NewRequest(http.MethodPost, p.url+"/v1/echo", strings.NewReader(`{"say":"hello"}`))
				if err != nil {
					return
				}
				request.Header.Set("Authorization", "Bearer "+testToken)
				asked.Add(1)
				response, err := p.client.Do(request)
				if err != nil {
					continue
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode == http.StatusOK {
					answered.Add(1)
				}
			}
		}()
	}
	callers.Wait()
}

// The router is killed under load again and again. Its counter never goes back, holds every request that was
// answered, and never counts more than a block beyond those that were asked.
func TestKillNineNeverLosesACountAndCostsABlockAtMost(t *testing.T) {
	rounds := 20
	if text := os.Getenv(killRounds); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	prepare(t, dir)
	var counted, total, overs int64 // the counter at the start of the round
	for round := range rounds {
		p := spawn(t, dir)
		started, ok := p.used()
		if !ok || started < counted {
			t.Fatalf("round %d: the counter starts at %d, %v, after %d", round, started, ok, counted)
		}
		var asked, answered atomic.Int64
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.load(ctx, &asked, &answered)
		}()
		seen := started
		for end := time.Now().Add(time.Duration(30+rand.IntN(150)) * time.Millisecond); time.Now().Before(end); {
			now, ok := p.used()
			if ok && now < seen {
				t.Errorf("round %d: the counter goes back from %d to %d", round, seen, now)
			}
			seen = max(seen, now)
		}
		p.kill()
		cancel()
		<-done

		p = spawn(t, dir)
		after, ok := p.used()
		p.kill() // without having served: nothing was taken
		if !ok {
			t.Fatalf("round %d: no counter", round)
		}
		least, most := max(started+answered.Load(), seen), started+asked.Load()+enforce.DefaultRequestBlock
		if after < least || after > most {
			t.Errorf("round %d: the counter is %d, want %d to %d", round, after, least, most)
		}
		counted, total, overs = after, total+answered.Load(), overs+after-started-answered.Load()
	}
	t.Logf("%d rounds, %d requests answered, %.0f counted beyond them a round", rounds, total, float64(overs)/float64(rounds))
	if total == 0 {
		t.Error("nothing was answered")
	}
}

// prepare writes a license of much volume and what else the router needs.
func prepare(t *testing.T, dir string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	ring, err := license.NewKeyRing(license.Key{ID: "k1", Public: public})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ring.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	r := &startedRouter{t: t, dir: dir, signer: private}
	r.write("keys.json", keys)
	r.write("password", []byte(testPassword+"\n"))
	r.write("token", []byte(testToken+"\n"))
	r.write("license.json", r.issue(func(p *license.Payload) { p.Limits = license.Limits{MaxTotalRequests: 1 << 40} }))
}
