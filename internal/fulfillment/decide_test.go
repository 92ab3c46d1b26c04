package fulfillment_test

import (
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

var day = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func snapshotOf(sku string) fulfillment.Snapshot {
	for _, t := range catalog.Launch() {
		if t.SKU == sku {
			return fulfillment.Snapshot{
				Template: t, Currency: t.Price.Currency, Total: t.Price.UnitAmount,
				Intent: catalog.Intent{
					OrderID: "ord_1", Kind: catalog.IssueNew, Template: t.Ref(), Quantity: 1, CustomerID: "cust_1", CustomerName: "Lumen",
					DeploymentID: "dep_1", Environments: t.Environments[:1],
				},
			}
		}
	}
	panic("no template " + sku)
}

// paidSession is a session that matches the snapshot and is paid for.
func paidSession(s fulfillment.Snapshot) fulfillment.Session {
	status := "paid"
	if s.Total == 0 {
		status = "no_payment_required"
	}
	return fulfillment.Session{
		ID: "cs_1", Mode: "payment", Status: "complete", PaymentStatus: status, Currency: s.Currency, AmountSubtotal: s.Total, AmountTotal: s.Total,
		LookupKey: s.Template.LookupKey(), Quantity: 1, ClientReferenceID: s.Intent.OrderID, Metadata: s.Intent.Metadata(), CreatedAt: day,
	}
}

func codes(reasons []fulfillment.Reason) string {
	var list []string
	for _, r := range reasons {
		list = append(list, r.Code)
	}
	return strings.Join(list, " ")
}

func TestDecide(t *testing.T) {
	t.Parallel()
	pack, evaluation := snapshotOf("credit-pack-5m"), snapshotOf("eval-72h")
	with := func(change func(*fulfillment.Session)) fulfillment.Session {
		s := paidSession(pack)
		change(&s)
		return s
	}
	open := with(func(s *fulfillment.Session) { s.Status, s.PaymentStatus = "open", "unpaid" })
	expired := with(func(s *fulfillment.Session) { s.Status, s.PaymentStatus = "expired", "unpaid" })
	intent := func(status string) fulfillment.Session {
		return with(func(s *fulfillment.Session) { s.PaymentStatus, s.PaymentIntent = "unpaid", status })
	}
	debit := intent("processing")
	refused := with(func(s *fulfillment.Session) {
		s.PaymentStatus, s.PaymentIntent, s.PaymentFailure = "unpaid", "requires_payment_method", "Your account is closed."
	})
	second := with(func(s *fulfillment.Session) { s.ID = "cs_2" })
	cases := []struct {
		name     string
		snapshot fulfillment.Snapshot
		facts    fulfillment.Facts
		state    fulfillment.State
		reasons  string
		flags    string
		ready    bool
	}{
		{name: "nothing asked for", snapshot: pack, state: fulfillment.StateDraft},
		{name: "session not stored yet", snapshot: pack, facts: fulfillment.Facts{Attempt: 1}, state: fulfillment.StateAwaitingPayment},
		{name: "session never stored", snapshot: pack, facts: fulfillment.Facts{Attempt: 1, Abandoned: true}, state: fulfillment.StateFailed},
		{name: "open", snapshot: pack, facts: fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{open}}, state: fulfillment.StateAwaitingPayment},
		{name: "expired", snapshot: pack, facts: fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{expired}}, state: fulfillment.StateFailed},
		{name: "bank debit under way", snapshot: pack, facts: fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{debit}}, state: fulfillment.StateProcessing},
		{name: "bank debit to be confirmed", snapshot: pack, facts: fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{intent("requires_action")}}, state: fulfillment.StateProcessing},
		{name: "paid, and the session does not say so yet", snapshot: pack, facts: fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{intent("succeeded")}}, state: fulfillment.StateProcessing},
		{name: "bank debit given up", snapshot: pack, facts: fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{intent("canceled")}}, state: fulfillment.StateFailed},
		{name: "a payment's word of tomorrow", snapshot: pack, facts: fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{intent("verifying")}}, state: fulfillment.StateInReview, reasons: "status-unknown"},
		{name: "bank debit refused", snapshot: pack, facts: fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{refused}}, state: fulfillment.StateFailed},
		{name: "paid without evidence", snapshot: pack, facts: fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{paidSession(pack)}}, state: fulfillment.StatePaid},
		{name: "paid with evidence", snapshot: pack, facts: fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{paidSession(pack)}, Authorized: []string{"cs_1"}}, state: fulfillment.StatePaid, ready: true},
		{name: "free with evidence", snapshot: evaluation, facts: fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{paidSession(evaluation)}, Authorized: []string{"cs_1"}}, state: fulfillment.StatePaid, ready: true},
		{name: "free that should cost", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{with(func(s *fulfillment.Session) { s.PaymentStatus = "no_payment_required" })}}, state: fulfillment.StateInReview, reasons: "unpaid"},
		{name: "other mode", snapshot: pack, facts: fulfillment.Facts{Livemode: true, Sessions: []fulfillment.Session{paidSession(pack)}}, state: fulfillment.StateInReview, reasons: "mode-mismatch"},
		{name: "subscription", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{with(func(s *fulfillment.Session) { s.Mode = "subscription" })}}, state: fulfillment.StateInReview, reasons: "session-mode"},
		{name: "one cent less", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{with(func(s *fulfillment.Session) { s.AmountSubtotal--; s.AmountTotal-- })}}, state: fulfillment.StateInReview, reasons: "amount-mismatch"},
		{name: "discount", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{with(func(s *fulfillment.Session) { s.AmountDiscount = 100; s.AmountTotal -= 100 })}}, state: fulfillment.StateInReview, reasons: "amount-mismatch"},
		{name: "tax on top", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{with(func(s *fulfillment.Session) { s.AmountTotal += 4750 })}}, state: fulfillment.StatePaid},
		{name: "other currency", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{with(func(s *fulfillment.Session) { s.Currency = "EUR" })}}, state: fulfillment.StateInReview, reasons: "currency-mismatch"},
		{name: "two of them", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{with(func(s *fulfillment.Session) { s.Quantity = 2 })}}, state: fulfillment.StateInReview, reasons: "quantity-mismatch"},
		{name: "other package", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{with(func(s *fulfillment.Session) { s.LookupKey = "credit-pack-25m.v1" })}}, state: fulfillment.StateInReview, reasons: "package-mismatch"},
		{name: "other order", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{with(func(s *fulfillment.Session) { s.ClientReferenceID = "ord_2" })}}, state: fulfillment.StateInReview, reasons: "order-mismatch"},
		{name: "other intent", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{with(func(s *fulfillment.Session) {
			s.Metadata = map[string]string{"order_id": "ord_1", "more": "x"}
		})}}, state: fulfillment.StateInReview, reasons: "intent-mismatch"},
		{name: "word of tomorrow", snapshot: pack, facts: fulfillment.Facts{Attempt: 1, Sessions: []fulfillment.Session{with(func(s *fulfillment.Session) { s.PaymentStatus = "partially_paid" })}}, state: fulfillment.StateInReview, reasons: "status-unknown"},
		{name: "paid twice", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{second, paidSession(pack)}, Authorized: []string{"cs_2"}}, state: fulfillment.StatePaid, flags: "paid-twice", ready: true},
		{name: "paid after cancel", snapshot: pack, facts: fulfillment.Facts{Canceled: true, Sessions: []fulfillment.Session{paidSession(pack)}}, state: fulfillment.StateInReview, reasons: "paid-after-cancel"},
		{name: "canceled", snapshot: pack, facts: fulfillment.Facts{Canceled: true, Attempt: 1, Sessions: []fulfillment.Session{expired}}, state: fulfillment.StateCanceled},
		{name: "closed by staff stays", snapshot: pack, facts: fulfillment.Facts{Closed: true, Sessions: []fulfillment.Session{paidSession(pack)}}, state: fulfillment.StateCanceled},
		{name: "issued stays", snapshot: pack, facts: fulfillment.Facts{Issued: true, Sessions: []fulfillment.Session{expired}}, state: fulfillment.StateIssued},
		{name: "second evaluation", snapshot: evaluation, facts: fulfillment.Facts{Sessions: []fulfillment.Session{paidSession(evaluation)}, TakenByOrganization: "ord_0", TakenByDomain: "ord_0"}, state: fulfillment.StateInReview, reasons: "evaluation-repeated evaluation-domain"},
		{name: "evaluation from a public mail domain", snapshot: evaluation, facts: fulfillment.Facts{Sessions: []fulfillment.Session{paidSession(evaluation)}, PublicMailDomain: true}, state: fulfillment.StateInReview, reasons: "mail-domain-public"},
		{name: "a pack from a public mail domain", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{paidSession(pack)}, PublicMailDomain: true}, state: fulfillment.StatePaid},
		{name: "refused by the signer", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{paidSession(pack)}, Refusal: &fulfillment.Reason{Code: "signer-cap-exceeded"}}, state: fulfillment.StateInReview, reasons: "signer-cap-exceeded"},
		{name: "a refusal cannot be released", snapshot: pack, facts: fulfillment.Facts{Sessions: []fulfillment.Session{paidSession(pack)}, Refusal: &fulfillment.Reason{Code: "x"}, Released: []fulfillment.Reason{{Code: "x"}}}, state: fulfillment.StateInReview, reasons: "x"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := fulfillment.Decide(c.snapshot, c.facts)
			if v.State != c.state || codes(v.Reasons) != c.reasons || codes(v.Flags) != c.flags || v.Ready != c.ready {
				t.Fatalf("got %+v", v)
			}
			if v.State == fulfillment.StateFailed && v.Failure == "" {
				t.Fatal("a failed order tells the customer nothing")
			}
			for _, r := range v.Reasons {
				if c.name != "a refusal cannot be released" && c.name != "refused by the signer" && !strings.HasSuffix(r.Detail, ".") && !strings.HasSuffix(r.Detail, ")") {
					t.Fatalf("no words for staff: %+v", r)
				}
			}
		})
	}
}

func TestReleasingTheReasonsLetsAnOrderGoOnUntilANewOneAppears(t *testing.T) {
	t.Parallel()
	snapshot := snapshotOf("credit-pack-5m")
	short := paidSession(snapshot)
	short.AmountSubtotal--
	facts := fulfillment.Facts{Sessions: []fulfillment.Session{short}, Authorized: []string{"cs_1"}}
	facts.Released = fulfillment.Decide(snapshot, facts).Reasons
	if v := fulfillment.Decide(snapshot, facts); v.State != fulfillment.StatePaid || !v.Ready {
		t.Fatalf("released, yet %+v", v)
	}
	facts.Sessions[0].AmountSubtotal--
	if v := fulfillment.Decide(snapshot, facts); v.State != fulfillment.StateInReview {
		t.Fatalf("another amount passed under the old release: %+v", v)
	}
}

// anySession draws a session in any combination of what Stripe may say, known words or not.
func anySession(snapshot fulfillment.Snapshot) *rapid.Generator[fulfillment.Session] {
	return rapid.Custom(func(t *rapid.T) fulfillment.Session {
		s := paidSession(snapshot)
		s.ID = fmt.Sprintf("cs_%d", rapid.IntRange(1, 5).Draw(t, "id"))
		s.CreatedAt = day.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "created")) * time.Minute)
		s.Status = rapid.SampledFrom([]string{"open", "complete", "expired", "frozen"}).Draw(t, "status")
		s.PaymentStatus = rapid.SampledFrom([]string{"paid", "unpaid", "no_payment_required", "half"}).Draw(t, "payment")
		s.PaymentIntent = rapid.SampledFrom([]string{"", "processing", "requires_payment_method"}).Draw(t, "intent")
		s.AmountSubtotal += int64(rapid.IntRange(-1, 1).Draw(t, "amount"))
		return s
	})
}

func TestNeitherOrderNorRepetitionOfFactsMatters(t *testing.T) {
	t.Parallel()
	snapshot := snapshotOf("credit-pack-5m")
	rapid.Check(t, func(t *rapid.T) {
		sessions := rapid.SliceOfNDistinct(anySession(snapshot), 0, 4, func(s fulfillment.Session) string { return s.ID }).Draw(t, "sessions")
		facts := fulfillment.Facts{
			Sessions: sessions, Attempt: len(sessions), Canceled: rapid.Bool().Draw(t, "canceled"), Issued: rapid.Bool().Draw(t, "issued"),
			Authorized: rapid.SliceOfDistinct(rapid.SampledFrom([]string{"cs_1", "cs_2", "cs_3"}), rapid.ID).Draw(t, "authorized"),
		}
		want := fulfillment.Decide(snapshot, facts)
		again := slices.Concat(sessions, sessions)
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		facts.Sessions = again
		if got := fulfillment.Decide(snapshot, facts); !reflect.DeepEqual(got, want) {
			t.Fatalf("shuffled and doubled: %+v, before: %+v", got, want)
		}
	})
}

func TestMoneyThatArrivedAndMatchesIsNeverForgotten(t *testing.T) {
	t.Parallel()
	snapshot := snapshotOf("credit-pack-5m")
	rapid.Check(t, func(t *rapid.T) {
		others := rapid.SliceOfN(anySession(snapshot), 0, 4).Draw(t, "others")
		for i := range others {
			others[i].ID += "x"
		}
		v := fulfillment.Decide(snapshot, fulfillment.Facts{Sessions: append(others, paidSession(snapshot)), Attempt: 5})
		if v.State != fulfillment.StatePaid {
			t.Fatalf("%+v", v)
		}
	})
}

func TestMoneyIsWrittenInItsCurrency(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		minor int64
		code  string
		want  string
	}{{25000, "USD", "250.00 USD"}, {1, "USD", "0.01 USD"}, {500, "JPY", "500 JPY"}, {7, "???", "7 minor units of ???"}} {
		if got := fulfillment.Money(c.minor, c.code); got != c.want {
			t.Errorf("Money(%d, %s) = %q, want %q", c.minor, c.code, got, c.want)
		}
	}
}
