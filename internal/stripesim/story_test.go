package stripesim_test

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// told is an event as the stand-in keeps it.
type told struct {
	id, kind, object string
	created          int64
}

// events lists all that happened, oldest first.
func (h *harness) events() []told {
	h.t.Helper()
	var out []told
	for _, v := range h.control("GET", "/_sim/events", nil)["events"].([]any) {
		e := v.(map[string]any)
		out = append(out, told{e["id"].(string), e["type"].(string), e["object"].(string), int64(e["created"].(float64))})
	}
	slices.Reverse(out)
	return out
}

// story is the order of events since mark, as "invoice.paid invoice.updated …".
func (h *harness) story(mark int) string {
	h.t.Helper()
	var out []string
	for _, e := range h.events()[mark:] {
		out = append(out, e.kind)
	}
	return strings.Join(out, " ")
}

// raw reads an API address as plain JSON.
func (h *harness) raw(path string) map[string]any {
	h.t.Helper()
	req, err := http.NewRequest("GET", h.url+path, nil)
	h.must(err)
	req.Header.Set("Authorization", "Bearer "+testKey)
	resp, err := http.DefaultClient.Do(req)
	h.must(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	h.must(err)
	var out map[string]any
	h.must(json.Unmarshal(data, &out))
	return out
}

// addresses of objects in the API, by the prefix of their IDs.
var addresses = map[string]string{
	"prod_": "products", "price_": "prices", "cus_": "customers", "cs_": "checkout/sessions", "pm_": "payment_methods", "seti_": "setup_intents",
	"pi_": "payment_intents", "ch_": "charges", "re_": "refunds", "du_": "disputes", "issfr_": "radar/early_fraud_warnings", "prv_": "reviews",
	"in_": "invoices", "ii_": "invoiceitems", "cn_": "credit_notes", "qt_": "quotes", "sub_": "subscriptions", "bpc_": "billing_portal/configurations",
}

// sameAsTold checks that every object reads as its newest event tells it. What
// the newest event says is gone must be gone.
func (h *harness) sameAsTold() {
	h.t.Helper()
	checked := map[string]bool{}
	events := h.events()
	slices.Reverse(events)
	for _, e := range events {
		if checked[e.object] || strings.HasPrefix(e.object, "bps_") {
			continue
		}
		checked[e.object] = true
		prefix := e.object[:strings.Index(e.object, "_")+1]
		if addresses[prefix] == "" {
			h.t.Fatalf("no address for %s", e.object)
		}
		got := h.raw("/v1/" + addresses[prefix] + "/" + e.object)
		if strings.HasSuffix(e.kind, ".deleted") && e.kind != "customer.subscription.deleted" {
			if got["error"] == nil && got["deleted"] != true {
				h.t.Errorf("%s is still there after %s", e.object, e.kind)
			}
			continue
		}
		want := h.control("GET", "/_sim/events/"+e.id, nil)["event"].(map[string]any)["data"].(map[string]any)["object"].(map[string]any)
		if prefix == "cus_" { // Stripe counts up without an event
			got["next_invoice_sequence"] = want["next_invoice_sequence"]
		}
		for name := range want {
			if !reflect.DeepEqual(got[name], want[name]) {
				h.t.Errorf("%s of %s is %v; its newest event %s says %v", name, e.object, got[name], e.kind, want[name])
			}
		}
		if len(got) != len(want) {
			h.t.Errorf("%s has %d members, its newest event %s has %d", e.object, len(got), e.kind, len(want))
		}
	}
	if len(checked) < 3 {
		h.t.Errorf("only %d objects were compared", len(checked))
	}
}

// act does an action of the control API to an object.
func (h *harness) act(id, action string, in map[string]any) map[string]any {
	h.t.Helper()
	if in == nil {
		in = map[string]any{}
	}
	return h.control("POST", "/_sim/objects/"+id+"/"+action, in)["object"].(map[string]any)
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

const aDay = 24 * time.Hour
