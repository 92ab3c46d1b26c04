package docs

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/postgres/pgtest"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/internal/stripesim"
	"github.com/metrum-ai/licensing-portal/internal/witness"
)

// founded is a site with a signer that came out of the key ceremony, on the host "signer".
func founded(t *testing.T) *site {
	t.Helper()
	s := newSite(t)
	s.host("signer")
	outputs := s.follow("key-ceremony.md", func(block, int) string { return "signer" })
	s.wants(outputs, 4, "signed by 2 of 2 root keys, 2 needed")
	s.wants(outputs, 5, "0 records", "license-2026", "revocation-2026")
	return s
}

// paid is what Stripe would send for a paid order of a credit pack, signed with the webhook's secret.
func (s *site) paid(order string) *signer.Event {
	s.t.Helper()
	secret, err := os.ReadFile(s.path("signer", "webhook.secret"))
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now().Unix()
	intent := catalog.Intent{
		OrderID: order, Kind: catalog.IssueNew, Template: "credit-pack-5m@1", Quantity: 1, CustomerID: "cust_1", CustomerName: "Lumen",
		DeploymentID: "dep_" + order, Environments: []string{"production"},
	}
	body, err := json.Marshal(map[string]any{
		"id": "evt_" + order, "object": "event", "api_version": "2023-10-16", "created": now, "livemode": false,
		"type": "checkout.session.completed", "data": map[string]any{"object": map[string]any{
			"id": "cs_" + order, "object": "checkout.session", "mode": "payment", "status": "complete", "payment_status": "paid",
			"currency": "usd", "amount_subtotal": 25000, "amount_total": 25000, "created": now, "expires_at": now + 3600, "livemode": false,
			"metadata": intent.Metadata(), "client_reference_id": order, "customer_email": "buyer@lumen.example", "payment_intent": "pi_" + order,
		}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	mac := hmac.New(sha256.New, bytes.TrimSpace(secret))
	fmt.Fprintf(mac, "%d.%s", now, body)
	return &signer.Event{Body: body, SignatureHeader: fmt.Sprintf("t=%d,v1=%s", now, hex.EncodeToString(mac.Sum(nil)))}
}

// issue asks a host's signer for a license.
func (s *site) issue(host string, event *signer.Event) string {
	s.t.Helper()
	envelope, err := signer.NewClient(s.path(host, "signer.sock")).Issue(s.t.Context(), signer.IssueRequest{Event: event})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(envelope)
}

// watch writes the witness's configuration.
func (s *site) watch(host string) {
	s.t.Helper()
	text, err := os.ReadFile(s.path("signer", "log.json"))
	var key struct {
		VerifierKey string `json:"verifier_key"`
	}
	if err == nil {
		err = json.Unmarshal(text, &key)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("witness/witness.json", fmt.Sprintf(`{"source": "unix:%s", "log_key": %q, "dir": "copy", "poll": "100ms", "silence": "30m"}`,
		s.path(host, "signer.sock"), key.VerifierKey), 0o600)
}

// copies waits until the witness has so many entries.
func (s *site) copies(size int64) {
	s.t.Helper()
	var state witness.State
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var err error
		if state, err = witness.ReadState(s.path("witness", "copy")); err != nil {
			s.t.Fatal(err)
		}
		if state.Size == size && state.Alarm == nil {
			return
		}
	}
	s.t.Fatalf("the witness says %+v", state)
}

// stripe starts a stand-in for Stripe, and answers how the portal finds it. It knows no payment: an audit asks it about none
// of the last minutes.
func (s *site) stripe() []string {
	s.t.Helper()
	server := httptest.NewUnstartedServer(nil)
	address := "http://" + server.Listener.Addr().String()
	sim, err := stripesim.New(stripesim.Config{PublicURL: address, APIKey: "rk_test_runbook_0123456789"})
	if err != nil {
		s.t.Fatal(err)
	}
	server.Config.Handler = sim.Handler()
	server.Start()
	s.t.Cleanup(func() { server.Close(); _ = sim.Close() })
	s.write("portal/stripe.key", "rk_test_runbook_0123456789", 0o600)
	return []string{"STRIPE_API_URL=" + address, "STRIPE_API_KEY_FILE=" + s.path("portal", "stripe.key")}
}

func TestALostSignersHostIsReplacedByTheRunbook(t *testing.T) {
	t.Parallel()
	s := founded(t)
	for _, host := range []string{"new", "witness", "portal"} {
		s.host(host)
	}
	s.watch("signer")
	s.mustShell("witness", "systemctl start witness")
	files := map[string]string{}
	events := map[string]*signer.Event{}
	sell := func(order string) {
		events[order] = s.paid(order)
		files[order] = s.issue("signer", events[order])
	}
	sell("ord_1")
	sell("ord_2")
	sell("ord_3")
	s.copies(3)
	s.mustShell("witness", "systemctl stop witness") // it cannot see what follows
	sell("ord_4")
	sell("ord_5")
	database := "DATABASE_URL=" + pgtest.URL(t, nil)
	s.env["portal"] = []string{database, "SIGNER_SOCKET=" + s.path("signer", "signer.sock")}
	s.mustShell("portal", "portal migrate; portal restore")

	// What the ceremony put aside is brought to the new host.
	s.mustShell("new", "cp ../signer/config.json ../signer/passphrase ../signer/*.pem ../signer/webhook.secret ../signer/trust.json* ../signer/root-* .")
	s.write("portal/secret", strings.Repeat("s3cret", 8), 0o600)
	s.env["portal"] = append(s.stripe(), database, "SIGNER_SOCKET="+s.path("new", "signer.sock"), "PORTAL_PUBLIC_URL=http://localhost:8080",
		"PORTAL_SECRET_FILE="+s.path("portal", "secret"), "SMTP_URL=smtp://127.0.0.1:1", "MAIL_FROM=portal@portal.example")
	outputs := s.follow("lost-signer-host.md", func(b block, n int) string {
		switch {
		case b.on == "old":
			return "signer"
		case strings.Contains(b.script, "tar -xf"):
			s.mustShell("new", "cp ../witness/copy.tar .")
		case strings.Contains(b.script, "systemctl start witness"):
			s.watch("new")
		case strings.Contains(b.script, ". ./size"):
			s.issue("new", s.paid("ord_6"))
			s.issue("new", s.paid("ord_7"))
			s.copies(8) // with the revocation bundle that the worker asked for; the old store had six entries
			s.write("new/size", "SIZE=8\n", 0o600)
		}
		return b.on
	})
	s.wants(outputs, 2, "copy verifies: 3 entries")
	s.wants(outputs, 3, "signed by 2 of 2 root keys", "issuance log restored: 3 records, trust bundle version 1", "issuance log verifies: 3 records")
	s.wants(outputs, 5, "no alarm: 3 entries")
	s.wants(outputs, 6, "read 3 licenses from the signer's log, which lacked 2: 2 logged again, 0 approved too long ago, 0 refused, 0 logged with other bytes",
		"log: checkpoint of 5 entries", "licenses: 5 logged, 5 stored, 0 revoked", "no differences")
	s.wants(outputs, 7, "minimum log size 8", "signed by 2 of 2 root keys")

	status, err := signer.NewClient(s.path("new", "signer.sock")).Status(t.Context())
	if err != nil || !status.Ready || status.TrustVersion != 2 || status.LogSize != 8 {
		t.Errorf("the new signer says %+v, %v", status, err)
	}
	for order, event := range events {
		if s.issue("new", event) != files[order] {
			t.Errorf("%s has other bytes", order)
		}
	}
	s.copies(8)

	if out, err := s.shell("signer", "systemctl start signer"); err == nil || !strings.Contains(out, "issuance log is missing") {
		t.Errorf("the fenced signer starts: %v\n%s", err, out)
	}
	s.mustShell("new", "systemctl stop signer; mkdir aside; mv log.db log.db.size aside/; cp ../signer/fenced/* .")
	if out, err := s.shell("new", "systemctl start signer"); err == nil || !strings.Contains(out, "6 records, the trust bundle asks for 8") {
		t.Errorf("the new host takes the old store: %v\n%s", err, out)
	}
}
