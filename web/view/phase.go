package view

import (
	"time"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

// Phase is what an order's page says at a moment: the order's state, and for a paid one how long it has been waiting.
type Phase string

// The phases of an order page.
const (
	PhaseChecking Phase = "checking" // back from Stripe, no word of the payment yet
	PhaseBank     Phase = "bank"     // a bank debit under way
	PhaseReview   Phase = "review"
	PhaseOwed     Phase = "owed"    // a further cycle of a subscription, which Stripe charges by itself
	PhaseIssuing  Phase = "issuing" // paid, less than ten seconds ago
	PhaseStill    Phase = "still"   // up to a minute
	PhaseLate     Phase = "late"    // paid, not yet issued
	PhaseReady    Phase = "ready"
	PhaseFailed   Phase = "failed"
	PhaseCanceled Phase = "canceled"
	PhaseDraft    Phase = "draft"
)

const (
	stillAfter = 10 * time.Second
	lateAfter  = time.Minute
)

// PhaseOf derives the phase of an order at now.
func PhaseOf(o fulfillment.Order, now time.Time) Phase {
	switch o.State {
	case fulfillment.StateAwaitingPayment:
		if o.Snapshot.Channel == fulfillment.ByCycle {
			return PhaseOwed
		}
		if p, ok := quotePhases[o.Quoted]; ok {
			return p
		}
		return PhaseChecking
	case fulfillment.StateProcessing:
		return PhaseBank
	case fulfillment.StateInReview:
		return PhaseReview
	case fulfillment.StatePaid:
		switch waited := now.Sub(o.PaidAt); {
		case waited >= lateAfter:
			return PhaseLate
		case waited >= stillAfter:
			return PhaseStill
		}
		return PhaseIssuing
	case fulfillment.StateIssued:
		return PhaseReady
	case fulfillment.StateFailed:
		return PhaseFailed
	case fulfillment.StateCanceled:
		return PhaseCanceled
	}
	return PhaseDraft
}

// Until is how long the phase lasts at most when nothing happens.
func (p Phase) Until(o fulfillment.Order, now time.Time) time.Duration {
	switch p {
	case PhaseIssuing:
		return max(0, o.PaidAt.Add(stillAfter).Sub(now))
	case PhaseStill:
		return max(0, o.PaidAt.Add(lateAfter).Sub(now))
	}
	return time.Hour
}

// Moves reports whether the page may change within minutes, so that it should watch.
func (p Phase) Moves() bool {
	switch p {
	case PhaseChecking, PhaseIssuing, PhaseStill, PhaseLate, PhaseReview, PhaseAccepting, PhaseInvoice:
		return true
	}
	return false
}

// Heading is the page's heading in this phase.
func (p Phase) Heading() string {
	switch p {
	case PhaseChecking:
		return "Checking your payment"
	case PhaseOwed:
		return "The next payment is not in yet"
	case PhaseBank:
		return "Waiting for your bank"
	case PhaseReview:
		return "We are checking your order"
	case PhaseIssuing:
		return "Payment received. Issuing your license"
	case PhaseStill:
		return "Still working"
	case PhaseLate:
		return "Paid, not yet issued"
	case PhaseReady:
		return "Your license is ready"
	case PhaseFailed:
		return "Payment was not taken"
	case PhaseCanceled:
		return "This order was canceled"
	case PhaseQuote:
		return "Your quote is ready"
	case PhaseAccepting:
		return "Quote accepted"
	case PhaseInvoice:
		return "Your invoice is ready"
	}
	return "Not ordered yet"
}

// Title names the order's page in a tab: where the order stands, and which one it is.
func (p OrderPage) Title() string { return p.Heading() + ", " + Middle(p.Order.ID) }

// Heading is the page's heading: the phase's, for as long as the license is the one to use.
func (p OrderPage) Heading() string {
	if p.Phase == PhaseFailed && p.Quote != nil {
		return "This quote has ended"
	}
	switch standing := p.standing(); standing {
	case fulfillment.StandingSuspended:
		return "Your license is suspended"
	case fulfillment.StandingExpired:
		if p.License.SupersededBy != "" {
			return "This license has expired"
		}
		return "Your license has expired"
	case fulfillment.StandingRevoked, fulfillment.StandingReplaced, fulfillment.StandingSuperseded:
		return "Your license was " + standingWord(standing)
	}
	return p.Phase.Heading()
}

// standing is where the license that the order came to stands; "" while there is none.
func (p OrderPage) standing() fulfillment.Standing {
	if p.Phase != PhaseReady || p.License == nil {
		return ""
	}
	return p.License.Standing(p.Now)
}

func (p OrderPage) stopped() bool { return p.standing() != "" && p.License.Stopped(p.Now) }

// readyText says what to do with the license, or why there is nothing to do with it any more.
func readyText(p OrderPage) string {
	switch p.standing() {
	case fulfillment.StandingRevoked, fulfillment.StandingSuspended, fulfillment.StandingReplaced:
		return WithdrawnWords(*p.License)
	case fulfillment.StandingSuperseded:
		return "It works until " + Stamp(p.License.WorksUntil()) + ". Install the newer one before then."
	case fulfillment.StandingExpired:
		if p.License.SupersededBy != "" {
			return "It stopped working on " + Stamp(p.License.WorksUntil()) + ". The newer one took its place."
		}
		return "It stopped working on " + Stamp(p.License.WorksUntil()) + ", and the router answers license-expired until a newer one is installed."
	}
	if p.License != nil && reinstated(*p.License, p.Now) {
		return "It has been in force again since " + Day(p.License.ReinstatedAt) + "."
	}
	return "Download it, then follow the five install steps."
}

// Step is one line of an order's timeline.
type Step struct {
	Name  string
	State string // done, current, failed, todo
	At    time.Time
}

// Steps is the order's way from purchase to download.
func Steps(o fulfillment.Order, p Phase) []Step {
	free := o.Snapshot.Total == 0
	paid := Step{Name: "Payment received", At: o.PaidAt}
	switch {
	case free:
		paid.Name = "Confirmed, nothing to pay"
	case p == PhaseReady && o.PaidAt.IsZero(): // staff let it be issued against its invoice
		paid = Step{Name: "Agreed by invoice", At: o.IssuedAt}
	}
	steps := []Step{
		{Name: "Order placed", At: placedAt(o)}, paid, {Name: "Checked", At: paid.At}, {Name: "Signed", At: o.IssuedAt},
		{Name: "Ready", At: o.IssuedAt}, {Name: "Downloaded", At: o.DownloadedAt},
	}
	at, state := current(o, p)
	if name := stepNow(p, free); name != "" {
		steps[at].Name = name
	}
	for i := range steps {
		switch {
		case i < at:
			steps[i].State = "done"
		case i == at:
			steps[i].State, steps[i].At = state, time.Time{}
		default:
			steps[i].State, steps[i].At = "todo", time.Time{}
		}
	}
	return steps
}

// stepNow names the step that the order is at, which has not happened yet.
func stepNow(p Phase, free bool) string {
	switch p {
	case PhaseChecking:
		if free {
			return "Being confirmed"
		}
		return "Waiting for the payment"
	case PhaseOwed:
		return "Waiting for the payment"
	case PhaseBank:
		return "Waiting for your bank"
	case PhaseFailed:
		return "Payment was not taken"
	case PhaseCanceled:
		return "Canceled"
	case PhaseReview:
		return "Being checked"
	case PhaseIssuing, PhaseStill:
		return "Being signed"
	case PhaseLate:
		return "Not signed yet"
	case PhaseQuote:
		return "Waiting for your answer"
	case PhaseAccepting:
		return "Invoice being made"
	case PhaseInvoice:
		return "Waiting for the payment"
	}
	return ""
}

// current is the step that the order is at, and how it is doing there; past the last when all is done.
func current(o fulfillment.Order, p Phase) (int, string) {
	switch p {
	case PhaseChecking, PhaseBank, PhaseOwed, PhaseQuote, PhaseAccepting, PhaseInvoice:
		return 1, "current"
	case PhaseFailed:
		return 1, "failed"
	case PhaseCanceled:
		if o.PaidAt.IsZero() {
			return 1, "failed"
		}
		return 2, "failed"
	case PhaseReview:
		if o.PaidAt.IsZero() {
			return 1, "current"
		}
		return 2, "current"
	case PhaseIssuing, PhaseStill, PhaseLate:
		return 3, "current"
	case PhaseReady:
		if o.DownloadedAt.IsZero() {
			return 5, "todo"
		}
		return 6, ""
	}
	return 0, "current"
}

func placedAt(o fulfillment.Order) time.Time {
	if o.SubmittedAt.IsZero() {
		return o.CreatedAt
	}
	return o.SubmittedAt
}
