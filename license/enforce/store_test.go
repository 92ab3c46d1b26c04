package enforce

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/license"
)

// A process that was killed while it wrote leaves a temporary file, which is in nobody's way.
func TestHalfWrittenFileIsNoFault(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 0))
	r.use(15)
	newest, other := r.copies()
	r.writeState(newest+".tmp", []byte(`{"version":1,"gener`))
	r.writeState(other+".tmp", []byte("x"))
	r.restart(false)
	r.use(40)
	r.restart(true)
	if got := r.Counters().RequestsUsed; got < 55 || got > 65 || r.Receipt().State.Repairs != 0 {
		t.Errorf("%d requests counted, %d repairs", got, r.Receipt().State.Repairs)
	}
	if left, err := filepath.Glob(r.settings.State.Path + "*.tmp"); err != nil || len(left) > 0 {
		t.Errorf("%v %v", left, err)
	}
}

func TestTwoProcessesDoNotShareAState(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 0))
	r.use(5)
	second := *r
	second.start()
	second.want(license.CodeStateError, "another process uses it")
	r.use(5)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r.Recheck()
	r.wantRefused(0, license.CodeStateError) // a closed manager serves no volume, and keeps its hands off the state
	if !second.ledger.needsCare() {
		t.Error("nobody would try again")
	}
	second.Recheck()
	second.want(license.CodeValid, "")
	second.wantUsed(10, 10)
	second.use(5)
	second.wantUsed(15, 15)
}

func TestStateIsPrivateWholeAndBounded(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 0))
	r.use(15)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(r.settings.State.Path + "*")
	if err != nil || len(files) != 3 { // two copies and the lock
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", filepath.Base(file), info.Mode(), err)
		}
	}
	newest, _ := r.copies()
	body, mac, _ := strings.Cut(string(r.readState(newest)), "\n")
	if !json.Valid([]byte(body)) || len(mac) != 2*32+1 {
		t.Errorf("%s\n%s", body, mac)
	}
	if _, err := hex.DecodeString(strings.TrimSpace(mac)); err != nil {
		t.Error(err)
	}
	for _, secret := range []string{"cust_1", "Secret Name", "fp:a"} {
		if strings.Contains(body, secret) {
			t.Errorf("the state holds %q: %s", secret, body)
		}
	}
	r.writeState(newest, make([]byte, maxStateFile+1))
	if _, err := newStore(r.config).read(r.ledger.store.generation % 2); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("%v", err)
	}
}

func TestBooksAreKeptForAWhileAfterExpiry(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 100, 0))
	r.install(r.issue("lic_2", func(p *license.Payload) { p.ExpiresAt = start.Add(1000 * day) }))
	kept := func() bool {
		r.ledger.mu.Lock()
		defer r.ledger.mu.Unlock()
		return r.ledger.content().Licenses["lic_1"] != nil
	}
	r.at(30*day + keepBooksFor*time.Second)
	r.Recheck()
	if !kept() {
		t.Error("gone too soon")
	}
	r.at(30*day + keepBooksFor*time.Second + time.Second)
	r.Recheck()
	if kept() {
		t.Error("kept for ever")
	}
}

func TestPathsStayOutOfReasons(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		&os.PathError{Op: "open", Path: "/secret", Err: errors.New("no")},
		&os.LinkError{Op: "rename", Old: "/secret", New: "/secret", Err: errors.New("no")},
		errors.New("no"),
	} {
		if got := withoutPath(err).Error(); got != "no" {
			t.Errorf("%v is shown as %s", err, got)
		}
	}
}
