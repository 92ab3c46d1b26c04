package fulfillment_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

var update = flag.Bool("update", false, "write docs/orders.md's diagram from the code")

// walk is an order in the making: what is known of it, and what may happen next.
type walk struct {
	snapshot fulfillment.Snapshot
	facts    fulfillment.Facts
}

func (w walk) decide() fulfillment.Verdict { return fulfillment.Decide(w.snapshot, w.facts) }

// with copies the facts and changes them.
func (w walk) with(change func(*fulfillment.Facts)) walk {
	f := w.facts
	f.Sessions, f.Invoices = slices.Clone(f.Sessions), slices.Clone(f.Invoices)
	f.Authorized, f.Released = slices.Clone(f.Authorized), slices.Clone(f.Released)
	change(&f)
	return walk{w.snapshot, f}
}

// moves lists what may happen to an order next, by the words of the diagram.
func (w walk) moves() map[string]walk {
	v, moves := w.decide(), map[string]walk{}
	w.staffMoves(v, moves)
	switch w.snapshot.Channel {
	case fulfillment.ByCheckout:
		w.checkoutMoves(v, moves)
	case fulfillment.ByQuote:
		w.quoteMoves(v, moves)
	default:
		w.invoiceMoves(moves)
	}
	return moves
}

func (w walk) staffMoves(v fulfillment.Verdict, moves map[string]walk) {
	switch v.State {
	case fulfillment.StateInReview:
		moves["staff release it"] = w.with(func(f *fulfillment.Facts) {
			f.Refusal = nil
			for _, r := range v.Reasons {
				if !slices.Contains(f.Released, r) {
					f.Released = append(f.Released, r)
				}
			}
		})
		moves["staff close it"] = w.with(func(f *fulfillment.Facts) { f.Closed = true })
		moves["approved, and signed"] = w.with(func(f *fulfillment.Facts) { f.Issued = true })
	case fulfillment.StatePaid:
		if v.Ready {
			moves["signed"] = w.with(func(f *fulfillment.Facts) { f.Issued = true })
			moves["the signer refuses"] = w.with(func(f *fulfillment.Facts) { f.Refusal = &fulfillment.Reason{Code: "signer-caps", Detail: "x"} })
		}
	case fulfillment.StateDraft, fulfillment.StateAwaitingPayment, fulfillment.StateFailed:
		moves["the customer cancels"] = w.with(func(f *fulfillment.Facts) {
			f.Canceled = true
			for i := range f.Sessions {
				if f.Sessions[i].Status == "open" {
					f.Sessions[i].Status = "expired"
				}
			}
		})
	}
}

func (w walk) checkoutMoves(v fulfillment.Verdict, moves map[string]walk) {
	state, n := v.State, len(w.facts.Sessions)
	payable := state == fulfillment.StateDraft || state == fulfillment.StateFailed || state == fulfillment.StateAwaitingPayment
	if payable && !w.facts.Canceled && w.facts.Attempt == n && n < 2 && (n == 0 || w.facts.Sessions[n-1].Status != "open") {
		moves["the customer goes to pay"] = w.with(func(f *fulfillment.Facts) {
			f.Attempt++
			s := paidSession(w.snapshot)
			s.ID, s.Status, s.PaymentStatus = fmt.Sprintf("cs_%d", n+1), "open", "unpaid"
			s.CreatedAt = day.Add(time.Duration(n) * time.Hour)
			f.Sessions = append(f.Sessions, s)
		})
	}
	if n == 0 {
		return
	}
	last := func(change func(*fulfillment.Session)) func(*fulfillment.Facts) {
		return func(f *fulfillment.Facts) { change(&f.Sessions[n-1]) }
	}
	pays := func(s *fulfillment.Session) {
		s.Status, s.PaymentStatus, s.PaymentIntent = "complete", "paid", "succeeded"
	}
	switch s := w.facts.Sessions[n-1]; {
	case s.Status == "open":
		moves["a bank debit begins"] = w.with(last(func(s *fulfillment.Session) { s.Status, s.PaymentIntent = "complete", "processing" }))
		moves["the session expires"] = w.with(last(func(s *fulfillment.Session) { s.Status = "expired" }))
		moves["paid"] = w.with(last(pays))
		moves["paid, but not as ordered"] = w.with(last(func(s *fulfillment.Session) { pays(s); s.AmountSubtotal-- }))
	case s.PaymentIntent == "processing":
		moves["the bank refuses"] = w.with(last(func(s *fulfillment.Session) { s.PaymentIntent = "requires_payment_method" }))
		moves["paid"] = w.with(last(pays))
	case s.PaymentStatus == "paid" && !slices.Contains(w.facts.Authorized, s.ID):
		moves["its event is stored"] = w.with(func(f *fulfillment.Facts) { f.Authorized = append(f.Authorized, s.ID) })
	}
}

func (w walk) quoteMoves(v fulfillment.Verdict, moves map[string]walk) {
	q := w.facts.Quote
	becomes := func(status string) walk {
		return w.with(func(f *fulfillment.Facts) { f.Attempt, f.Quote = 1, &fulfillment.Quote{ID: "qt_1", Status: status} })
	}
	switch {
	case q == nil && v.State == fulfillment.StateDraft:
		moves["staff send the quote"] = becomes("open")
	case q != nil && q.Status == "open" && !w.facts.Canceled:
		moves["the quote is accepted"] = becomes("accepted")
		moves["the quote ends"] = becomes("canceled")
	case q != nil && q.Status == "accepted" && len(w.facts.Invoices) == 0:
		moves["its invoice is made"] = w.with(func(f *fulfillment.Facts) {
			i := paidInvoice(w.snapshot)
			i.Status, i.AmountPaid = "open", 0
			f.Invoices = append(f.Invoices, i)
		})
	}
	w.invoiceMoves(moves)
}

func (w walk) invoiceMoves(moves map[string]walk) {
	if len(w.facts.Invoices) == 0 {
		return
	}
	set := func(change func(*fulfillment.Invoice)) walk {
		return w.with(func(f *fulfillment.Facts) { change(&f.Invoices[0]) })
	}
	pays := func(i *fulfillment.Invoice) {
		i.Status, i.PaymentIntent, i.AmountPaid, i.AmountLeft = "paid", "succeeded", i.Total, 0
	}
	switch i := w.facts.Invoices[0]; i.Status {
	case "open", "uncollectible":
		if i.PaymentIntent != "processing" {
			moves["a bank debit begins"] = set(func(i *fulfillment.Invoice) { i.PaymentIntent = "processing" })
		} else {
			moves["the bank refuses"] = set(func(i *fulfillment.Invoice) { i.PaymentIntent = "requires_payment_method" })
		}
		moves["paid"] = set(pays)
		moves["paid, but not as ordered"] = set(func(i *fulfillment.Invoice) { pays(i); i.PaidOutOfBand = true })
		moves["paid in part"] = set(func(i *fulfillment.Invoice) { i.AmountPaid = 1 })
		moves["the invoice is voided"] = set(func(i *fulfillment.Invoice) { i.Status = "void" })
	case "paid":
		if !slices.Contains(w.facts.Authorized, i.ID) {
			moves["its event is stored"] = w.with(func(f *fulfillment.Facts) { f.Authorized = append(f.Authorized, i.ID) })
		}
	}
}

// edges walks everywhere that an order can get to and collects what changes its state.
func edges(t *testing.T, into map[string]map[string]bool, start walk) {
	t.Helper()
	seen, todo := map[string]bool{}, []walk{start}
	for len(todo) > 0 {
		w := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		key, err := json.Marshal(w.facts)
		if err != nil {
			t.Fatal(err)
		}
		if seen[string(key)] {
			continue
		}
		seen[string(key)] = true
		from := w.decide().State
		for words, next := range w.moves() {
			if to := next.decide().State; to != from {
				edge := fmt.Sprintf("%s --> %s", from, to)
				if into[edge] == nil {
					into[edge] = map[string]bool{}
				}
				into[edge][words] = true
			}
			todo = append(todo, next)
		}
	}
}

// TestTheStateDiagramIsTheCodes walks every order that the moves above can make, and holds docs/orders.md to what it finds.
// go test ./internal/fulfillment -run StateDiagram -update writes it.
func TestTheStateDiagramIsTheCodes(t *testing.T) {
	t.Parallel()
	found := map[string]map[string]bool{}
	edges(t, found, walk{snapshotOf("credit-pack-5m"), fulfillment.Facts{}})
	edges(t, found, walk{invoicedBy("enterprise-annual", fulfillment.ByQuote), fulfillment.Facts{}})
	cycle := invoicedBy("hosted-instance-monthly", fulfillment.ByCycle)
	owed := paidInvoice(cycle)
	owed.Status, owed.AmountPaid = "open", 0
	edges(t, found, walk{cycle, fulfillment.Facts{Attempt: 1, Invoices: []fulfillment.Invoice{owed}}})
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> draft\n    [*] --> awaiting_payment: a subscription's next invoice\n")
	for _, edge := range slices.Sorted(maps.Keys(found)) {
		fmt.Fprintf(&b, "    %s: %s\n", edge, strings.Join(slices.Sorted(maps.Keys(found[edge])), " / "))
	}
	b.WriteString("    issued --> [*]\n```\n")
	const file, begin, end = "../../docs/orders.md", "<!-- diagram: begin -->\n", "<!-- diagram: end -->"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no diagram between its marks", file)
	}
	if old == b.String() {
		return
	}
	if !*update {
		t.Fatalf("%s shows another diagram than the code makes; run the test with -update and read what changed:\n%s", file, b.String())
	}
	if err := os.WriteFile(file, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
