package fulfillment_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/signer"
)

// The signer answered for one event of a payment, the portal died before it stored the license, and now sends another event
// of the same payment, which was created earlier: the bytes in the log are the license.
func TestALicenseLoggedForAnotherEventOfThePaymentIsTheOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.customer()
	o := c.draft(c.request("credit-pack-5m"))
	c.payBy(c.checkout(o), "card_ok")
	for end := time.Now().Add(patience); w.count("SELECT count(*) FROM events") == 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	var body []byte
	w.must(w.pool.QueryRow(t.Context(), "SELECT body FROM events").Scan(&body))
	var event map[string]any
	w.must(json.Unmarshal(body, &event))
	event["id"] = "evt_later"
	event["created"] = int64(event["created"].(float64)) + 30
	later, err := json.Marshal(event)
	w.must(err)
	logged, err := w.signer.Issue(t.Context(), signer.IssueRequest{Event: &signer.Event{Body: later, SignatureHeader: signed(later)}})
	w.must(err)

	w.work()
	c.becomes(o, fulfillment.StateIssued)
	var stored []byte
	w.must(w.pool.QueryRow(t.Context(), "SELECT envelope FROM issuances WHERE order_id = $1", o.ID).Scan(&stored))
	if !bytes.Equal(stored, logged) {
		t.Fatal("the stored license is not the logged one")
	}
}

// signed is the header that Stripe sends with a body.
func signed(body []byte) string {
	at := time.Now().Unix()
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	fmt.Fprintf(mac, "%d.%s", at, body)
	return fmt.Sprintf("t=%d,v1=%s", at, hex.EncodeToString(mac.Sum(nil)))
}
