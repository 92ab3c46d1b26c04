// Package fake holds the services behind the pages in memory, with a customer's worth of data, for tests of the pages and
// for looking at them. It signs nothing and is linked into no command but the preview.
package fake

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/trust"
	"github.com/metrum-ai/licensing-portal/license"
)

// Now is when the data stands: a Monday.
func Now() time.Time { return time.Date(2026, 11, 23, 12, 45, 0, 0, time.UTC) }

// Services is every port of the pages in one. Fields may be set before it serves; Mutations counts calls that change
// something.
type Services struct {
	mu            sync.Mutex
	now           func() time.Time
	Users         map[string]account.User
	Members       map[string][]account.Membership
	SignIns       map[string]account.SignIn // by token; the code of each is "123456"
	Used          map[string]bool
	OrderList     []fulfillment.Order
	QuoteSeen     map[string]fulfillment.Seen // by order
	Looks         []string                    // the orders that Stripe was asked about again
	LicenseList   []fulfillment.License
	DeploymentSet []fulfillment.Deployment

	SubscriptionList []fulfillment.Subscribed
	LinkList         []fulfillment.Link
	LinkTokens       map[string]string // token to link ID
	BundleValue      *trust.Bundle
	Mutations        int

	RevocationValue fulfillment.RevocationBundle // names the withdrawn of LicenseList, with a signature of zeros
	Webhooks        [][]byte

	// Errors to answer instead, where set.
	WebhookError, CheckoutError, HealthError, MembershipsError, RevocationError error

	watchers map[chan struct{}]bool
}

// IDs of the data.
const (
	OwnerID, StrangerID, ReaderID, SeveralID, NewcomerID = "usr_owner", "usr_stranger", "usr_reader", "usr_several", "usr_newcomer"
	OrganizationID, OtherID                              = "cust_halden", "cust_lumen"
	OrderReady, OrderDraft, OrderAwaiting, OrderPaid     = "ord_01jdb4rz7k2m9qpx", "ord_01jdraft5n8r2v", "ord_01jdawait3k7p", "ord_01jdpaid8q4m1z"
	OrderReview, OrderFailed, OrderBank, OrderCanceled   = "ord_01jdreview6t2b", "ord_01jdfailed9w5c", "ord_01jdbank2h8n", "ord_01jdcancel4g6s"
	LiveToken, ExpiredToken, RevokedToken                = "live-token-0123456789", "old-token-0123456789", "revoked-token-0123456789"
	LinkID                                               = "lnk_live"
	OrderSuspended, OrderRevoked, OrderTopped            = "ord_01jdsuspended", "ord_01jdrevoked4x", "ord_01jdtopped2k"
)

// New makes the services with their data.
func New(now func() time.Time) *Services {
	s := &Services{
		now: now, Users: map[string]account.User{}, Members: map[string][]account.Membership{},
		SignIns: map[string]account.SignIn{}, Used: map[string]bool{}, LinkTokens: map[string]string{}, watchers: map[chan struct{}]bool{},
	}
	halden := account.Organization{ID: OrganizationID, Name: "Halden Robotics", CreatedAt: now().AddDate(0, -1, 0)}
	lumen := account.Organization{ID: OtherID, Name: "Lumen Health AB", CreatedAt: now().AddDate(0, -2, 0)}
	for id, m := range map[string][]account.Membership{
		OwnerID: {{Organization: halden, Role: account.RoleOwner}}, StrangerID: {{Organization: lumen, Role: account.RoleOwner}},
		ReaderID:   {{Organization: halden, Role: account.RoleReadOnly}},
		SeveralID:  {{Organization: halden, Role: account.RoleOwner}, {Organization: lumen, Role: account.RoleOperator}},
		NewcomerID: nil,
	} {
		s.Users[id] = account.User{ID: id, Email: id[4:] + "@halden.example"}
		s.Members[id] = m
	}
	s.BundleValue = bundle(now())
	s.fill()
	s.addQuotes()
	return s
}

func bundle(now time.Time) *trust.Bundle {
	public := func(b byte) string {
		key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
		return base64.StdEncoding.EncodeToString(key[ed25519.SeedSize:]) // the public half
	}
	return &trust.Bundle{
		SchemaVersion: 1, Version: 12, IssuedAt: now, Templates: catalog.Launch(),
		Keys: []trust.Key{
			{ID: "k-2026-a", Role: "license", PublicKeyBase64: public(1), SignFrom: now.AddDate(-1, 0, 0), SignUntil: now.AddDate(0, 0, -7), VerifyUntil: now.AddDate(2, 0, 0), Status: trust.KeyVerifyOnly},
			{ID: "k-2026-b", Role: "license", PublicKeyBase64: public(2), SignFrom: now.AddDate(0, 0, -7), SignUntil: now.AddDate(1, 0, 0), VerifyUntil: now.AddDate(3, 0, 0), Status: trust.KeySigning},
			{ID: "r-2026-a", Role: "revocation", PublicKeyBase64: public(3), SignFrom: now.AddDate(-1, 0, 0), SignUntil: now.AddDate(1, 0, 0), VerifyUntil: now.AddDate(2, 0, 0), Status: trust.KeySigning},
		},
	}
}

func (s *Services) template(sku string) catalog.Template {
	t, ok := s.BundleValue.Newest(sku)
	if !ok {
		panic("fake: no template " + sku)
	}
	return t
}

func (s *Services) fill() {
	now := s.now()
	s.DeploymentSet = []fulfillment.Deployment{
		{ID: "dep_routereu", Name: "router-eu", CreatedAt: now.AddDate(0, 0, -21)},
		{ID: "dep_batch", Name: "router-batch", CreatedAt: now.AddDate(0, -3, 0)},
	}
	evaluation := s.issue("ord_01jch2", "eval-72h", s.DeploymentSet[0], nil, catalog.IssueNew, now.AddDate(0, 0, -21), "k-2026-a")
	pilot := s.issue("ord_01jcq0", "pilot-30d", s.DeploymentSet[0], nil, catalog.IssueNew, now.AddDate(0, 0, -18), "k-2026-a")
	renewal := s.issue(OrderReady, "pilot-30d", s.DeploymentSet[0], &pilot, catalog.IssueRenewal, now.AddDate(0, 0, -3), "k-2026-b")
	pilot.SupersededBy, pilot.SupersededAt = renewal.ID, renewal.Payload.IssuedAt
	renewal.Newest = true
	pack := s.issue("ord_01jbpack", "credit-pack-25m", s.DeploymentSet[1], nil, catalog.IssueNew, now.AddDate(-1, 0, 9), "k-2026-a")
	pack.Newest, pack.RunsOutSoon, pack.InstalledAt = true, true, now.AddDate(-1, 0, 10)
	s.LicenseList = []fulfillment.License{renewal, pilot, evaluation, pack}
	s.LinkList = []fulfillment.Link{
		{ID: LinkID, LicenseID: renewal.ID, CreatedAt: now.AddDate(0, 0, -1), ExpiresAt: now.AddDate(0, 0, 6), Downloads: 1},
		{ID: "lnk_old", LicenseID: renewal.ID, CreatedAt: now.AddDate(0, 0, -9), ExpiresAt: now.AddDate(0, 0, -2)},
		{ID: "lnk_revoked", LicenseID: renewal.ID, CreatedAt: now.AddDate(0, 0, -2), ExpiresAt: now.AddDate(0, 0, 5), RevokedAt: now.AddDate(0, 0, -1)},
	}
	s.LinkTokens = map[string]string{LiveToken: LinkID, ExpiredToken: "lnk_old", RevokedToken: "lnk_revoked"}
	s.withdraw()
	s.fillOrders(renewal.ID)
	s.subscribe()
}

// withdraw adds a license that is suspended, and a top-up that was refunded with the license it was bought on.
func (s *Services) withdraw() {
	now := s.now()
	lab := fulfillment.Deployment{ID: "dep_lab", Name: "router-lab", CreatedAt: now.AddDate(0, -2, 0)}
	edge := fulfillment.Deployment{ID: "dep_edge", Name: "router-edge", CreatedAt: now.AddDate(0, -2, 0)}
	s.DeploymentSet = append(s.DeploymentSet, lab, edge)
	suspended := s.issue(OrderSuspended, "credit-pack-5m", lab, nil, catalog.IssueNew, now.AddDate(0, -2, 0), "k-2026-a")
	topped := s.issue(OrderTopped, "credit-pack-5m", edge, nil, catalog.IssueNew, now.AddDate(0, -1, 0), "k-2026-a")
	revoked := s.issue(OrderRevoked, "credit-pack-25m", edge, &topped, catalog.IssueTopUp, now.AddDate(0, 0, -6), "k-2026-b")
	suspended.Newest, topped.Newest = true, true
	suspended.InstalledAt, topped.InstalledAt = now.AddDate(0, -2, 1), now.AddDate(0, -1, 1)
	suspended.Withdrawn = &license.RevocationEntry{LicenseID: suspended.ID, Status: license.StatusSuspended, Reason: "payment-disputed", EffectiveAt: now.Add(-50 * time.Hour)}
	revoked.Withdrawn = &license.RevocationEntry{LicenseID: revoked.ID, Status: license.StatusRevoked, Reason: "refunded", EffectiveAt: now.Add(-26 * time.Hour)}
	s.LicenseList = append(s.LicenseList, suspended, revoked, topped)
	s.RevocationValue = s.revocations(*suspended.Withdrawn, *revoked.Withdrawn)
}

func (s *Services) revocations(entries ...license.RevocationEntry) fulfillment.RevocationBundle {
	issued := s.now().Add(-26 * time.Hour)
	p := license.RevocationPayload{
		SchemaVersion: license.SchemaVersion, RevocationSetID: fmt.Sprintf("rvk_%d", issued.Unix()), RevocationEpoch: issued.Unix(), Product: license.Product,
		Issuer: license.Issuer, IssuedAt: issued, NotBefore: issued, ExpiresAt: issued.AddDate(0, 0, 35), KeyID: "r-2026-a", Entries: entries,
	}
	envelope, err := license.EncodeRevocationBundle(p, make([]byte, ed25519.SignatureSize))
	if err != nil {
		panic("fake: " + err.Error())
	}
	sum := sha256.Sum256(envelope)
	return fulfillment.RevocationBundle{
		Epoch: p.RevocationEpoch, IssuedAt: p.IssuedAt, ExpiresAt: p.ExpiresAt, Entries: len(entries), Envelope: envelope, SHA256: hex.EncodeToString(sum[:]),
	}
}

func (s *Services) fillOrders(ready string) {
	now := s.now()
	order := func(id, sku string, state fulfillment.State, change func(*fulfillment.Order)) {
		t := s.template(sku)
		o := fulfillment.Order{
			ID: id, OrganizationID: OrganizationID, DeploymentID: "dep_routereu", DeploymentName: "router-eu",
			BuyerEmail: "e.lindqvist@halden.example", State: state, Revision: 3, CreatedAt: now.Add(-3 * time.Minute), SubmittedAt: now.Add(-2 * time.Minute),
			Snapshot: fulfillment.Snapshot{Template: t, Currency: t.Price.Currency, Total: t.Price.UnitAmount, Intent: catalog.Intent{
				OrderID: id, Kind: catalog.IssueNew, Template: t.Ref(), Quantity: 1, CustomerID: OrganizationID, CustomerName: "Halden Robotics",
				DeploymentID: "dep_routereu", Environments: t.Environments[:1], Fingerprints: []string{"router-eu-1"},
			}},
		}
		if change != nil {
			change(&o)
		}
		s.OrderList = append(s.OrderList, o)
	}
	order(OrderPaid, "credit-pack-5m", fulfillment.StatePaid, func(o *fulfillment.Order) { o.PaidAt = now.Add(-90 * time.Second) })
	order(OrderAwaiting, "credit-pack-5m", fulfillment.StateAwaitingPayment, nil)
	order(OrderBank, "credit-pack-25m", fulfillment.StateProcessing, nil)
	order(OrderReview, "pilot-30d", fulfillment.StateInReview, func(o *fulfillment.Order) {
		o.PaidAt = now.Add(-time.Hour)
		o.Reasons = []fulfillment.Reason{{Code: "amount_low", Detail: "internal words for staff"}}
	})
	order(OrderFailed, "credit-pack-25m", fulfillment.StateFailed, func(o *fulfillment.Order) { o.Failure = "Your bank said no: insufficient funds." })
	order(OrderDraft, "credit-pack-25m", fulfillment.StateDraft, nil)
	order(OrderReady, "pilot-30d", fulfillment.StateIssued, func(o *fulfillment.Order) {
		o.SubmittedAt, o.PaidAt, o.IssuedAt = now.AddDate(0, 0, -3), now.AddDate(0, 0, -3), now.AddDate(0, 0, -3)
		o.LicenseID, o.ReceiptURL = ready, "https://pay.stripe.example/receipts/1"
	})
	for _, l := range s.LicenseList[1:] {
		order(l.OrderID, l.Payload.SKU, fulfillment.StateIssued, func(o *fulfillment.Order) {
			at := l.Payload.IssuedAt
			o.SubmittedAt, o.PaidAt, o.IssuedAt, o.DownloadedAt, o.LicenseID = at, at, at, at, l.ID
			o.DeploymentID, o.DeploymentName = l.DeploymentID, l.DeploymentName
		})
	}
	order(OrderCanceled, "pilot-30d", fulfillment.StateCanceled, func(o *fulfillment.Order) { o.ClosedAt = now.AddDate(0, 0, -5) })
}

// issue renders a license as the signer would, with a signature of zeros.
func (s *Services) issue(order, sku string, d fulfillment.Deployment, base *fulfillment.License, kind catalog.IssuanceKind, at time.Time, key string) fulfillment.License {
	t := s.template(sku)
	source := catalog.Source{
		Template: t, FulfillmentKey: order, IssuedAt: at, KeyID: key,
		Intent: catalog.Intent{OrderID: order, Kind: kind, Template: t.Ref(), Quantity: 1, CustomerID: OrganizationID, CustomerName: "Halden Robotics GmbH", DeploymentID: d.ID},
	}
	if base == nil {
		source.Intent.Environments = t.Environments[:1]
		if t.FingerprintRequired {
			source.Intent.Fingerprints = []string{d.Name + "-1"}
		}
	} else {
		source.Base, source.BaseTemplate = &base.Payload, &t
		source.Intent.BaseID, source.Intent.BaseSHA256 = base.ID, base.SHA256
	}
	p, err := catalog.Render(source)
	if err != nil {
		panic(fmt.Sprintf("fake: %s: %v", sku, err))
	}
	l := s.wrap(p)
	l.OrderID, l.DeploymentID, l.DeploymentName, l.Kind, l.TemplateName = order, d.ID, d.Name, kind, t.Name
	if base != nil {
		l.BaseLicenseID = base.ID
	}
	return l
}

func (s *Services) wrap(p license.Payload) fulfillment.License {
	envelope, err := json.MarshalIndent(map[string]any{"payload": p, "signature": map[string]string{
		"algorithm": license.Algorithm, "key_id": p.KeyID, "value_base64": base64.StdEncoding.EncodeToString(make([]byte, 64)),
	}}, "", "  ")
	if err != nil {
		panic("fake: " + err.Error())
	}
	sum := sha256.Sum256(envelope)
	return fulfillment.License{ID: p.LicenseID, OrganizationID: OrganizationID, Payload: p, Envelope: envelope, SHA256: hex.EncodeToString(sum[:]), StoredAt: p.IssuedAt}
}

// change counts and locks.
func (s *Services) change() func() {
	s.mu.Lock()
	s.Mutations++
	return s.mu.Unlock
}

// Changes is how often anything was changed.
func (s *Services) Changes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Mutations
}

// SetOrder replaces an order and tells who watches.
func (s *Services) SetOrder(o fulfillment.Order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.OrderList {
		if s.OrderList[n].ID == o.ID {
			s.OrderList[n] = o
		}
	}
	for c := range s.watchers {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Bundle implements web.Catalog.
func (s *Services) Bundle(context.Context) (*trust.Bundle, error) { return s.BundleValue, nil }

// Check implements web.Health.
func (s *Services) Check(context.Context) map[string]error {
	return map[string]error{"database": nil, "signer": s.HealthError}
}

// Receive implements web.Inbox.
func (s *Services) Receive(_ context.Context, body []byte, signature string) error {
	if s.WebhookError != nil {
		return s.WebhookError
	}
	if signature != "good" {
		return fulfillment.ErrSignatureInvalid
	}
	defer s.change()()
	s.Webhooks = append(s.Webhooks, body)
	return nil
}
