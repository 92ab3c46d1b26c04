package fulfillment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// Bounds of what a customer types.
const (
	maxDeploymentName   = 60  // characters
	maxFingerprintBytes = 200 // bytes; the format allows more
)

// Draft checks what a customer picked and stores it as a draft, which nothing is owed for yet. All mistakes are told at once
// in a *ValidationError. ErrNotFound: the order, or the base, is not the organization's. ErrFrozen: the order is no draft any more.
func (s *Orders) Draft(ctx context.Context, r DraftRequest) (Order, error) {
	bundle, err := s.c.Catalog.Bundle(ctx)
	if err != nil {
		return Order{}, err
	}
	customer, err := s.c.Store.Customer(ctx, r.OrganizationID)
	if err != nil {
		return Order{}, err
	}
	record := Record{Order: Order{OrganizationID: r.OrganizationID}}
	if r.OrderID != "" {
		if record, err = s.c.Store.Record(ctx, r.OrganizationID, r.OrderID); err != nil {
			return Order{}, err
		}
		if record.State != StateDraft {
			return Order{}, ErrFrozen
		}
	} else if record.ID, err = NewID("ord_", s.c.Now(), s.c.Random); err != nil {
		return Order{}, err
	}
	d := drafting{Orders: s, request: r, bundle: bundle, now: s.c.Now()}
	if err := d.fill(ctx, &record, customer); err != nil {
		return Order{}, err
	}
	if r.OrderID != "" {
		record, err = s.c.Store.UpdateDraft(ctx, record)
	} else {
		record, err = s.c.Store.InsertDraft(ctx, record)
	}
	if errors.Is(err, ErrMoved) {
		err = ErrFrozen
	}
	return record.Order, err
}

// drafting is one request being checked.
type drafting struct {
	*Orders
	request  DraftRequest
	bundle   *trust.Bundle
	now      time.Time
	mistakes []FieldError
}

func (d *drafting) mistake(field, format string, args ...any) {
	d.mistakes = append(d.mistakes, FieldError{field, fmt.Sprintf(format, args...)})
}

func (d *drafting) fill(ctx context.Context, record *Record, customer Customer) error {
	r := d.request
	template, ok := d.bundle.Newest(r.SKU)
	if !ok || !template.SelfService() || !template.Open(d.now) {
		return &ValidationError{[]FieldError{{"sku", "This package is not on sale."}}}
	}
	intent := catalog.Intent{
		OrderID: record.ID, Kind: r.Kind, Template: template.Ref(), Quantity: 1,
		CustomerID: customer.ID, CustomerName: customer.Name,
	}
	var err error
	switch r.Kind {
	case catalog.IssueNew:
		d.environments(&intent, template)
		d.fingerprints(&intent, template)
		if err = d.deployment(ctx, record, &intent); err == nil && template.Subscription() {
			err = d.unsubscribed(ctx, record.ID, intent.DeploymentID)
		}
	case catalog.IssueRenewal, catalog.IssueTopUp:
		err = d.onBase(ctx, record, &intent, template)
	default:
		d.mistake("sku", "Choose a new license, a renewal or a top-up.")
	}
	if err != nil {
		return err
	}
	if len(d.mistakes) > 0 {
		return &ValidationError{d.mistakes}
	}
	record.Snapshot = Snapshot{Template: template, Intent: intent, Currency: template.Price.Currency, Total: template.Price.UnitAmount * int64(intent.Quantity)}
	if template.Subscription() {
		record.Snapshot.Channel = BySubscription
	}
	record.DeploymentID = intent.DeploymentID
	record.CreatedBy, record.BuyerEmail, record.MailDomain = r.UserID, r.BuyerEmail, mailDomain(r.BuyerEmail)
	record.State, record.UpdatedAt = StateDraft, d.now
	if record.CreatedAt.IsZero() {
		record.CreatedAt, record.FormKey = d.now, r.FormKey
	}
	if record.FormKey == "" { // a caller without a form: every request is its own
		record.FormKey = record.ID
	}
	return d.rehearse(ctx, *record)
}

// rehearse renders the license, so that what the signer would refuse is refused before anything is paid.
func (d *drafting) rehearse(ctx context.Context, record Record) error {
	_, err := d.Preview(ctx, record.Order)
	switch {
	case err == nil || errors.Is(err, ErrUnavailable):
		return nil // whether a key signs now is not the customer's mistake
	case errors.Is(err, catalog.ErrBaseExpired), errors.Is(err, catalog.ErrBaseMismatch):
		return &ValidationError{[]FieldError{{"base", customerWords(err)}}}
	case errors.Is(err, catalog.ErrRefused), errors.Is(err, catalog.ErrMalformed), errors.Is(err, catalog.ErrQuantity):
		return &ValidationError{[]FieldError{{"sku", customerWords(err)}}}
	}
	return err
}

func (d *drafting) environments(intent *catalog.Intent, t catalog.Template) {
	chosen := slices.Compact(slices.Sorted(slices.Values(d.request.Environments)))
	if len(chosen) == 0 {
		d.mistake("environment", "Choose at least one environment.")
	}
	for _, e := range chosen {
		if !slices.Contains(t.Environments, e) {
			d.mistake("environment", "This package is for %s.", strings.Join(t.Environments, " or "))
			break
		}
	}
	intent.Environments = chosen
}

// fingerprints checks each line where it stands; empty lines are left out.
func (d *drafting) fingerprints(intent *catalog.Intent, t catalog.Template) {
	limit := int(t.Limits.MaxInstances)
	if !t.FingerprintRequired {
		limit = 0
	}
	for n, raw := range d.request.Fingerprints {
		field := fmt.Sprintf("fingerprint_%d", n+1)
		fp := strings.TrimSpace(raw)
		switch {
		case fp == "":
		case !t.FingerprintRequired:
			d.mistake(field, "This package is not bound to an instance; leave it empty.")
		case !plainLine(fp, maxFingerprintBytes) || strings.Contains(fp, ","):
			d.mistake(field, "A fingerprint is one line of at most %d printable characters without commas.", maxFingerprintBytes)
		case slices.Contains(intent.Fingerprints, fp):
			d.mistake(field, "This fingerprint is there twice.")
		case len(intent.Fingerprints) >= limit:
			d.mistake(field, "This package runs on at most %d %s.", limit, plural(limit, "instance", "instances"))
		default:
			intent.Fingerprints = append(intent.Fingerprints, fp)
		}
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// deployment takes an existing deployment, or names a new one; the new one's row is made when the order is frozen.
func (d *drafting) deployment(ctx context.Context, record *Record, intent *catalog.Intent) error {
	existing, err := d.c.Licenses.Deployments(ctx, d.request.OrganizationID)
	if err != nil {
		return err
	}
	name := strings.TrimSpace(d.request.DeploymentName)
	if id := d.request.DeploymentID; id != "" {
		at := slices.IndexFunc(existing, func(e Deployment) bool { return e.ID == id })
		if at < 0 {
			d.mistake("deployment_id", "Choose one of your deployments, or name a new one.")
			return nil
		}
		intent.DeploymentID, record.DeploymentName = id, existing[at].Name
		return nil
	}
	switch {
	case name == "":
		d.mistake("deployment_name", "Give the deployment a name.")
	case utf8.RuneCountInString(name) > maxDeploymentName || !plainLine(name, 4*maxDeploymentName):
		d.mistake("deployment_name", "A name has at most %d printable characters.", maxDeploymentName)
	case slices.ContainsFunc(existing, func(e Deployment) bool { return strings.EqualFold(e.Name, name) }):
		d.mistake("deployment_name", "You have a deployment of this name; choose it from the list, or take another name.")
	}
	fresh := record.DeploymentID == "" || slices.ContainsFunc(existing, func(e Deployment) bool { return e.ID == record.DeploymentID })
	if intent.DeploymentID = record.DeploymentID; fresh {
		if intent.DeploymentID, err = NewID("dep_", d.now, d.c.Random); err != nil {
			return err
		}
	}
	record.DeploymentName = name
	return nil
}

// unsubscribed refuses a second subscription for a deployment: both would renew, and each be paid for.
func (d *drafting) unsubscribed(ctx context.Context, orderID, deploymentID string) error {
	subscribed, err := d.c.Store.Subscribed(ctx, d.request.OrganizationID, deploymentID, orderID)
	if err == nil && subscribed {
		d.mistake("deployment_id", "This deployment has a subscription, which renews by itself. Change or cancel that one on its license's page, or take another deployment.")
	}
	return err
}

// onBase takes deployment and digest from the base of a renewal or top-up.
func (d *drafting) onBase(ctx context.Context, record *Record, intent *catalog.Intent, t catalog.Template) error {
	base, err := d.c.Licenses.License(ctx, d.request.OrganizationID, d.request.BaseLicenseID)
	if errors.Is(err, ErrNotFound) {
		d.mistake("base", "Choose one of your licenses.")
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case !base.Newest:
		d.mistake("base", "A newer license of this deployment exists; renewals and top-ups are bought on the newest.")
	case !base.Extendable():
		d.mistake("base", "This license is %s; nothing can be bought on it.", base.Withdrawn.Status)
	}
	baseTemplate, _ := d.bundle.Newest(base.Payload.SKU)
	if intent.Kind == catalog.IssueRenewal {
		err = catalog.CanRenew(base.Payload, baseTemplate, t)
	} else {
		err = catalog.CanTopUp(base.Payload, baseTemplate, t, d.now)
	}
	if err != nil {
		d.mistake("base", "%s", customerWords(err))
	}
	if len(base.Payload.Deployment.AllowedInstanceFingerprints) > 0 {
		intent.Fingerprints = filter(d.request.Fingerprints, func(fp string) bool { return fp != "" })
	}
	intent.BaseID, intent.BaseSHA256 = base.ID, base.SHA256
	intent.DeploymentID, record.DeploymentName = base.DeploymentID, base.DeploymentName
	return nil
}

// customerWords takes the words after the sentinel of a catalog error and makes a sentence of them.
func customerWords(err error) string {
	_, words, ok := strings.Cut(err.Error(), ": ")
	if !ok || words == "" {
		words = err.Error()
	}
	first, size := utf8.DecodeRuneInString(words)
	return string(unicode.ToUpper(first)) + words[size:] + "."
}

// plainLine reports whether s is printable UTF-8 of 1 to max bytes.
func plainLine(s string, max int) bool {
	return s != "" && len(s) <= max && utf8.ValidString(s) &&
		!strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError })
}
