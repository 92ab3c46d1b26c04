package mail

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

var update = flag.Bool("update", false, "write the golden files anew")

var now = time.Date(2026, 11, 23, 9, 0, 30, 0, time.UTC)

func newSender(t *testing.T, smtpURL string, timeout time.Duration) *Sender {
	t.Helper()
	s, err := New(Config{
		SMTPURL: smtpURL, From: "Licenses <licenses@portal.example>", PublicURL: "https://portal.example/",
		Timeout: timeout, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func signInMail() account.Mail {
	return account.Mail{
		SignInID: "sgn_0123456789abcdefghjk", Email: "erin@lumen.example", Token: "sgn_0123456789abcdefghjk.proof-_",
		Code: "012345", ExpiresAt: time.Date(2026, 11, 23, 9, 15, 0, 0, time.UTC),
	}
}

func readyMail() fulfillment.ReadyMail {
	return fulfillment.ReadyMail{
		To: "erin@lumen.example", OrderID: "ord_01jdfx7m", LicenseID: "lic_k8p4", PackageName: "Credit pack, 5M tokens",
		DeploymentName: "Berlin <b>&</b>\r\nBcc: x@y.example", ExpiresAt: time.Date(2026, 12, 20, 9, 0, 0, 0, time.UTC),
	}
}

func standingMail(status, reason string) fulfillment.StandingMail {
	return fulfillment.StandingMail{
		To: "erin@lumen.example", LicenseID: "lic_k8p4", Epoch: 1_795_000_000, Status: status, Reason: reason,
		EffectiveAt: time.Date(2026, 12, 3, 9, 0, 0, 0, time.UTC), PackageName: "Credit pack, 5M tokens",
		DeploymentName: "Berlin <b>&</b>\r\nBcc: x@y.example",
	}
}

func replacementMail(reason approval.Reason, superseded time.Time) fulfillment.ReplacementMail {
	return fulfillment.ReplacementMail{
		To: "erin@lumen.example", UserID: "usr_1", LicenseID: "lic_q2", Replaces: "lic_k8p4", Reason: reason, PackageName: "Credit pack, 5M tokens",
		DeploymentName: "Berlin <b>&</b>\r\nBcc: x@y.example", ExpiresAt: time.Date(2026, 12, 20, 9, 0, 0, 0, time.UTC), SupersededAt: superseded,
	}
}

func paymentMail(confirm bool) fulfillment.PaymentMail {
	m := fulfillment.PaymentMail{
		To: "erin@lumen.example", InvoiceID: "in_1", OrderID: "ord_01jdfx7m", Number: "ABC-0002", Confirm: confirm, Amount: 499_00, Currency: "USD",
		PackageName: "Hosted instance, monthly", DeploymentName: "Berlin <b>&</b>\r\nBcc: x@y.example",
		NextAttemptAt: time.Date(2026, 12, 23, 10, 0, 0, 0, time.UTC), WorksUntil: time.Date(2026, 12, 20, 9, 0, 0, 0, time.UTC),
	}
	if confirm {
		m.NextAttemptAt = time.Time{}
	}
	return m
}

func TestMailsLookAsAgreed(t *testing.T) {
	t.Parallel()
	s := newSender(t, "smtp://localhost", 0)
	for name, m := range map[string]message{
		"sign-in": s.signIn(signInMail()), "ready": s.ready(readyMail()), "quote": s.quote(fulfillment.QuoteMail{
			To: "erin@lumen.example", OrderID: "ord_01jdfx7m", PackageName: "Enterprise, annual", DeploymentName: "Berlin <b>&</b>\r\nBcc: x@y.example",
			Total: 15_000_00, Currency: "USD", ExpiresAt: time.Date(2026, 12, 20, 9, 0, 0, 0, time.UTC),
		}), "invoice": s.invoice(fulfillment.InvoiceMail{
			To: "erin@lumen.example", OrderID: "ord_01jdfx7m", InvoiceID: "in_1", Number: "ABC-0001\r\nBcc: x@y.example", PackageName: "Enterprise, annual",
			Due: 17_850_00, Currency: "USD", DueAt: time.Date(2026, 12, 24, 9, 0, 0, 0, time.UTC),
		}), "revoked": s.standing(standingMail("revoked", "refunded")),
		"suspended": s.standing(standingMail("suspended", "payment-disputed")), "reinstated": s.standing(standingMail("reinstated", "")),
		"payment-failed": s.payment(paymentMail(false)), "payment-confirm": s.payment(paymentMail(true)),
		"corrected": s.replacement(replacementMail(approval.ReasonCorrection, time.Date(2026, 12, 3, 9, 0, 0, 0, time.UTC))),
		"rotated":   s.replacement(replacementMail(approval.ReasonKeyRotation, time.Time{})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			built, err := s.build(m)
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			if _, err := built.WriteTo(&got); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".eml", got.Bytes())
			text, html, err := s.templates.render(m.kind, m.data)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", []byte(text))
			golden(t, name+".html", []byte(html))
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (go test -update writes it anew):\n%s", name, got)
	}
}

func TestMailsReachTheServer(t *testing.T) {
	t.Parallel()
	c := newCatcher(t, "", "")
	s := newSender(t, c.url(), 0)
	if err := s.SendSignIn(t.Context(), signInMail()); err != nil {
		t.Fatal(err)
	}
	if err := s.SendReady(t.Context(), readyMail()); err != nil {
		t.Fatal(err)
	}
	got := c.all()
	if len(got) != 2 {
		t.Fatalf("%d mails, want 2", len(got))
	}
	for i, id := range []string{"sign-in.sgn_0123456789abcdefghjk@portal.example", "ready.ord_01jdfx7m@portal.example"} {
		if !strings.Contains(got[i].to, "<erin@lumen.example>") || !strings.Contains(got[i].from, "<licenses@portal.example>") {
			t.Errorf("mail %d from %q to %q", i, got[i].from, got[i].to)
		}
		if !strings.Contains(got[i].data, "Message-ID: <"+id+">\r\n") {
			t.Errorf("mail %d lacks the Message-ID %s", i, id)
		}
		if strings.Contains(got[i].data, "\nBcc:") {
			t.Errorf("mail %d: a customer's words became a header or a line", i)
		}
	}
}

func TestAFailedMailSaysWhetherToTryAgainAndNamesNoAddress(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		command, reply string
		permanent      bool
		code           int
	}{
		"greylisted":       {"RCPT", "451 erin@lumen.example try later", false, 451},
		"no such mailbox":  {"RCPT", "550 erin@lumen.example unknown", true, 550},
		"sender refused":   {"MAIL", "553 no", true, 553},
		"content refused":  {".", "554 spam", true, 554},
		"disk full":        {".", "452 full", false, 452},
		"not greeting":     {"greeting", "421 busy", false, 0},
		"connection drops": {"DATA", "drop", false, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSender(t, newCatcher(t, tt.command, tt.reply).url(), 30*time.Second)
			err := s.SendSignIn(t.Context(), signInMail())
			failure, ok := errors.AsType[*DeliveryError](err)
			if !ok || failure.Permanent != tt.permanent || failure.Code != tt.code {
				t.Fatalf("error %#v, want permanent %v, code %d", err, tt.permanent, tt.code)
			}
			if strings.Contains(err.Error(), "lumen") {
				t.Errorf("the error names the address: %v", err)
			}
		})
	}
}

func TestAMailThatWasTakenIsNotAFailureHoweverTheGoodbyeGoes(t *testing.T) {
	t.Parallel()
	for _, reply := range []string{"drop", "500 no"} {
		t.Run(reply, func(t *testing.T) {
			t.Parallel()
			c := newCatcher(t, "QUIT", reply)
			if err := newSender(t, c.url(), 0).SendReady(t.Context(), readyMail()); err != nil {
				t.Errorf("error %v for a mail that was taken", err)
			}
			if got := len(c.all()); got != 1 {
				t.Errorf("%d mails, want 1", got)
			}
		})
	}
}

func TestAHangingServerIsLeftInTime(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"greeting", "EHLO", "."} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			s := newSender(t, newCatcher(t, command, "hang").url(), 600*time.Millisecond)
			start := time.Now()
			if err := s.SendReady(t.Context(), readyMail()); err == nil {
				t.Error("no error from a server that hangs")
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestACanceledContextSendsNothing(t *testing.T) {
	t.Parallel()
	c := newCatcher(t, "", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := newSender(t, c.url(), 0).SendReady(ctx, readyMail()); err == nil || len(c.all()) != 0 {
		t.Errorf("error %v, %d mails", err, len(c.all()))
	}
}

func TestABadRecipientIsNamedByNoError(t *testing.T) {
	t.Parallel()
	m := readyMail()
	m.To = "not an address"
	err := newSender(t, "smtp://localhost", 0).SendReady(t.Context(), m)
	if !errors.Is(err, ErrAddress) || strings.Contains(err.Error(), m.To) {
		t.Errorf("error %v", err)
	}
}

func TestNewTellsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := New(Config{SMTPURL: "ftp://x", From: "nobody", PublicURL: "portal", Timeout: -1})
	for _, want := range []string{"SMTP address", "From", "PublicURL", "Now", "Timeout"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

func TestNoMailLeavesInTheClear(t *testing.T) {
	t.Parallel()
	for name, security := range map[string]Security{"STARTTLS is not offered": StartTLS, "TLS is not spoken": TLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCatcher(t, "", "")
			s := newSender(t, c.url(), 3*time.Second)
			s.server.Security = security // as for a server that is not on this host
			if err := s.SendSignIn(t.Context(), signInMail()); err == nil || len(c.all()) != 0 {
				t.Errorf("error %v, %d mails", err, len(c.all()))
			}
		})
	}
}

func TestAServerWithAnUnknownCertificateGetsNoMail(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	s := newSender(t, "smtps://"+server.Listener.Addr().String(), 3*time.Second)
	failure, ok := errors.AsType[*DeliveryError](s.SendSignIn(t.Context(), signInMail()))
	if !ok || failure.Stage != "connect" || failure.Permanent {
		t.Errorf("error %#v", failure)
	}
}
