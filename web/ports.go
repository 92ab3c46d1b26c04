// Package web is the portal's face: routes, handlers and pages. It knows what the services answer and nothing of the
// database, Stripe or the job queue behind them.
package web

import (
	"context"

	"github.com/metrum-ai/licensing-portal/internal/account"
	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/internal/passkey"
	"github.com/metrum-ai/licensing-portal/internal/trust"
)

// Accounts signs people in. browser is a random secret kept in a cookie of the browser that asked.
type Accounts interface {
	// RequestSignIn mails a link and a code, alike for known and unknown addresses. Errors: ErrEmailInvalid, *RateLimitError.
	RequestSignIn(ctx context.Context, email, browser, remoteIP, returnTo string) (account.SignIn, error)
	// PeekLink tells what a link is for, and changes nothing.
	PeekLink(ctx context.Context, token, browser string) (account.SignIn, error)
	// ConfirmLink spends a link, ConfirmCode a code; each answers the user, who is made at the first sign-in.
	ConfirmLink(ctx context.Context, token, browser string) (account.User, account.SignIn, error)
	ConfirmCode(ctx context.Context, signInID, browser, code string) (account.User, account.SignIn, error)
	// Memberships lists a user's organizations, oldest first; asked on every request, so that who leaves loses access at once.
	Memberships(ctx context.Context, userID string) (account.User, []account.Membership, error)
	CreateOrganization(ctx context.Context, userID, name string) (account.Organization, error)
}

// Catalog shows what the signer would sign, from its trust bundle.
type Catalog interface {
	Bundle(ctx context.Context) (*trust.Bundle, error)
}

// Orders places, pays and watches orders. Every call is bound to an organization: another's order is ErrNotFound.
type Orders interface {
	Draft(ctx context.Context, r fulfillment.DraftRequest) (fulfillment.Order, error)
	Order(ctx context.Context, organizationID, orderID string) (fulfillment.Order, error)
	Orders(ctx context.Context, organizationID string, f fulfillment.OrderFilter, p fulfillment.Page) (orders []fulfillment.Order, next string, err error)
	// Checkout makes (or finds) the order's open checkout session and answers where to send the browser.
	Checkout(ctx context.Context, organizationID, orderID string) (url string, err error)
	// Cancel gives up an order that is not paid: its open session is expired first.
	Cancel(ctx context.Context, organizationID, orderID string) error
	// Watch answers a channel that receives whenever the order may have changed, until ctx ends.
	Watch(ctx context.Context, orderID string) <-chan struct{}
}

// Quotes shows and settles quotes. Every call is bound to an organization; ErrNotFound also for orders that are by no quote.
type Quotes interface {
	// Quote finds an order with its quote and invoices.
	Quote(ctx context.Context, organizationID, orderID string) (fulfillment.Record, error)
	// Accept and Decline settle an open quote. ErrQuoteClosed.
	Accept(ctx context.Context, organizationID, orderID, userID string) error
	Decline(ctx context.Context, organizationID, orderID string) error
	PDF(ctx context.Context, organizationID, orderID string) ([]byte, error)
	// LookAgain has Stripe asked soon what became of the invoice; of several calls within seconds the first is enough.
	LookAgain(ctx context.Context, organizationID, orderID string) error
}

// Previewer renders what an order would issue now.
type Previewer interface {
	Preview(ctx context.Context, o fulfillment.Order) (fulfillment.License, error)
}

// Subscriptions shows subscriptions and leads to where they are managed. Every call is bound to an organization; ErrNotFound.
type Subscriptions interface {
	// OfOrder finds the subscription that an order began or is a cycle of.
	OfOrder(ctx context.Context, organizationID, orderID string) (fulfillment.Subscribed, error)
	// OfDeployment finds a deployment's subscription: the one that goes on, else the newest.
	OfDeployment(ctx context.Context, organizationID, deploymentID string) (fulfillment.Subscribed, error)
	// Manage answers the page at Stripe where the subscription of an order is canceled, resumed and paid for.
	Manage(ctx context.Context, organizationID, orderID string) (url string, err error)
}

// LicenseFilter narrows a list of licenses.
type LicenseFilter = fulfillment.LicenseFilter

// Licenses shows and hands out licenses. Every call but the two by token is bound to an organization.
type Licenses interface {
	Licenses(ctx context.Context, organizationID string, f LicenseFilter, p fulfillment.Page) (licenses []fulfillment.License, next string, err error)
	License(ctx context.Context, organizationID, licenseID string) (fulfillment.License, error)
	// Lineage lists the licenses of a deployment, newest first.
	Lineage(ctx context.Context, organizationID, deploymentID string) ([]fulfillment.License, error)
	Deployments(ctx context.Context, organizationID string) ([]fulfillment.Deployment, error)
	// Download answers the license for handing out and notes that userID took it. *RevokedError.
	Download(ctx context.Context, organizationID, licenseID, userID string) (fulfillment.License, error)
	MarkInstalled(ctx context.Context, organizationID, licenseID string, installed bool) error
}

// Links makes, revokes and honors re-download links.
type Links interface {
	CreateLink(ctx context.Context, organizationID, licenseID, userID string) (link fulfillment.Link, token string, err error)
	Links(ctx context.Context, organizationID, licenseID string) ([]fulfillment.Link, error)
	RevokeLink(ctx context.Context, organizationID, linkID string) error
	// PeekLink tells what a link hands out and changes nothing; the link may be expired or revoked, or the license revoked.
	// DownloadByLink errors then.
	PeekLink(ctx context.Context, token string) (fulfillment.Link, fulfillment.License, error)
	DownloadByLink(ctx context.Context, token string) (fulfillment.License, error)
}

// Enrollment lets staff make passkeys. Errors: token.ErrUnknown, token.ErrExpired, passkey.ErrOrigin, passkey.ErrRefused.
type Enrollment interface {
	// Open tells what an invitation is for, also of one that expired, and changes nothing.
	Open(ctx context.Context, token string) (passkey.Invitation, error)
	// Enroll verifies a passkey's registration and answers its record; nothing is stored.
	Enroll(ctx context.Context, token string, response []byte) (trust.Approver, error)
}

// Revocations hands out the revocation bundle in force. Its error wraps ErrUnavailable.
type Revocations interface {
	Current(ctx context.Context) (fulfillment.RevocationBundle, error)
}

// Requests shows what staff ask the signer to do, and takes who stands by it. Errors: token.ErrUnknown, token.ErrExpired, and
// those of fulfillment.Requests.
type Requests interface {
	// Open reads the request behind a link and changes nothing.
	Open(ctx context.Context, token string) (fulfillment.Opened, error)
	// StandByLink takes what a browser answers for its passkey.
	StandByLink(ctx context.Context, token string, response []byte) (fulfillment.StaffRequest, error)
}

// Inbox takes Stripe's webhooks. Errors: ErrSignatureInvalid, ErrUnavailable (answer 503).
type Inbox interface {
	Receive(ctx context.Context, body []byte, signatureHeader string) error
}

// Health tells whether the parts behind the portal answer, by name; nil is well.
type Health interface {
	Check(ctx context.Context) map[string]error
}
