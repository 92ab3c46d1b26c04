package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/config"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
)

func (p program) quote(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: quote is followed by prepare, list, show or cancel", errUsage)
	}
	switch args[0] {
	case "prepare":
		return p.quotePrepare(ctx, args[1:])
	case "list":
		return p.quoteList(ctx, args[1:])
	case "show", "cancel":
		return p.quoteOne(ctx, args[0], args[1:])
	}
	return fmt.Errorf("%w: quote knows prepare, list, show and cancel, not %q", errUsage, args[0])
}

// noWatcher stands where nobody watches an order.
type noWatcher struct{}

func (noWatcher) Watch(context.Context, string) <-chan struct{} { return nil }

// quoting opens what the quote commands work with.
func (p program) quoting(ctx context.Context) (*parts, *fulfillment.Quotes, error) {
	a, err := p.open(ctx, config.Database|config.Signer|config.Stripe|config.Links)
	if err != nil {
		return nil, nil, err
	}
	orders, err := a.orders(noWatcher{})
	if err != nil {
		a.Close()
		return nil, nil, err
	}
	quotes, err := a.quotes(orders)
	if err != nil {
		a.Close()
	}
	return a, quotes, err
}

func (p program) quotePrepare(ctx context.Context, args []string) error {
	d, err := parseQuote(args)
	if err != nil {
		return err
	}
	a, quotes, err := p.quoting(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	if _, err := a.checkMode(ctx); err != nil {
		return err
	}
	made, err := quotes.Prepare(ctx, d)
	if err != nil {
		return quoteWords(err)
	}
	return writeQuote(p.stdout, made, a.config.PublicURL)
}

// parseQuote reads "SKU -org CUSTOMER -by NAME …".
func parseQuote(args []string) (fulfillment.QuoteDraft, error) {
	d := fulfillment.QuoteDraft{}
	if !asksForHelp(args) {
		if len(args) == 0 || strings.HasPrefix(args[0], "-") {
			return d, fmt.Errorf("%w: quote prepare SKU -org CUSTOMER -by NAME …", errUsage)
		}
		d.SKU, args = args[0], args[1:]
	}
	flags := newFlags("quote prepare SKU -org CUSTOMER -by NAME …")
	var amount string
	flags.StringVar(&d.OrganizationID, "org", "", "the customer, `cust_…`")
	flags.StringVar(&d.By, "by", "", "`name` of who prepares it")
	flags.StringVar(&d.BuyerEmail, "to", "", "`address` of a member who may buy; the first owner's without it")
	flags.StringVar((*string)(&d.Kind), "kind", string(catalog.IssueNew), "new or renewal")
	flags.StringVar(&d.BaseLicenseID, "base", "", "of a renewal: the `license`")
	flags.StringVar(&d.DeploymentName, "deployment", "", "`name` of a new deployment")
	flags.StringVar(&d.DeploymentID, "deployment-id", "", "an existing deployment, `dep_…`")
	listVar(flags, &d.Environments, "environments", "of a new license, `a,b`")
	flags.Func("fingerprint", "of an instance; again for each", func(v string) error {
		d.Fingerprints = append(d.Fingerprints, v)
		return nil
	})
	flags.StringVar(&amount, "amount", "", "net price where another than the package's is agreed, `15000.00`")
	flags.StringVar(&d.Currency, "currency", "", "of a price by contract, `USD`; the package's without it")
	timeVar(flags, &d.Contract.ExpiresAt, "expires", "end of the license by contract, `2027-12-20T09:00:00Z`")
	listVar(flags, &d.Contract.AddFeatures, "add-features", "by contract, `a,b`")
	flags.StringVar(&d.Contract.Notes, "notes", "", "in the license, `text`")
	limits := proposing{}
	limits.limitVar(flags)
	flags.IntVar(&d.DaysUntilDue, "due", 30, "`days` from acceptance until the invoice is due, 1 to 90")
	flags.IntVar(&d.ValidDays, "valid", 30, "`days` for which the quote stands, 1 to 90")
	if err := parse(flags, args); err != nil {
		return d, err
	}
	d.Contract = catalog.OrderContract(d.Contract, limits.limits)
	if amount != "" {
		var err error
		if d.Total, err = fulfillment.ParseMoney(amount, d.Currency); err != nil {
			return d, fmt.Errorf("%w: -amount: %w", errUsage, err)
		}
	}
	return d, keyed(&d)
}

// keyed names the request by all that was asked, so that the same command again goes on with the same order.
func keyed(d *fulfillment.QuoteDraft) error {
	text, err := json.Marshal(*d)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	d.FormKey = "quote " + hex.EncodeToString(sum[:])
	return nil
}

// quoteWords says in words for staff what stands in the way of a quote.
func quoteWords(err error) error {
	var mistakes *fulfillment.ValidationError
	switch {
	case errors.As(err, &mistakes):
		lines := make([]string, len(mistakes.Fields))
		for i, f := range mistakes.Fields {
			lines[i] = "  " + f.Field + ": " + f.Message
		}
		return errors.New("no quote was made:\n" + strings.Join(lines, "\n"))
	case errors.Is(err, fulfillment.ErrNotFound):
		return errors.New("there is no such customer, or no such order by quote")
	case errors.Is(err, fulfillment.ErrOpenRenewal):
		return errors.New("another renewal of this license is open; end it first")
	case errors.Is(err, fulfillment.ErrNameTaken):
		return errors.New("the customer has a deployment of this name; use -deployment-id")
	case errors.Is(err, fulfillment.ErrQuoteClosed):
		return errors.New("the quote is accepted; void its invoice at Stripe instead")
	}
	return err
}

func (p program) quoteList(ctx context.Context, args []string) error {
	flags := newFlags("quote list [-org CUSTOMER]")
	organization := flags.String("org", "", "one customer's, `cust_…`")
	if err := parse(flags, args); err != nil {
		return err
	}
	a, quotes, err := p.quoting(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	list, err := quotes.List(ctx, *organization)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(p.stdout, "there are no quotes")
		return err
	}
	table := tabwriter.NewWriter(p.stdout, 0, 4, 2, ' ', 0)
	for _, r := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.ID, strings.ReplaceAll(string(r.State), "_", " "), quoteStanding(r),
			fulfillment.Money(r.Snapshot.Total, r.Snapshot.Currency), r.Snapshot.Intent.Template, r.Snapshot.Intent.CustomerName)
	}
	return table.Flush()
}

func quoteStanding(r fulfillment.Record) string {
	if r.Seen.Quote == nil {
		return "not at Stripe yet"
	}
	return "quote " + r.Seen.Quote.Status
}

func (p program) quoteOne(ctx context.Context, command string, args []string) error {
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return fmt.Errorf("%w: quote %s ORDER", errUsage, command)
	}
	a, quotes, err := p.quoting(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	if command == "cancel" {
		if err := quotes.Cancel(ctx, args[0]); err != nil {
			return quoteWords(err)
		}
		fmt.Fprintf(p.stdout, "the quote of %s is withdrawn\n", args[0])
		return nil
	}
	found, err := quotes.Show(ctx, args[0])
	if err != nil {
		return quoteWords(err)
	}
	return writeQuote(p.stdout, found, a.config.PublicURL)
}

func writeQuote(w io.Writer, q fulfillment.Prepared, publicURL string) error {
	r := q.Record
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	row("order", "%s, %s", r.ID, strings.ReplaceAll(string(r.State), "_", " "))
	if s := r.Seen.Quote; s != nil {
		row("quote", "%s (%s), %s, stands until %s", s.Number, s.ID, s.Status, s.ExpiresAt.UTC().Format(time.RFC3339))
	}
	row("customer", "%s (%s)", r.Snapshot.Intent.CustomerName, r.OrganizationID)
	row("package", "%s, %s for %s", r.Snapshot.Intent.Template, r.Snapshot.Intent.Kind, r.DeploymentName)
	row("amount", "%s net, due %d days after acceptance", fulfillment.Money(r.Snapshot.Total, r.Snapshot.Currency), r.Snapshot.Offer.DaysUntilDue)
	row("prepared by", "%s", r.Snapshot.Offer.PreparedBy)
	invoice := "in_…"
	if i := r.Seen.Invoice(); i != nil {
		invoice = i.ID
		row("invoice", "%s (%s), %s, %s left, due %s", i.Number, i.ID, i.Status, fulfillment.Money(i.AmountLeft, i.Currency), i.DueAt.UTC().Format(time.RFC3339))
	}
	switch {
	case r.LicenseID != "":
		row("license", "%s", r.LicenseID)
	case q.Needed > 0:
		row("approval", "by %d besides whoever proposes, once it is paid: %s", q.Needed, fulfillment.IssueCommand(r.ID, invoice, approval.ReasonContract))
	default:
		row("approval", "none; the license is issued when the invoice is paid")
	}
	row("page", "%s/orders/%s", publicURL, r.ID)
	return table.Flush()
}
