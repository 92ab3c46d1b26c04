package fulfillment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
)

// QuoteStore keeps quotes beside their orders. Each method is one transaction.
type QuoteStore interface {
	// Buyer finds the member of an organization with an address, or its first owner for "". ErrNotFound also for a member who
	// may not buy.
	Buyer(ctx context.Context, organizationID, email string) (userID, address string, err error)
	// OrderByForm finds an organization's order by its form key. ErrNotFound.
	OrderByForm(ctx context.Context, organizationID, formKey string) (Record, error)
	// AddQuote stores an order's open quote and the organization's customer at Stripe, and enqueues the mail to the buyer; once,
	// however often it is called.
	AddQuote(ctx context.Context, r Record, q Quote, at time.Time) error
	// MarkAccepted notes which member accepted a quote; the first one stays.
	MarkAccepted(ctx context.Context, orderID, userID string, at time.Time) error
	// SettleQuote records what Stripe says of a quote and has its order evaluated.
	SettleQuote(ctx context.Context, orderID string, q Quote, at time.Time) error
}

// QuoteList is what staff look quotes up in.
type QuoteList interface {
	// QuoteRows lists orders by quote, newest first, at most 200; of one organization, or of all for "".
	QuoteRows(ctx context.Context, organizationID string) ([]Record, error)
	// OrderRecord finds an order of any organization, with its quote and invoices.
	OrderRecord(ctx context.Context, orderID string) (Record, error)
}

// LookStore asks for an order to be compared with Stripe soon.
type LookStore interface {
	// LookAgain enqueues a look at an order, unless it did so seconds ago.
	LookAgain(ctx context.Context, orderID string) error
}

// QuotesConfig is what Quotes needs; every field is required.
type QuotesConfig struct {
	Orders *Orders // whose store, catalog, clock and randomness are used
	Store  QuoteStore
	List   QuoteList
	Looks  LookStore
	Stripe Quoting
}

// Quotes lets staff prepare quotes for packages that are sold by invoice, and customers accept them.
type Quotes struct{ c QuotesConfig }

// NewQuotes returns the service, or says what is missing.
func NewQuotes(c QuotesConfig) (*Quotes, error) {
	if c.Orders == nil || c.Store == nil || c.List == nil || c.Looks == nil || c.Stripe == nil {
		return nil, errors.New("fulfillment: quotes need orders, a store, a list, looks and stripe")
	}
	return &Quotes{c}, nil
}

// QuoteDraft is what staff ask for.
type QuoteDraft struct {
	DraftRequest                  // FormKey: one order for each, while it is open; OrderID and UserID are not read
	By           string           // a name of staff, 1 to 100 characters
	Total        int64            // net, minor units; 0 for the template's price
	Currency     string           // upper case; "" for the template's
	Contract     catalog.Contract // beyond the template
	DaysUntilDue int              // 1 to 90
	ValidDays    int              // of the quote, 1 to 90
}

// Prepared is a quote with what staff should know of it.
type Prepared struct {
	Record Record
	Needed int // people other than the proposer who must approve its license once it is paid; 0 for none
}

// Bounds of a quote's days.
const maxQuoteDays = 90

// Prepare stores the order of a quote, makes the quote at Stripe and opens it. The same request again goes on where the last
// one stopped, and makes another order only after the last one ended. Errors: ErrNotFound (no such organization),
// *ValidationError, ErrOpenRenewal, ErrUnavailable.
func (s *Quotes) Prepare(ctx context.Context, d QuoteDraft) (Prepared, error) {
	r, err := s.order(ctx, d)
	if err != nil {
		return Prepared{}, err
	}
	if r.Seen.Quote == nil {
		quote, err := s.c.Stripe.OpenQuote(ctx, QuoteRequest{
			OrderID: r.ID, Snapshot: r.Snapshot, CustomerEmail: r.BuyerEmail, StripeCustomer: r.StripeCustomer,
		})
		if err != nil {
			return Prepared{}, fmt.Errorf("order %s: open quote: %w", r.ID, err)
		}
		if err := s.c.Store.AddQuote(ctx, r, quote, s.now()); err != nil {
			return Prepared{}, fmt.Errorf("order %s: store quote: %w", r.ID, err)
		}
		s.c.Orders.c.Log.InfoContext(ctx, "quote opened", "order", r.ID, "quote", quote.ID)
	}
	return s.Show(ctx, r.ID)
}

// order finds the order that the same request made, or makes one.
func (s *Quotes) order(ctx context.Context, d QuoteDraft) (Record, error) {
	orders := s.c.Orders
	key := d.FormKey
	for n := 2; ; n++ { // the form key of an order that ended stays its own
		r, err := s.c.Store.OrderByForm(ctx, d.OrganizationID, key)
		if errors.Is(err, ErrNotFound) {
			break
		}
		if err != nil {
			return Record{}, err
		}
		if r.Open() {
			return r, nil
		}
		if r.State == StateDraft { // stored, and lost before it was frozen
			return orders.c.Store.Freeze(ctx, r, s.now())
		}
		key = fmt.Sprintf("%s #%d", d.FormKey, n)
	}
	d.FormKey = key
	r, err := s.draft(ctx, d)
	if err != nil {
		return Record{}, err
	}
	if r, err = orders.c.Store.InsertDraft(ctx, r); err != nil {
		return Record{}, err
	}
	return orders.c.Store.Freeze(ctx, r, s.now())
}

// draft checks a request and makes the order of it. All mistakes are told at once.
func (s *Quotes) draft(ctx context.Context, d QuoteDraft) (Record, error) {
	orders := s.c.Orders
	bundle, err := orders.c.Catalog.Bundle(ctx)
	if err != nil {
		return Record{}, err
	}
	customer, err := orders.c.Store.Customer(ctx, d.OrganizationID)
	if err != nil {
		return Record{}, err
	}
	now := s.now()
	template, ok := bundle.Newest(d.SKU)
	if !ok || template.Channel != catalog.ChannelInvoice || !template.Open(now) {
		return Record{}, &ValidationError{[]FieldError{{"sku", "This package is not sold by quote."}}}
	}
	record := Record{Order: Order{OrganizationID: d.OrganizationID, State: StateDraft, CreatedAt: now, UpdatedAt: now}, FormKey: d.FormKey}
	if record.ID, err = NewID("ord_", now, orders.c.Random); err != nil {
		return Record{}, err
	}
	checking := drafting{Orders: orders, request: d.DraftRequest, bundle: bundle, now: now}
	intent := catalog.Intent{
		OrderID: record.ID, Kind: d.Kind, Template: template.Ref(), Quantity: 1, CustomerID: customer.ID, CustomerName: customer.Name,
	}
	if err := s.subject(ctx, &checking, d, &record, &intent, template); err != nil {
		return Record{}, err
	}
	record.Snapshot = Snapshot{Template: template, Intent: intent, Channel: ByQuote, Contract: d.Contract, Currency: d.Currency, Total: d.Total}
	checking.price(&record.Snapshot)
	checking.offer(&record.Snapshot, d)
	if len(checking.mistakes) > 0 {
		return Record{}, &ValidationError{checking.mistakes}
	}
	record.DeploymentID = intent.DeploymentID
	return record, checking.agreed(ctx, record)
}

// subject takes whom and what a quote is for.
func (s *Quotes) subject(ctx context.Context, checking *drafting, d QuoteDraft, record *Record, intent *catalog.Intent, t catalog.Template) error {
	var err error
	record.CreatedBy, record.BuyerEmail, err = s.c.Store.Buyer(ctx, d.OrganizationID, d.BuyerEmail)
	switch {
	case errors.Is(err, ErrNotFound):
		checking.mistake("to", "No member of the organization with that address may buy.")
	case err != nil:
		return err
	}
	record.MailDomain = mailDomain(record.BuyerEmail)
	for _, l := range d.Contract.Limits { // so that a quote may name as many instances as its contract allows
		if limit := catalog.LimitOf(&t.Limits, l.Name); limit != nil {
			*limit = l.Value
		}
	}
	switch d.Kind {
	case catalog.IssueNew:
		checking.environments(intent, t)
		checking.fingerprints(intent, t)
		return checking.deployment(ctx, record, intent)
	case catalog.IssueRenewal:
		return checking.onBase(ctx, record, intent, t)
	}
	checking.mistake("kind", "A quote is for a new license or a renewal.")
	return nil
}

// price takes the template's price where no other was agreed.
func (d *drafting) price(s *Snapshot) {
	p := s.Template.Price
	if s.Currency == "" {
		s.Currency = p.Currency
	}
	if s.Total == 0 {
		s.Total = p.UnitAmount * int64(s.Intent.Quantity)
	}
	switch {
	case s.Total <= 0:
		d.mistake("amount", "The price of this package is agreed by contract; say how much.")
	case s.Currency == "":
		d.mistake("currency", "The price of this package is agreed by contract; say in which currency.")
	case !p.ByContract && s.Currency != p.Currency:
		d.mistake("currency", "This package is sold in %s.", p.Currency)
	}
}

// offer takes how long the quote stands and when its invoice is due.
func (d *drafting) offer(s *Snapshot, q QuoteDraft) {
	for _, days := range []struct {
		field string
		n     int
	}{{"due", q.DaysUntilDue}, {"valid", q.ValidDays}} {
		if days.n < 1 || days.n > maxQuoteDays {
			d.mistake(days.field, "Say a number of days from 1 to %d.", maxQuoteDays)
		}
	}
	if q.By == "" || !plainLine(q.By, 100) {
		d.mistake("by", "Say who prepares it, in at most 100 characters.")
	}
	s.Offer = Offer{DaysUntilDue: q.DaysUntilDue, ExpiresAt: d.now.AddDate(0, 0, q.ValidDays).UTC().Truncate(time.Second), PreparedBy: q.By}
}

// agreed renders the license with what the contract agrees, so that what the signer would refuse later is refused now.
func (d *drafting) agreed(ctx context.Context, record Record) error {
	_, _, err := d.reach(ctx, record.Order)
	switch {
	case err == nil || errors.Is(err, ErrUnavailable):
		return nil
	case errors.Is(err, catalog.ErrBeyond):
		return &ValidationError{[]FieldError{{"contract", "Nobody may approve that: it goes " + afterSentinel(err) + " beyond the trust bundle's bounds."}}}
	case errors.Is(err, catalog.ErrRefused), errors.Is(err, catalog.ErrMalformed), errors.Is(err, catalog.ErrQuantity),
		errors.Is(err, catalog.ErrBaseMismatch), errors.Is(err, catalog.ErrBaseExpired):
		return &ValidationError{[]FieldError{{"contract", "The signer would refuse it: " + afterSentinel(err) + "."}}}
	}
	return err
}

// Show finds the order of a quote, for staff.
func (s *Quotes) Show(ctx context.Context, orderID string) (Prepared, error) {
	r, err := s.c.List.OrderRecord(ctx, orderID)
	if err != nil {
		return Prepared{}, err
	}
	if r.Snapshot.Channel != ByQuote {
		return Prepared{}, ErrNotFound
	}
	p := Prepared{Record: r}
	if agreedBeyond(r.Snapshot) == "" || r.LicenseID != "" {
		return p, nil
	}
	_, reach, err := s.c.Orders.reach(ctx, r.Order)
	p.Needed = max(1, int(reach)) // what was agreed needs an approval, however near it is
	if err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, catalog.ErrRefused) {
		return p, err
	}
	return p, nil
}

// List lists orders by quote, newest first; of one organization, or of all for "".
func (s *Quotes) List(ctx context.Context, organizationID string) ([]Record, error) {
	return s.c.List.QuoteRows(ctx, organizationID)
}

// Cancel withdraws a quote that is not accepted. ErrQuoteClosed if it is: then its invoice is voided at Stripe.
func (s *Quotes) Cancel(ctx context.Context, orderID string) error {
	p, err := s.Show(ctx, orderID)
	if err != nil {
		return err
	}
	return s.withdraw(ctx, p.Record)
}

// withdraw cancels an order's quote at Stripe and has the order evaluated.
func (s *Quotes) withdraw(ctx context.Context, r Record) error {
	if r.Seen.Quote == nil {
		return fmt.Errorf("%w: the quote is not at Stripe yet; prepare it again", ErrUnavailable)
	}
	quote, err := s.c.Stripe.CancelQuote(ctx, r.Seen.Quote.ID)
	if err != nil {
		return err
	}
	return s.c.Store.SettleQuote(ctx, r.ID, quote, s.now())
}

// Quote finds what a customer sees of an order by quote. ErrNotFound also where the order is another's or no quote's.
func (s *Quotes) Quote(ctx context.Context, organizationID, orderID string) (Record, error) {
	r, err := s.c.Orders.c.Store.Record(ctx, organizationID, orderID)
	if err != nil {
		return Record{}, err
	}
	if r.Snapshot.Channel != ByQuote || r.Seen.Quote == nil {
		return Record{}, ErrNotFound
	}
	return r, nil
}

// Accept accepts a quote for its organization; repeating it does nothing more. ErrQuoteClosed if it was withdrawn or has
// expired, ErrNotFound, ErrUnavailable.
func (s *Quotes) Accept(ctx context.Context, organizationID, orderID, userID string) error {
	ctx, cancel := context.WithTimeout(ctx, stripeWait)
	defer cancel()
	r, err := s.Quote(ctx, organizationID, orderID)
	if err != nil {
		return err
	}
	if r.Seen.Quote.Status == "open" && !s.now().Before(r.Seen.Quote.ExpiresAt) {
		return ErrQuoteClosed
	}
	if err := s.c.Store.MarkAccepted(ctx, orderID, userID, s.now()); err != nil {
		return err
	}
	quote, err := s.c.Stripe.AcceptQuote(ctx, r.Seen.Quote.ID)
	if err != nil {
		return err
	}
	return s.c.Store.SettleQuote(ctx, orderID, quote, s.now())
}

// Decline cancels a quote for its organization, and its order with it. ErrQuoteClosed if it was accepted.
func (s *Quotes) Decline(ctx context.Context, organizationID, orderID string) error {
	ctx, cancel := context.WithTimeout(ctx, stripeWait)
	defer cancel()
	r, err := s.Quote(ctx, organizationID, orderID)
	if err != nil {
		return err
	}
	if err := s.withdraw(ctx, r); err != nil {
		return err
	}
	for range 3 { // the event of it may move the order first
		if r, err = s.Quote(ctx, organizationID, orderID); err != nil || r.State == StateCanceled {
			return err
		}
		if err = s.c.Orders.c.Store.CancelByCustomer(ctx, r, s.now()); !errors.Is(err, ErrMoved) {
			return err
		}
	}
	return fmt.Errorf("%w: the order keeps changing", ErrUnavailable)
}

// PDF answers the file of a quote.
func (s *Quotes) PDF(ctx context.Context, organizationID, orderID string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, stripeWait)
	defer cancel()
	r, err := s.Quote(ctx, organizationID, orderID)
	if err != nil {
		return nil, err
	}
	return s.c.Stripe.QuotePDF(ctx, r.Seen.Quote.ID)
}

// LookAgain has Stripe asked what became of an order's invoice, for a customer who comes back from paying it: Stripe sends no
// event that a bank debit began.
func (s *Quotes) LookAgain(ctx context.Context, organizationID, orderID string) error {
	if _, err := s.Quote(ctx, organizationID, orderID); err != nil {
		return err
	}
	return s.c.Looks.LookAgain(ctx, orderID)
}

func (s *Quotes) now() time.Time { return s.c.Orders.c.Now() }

// Invoice is the invoice to pay or paid of an order: the last that is neither replaced nor void; nil while there is none.
func (s Seen) Invoice() *Invoice {
	for _, i := range slices.Backward(s.Invoices) {
		if i.ReplacedBy == "" && i.Status != "void" && i.Status != "deleted" && i.Status != "draft" {
			return &i
		}
	}
	return nil
}

// QuoteStep is how far the quote of an order that awaits its payment is; "" without a quote.
func (s Seen) QuoteStep() QuoteStep {
	switch {
	case s.Quote == nil:
		return ""
	case s.Invoice() != nil:
		return QuoteInvoiced
	case s.Quote.Status == "open":
		return QuoteOffered
	}
	return QuoteAccepted
}
