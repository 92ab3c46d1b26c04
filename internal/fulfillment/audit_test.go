package fulfillment_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	signerlog "github.com/metrum-ai/licensing-portal/internal/signer/log"
	"github.com/metrum-ai/licensing-portal/license"
)

// paging serves the log one entry a page, each as change leaves it.
type paging struct {
	*signer.Client
	change func(*signer.Entry)
}

func (p paging) Entries(ctx context.Context, from uint64) (signer.Entries, error) {
	page, err := p.Client.Entries(ctx, from)
	if err != nil || len(page.Entries) == 0 {
		return page, err
	}
	page.Entries, page.Next = page.Entries[:1], from+1
	if p.change != nil {
		p.change(&page.Entries[0])
	}
	return page, nil
}

// audit compares as of so much later, and answers what differs: the kind and whatever it is about.
func (w *world) audit(later time.Duration, change func(*signer.Entry)) ([]string, fulfillment.AuditReport) {
	w.t.Helper()
	verifier, err := signer.NewLogVerifier(w.logging.Origin, w.logging.Key.Public().(ed25519.PublicKey))
	w.must(err)
	auditor, err := fulfillment.NewAuditor(fulfillment.AuditorConfig{
		Store: w.store, Log: paging{w.signer, change}, Payments: w.stripe, LogKey: verifier, Now: func() time.Time { return time.Now().Add(later) },
	})
	w.must(err)
	var told []string
	report, err := auditor.Run(w.t.Context(), func(d fulfillment.Difference) error {
		if d.Detail == "" {
			w.t.Errorf("%+v has no detail", d)
		}
		told = append(told, strings.Join(strings.Fields(fmt.Sprint(d.Kind, " ", d.LicenseID, " ", d.OrderID, " ", d.Payment)), " "))
		return nil
	})
	w.must(err)
	slices.Sort(told)
	if report.OK() != (len(told) == 0) || !report.SignatureKnown {
		w.t.Errorf("%d differences, and the report is %+v", len(told), report)
	}
	return told, report
}

// payment is an order's payment at Stripe, and its charge.
func (w *world) payment(orderID string) (intent, charge string) {
	w.t.Helper()
	var answer struct {
		Objects []struct {
			Object struct {
				ID            string
				PaymentIntent string `json:"payment_intent"`
				Metadata      map[string]string
			}
		}
	}
	w.sim("/_sim/objects?kind=charge", nil, &answer)
	for _, o := range answer.Objects {
		if o.Object.Metadata["order_id"] == orderID {
			return o.Object.PaymentIntent, o.Object.ID
		}
	}
	w.t.Fatalf("no charge of %s", orderID)
	return "", ""
}

func TestAnAuditFindsNothingWhereAllIsWell(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	base := c.buy(c.request("credit-pack-5m"))
	topUp := c.request("credit-pack-25m")
	topUp.Kind, topUp.BaseLicenseID, topUp.DeploymentName, topUp.Environments = catalog.IssueTopUp, base.ID, "", nil
	c.buy(topUp)
	c.buy(c.request("eval-72h"))
	c.checkout(c.draft(c.request("credit-pack-5m"))) // nothing is owed for what nobody paid
	for _, later := range []time.Duration{0, time.Hour} {
		told, report := w.audit(later, nil)
		want := fulfillment.AuditCounts{LoggedLicenses: 3, StoredLicenses: 3, Orders: 4, Payments: 3}
		if len(told) != 0 || report.Counts != want || report.LogSize != 3 || report.TrustVersion != 1 {
			t.Errorf("%v later: %v, %+v", later, told, report)
		}
	}
	if told, report := w.audit(time.Hour, func(e *signer.Entry) { e.Envelope += "\n" }); !slices.Contains(told, "log-mismatch") || report.Found["bytes-differ"] != 3 {
		t.Errorf("the log told other bytes: %v", told)
	}
	if told, _ := w.audit(0, func(e *signer.Entry) { e.LoggedAt = e.LoggedAt.Add(time.Second) }); !slices.Equal(told, []string{"log-mismatch"}) {
		t.Errorf("the log told another time: %v", told)
	}
}

func TestAnAuditFindsEveryDifference(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	worker := w.work()
	c := w.customer()
	want := map[string]bool{}
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := w.pool.Exec(t.Context(), sql, args...)
		w.must(err)
	}
	buy := func() (l fulfillment.License, intent, charge string) {
		l = c.buy(c.request("credit-pack-5m"))
		intent, charge = w.payment(l.OrderID)
		return l, intent, charge
	}
	buy()
	altered, _, _ := buy()
	exec("ALTER TABLE issuances DISABLE TRIGGER issuances_keep")
	exec("UPDATE issuances SET envelope = envelope || ' '::bytea, sha256 = encode(sha256(envelope || ' '::bytea), 'hex') WHERE license_id = $1", altered.ID)
	want["bytes-differ "+altered.ID+" "+altered.OrderID] = true

	unpaid, _, _ := buy()
	exec("UPDATE orders SET paid_at = NULL WHERE id = $1", unpaid.OrderID)
	want["license-without-payment "+unpaid.ID+" "+unpaid.OrderID] = true
	failed, intent, charge := buy()
	w.sim("/_sim/objects/"+charge, map[string]any{"patch": map[string]any{"paid": false, "status": "failed"}}, nil)
	want["license-without-payment "+failed.ID+" "+intent] = true

	// From here on no event arrives.
	w.sim("/_sim/delivery", map[string]any{"drop": 1}, nil)
	w.idle()
	w.must(worker.Stop(t.Context()))
	intent, charge = w.payment(altered.OrderID)
	w.sim("/_sim/objects/"+charge+"/refund", map[string]any{}, nil)
	want["refunded-not-revoked "+altered.ID+" "+intent] = true
	_, charge = w.payment(unpaid.OrderID)
	w.sim("/_sim/objects/"+charge+"/refund", map[string]any{}, nil)
	store := w.signing.Log.(*signerlog.Log)
	_, err := store.Append(t.Context(), signerlog.Record{ // this one is revoked
		Kind: signerlog.KindRevocation, FulfillmentKey: signerlog.RevocationSetID(7), LicenseID: signerlog.RevocationSetID(7), IntentSHA256: "aa",
		Changes:  []signer.RevocationChange{{LicenseID: unpaid.ID, Status: license.StatusRevoked, Cause: charge, CausedAt: time.Now().UTC()}},
		Envelope: []byte("bundle"), IssuedAt: time.Now().UTC().Truncate(time.Second),
	}, nil)
	w.must(err)
	want["revocation-differs "+unpaid.ID] = true // by the log alone

	missed := c.draft(c.request("credit-pack-5m"))
	c.payBy(c.checkout(missed), "card_ok")
	intent, _ = w.payment(missed.ID)
	want["paid-without-license "+missed.ID+" "+intent] = true
	stuck := c.draft(c.request("credit-pack-5m"))
	c.payBy(c.checkout(stuck), "card_ok")
	exec("UPDATE orders SET state = 'paid', paid_at = now() WHERE id = $1", stuck.ID)
	want["paid-without-license "+stuck.ID] = true
	gone := fulfillment.CheckoutRequest{
		OrderID: "ord_gone", Attempt: 1, IdempotencyKey: "gone", Snapshot: stuck.Snapshot, CustomerEmail: buyer, SuccessURL: "http://localhost:8080/",
		CancelURL: "http://localhost:8080/", ExpiresAt: time.Now().Add(time.Hour),
	}
	gone.Snapshot.Intent.OrderID = "ord_gone"
	opened, err := w.stripe.CreateCheckout(t.Context(), gone)
	w.must(err)
	w.payBy(opened.ID, "card_ok")
	intent, _ = w.payment("ord_gone")
	want["payment-without-order ord_gone "+intent] = true

	forged := signer.Event{Body: []byte(strings.NewReplacer("ord_gone", "ord_forged", "pi_3", "pi_x3").Replace(string(w.eventOf(opened.ID))))}
	forged.SignatureHeader = signed(forged.Body)
	envelope, err := w.signer.Issue(t.Context(), signer.IssueRequest{Event: &forged})
	w.must(err)
	id := licenseID(t, w, envelope)
	want["log-without-license "+id+" pi_x"+strings.TrimPrefix(intent, "pi_")] = true
	want["license-without-payment "+id+" pi_x"+strings.TrimPrefix(intent, "pi_")] = true

	told, report := w.audit(time.Hour, nil)
	if wanted := slices.Sorted(maps.Keys(want)); !slices.Equal(told, wanted) {
		t.Errorf("told\n%s\ninstead of\n%s", strings.Join(told, "\n"), strings.Join(wanted, "\n"))
	}
	if report.Counts.Revoked != 1 || report.Found["license-without-payment"] != 3 || report.Counts.OtherPayments != 0 {
		t.Errorf("%+v", report)
	}
	// What is young may be under way.
	if told, _ := w.audit(0, nil); slices.ContainsFunc(told, func(s string) bool {
		return strings.HasPrefix(s, "paid-without") || strings.HasPrefix(s, "payment-without") || strings.HasPrefix(s, "log-without")
	}) {
		t.Errorf("told too early: %v", told)
	}
}

// eventOf is the event that says a session complete.
func (w *world) eventOf(session string) []byte {
	w.t.Helper()
	var answer struct{ Event map[string]any }
	for _, id := range w.events(session) {
		w.sim("/_sim/events/"+id, nil, &answer)
		if answer.Event["type"] == "checkout.session.completed" {
			answer.Event["api_version"] = fulfillment.APIVersion
			body, err := json.Marshal(answer.Event)
			w.must(err)
			return body
		}
	}
	w.t.Fatalf("no event of %s", session)
	return nil
}

func licenseID(t *testing.T, w *world, envelope []byte) string {
	t.Helper()
	ring, err := w.bundle.KeyRing()
	w.must(err)
	read, err := license.Read(envelope, ring, time.Now())
	w.must(err)
	return read.Payload().LicenseID
}

func TestAnAuditFindsLicensesThatTheLogForgot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.witness("copy").Look(t.Context()))
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	w.idle()
	w.loseSigner()
	w.restoreSigner("copy")
	if told, _ := w.audit(time.Hour, nil); !slices.Equal(told, []string{"license-without-log " + l.ID + " " + l.OrderID}) {
		t.Errorf("%v", told)
	}
	w.replay()
	if told, _ := w.audit(time.Hour, nil); len(told) != 0 {
		t.Errorf("after the replay: %v", told)
	}
}

func TestAnAuditThatCannotReadOrTellStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := errors.New("broken pipe")
	auditor, err := fulfillment.NewAuditor(fulfillment.AuditorConfig{Store: w.store, Log: w.signer, Payments: w.stripe, Now: func() time.Time { return time.Now().Add(time.Hour) }})
	w.must(err)
	if _, err := auditor.Run(t.Context(), func(fulfillment.Difference) error { return broken }); err != nil {
		t.Errorf("nothing to tell: %v", err)
	}
	w.work()
	c := w.customer()
	o := c.draft(c.request("credit-pack-5m"))
	c.payBy(c.checkout(o), "card_ok")
	c.becomes(o, fulfillment.StateIssued)
	_, err = w.pool.Exec(t.Context(), "UPDATE orders SET paid_at = NULL")
	w.must(err)
	if _, err := auditor.Run(t.Context(), func(fulfillment.Difference) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("went on: %v", err)
	}
	w.signerDown()
	if _, err := auditor.Run(t.Context(), func(fulfillment.Difference) error { return nil }); err == nil {
		t.Error("audited without a log")
	}
	if _, err := fulfillment.NewAuditor(fulfillment.AuditorConfig{}); err == nil {
		t.Error("an auditor of nothing")
	}
}
