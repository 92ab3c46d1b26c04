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

// A state that is sealed as it should be and is of another version is not taken for a damaged or an empty one.
func TestStateOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	s := fuzzStore()
	for _, body := range []string{`{"version":2}`, `{}`, `{"version":1,"more":1}`, `{"version":1,"licenses":{"a":{"more":1}}}`, `[]`, ``} {
		if _, err := s.parse(sealed(body)); err == nil || !strings.Contains(err.Error(), "of another version") {
			t.Errorf("%s: %v", body, err)
		}
	}
	c, err := s.parse(sealed(`{"version":1,"generation":3,"licenses":{"a":null,"b":{"requests":7}}}`))
	if err != nil || c.Generation != 3 || len(c.Licenses) != 1 || c.Licenses["b"].Requests != 7 {
		t.Errorf("%+v %v", c, err)
	}
	// Without any license a state is whole, and counts from there.
	r := newRouter(t, withState)
	store := r.ledger.store
	for generation := int64(6); generation < 8; generation++ {
		file, err := store.format(&content{Version: 1, Generation: generation, CreatedAt: start.Add(-day)})
		if err != nil {
			t.Fatal(err)
		}
		r.writeState(store.slot(generation), file)
	}
	r.restart(false)
	r.install(r.metered("lic_1", 1_000, 0))
	r.use(3)
	r.want(license.CodeValid, "")
	if got := r.Receipt().State; !got.CreatedAt.Equal(start.Add(-day)) || got.Repairs != 0 {
		t.Errorf("%+v", got)
	}
}

// What no state file can hold is an error of the write, and the file before stays.
func TestStateThatNoFileCanHoldIsNotWritten(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	store := r.ledger.store
	generation, newest := store.generation, ""
	newest, _ = r.copies()
	before := r.readState(newest)
	large := &content{Licenses: map[string]*book{strings.Repeat("x", maxStateFile): {}}}
	for name, c := range map[string]struct {
		content *content
		words   string
	}{
		"too large": {large, "larger than 4194304 bytes"},
		"year":      {&content{CreatedAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}, "year"},
	} {
		if err := store.write(func() *content { return c.content }); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", name, err, c.words)
		}
	}
	if store.generation != generation || string(r.readState(newest)) != string(before) {
		t.Error("something was written")
	}
}

// A copy that cannot be replaced, and a folder that is not there, are told and leave nothing behind.
func TestStateWithoutAPlaceIsToldAndTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRouter(t, withState)
	r.install(r.metered("lic_1", 1_000, 0))
	_, other := r.copies() // the next to be written
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(other, 0o700); err != nil { // no file is renamed over a folder
		t.Fatal(err)
	}
	r.wantRefused(0, license.CodeStateError)
	if left, err := filepath.Glob(r.settings.State.Path + "*.tmp"); err != nil || len(left) > 0 {
		t.Errorf("%v %v", left, err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	r.use(10)

	folder := filepath.Join(t.TempDir(), "not yet")
	late := newRouter(t, func(c *Config) { withState(c); c.State.Path = filepath.Join(folder, "state") })
	late.install(late.metered("lic_1", 1_000, 0))
	late.want(license.CodeStateError, "cannot be written")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	late.Recheck()
	late.want(license.CodeValid, "")
	late.use(5)
	late.restart(true)
	late.wantUsed(5, 5)
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
