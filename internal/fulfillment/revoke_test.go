package fulfillment_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/license"
)

// act lets something happen at Stripe to what a session paid for, or to another object; it answers what came of it.
func (w *world) act(object, action string, in map[string]any) (id string) {
	w.t.Helper()
	var made struct {
		Object struct {
			ID string `json:"id"`
		} `json:"object"`
	}
	if in == nil {
		in = map[string]any{}
	}
	w.sim("/_sim/objects/"+object+"/"+action, in, &made)
	return made.Object.ID
}

// later lets Stripe's clock pass: of two changes in one second, the signer takes the graver one.
func (w *world) later() { w.sim("/_sim/clock", map[string]any{"advance_seconds": 2}, nil) }

// again reads the license again.
func (c customer) again(l fulfillment.License) fulfillment.License {
	c.t.Helper()
	read, err := c.library.License(c.t.Context(), c.organization, l.ID)
	c.must(err)
	return read
}

// stands waits for the license to stand somewhere.
func (c customer) stands(l fulfillment.License, want fulfillment.Standing) fulfillment.License {
	c.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		l = c.again(l)
		if got := l.Standing(time.Now()); got == want {
			return l
		} else if time.Now().After(end) {
			c.t.Fatalf("the license is %s %+v, not %s", got, l.Withdrawn, want)
		}
	}
}

// outcomes lists what came of the events of a type, oldest first.
func (w *world) outcomes(eventType string) []string {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), "SELECT outcome FROM events WHERE type = $1 ORDER BY received_at, id", eventType)
	w.must(err)
	defer rows.Close()
	var list []string
	for rows.Next() {
		var outcome string
		w.must(rows.Scan(&outcome))
		list = append(list, outcome)
	}
	w.must(rows.Err())
	return list
}

// arrived waits for an event of a type and answers its ID.
func (w *world) arrived(eventType string) (id string) {
	w.t.Helper()
	w.eventually(eventType+" stored", func() bool { return w.count("SELECT count(*) FROM events WHERE type = $1", eventType) > 0 })
	w.must(w.pool.QueryRow(w.t.Context(), "SELECT id FROM events WHERE type = $1 ORDER BY received_at LIMIT 1", eventType).Scan(&id))
	return id
}

// deliverAgain has the first event of a type delivered again, and waits for that.
func (w *world) deliverAgain(eventType string) {
	w.t.Helper()
	id := w.arrived(eventType)
	deliveries := func() int { return w.count("SELECT deliveries FROM events WHERE id = $1", id) }
	before := deliveries()
	w.sim("/_sim/events/"+id+"/deliver", map[string]any{"copies": 2}, nil)
	w.eventually("delivered again", func() bool { return deliveries() == before+2 })
}

// toldOf lists the mails about a license's standing, in the order in which they were sent.
func (w *world) toldOf(licenseID string) string {
	var words []string
	for _, m := range w.standingMails() {
		if m.LicenseID == licenseID {
			words = append(words, m.Status)
		}
	}
	return strings.Join(words, " ")
}

// stored reads the stored bundle of the highest epoch as a router would.
func (w *world) stored() *license.RevocationBundle {
	w.t.Helper()
	newest, err := w.store.NewestRevocations(w.t.Context())
	w.must(err)
	data, err := w.store.RevocationBytes(w.t.Context(), newest.Epoch)
	w.must(err)
	ring, err := w.bundle.KeyRing()
	w.must(err)
	read, err := license.ReadRevocationBundle(data, ring, time.Now())
	w.must(err)
	if read.Epoch() != newest.Epoch || read.Len() != newest.Entries || !read.ExpiresAt().Equal(newest.ExpiresAt) {
		w.t.Fatalf("the bundle of epoch %d is stored as %+v", read.Epoch(), newest)
	}
	return read
}

func TestARefundRevokesTheLicenseAndTellsTheCustomerOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	w.work()
	c := w.customer()
	l, other := c.buy(c.request("credit-pack-5m")), c.buy(c.request("credit-pack-5m"))
	session := w.session(fulfillment.Order{ID: l.OrderID})
	changed := c.orders.Watch(t.Context(), l.OrderID)
	w.sim("/_sim/delivery", map[string]any{"duplicates": 3}, nil)
	w.act(session, "refund", nil)
	l = c.stands(l, fulfillment.StandingRevoked)
	select {
	case <-changed:
	case <-time.After(patience):
		t.Error("the order's page was not told")
	}
	w.idle()
	if e := l.Withdrawn; e.Reason != "refunded" || time.Since(e.EffectiveAt) > time.Minute || l.Extendable() || l.RunsOutSoon {
		t.Errorf("%+v", e)
	}
	if entry, found := w.stored().Lookup(l.ID); !found || entry != *l.Withdrawn {
		t.Errorf("the bundle says %+v", entry)
	}
	if got := w.outcomes("charge.refunded"); !slices.Equal(got, []string{"revoked 1"}) {
		t.Errorf("outcomes %q", got)
	}
	w.eventually("delivered three times, and the order's", func() bool {
		return w.count("SELECT count(*) FROM events WHERE type = 'charge.refunded' AND order_id = $1 AND deliveries = 3", l.OrderID) == 1
	})
	if n := w.count("SELECT count(*) FROM order_log WHERE order_id = $1 AND what = 'revoked' AND detail = $2 AND actor = 'signer'", l.OrderID, l.ID+": refunded"); n != 1 {
		t.Errorf("%d lines in the order's log", n)
	}
	mails := w.standingMails()
	if len(mails) != 1 || mails[0].To != buyer || mails[0].LicenseID != l.ID || mails[0].Reason != "refunded" || !mails[0].EffectiveAt.Equal(l.Withdrawn.EffectiveAt) {
		t.Errorf("mails %+v", mails)
	}
	w.deliverAgain("charge.refunded")
	w.idle()
	w.must(w.revoker.RevokeByEvent(t.Context(), "test", w.arrived("charge.refunded"))) // a job that died after it stored
	w.must(w.revoker.Refresh(t.Context()))
	if got := w.outcomes("charge.refunded"); !slices.Equal(got, []string{"revoked 1"}) || len(w.standingMails()) != 1 || c.order(fulfillment.Order{ID: l.OrderID}).State != fulfillment.StateIssued {
		t.Errorf("a second time: outcomes %q, mails %+v", got, w.standingMails())
	}
	if other = c.again(other); other.Withdrawn != nil || other.Standing(time.Now()) != fulfillment.StandingValid {
		t.Errorf("the other license is %+v", other.Withdrawn)
	}
}

func TestARevokedLicenseIsHandedOutToNobodyAndASuspendedOneIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	session := w.session(fulfillment.Order{ID: l.OrderID})
	_, token, err := c.library.CreateLink(t.Context(), c.organization, l.ID, c.user)
	w.must(err)
	take := func() (one, two fulfillment.License, err error) {
		one, err = c.library.Download(t.Context(), c.organization, l.ID, c.user)
		if err == nil {
			two, err = c.library.DownloadByLink(t.Context(), token)
		} else if _, byLink := c.library.DownloadByLink(t.Context(), token); byLink == nil {
			t.Error("refused to a member and handed out by link")
		}
		return one, two, err
	}
	dispute := w.act(session, "dispute", nil)
	c.stands(l, fulfillment.StandingSuspended)
	one, two, err := take()
	w.must(err)
	if !bytes.Equal(one.Envelope, l.Envelope) || !bytes.Equal(two.Envelope, l.Envelope) {
		t.Error("a suspended license is handed out as something else")
	}
	downloads := w.count("SELECT count(*) FROM downloads")
	w.later()
	w.act(dispute, "lose", nil)
	c.stands(l, fulfillment.StandingRevoked)
	_, _, err = take()
	refused, ok := errors.AsType[*fulfillment.RevokedError](err)
	if !ok || refused.License.Withdrawn.Reason != "dispute-lost" {
		t.Errorf("a revoked license: %v", err)
	}
	if n := w.count("SELECT count(*) FROM downloads"); n != downloads {
		t.Error("what was refused is counted as a download")
	}
	if _, err := c.library.DownloadByLink(t.Context(), token+"x"); !errors.Is(err, fulfillment.ErrNotFound) {
		t.Errorf("an unknown link: %v", err)
	}
}

func TestADisputeSuspendsAndAWonOneReinstates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	session := w.session(fulfillment.Order{ID: l.OrderID})
	dispute := w.act(session, "dispute", nil)
	if s := c.stands(l, fulfillment.StandingSuspended); s.Withdrawn.Reason != "payment-disputed" || s.Extendable() || s.Newest != true {
		t.Errorf("%+v", s.Withdrawn)
	}
	r := c.request("credit-pack-5m")
	r.Kind, r.BaseLicenseID, r.DeploymentName, r.Environments = catalog.IssueTopUp, l.ID, "", nil
	var wrong *fulfillment.ValidationError
	if _, err := c.orders.Draft(t.Context(), r); !errors.As(err, &wrong) || wrong.Fields[0].Message != "This license is suspended; nothing can be bought on it." {
		t.Errorf("a top-up on a suspended license: %v", err)
	}
	w.later()
	w.act(dispute, "win", nil)
	won := c.stands(l, fulfillment.StandingValid)
	w.idle()
	if won.Withdrawn != nil || !won.Extendable() || !bytes.Equal(won.Envelope, l.Envelope) {
		t.Errorf("%+v", won.Withdrawn)
	}
	if got := w.toldOf(l.ID); got != "suspended reinstated" {
		t.Errorf("told %q", got)
	}
	if _, err := c.orders.Draft(t.Context(), r); err != nil {
		t.Errorf("a top-up once it is reinstated: %v", err)
	}
	// The bank's last word: what was lost stays revoked, whatever is won or refunded later.
	w.later()
	lost := w.act(session, "dispute", nil)
	c.stands(l, fulfillment.StandingSuspended)
	w.later()
	w.act(lost, "lose", nil)
	c.stands(l, fulfillment.StandingRevoked)
	w.deliverAgain("charge.dispute.funds_reinstated")
	w.idle()
	if l = c.again(l); l.Withdrawn == nil || l.Withdrawn.Status != license.StatusRevoked {
		t.Errorf("a late word revived it: %+v", l.Withdrawn)
	}
	if got := w.toldOf(l.ID); got != "suspended reinstated suspended revoked" {
		t.Errorf("told %q", got)
	}
}

func TestAnInquiryChangesNothingAndIsFlagged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	inquiry := w.act(w.session(fulfillment.Order{ID: l.OrderID}), "inquiry", nil)
	c.eventually("flagged", func() bool {
		return w.count("SELECT count(*) FROM order_log WHERE order_id = $1 AND what = 'flagged' AND detail LIKE 'dispute-status: %' || $2 || '%warning_needs_response%'", l.OrderID, inquiry) == 1
	})
	if l = c.again(l); l.Withdrawn != nil || !slices.Equal(w.outcomes("charge.dispute.created"), []string{"kept: dispute-status"}) {
		t.Errorf("%+v, %q", l.Withdrawn, w.outcomes("charge.dispute.created"))
	}
}

// eventually waits for something to be.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not %s", what)
		}
	}
}

func TestARefundInPartIsAnOutcomeAndAFlagAndNoRetry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	session := w.session(fulfillment.Order{ID: l.OrderID})
	w.act(session, "refund", map[string]any{"amount": 100})
	w.eventually("kept", func() bool { return slices.Equal(w.outcomes("charge.refunded"), []string{"kept: refund-partial"}) })
	w.idle()
	if l = c.again(l); l.Withdrawn != nil || len(w.standingMails()) != 0 {
		t.Errorf("%+v, %d mails", l.Withdrawn, len(w.standingMails()))
	}
	if n := w.count("SELECT count(*) FROM order_log WHERE order_id = $1 AND what = 'flagged' AND detail LIKE 'refund-partial: 1.00 USD of % USD is refunded (ch_%); the license stays.'", l.OrderID); n != 1 {
		t.Errorf("%d flags", n)
	}
	if n := w.count("SELECT count(*) FROM river.river_job WHERE kind = 'revoke' AND state <> 'completed'"); n != 0 {
		t.Errorf("%d jobs are tried again", n)
	}
	w.act(session, "refund", nil) // the rest
	c.stands(l, fulfillment.StandingRevoked)
}

func TestARefundThatOvertakesTheLicenseIsNotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	o := c.draft(c.request("credit-pack-5m"))
	session := c.checkout(o)
	c.payBy(session, "card_ok")
	w.act(session, "refund", nil)
	w.must(w.revoker.RevokeByEvent(t.Context(), "test", w.arrived("charge.refunded")))
	if got := w.outcomes("charge.refunded"); !slices.Equal(got, []string{"nothing new to revoke"}) {
		t.Fatalf("before the license was issued: %q", got)
	}
	_, err := w.pool.Exec(t.Context(), "DELETE FROM river.river_job WHERE kind = 'revoke'") // it ran
	w.must(err)
	w.work()
	l := c.license(c.becomes(o, fulfillment.StateIssued))
	c.stands(l, fulfillment.StandingRevoked)
	w.idle()
	if got := w.outcomes("charge.refunded"); !slices.Equal(got, []string{"revoked 1"}) || w.toldOf(l.ID) != "revoked" {
		t.Errorf("outcome %q, told %q", got, w.toldOf(l.ID))
	}
}

func TestALicenseThatWasRevokedBeforeItWasStoredIsNotAnnouncedAsReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	o := c.draft(c.request("credit-pack-5m"))
	session := c.checkout(o)
	c.payBy(session, "card_ok")
	w.eventually("stored", func() bool { return w.count("SELECT count(*) FROM events WHERE object_id = $1", session) == 1 })
	w.must(w.fulfiller.EvaluateOrder(t.Context(), o.ID))
	event, err := w.store.Evidence(t.Context(), o.ID, []string{session})
	w.must(err)
	_, err = w.signer.Issue(t.Context(), signer.IssueRequest{Event: &signer.Event{Body: event.Body, SignatureHeader: event.SignatureHeader}})
	w.must(err) // and the portal dies before it stores the answer
	w.act(session, "refund", nil)
	w.must(w.revoker.RevokeByEvent(t.Context(), "test", w.arrived("charge.refunded")))
	if n := w.count("SELECT count(*) FROM mails"); n != 0 {
		t.Fatalf("%d mails about a license that nobody has", n)
	}
	w.work()
	l := c.license(c.becomes(o, fulfillment.StateIssued))
	w.idle()
	if got := l.Standing(time.Now()); got != fulfillment.StandingRevoked || w.toldOf(l.ID) != "revoked" || len(w.mailed()) != 0 {
		t.Errorf("%s, told %q, ready %d times", got, w.toldOf(l.ID), len(w.mailed()))
	}
}

func TestWhatIsTakenBackLeavesTheLineage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	onBase := func(kind catalog.IssuanceKind, sku string, base fulfillment.License) fulfillment.DraftRequest {
		r := c.request(sku)
		r.Kind, r.BaseLicenseID, r.DeploymentName, r.Environments = kind, base.ID, "", nil
		return r
	}
	refund := func(l fulfillment.License) {
		w.act(w.session(fulfillment.Order{ID: l.OrderID}), "refund", nil)
		c.stands(l, fulfillment.StandingRevoked)
	}
	base := c.buy(c.request("credit-pack-5m"))
	pack := c.buy(onBase(catalog.IssueTopUp, "credit-pack-5m", base))
	if base = c.again(base); base.SupersededBy != pack.ID || base.Newest {
		t.Fatalf("the base is superseded by %q", base.SupersededBy)
	}
	refund(pack)
	if base, pack = c.again(base), c.again(pack); base.SupersededBy != "" || !base.Extendable() || pack.Newest || pack.Extendable() {
		t.Errorf("base superseded by %q, newest %v; pack newest %v", base.SupersededBy, base.Newest, pack.Newest)
	}
	current, _, err := c.library.Licenses(t.Context(), c.organization, fulfillment.FilterCurrent, fulfillment.Page{})
	w.must(err)
	if len(current) != 1 || current[0].ID != base.ID {
		t.Errorf("%d licenses in force", len(current))
	}
	// A renewal that was taken back can be bought again, and one on a base that was taken back is left to staff.
	first := c.buy(onBase(catalog.IssueRenewal, "credit-pack-5m", base))
	refund(first)
	second := c.buy(onBase(catalog.IssueRenewal, "credit-pack-5m", base))
	another := c.buy(onBase(catalog.IssueTopUp, "credit-pack-25m", second))
	refund(base)
	if second, another = c.again(second), c.again(another); second.Withdrawn != nil || another.Withdrawn != nil || !another.Extendable() {
		t.Errorf("a renewal that was paid for by itself: %+v, its pack %+v", second.Withdrawn, another.Withdrawn)
	}
	if n := w.count("SELECT count(*) FROM order_log WHERE order_id = $1 AND what = 'flagged' AND detail LIKE 'built-on-revoked: %'", second.OrderID); n != 1 {
		t.Errorf("%d flags on the renewal's order", n)
	}
	// A pack that has its time from what is taken back goes with it.
	refund(second)
	c.stands(another, fulfillment.StandingRevoked)
	w.idle()
	if got := w.toldOf(another.ID); got != "revoked" {
		t.Errorf("told %q", got)
	}
	if last := c.again(another); !last.Newest || last.Extendable() {
		t.Error("where all is revoked, the last one is the newest, and nothing can be bought on it")
	}
	if _, err := c.orders.Draft(t.Context(), onBase(catalog.IssueTopUp, "credit-pack-5m", another)); err == nil {
		t.Error("a top-up on what is revoked was drafted")
	}
}

func TestASignerThatIsDownDelaysARevocationAndAJobThatWasLostIsTakenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	worker := w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	w.idle()
	w.must(worker.Stop(t.Context()))
	w.act(w.session(fulfillment.Order{ID: l.OrderID}), "refund", nil)
	refund := w.arrived("charge.refunded")
	w.signerDown()
	if err := w.revoker.RevokeByEvent(t.Context(), "test", refund); err == nil || w.outcomes("charge.refunded")[0] != "" {
		t.Errorf("without a signer: %v, %q", err, w.outcomes("charge.refunded"))
	}
	if err := w.revoker.Refresh(t.Context()); err == nil {
		t.Error("a refresh without a signer went well")
	}
	w.signerUp()
	_, err := w.pool.Exec(t.Context(), "DELETE FROM river.river_job WHERE kind = 'revoke'")
	w.must(err)
	w.must(w.revoker.Refresh(t.Context()))
	if got := w.outcomes("charge.refunded"); got[0] != "" {
		t.Errorf("a fresh event, whose job is under way, was taken up: %q", got)
	}
	left := w.revokerWith(w.signer, func() time.Time { return time.Now().Add(11 * time.Minute) })
	w.must(left.Refresh(t.Context()))
	if got := w.outcomes("charge.refunded"); got[0] != "revoked 1" || c.again(l).Withdrawn == nil {
		t.Errorf("left behind: %q", got)
	}
}

func TestARestoreRevokesAndTellsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	worker := w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	w.act(w.session(fulfillment.Order{ID: l.OrderID}), "refund", nil)
	c.stands(l, fulfillment.StandingRevoked)
	w.idle()
	w.must(worker.Stop(t.Context()))
	epoch, refund := w.stored().Epoch(), w.arrived("charge.refunded")

	w.openPortal() // on an empty database
	for range 2 {
		report, err := w.restorer.Run(t.Context())
		w.must(err)
		if report.Read != 1 {
			t.Fatalf("%+v", report)
		}
	}
	w.work()
	c = customer{w, c.organization, "", buyer}
	if l = c.again(l); l.Standing(time.Now()) != fulfillment.StandingRevoked || w.stored().Epoch() != epoch {
		t.Errorf("%+v, epoch %d of %d", l.Withdrawn, w.stored().Epoch(), epoch)
	}
	w.sim("/_sim/events/"+refund+"/deliver", map[string]any{"copies": 2}, nil)
	w.eventually("judged again", func() bool { return slices.Equal(w.outcomes("charge.refunded"), []string{"nothing new to revoke"}) })
	w.idle()
	w.must(w.revoker.Refresh(t.Context()))
	if got := fmt.Sprint(w.toldOf(l.ID), " ", len(w.mailed())); got != "revoked 1" {
		t.Errorf("mails before and after: %q", got)
	}
}
