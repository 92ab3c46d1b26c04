package e2e

import (
	"encoding/json"
	"net/http"
	"testing"
)

// Money given back reaches the customer's pages and the running router, and nobody has to do anything for it.
func TestARefundRevokesTheLicenseAndStopsTheRouter(t *testing.T) {
	t.Parallel()
	d := ownDemo(t)
	p := customer(t, d)
	order := p.buy(pack5, "router", "card_ok")
	id := p.licenseID()
	d.install(t, p.download("Download license.json"))
	d.routerServes(t, id)

	payment := d.query(t, "SELECT payment_intent FROM checkout_sessions WHERE id = $1", d.session(t, order))
	charge := d.stripeAPI(t, http.MethodGet, "/v1/payment_intents/"+payment, nil)["latest_charge"].(string)
	p.open(d.info.StripeURL + "/o/" + charge) // as the demo's last step says
	p.press(`button[value="refund"]`)
	p.comesBackUntil("/orders/"+order, "Revoked on")
	p.comesBackUntil("/licenses/"+id, "the payment was refunded")
	p.sees("Stop using this file")
	eventually(t, waitLong, "the router refuses the revoked license", func() bool { return d.routerRefuses(t, "license-revoked") })
	if s := d.routerStatus(t); s.LicenseID != id || s.Status != "license-revoked" {
		t.Fatalf("the router's status is %+v", s)
	}

	// A restart of the router and of what fetches its bundle lifts nothing.
	d.kill(t, "router")
	d.kill(t, "revocations")
	eventually(t, waitLong, "the router refuses it after a restart", func() bool {
		res, err := http.Get(d.info.RouterURL + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return d.routerRefuses(t, "license-revoked")
	})

	p.buy(pack5, "router-2", "card_ok")
	fresh, file := p.licenseID(), p.download("Download license.json")
	out, errs, code := d.tool(t, nil, "licensectl", "install", "-keys", d.info.KeysFile, "-fingerprint", fingerprint, file, "-to", d.info.RouterLicensePath)
	if code != 0 {
		t.Fatalf("licensectl install: exit %d\n%s%s", code, out, errs)
	}
	d.routerServes(t, fresh)
}

// routerRefuses reports whether a request is refused with 403 and this code.
func (d *demo) routerRefuses(t *testing.T, code string) bool {
	t.Helper()
	status, body, _ := request(t, http.MethodGet, d.info.RouterURL+"/v1/models", nil, func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+d.info.RouterToken)
	})
	var answer struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	return status == http.StatusForbidden && json.Unmarshal(body, &answer) == nil && answer.Error.Code == code
}
