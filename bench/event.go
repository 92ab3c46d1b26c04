package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// webhookSecret signs events here; it guards nothing.
const webhookSecret = "whsec_bench_0123456789abcdef"

// session is a paid Checkout session in Stripe's JSON.
type session map[string]any

func sessionOf(intent catalog.Intent, id string, amount int64) session {
	return session{
		"id": id, "object": "checkout.session", "livemode": false, "mode": "payment", "status": "complete", "payment_status": "paid",
		"currency": "usd", "amount_subtotal": amount, "amount_total": amount, "total_details": map[string]any{"amount_discount": 0},
		"client_reference_id": intent.OrderID, "metadata": intent.Metadata(), "created": time.Now().Unix(),
		"expires_at": time.Now().Add(time.Hour).Unix(), "payment_intent": "pi_" + id, "customer": "cus_" + id,
	}
}

// expanded is the session as the API answers it with its line items and payment intent.
func (s session) expanded(lookupKey string, quantity int) session {
	e := maps.Clone(s)
	e["payment_intent"] = map[string]any{"id": s["payment_intent"], "object": "payment_intent", "status": "succeeded"}
	e["line_items"] = map[string]any{"object": "list", "has_more": false, "data": []any{map[string]any{
		"id": "li_1", "object": "item", "quantity": quantity,
		"price": map[string]any{"id": "price_1", "object": "price", "lookup_key": lookupKey},
	}}}
	return e
}

// event is the webhook that tells of the session, with the header that signs it.
func (s session) event(now time.Time) (body []byte, header string, err error) {
	body, err = json.Marshal(map[string]any{
		"id": "evt_" + fmt.Sprint(s["id"]), "object": "event", "api_version": fulfillment.APIVersion, "created": now.Unix(), "livemode": false,
		"pending_webhooks": 1, "type": "checkout.session.completed", "data": map[string]any{"object": s},
	})
	if err != nil {
		return nil, "", err
	}
	mac := hmac.New(sha256.New, []byte(webhookSecret))
	fmt.Fprintf(mac, "%d.%s", now.Unix(), body)
	return body, fmt.Sprintf("t=%d,v1=%s", now.Unix(), hex.EncodeToString(mac.Sum(nil))), nil
}
