package fulfillment_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	signerlog "github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/internal/witness"
)

// witness starts a witness of the signer's log; a second one of the same name goes on with the first one's copy.
func (w *world) witness(name string) *witness.Witness {
	w.t.Helper()
	verifier, err := signer.NewLogVerifier("test/log", w.logging.Key.Public().(ed25519.PublicKey))
	w.must(err)
	opened, err := witness.Open(witness.Config{
		Source: w.signer, Verifier: verifier, Dir: filepath.Join(w.dir, name), Poll: time.Second, Silence: time.Minute, Now: time.Now,
	})
	w.must(err)
	w.t.Cleanup(func() { _ = opened.Close() })
	return opened
}

// loseSigner deletes the signer's store and the note of its size, as a lost host does.
func (w *world) loseSigner() {
	w.t.Helper()
	w.signerDown()
	w.must(w.signing.Log.(*signerlog.Log).Close())
	w.must(errors.Join(os.Remove(w.logging.Path), os.Remove(w.logging.Path+".size")))
}

// restoreSigner rebuilds the store from a witness's copy and lets the signer answer again.
func (w *world) restoreSigner(from string) *signerlog.Log {
	w.t.Helper()
	verifier, err := signer.NewLogVerifier("test/log", w.logging.Key.Public().(ed25519.PublicKey))
	w.must(err)
	copied, err := witness.Read(filepath.Join(w.dir, from), verifier)
	w.must(err)
	w.must(signerlog.Restore(w.logging, verifier, copied.Signed, copied.Entries(), func(l *signerlog.Log) error {
		if err := l.RememberTrust(1, []byte("another bundle of this version")); !errors.Is(err, signerlog.ErrRollback) {
			return fmt.Errorf("the trust bundle was forgotten: %v", err)
		}
		return l.RememberTrust(w.bundle.Version, w.signing.BundleBytes)
	}))
	store := w.openLog()
	w.signerUp()
	return store
}

func (w *world) replay() fulfillment.ReplayReport {
	w.t.Helper()
	replayer, err := fulfillment.NewReplayer(fulfillment.ReplayerConfig{Store: w.store, Signer: w.signer, Log: w.log})
	w.must(err)
	report, err := replayer.Run(w.t.Context())
	w.must(err)
	return report
}

// logFiles are the license files in the signer's log, by license ID.
func (w *world) logFiles() map[string]string {
	w.t.Helper()
	page, err := w.signer.Entries(w.t.Context(), 0)
	w.must(err)
	files := map[string]string{}
	for _, e := range page.Entries {
		if e.Kind == "issuance" {
			files[e.LicenseID] = e.Envelope
		}
	}
	return files
}

// counted is what the signer's caps have counted since a day: paid, free, and free of the organization.
func counted(w *world, l *signerlog.Log, organization string, since time.Time) [3]uint64 {
	w.t.Helper()
	count := func(name string) uint64 {
		n, err := l.Count(name)
		w.must(err)
		return n
	}
	counts := [3]uint64{2: count("free-customer/" + organization)}
	for day := since.UTC().Truncate(24 * time.Hour); !day.After(time.Now()); day = day.AddDate(0, 0, 1) {
		counts[0] += count("paid/" + day.Format(time.DateOnly))
		counts[1] += count("free/" + day.Format(time.DateOnly))
	}
	return counts
}

func TestALostSignerIsRebuiltFromTheWitnessAndTheStoredEvidence(t *testing.T) {
	t.Parallel()
	began := time.Now()
	w := newWorld(t)
	w.work()
	c := w.customer()
	base := c.buy(c.request("credit-pack-5m"))
	topUp := c.request("credit-pack-25m")
	topUp.Kind, topUp.BaseLicenseID, topUp.DeploymentName, topUp.Environments = catalog.IssueTopUp, base.ID, "", nil
	c.buy(topUp)
	c.buy(c.request("credit-pack-5m"))
	watch := w.witness("copy")
	w.must(watch.Look(t.Context()))

	// After the witness's last look.
	late := c.buy(c.request("credit-pack-5m"))
	topUp.FormKey, topUp.BaseLicenseID = topUp.FormKey+"2", late.ID
	c.buy(topUp)
	c.buy(c.request("eval-72h"))
	w.idle()
	before, counts := w.logFiles(), counted(w, w.signing.Log.(*signerlog.Log), c.organization, began)
	if len(before) != 6 || watch.Size() != 3 || counts != [3]uint64{5, 1, 1} {
		t.Fatalf("%d licenses, %d copied, %v counted", len(before), watch.Size(), counts)
	}

	w.loseSigner()
	store := w.restoreSigner("copy")
	w.must(watch.Look(t.Context())) // an alarm is an error
	if got := w.replay(); got != (fulfillment.ReplayReport{Logged: 3, Missing: 3, Replayed: 3}) {
		t.Fatalf("%+v", got)
	}
	if got := w.replay(); got != (fulfillment.ReplayReport{Logged: 6}) {
		t.Errorf("a second time: %+v", got)
	}
	after := w.logFiles()
	if len(after) != len(before) {
		t.Errorf("%d licenses in the log, %d before", len(after), len(before))
	}
	for id, file := range before {
		if after[id] != file {
			t.Errorf("%s has other bytes", id)
		}
	}
	if got := counted(w, store, c.organization, began); got != counts {
		t.Errorf("counted %v, %v before", got, counts)
	}
	w.must(store.VerifyAll(t.Context()))
	w.must(watch.Look(t.Context()))
	w.must(watch.Close())
	watch = w.witness("copy") // a restarted one goes on too
	w.must(watch.Look(t.Context()))
	if watch.Size() != 6 {
		t.Errorf("the witness has %d entries", watch.Size())
	}

	// What was sold once is not issued again, and the portal goes on selling.
	for _, event := range w.events(w.session(fulfillment.Order{ID: late.OrderID})) {
		w.sim("/_sim/events/"+event+"/deliver", map[string]any{"copies": 2}, nil)
	}
	c.buy(c.request("credit-pack-5m"))
	w.idle()
	if n := w.count("SELECT count(*) FROM issuances"); n != 7 || store.Size() != 7 {
		t.Errorf("%d licenses stored, %d logged", n, store.Size())
	}
}

// A refund was judged after the witness's last look. Until it is replayed the signer knows nothing of it, and no bundle of its
// may lift what the portal has published.
func TestALostRevocationIsJudgedAgainAndNeverLifted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	early, l, other := c.buy(c.request("credit-pack-5m")), c.buy(c.request("credit-pack-5m")), c.buy(c.request("credit-pack-5m"))
	refund := func(l fulfillment.License) {
		_, charge := w.payment(l.OrderID)
		w.act(charge, "refund", nil)
		c.stands(l, fulfillment.StandingRevoked)
	}
	refund(early)
	w.must(w.witness("copy").Look(t.Context()))
	w.later()
	refund(l)
	w.idle()
	told, before := len(w.standingMails()), w.stored().Epoch()
	w.loseSigner()
	w.restoreSigner("copy")
	if found, _ := w.audit(time.Hour, nil); !slices.Contains(found, "revocation-differs "+l.ID) || len(found) != 2 { // and refunded-not-revoked
		t.Errorf("the audit finds %v", found)
	}
	time.Sleep(1100 * time.Millisecond) // an epoch is a second
	_, charge := w.payment(other.OrderID)
	w.act(charge, "refund", nil)
	w.eventually("the refund arrived", func() bool { return w.count("SELECT count(*) FROM events WHERE type = 'charge.refunded'") == 3 })
	var event string
	w.must(w.pool.QueryRow(t.Context(), "SELECT id FROM events WHERE type = 'charge.refunded' ORDER BY received_at DESC LIMIT 1").Scan(&event))
	if err := w.revoker.RevokeByEvent(t.Context(), "test", event); !errors.Is(err, fulfillment.ErrRevocationLost) {
		t.Errorf("a bundle without the revocation: %v", err)
	}
	if w.stored().Epoch() != before {
		t.Error("a bundle that lifts a revocation was stored")
	}
	if got := w.replay(); got != (fulfillment.ReplayReport{Logged: 3, Judged: 1}) {
		t.Errorf("%+v", got)
	}
	if got := w.replay(); got != (fulfillment.ReplayReport{Logged: 3}) {
		t.Errorf("a second time: %+v", got)
	}
	w.must(w.revoker.Refresh(t.Context()))
	for _, l := range []fulfillment.License{early, l, other} {
		c.stands(l, fulfillment.StandingRevoked)
	}
	w.idle()
	if w.stored().Len() != 3 || len(w.standingMails()) != told+1 {
		t.Errorf("%d revoked, %d mails after %d", w.stored().Len(), len(w.standingMails()), told)
	}
	if found, _ := w.audit(time.Hour, nil); len(found) != 0 {
		t.Errorf("the audit finds %v", found)
	}
}

// Stripe told one payment twice, and the license was logged for the event that was created later.
func TestAReplaySendsTheApprovalOfAReplacement(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("pilot-30d"))
	watch := w.witness("copy")
	w.must(watch.Look(t.Context()))
	request := w.done(w.stood(w.proposed(correction(l, "Lumen KG")), ben))
	w.idle()
	before := w.logFiles()
	w.loseSigner()
	w.restoreSigner("copy")
	if got := w.replay(); got.Missing != 1 || got.Replayed != 1 || got.Refused+got.Differ != 0 {
		t.Fatalf("%+v", got)
	}
	if after := w.logFiles(); len(after) != 2 || after[request.LicenseID] != before[request.LicenseID] {
		t.Errorf("%d licenses in the log, or other bytes", len(after))
	}
}

func TestAReplayTellsApprovalsThatAreTooOldFromWhatTheSignerRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("pilot-30d"))
	w.must(w.witness("copy").Look(t.Context()))
	request := w.done(w.stood(w.proposed(correction(l, "Lumen KG")), ben))
	w.idle()
	w.loseSigner()
	w.restoreSigner("copy")
	w.slept.Add(int64(24*time.Hour + time.Minute))
	report := w.replay()
	if report != (fulfillment.ReplayReport{Logged: 1, Missing: 1, Lapsed: 1}) || report.OK() {
		t.Errorf("%+v", report)
	}
	if _, ok := w.logFiles()[request.LicenseID]; ok {
		t.Error("an approval of yesterday was taken")
	}
}

func TestAReplaySendsTheEventThatTheLicenseWasLoggedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.witness("copy").Look(t.Context()))
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	var event map[string]any
	var body []byte
	w.must(w.pool.QueryRow(t.Context(), "SELECT body FROM events").Scan(&body))
	w.must(json.Unmarshal(body, &event))
	event["id"], event["created"] = "evt_earlier", int64(event["created"].(float64))-30
	earlier, err := json.Marshal(event)
	w.must(err)
	w.must(w.inbox.Receive(t.Context(), earlier, signed(earlier)))
	w.idle()
	w.loseSigner()
	w.restoreSigner("copy")
	if got := w.replay(); got != (fulfillment.ReplayReport{Missing: 1, Replayed: 1}) {
		t.Errorf("%+v", got)
	}
	if w.logFiles()[l.ID] != string(l.Envelope) {
		t.Error("logged with other bytes")
	}
}

// A witness that had seen further than the copy that was restored from sees another history: the times of logging differ.
func TestAWitnessThatSawFurtherThanTheRestoredCopyAlarms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	behind, ahead := w.witness("behind"), w.witness("ahead")
	c.buy(c.request("credit-pack-5m"))
	w.must(behind.Look(t.Context()))
	c.buy(c.request("credit-pack-5m"))
	w.must(ahead.Look(t.Context()))
	w.loseSigner()
	w.restoreSigner("behind")
	var alarm *witness.Alarm
	if err := ahead.Look(t.Context()); !errors.As(err, &alarm) || alarm.Kind != witness.Shrunk {
		t.Errorf("before the replay: %v", err)
	}
	time.Sleep(1100 * time.Millisecond) // times of logging are whole seconds
	w.replay()
	if err := ahead.Look(t.Context()); !errors.As(err, &alarm) || alarm.Kind != witness.Fork {
		t.Errorf("after the replay: %v", err)
	}
	w.must(behind.Look(t.Context()))

	w.loseSigner()
	w.restoreSigner("ahead") // the longest copy is the one to take
	if got := w.replay(); got != (fulfillment.ReplayReport{Logged: 2}) {
		t.Errorf("%+v", got)
	}
}

// fakeLog is a signer with a log of one license that answers as told, and a mirror over nothing.
type fakeLog struct {
	answers map[string]func() ([]byte, error) // by the event's body
	lacks   []fulfillment.Unlogged
	asked   []string
	closed  bool
	events  []fulfillment.ReceivedEvent // of refunds and disputes that it lacks
	judging map[string]error            // by the event's ID
}

func (f *fakeLog) Revoke(_ context.Context, r signer.RevokeRequest) (signer.Revoked, error) {
	return signer.Revoked{}, f.judging[string(r.Event.Body)]
}

func (f *fakeLog) AddJudged(_ context.Context, ids []string) error {
	if len(ids) != 1 || ids[0] != "evt_logged" {
		return fmt.Errorf("judged %v", ids)
	}
	return nil
}

func (f *fakeLog) Unjudged(_ context.Context, from, limit int) ([]fulfillment.ReceivedEvent, error) {
	return f.events[min(from, len(f.events)):min(from+limit, len(f.events))], nil
}

func (f *fakeLog) Entries(context.Context, uint64) (signer.Entries, error) {
	return signer.Entries{Entries: []signer.Entry{
		{Kind: "issuance", Event: &signer.Event{Body: []byte(`{"id":"evt_sold"}`)}}, {Kind: "revocation", Event: &signer.Event{Body: []byte(`{"id":"evt_logged"}`)}},
	}, Next: 2, Size: 2}, nil
}

func (f *fakeLog) Issue(_ context.Context, r signer.IssueRequest) ([]byte, error) {
	f.asked = append(f.asked, string(r.Event.Body)+r.BaseEnvelope)
	return f.answers[string(r.Event.Body)]()
}

func (f *fakeLog) Request(context.Context, string) (fulfillment.StaffRequest, error) {
	return fulfillment.StaffRequest{}, fulfillment.ErrNotFound
}

func (f *fakeLog) OpenMirror(context.Context) (fulfillment.Mirror, error) { return f, nil }
func (f *fakeLog) Close(context.Context) error                            { f.closed = true; return nil }

func (f *fakeLog) AddLogged(_ context.Context, page []fulfillment.Logged) error {
	if len(page) != 1 {
		return fmt.Errorf("%d entries", len(page))
	}
	return nil
}

func (f *fakeLog) Unlogged(_ context.Context, from, limit int) ([]fulfillment.Unlogged, error) {
	return f.lacks[min(from, len(f.lacks)):min(from+limit, len(f.lacks))], nil
}

func TestAReplayTellsWhatTheSignerRefusesOrMakesOtherwise(t *testing.T) {
	t.Parallel()
	answer := func(envelope string, err error) func() ([]byte, error) {
		return func() ([]byte, error) { return []byte(envelope), err }
	}
	f := &fakeLog{answers: map[string]func() ([]byte, error){
		"same": answer("file", nil), "other": answer("another file", nil),
		"refused": answer("", &signer.Error{Code: signer.CodeNoSigningKey}), "down": answer("", &signer.Error{Code: signer.CodeUnavailable}),
	}}
	lacks := func(body string) fulfillment.Unlogged {
		u := fulfillment.Unlogged{LicenseID: "lic_" + body, Envelope: []byte("file"), Base: []byte("+base")}
		if body != "none" {
			u.Event = fulfillment.ReceivedEvent{ID: "evt_" + body, Body: []byte(body)}
		}
		return u
	}
	for range 9 { // several pages
		for _, body := range []string{"same", "other", "refused", "none"} {
			f.lacks = append(f.lacks, lacks(body))
		}
	}
	var log bytes.Buffer
	replayer, err := fulfillment.NewReplayer(fulfillment.ReplayerConfig{Store: f, Signer: f, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	report, err := replayer.Run(t.Context())
	if want := (fulfillment.ReplayReport{Logged: 1, Missing: 36, Replayed: 9, Refused: 18, Differ: 9}); err != nil || report != want || report.OK() {
		t.Errorf("%+v, %v", report, err)
	}
	if len(f.asked) != 27 || f.asked[0] != "same+base" || !f.closed {
		t.Errorf("asked %q, closed %t", f.asked, f.closed)
	}
	told := map[string]int{}
	for line := range strings.Lines(log.String()) {
		var entry struct{ Level, License string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		told[entry.Level+" "+entry.License]++
	}
	if len(told) != 3 || told["ERROR lic_other"] != 9 || told["ERROR lic_refused"] != 9 || told["ERROR lic_none"] != 9 {
		t.Errorf("told %v", told)
	}
	f.lacks, f.judging = nil, map[string]error{"partly": &signer.Error{Code: signer.CodeAmount}, "later": &signer.Error{Code: signer.CodeLog}}
	for range 11 {
		f.events = append(f.events, fulfillment.ReceivedEvent{Body: []byte("whole")}, fulfillment.ReceivedEvent{Body: []byte("partly")})
	}
	report, err = replayer.Run(t.Context())
	if want := (fulfillment.ReplayReport{Logged: 1, Judged: 11, Unjudged: 11}); err != nil || report != want || report.OK() {
		t.Errorf("refunds: %+v, %v", report, err)
	}
	f.events = []fulfillment.ReceivedEvent{{Body: []byte("whole")}, {Body: []byte("later")}, {Body: []byte("whole")}}
	if report, err := replayer.Run(t.Context()); err == nil || report.Judged != 1 {
		t.Errorf("a log that fails: %+v, %v", report, err)
	}
	f.lacks = []fulfillment.Unlogged{lacks("same"), lacks("down"), lacks("same")}
	if report, err := replayer.Run(t.Context()); err == nil || report.Missing != 2 || report.Replayed != 1 {
		t.Errorf("a signer that does not answer: %+v, %v", report, err)
	}
}
