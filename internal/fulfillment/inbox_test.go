package fulfillment_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/signer/evidence"
	"github.com/metrum-ai/licensing-portal/internal/signer/server"
)

// event is a webhook about a session of nobody, changed as told, with its signature header.
func event(change func(map[string]any)) (body []byte, header string) {
	e := map[string]any{
		"id": "evt_1", "object": "event", "api_version": fulfillment.APIVersion, "created": time.Now().Unix(), "livemode": false,
		"type": "checkout.session.completed", "pending_webhooks": 1, "data": map[string]any{"object": map[string]any{
			"id": "cs_nobody", "object": "checkout.session", "mode": "payment", "status": "complete", "payment_status": "paid",
			"currency": "usd", "amount_subtotal": 1, "amount_total": 1, "livemode": false, "created": time.Now().Unix(), "metadata": map[string]any{},
		}},
	}
	change(e)
	body, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return body, signedBy(body, time.Now(), webhookSecret)
}

// signedBy is the header of a body that was signed at a time with each of these secrets.
func signedBy(body []byte, at time.Time, secrets ...string) string {
	header := fmt.Sprintf("t=%d", at.Unix())
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
		header += ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	return header
}

func TestTheInboxTakesWhatStripeSignedAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, header := event(func(map[string]any) {})
	for name, c := range map[string]struct {
		body   []byte
		header string
		want   error
	}{
		"no signature":       {good, "", fulfillment.ErrSignatureInvalid},
		"a wrong signature":  {good, header[:len(header)-2] + "zz", fulfillment.ErrSignatureInvalid},
		"another body":       {append(bytes.Clone(good), ' '), header, fulfillment.ErrSignatureInvalid},
		"too large":          {make([]byte, fulfillment.MaxEventBytes+1), header, fulfillment.ErrTooLarge},
		"an empty body":      {nil, header, fulfillment.ErrSignatureInvalid},
		"an old signature":   {good, "t=1" + header[bytes.IndexByte([]byte(header), ','):], fulfillment.ErrSignatureInvalid},
		"the good one":       {good, header, nil},
		"the good one again": {good, header, nil},
	} {
		if err := w.inbox.Receive(t.Context(), c.body, c.header); !errors.Is(err, c.want) || (c.want == nil && err != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.count("SELECT deliveries FROM events"); n != 2 {
		t.Errorf("%d deliveries", n)
	}
	if n := w.count("SELECT count(*) FROM river.river_job WHERE kind = 'evaluate'"); n != 1 {
		t.Errorf("%d jobs", n)
	}
	var body []byte
	w.must(w.pool.QueryRow(t.Context(), "SELECT body FROM events").Scan(&body))
	if !bytes.Equal(body, good) {
		t.Error("the body was not kept as it arrived")
	}
}

// While a secret is rolled, Stripe signs with both.
func TestTheTimeAndTheSecretOfASignatureDecideWhetherAnEventIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const old, next, stranger = "whsec_old_0123456789abcdef", webhookSecret, "whsec_stranger_0123456789"
	now := time.Now()
	verifier, err := evidence.NewVerifier([]evidence.Secret{{Value: next}, {Value: old, RetiredAt: now.Add(-time.Hour)}})
	w.must(err)
	w.signerDown()
	w.signing.Verifier = verifier
	w.issuer, err = server.New(w.signing)
	w.must(err)
	w.signerUp()
	taken := 0
	for name, c := range map[string]struct {
		at      time.Duration // from now
		secrets []string
		want    error
	}{
		"the secret in use":                     {0, []string{next}, nil},
		"both while it is rolled":               {0, []string{old, next}, nil},
		"the last of several":                   {0, []string{stranger, stranger, next}, nil},
		"the old one before it was retired":     {-2 * time.Hour, []string{old}, nil},
		"the old one since":                     {-time.Minute, []string{old}, fulfillment.ErrSignatureInvalid},
		"strangers alone":                       {0, []string{stranger, stranger}, fulfillment.ErrSignatureInvalid},
		"a blank one":                           {0, []string{""}, fulfillment.ErrSignatureInvalid},
		"four minutes ahead":                    {4 * time.Minute, []string{next}, nil},
		"six minutes ahead":                     {6 * time.Minute, []string{next}, fulfillment.ErrSignatureInvalid},
		"six days ago":                          {-6 * 24 * time.Hour, []string{next}, nil},
		"eight days ago":                        {-8 * 24 * time.Hour, []string{next}, fulfillment.ErrSignatureInvalid},
		"the old one, eight days ago":           {-8 * 24 * time.Hour, []string{old}, fulfillment.ErrSignatureInvalid},
		"nobody":                                {0, nil, fulfillment.ErrSignatureInvalid},
		"far beyond what a time can be":         {290 * 365 * 24 * time.Hour, []string{next}, fulfillment.ErrSignatureInvalid},
		"a retired one beside the one in use":   {0, []string{next, old}, nil},
		"more signatures than anybody would do": {0, slices.Repeat([]string{stranger}, 40), fulfillment.ErrSignatureInvalid},
	} {
		body, _ := event(func(e map[string]any) { e["id"] = "evt_" + sha256Hex([]byte(name))[:8] })
		if err := w.inbox.Receive(t.Context(), body, signedBy(body, now.Add(c.at), c.secrets...)); !errors.Is(err, c.want) || (c.want == nil && err != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if c.want == nil {
			taken++
		}
	}
	if n := w.count("SELECT count(*) FROM events"); n != taken {
		t.Errorf("%d events are stored, not %d", n, taken)
	}
}

func TestEventsThatCannotBeReadRightAreKeptAndParked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for outcome, change := range map[string]func(map[string]any){
		"parked: api version": func(e map[string]any) { e["api_version"] = "2024-06-20" },
		"parked: account":     func(e map[string]any) { e["account"] = "acct_other" },
		"parked: mode":        func(e map[string]any) { e["livemode"] = true },
	} {
		body, header := event(func(e map[string]any) { e["id"] = "evt_" + outcome[8:11]; change(e) })
		w.must(w.inbox.Receive(t.Context(), body, header))
		if n := w.count("SELECT count(*) FROM events WHERE outcome = $1", outcome); n != 1 {
			t.Errorf("%s: %d", outcome, n)
		}
	}
	body, header := event(func(e map[string]any) { e["id"], e["type"] = "evt_other", "customer.created" })
	w.must(w.inbox.Receive(t.Context(), body, header))
	if n := w.count("SELECT count(*) FROM events"); n != 3 {
		t.Errorf("%d events are stored", n)
	}
	if n := w.count("SELECT count(*) FROM river.river_job"); n != 0 {
		t.Errorf("%d jobs", n)
	}
}

func TestAnEventWaitsAnHourForItsSessionAndIsParkedThen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body, header := event(func(map[string]any) {})
	w.must(w.inbox.Receive(t.Context(), body, header))
	err := w.fulfiller.EvaluateEvent(t.Context(), "test", "evt_1")
	if later, ok := errors.AsType[*fulfillment.LaterError](err); !ok || later.After <= 0 {
		t.Fatalf("a session not stored yet: %v", err)
	}
	old, header := event(func(e map[string]any) { e["id"] = "evt_old" })
	_, err = w.store.AddEvent(t.Context(), fulfillment.ReceivedEvent{
		Mode: "test", ID: "evt_old", Type: "checkout.session.completed", APIVersion: fulfillment.APIVersion, ObjectID: "cs_nobody",
		Created: time.Now(), ReceivedAt: time.Now().Add(-time.Hour), Body: old, SignatureHeader: header,
	})
	w.must(err)
	w.must(w.fulfiller.EvaluateEvent(t.Context(), "test", "evt_old"))
	if n := w.count("SELECT count(*) FROM events WHERE id = 'evt_old' AND outcome = 'parked: unknown object'"); n != 1 {
		t.Error("it was not parked")
	}
}

// invoiceLooks counts how often invoices are fetched.
type invoiceLooks struct {
	fulfillment.Invoices
	looks int
}

func (c *invoiceLooks) FetchInvoice(ctx context.Context, id string) (fulfillment.Invoice, error) {
	c.looks++
	return c.Invoices.FetchInvoice(ctx, id)
}

func TestAnInvoiceOfNobodyIsLookedAtSoonAndThenSeldom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	account := &invoiceLooks{Invoices: w.stripe}
	fulfiller, err := fulfillment.NewFulfiller(fulfillment.FulfillerConfig{
		Evaluations: w.store, Issuances: w.store, Mails: w.store, Reconciles: w.store, Stripe: w.stripe, Invoices: account, Signer: w.signer,
		Catalog: fulfillment.NewCatalog(w.signer, w.now), Mailer: w, Now: w.now, Log: w.log,
	})
	w.must(err)
	buyer := w.api(http.MethodPost, "/v1/customers", "name=Somebody")
	stranger := w.api(http.MethodPost, "/v1/invoices", "currency=usd&customer="+buyer) // made by another system of the account
	body, header := w.about("invoice.paid", "evt_strange", w.stripeObject(stranger))
	w.must(w.inbox.Receive(t.Context(), body, header))
	var waited time.Duration
	var firstMinute int
	for {
		err := fulfiller.EvaluateEvent(t.Context(), "test", "evt_strange")
		if waited <= time.Minute {
			firstMinute = account.looks
		}
		later, ok := errors.AsType[*fulfillment.LaterError](err)
		if !ok {
			w.must(err)
			break
		}
		if later.After <= 0 || later.After > 5*time.Minute {
			t.Fatalf("after %v it waits %v", waited, later.After)
		}
		waited += later.After
		w.slept.Add(int64(later.After))
	}
	if firstMinute < 4 {
		t.Errorf("%d looks in the first minute", firstMinute)
	}
	if account.looks > 20 {
		t.Errorf("%d looks at Stripe", account.looks)
	}
	if waited > time.Hour || waited < time.Hour-time.Minute {
		t.Errorf("it gave up after %v", waited)
	}
	if n := w.count("SELECT count(*) FROM events WHERE id = 'evt_strange' AND outcome = 'parked: unknown object'"); n != 1 {
		t.Error("it was not parked")
	}
}

func TestTheDatabaseKeepsEvidenceAndLicensesAsTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.work()
	c := w.customer()
	l := c.buy(c.request("credit-pack-5m"))
	other := c.draft(c.request("credit-pack-5m"))
	c.checkout(other)
	for _, sql := range []string{
		"UPDATE issuances SET envelope = 'x'", "DELETE FROM issuances", "UPDATE events SET body = 'x'", "DELETE FROM events",
		"UPDATE events SET created = now()", "UPDATE order_log SET detail = 'x'", "DELETE FROM order_log",
		"UPDATE orders SET state = 'issued' WHERE id = '" + other.ID + "'",
		"UPDATE orders SET state = 'in_review' WHERE id = '" + other.ID + "'",
		"UPDATE orders SET license_id = NULL WHERE id = '" + l.OrderID + "'",
		"INSERT INTO issuances SELECT 'lic_2', order_id, 'key', organization_id, deployment_id, kind, sku, template_ref, template_name, base_license_id, envelope, sha256, key_id, issued_at, not_before, expires_at, stored_at FROM issuances",
		"INSERT INTO issuances SELECT 'lic_2', '" + other.ID + "', fulfillment_key, organization_id, deployment_id, kind, sku, template_ref, template_name, base_license_id, envelope, sha256, key_id, issued_at, not_before, expires_at, stored_at FROM issuances",
		"INSERT INTO issuances SELECT 'lic_2', '" + other.ID + "', 'key', organization_id, deployment_id, kind, sku, template_ref, template_name, base_license_id, 'x', sha256, key_id, issued_at, not_before, expires_at, stored_at FROM issuances",
	} {
		if _, err := w.pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("the database took: %s", sql)
		}
	}
}
