// Package config reads the portal's configuration from the environment, and refuses to go on half configured: it tells
// every problem at once, by the name of the variable. Secrets come from files that other users of the host cannot read,
// and never print. What each variable means stands at the fields of Config.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Config is what the portal's commands run on. A command that does not need a part leaves its fields zero.
type Config struct {
	DatabaseURL Secret // DATABASE_URL, required

	PublicURL      string         // PORTAL_PUBLIC_URL, required: https, or http on localhost; no path
	Listen         string         // PORTAL_LISTEN, 127.0.0.1:8080
	Contact        string         // PORTAL_CONTACT, required: the address that pages name for help
	Secret         Secret         // PORTAL_SECRET_FILE, required: 32 bytes at least, the same for all processes
	TrustedProxies []netip.Prefix // PORTAL_TRUSTED_PROXIES, none: whose X-Forwarded-For is believed, e.g. "10.0.0.0/8,::1"

	SignInsPerIP      int // SIGN_INS_PER_IP, 20 in 15 minutes
	SignInsPerAddress int // SIGN_INS_PER_ADDRESS, 5 in 15 minutes

	SignerSocket string     // SIGNER_SOCKET, required unless SIGNER_URL is set
	SignerTLS    *SignerTLS // SIGNER_URL and its files, instead of SIGNER_SOCKET; nil: the socket

	StripeAPIKey         Secret // STRIPE_API_KEY_FILE, required: sk_ or rk_, test or live
	StripeAPIURL         string // STRIPE_API_URL, https://api.stripe.com
	StripeBillingOrigin  string // STRIPE_BILLING_ORIGIN, https://billing.stripe.com: where the form of "Manage billing" leads
	StripeCheckoutOrigin string // STRIPE_CHECKOUT_ORIGIN, https://checkout.stripe.com: where a form may lead

	StripeWebhookURL string // STRIPE_WEBHOOK_URL, PORTAL_PUBLIC_URL and /webhooks/stripe: where Stripe sends events

	MetricsListen string // PORTAL_METRICS_LISTEN, none: a loopback host:port where the worker answers /metrics

	SMTPURL  Secret // SMTP_URL, required: see mail.ParseSMTPURL
	MailFrom string // MAIL_FROM, required

	JobPollInterval   time.Duration // JOB_POLL_INTERVAL, 100ms: how long a job may wait unnoticed; 1ms to 1m
	JobConcurrency    int           // JOB_CONCURRENCY, 8: jobs at once in a process; 1 to 100
	ReconcileInterval time.Duration // RECONCILE_INTERVAL, 3m: how often pending orders are looked at again; 1s to 1h
	ShutdownTimeout   time.Duration // SHUTDOWN_TIMEOUT, 20s: how long requests and jobs may take to end; 1s to 5m
}

// Part is a part of the configuration that a command needs.
type Part uint

// The parts. A command names what it needs: Load(getenv, Database|Stripe).
const (
	Database  Part = 1 << iota // DATABASE_URL
	Web                        // PORTAL_PUBLIC_URL, PORTAL_LISTEN, PORTAL_CONTACT, PORTAL_TRUSTED_PROXIES
	Signer                     // SIGNER_*
	Stripe                     // STRIPE_*
	Mail                       // SMTP_URL, MAIL_FROM, PORTAL_PUBLIC_URL
	Accounts                   // PORTAL_SECRET_FILE, SIGN_INS_*
	Jobs                       // JOB_*, RECONCILE_INTERVAL, SHUTDOWN_TIMEOUT
	Links                      // PORTAL_PUBLIC_URL, PORTAL_SECRET_FILE
	Reconcile                  // PORTAL_PUBLIC_URL, STRIPE_WEBHOOK_URL
	Metrics                    // PORTAL_METRICS_LISTEN

	Serve  = Database | Web | Signer | Stripe | Accounts | Jobs
	Worker = Database | Signer | Stripe | Mail | Accounts | Jobs | Reconcile | Metrics
	All    = Serve | Worker
)

// Load reads the parts from the environment that getenv shows. The error names every variable that is missing or wrong,
// and never a secret.
func Load(getenv func(string) string, parts Part) (Config, error) {
	r := reader{getenv: getenv}
	var c Config
	if parts&Database != 0 {
		c.DatabaseURL = r.databaseURL()
	}
	if parts&(Web|Mail|Links|Reconcile) != 0 {
		c.PublicURL = r.publicURL()
	}
	if parts&Reconcile != 0 {
		c.StripeWebhookURL = r.webhookURL(c.PublicURL)
	}
	if parts&Metrics != 0 {
		c.MetricsListen = r.loopback("PORTAL_METRICS_LISTEN")
	}
	if parts&Web != 0 {
		c.Listen = r.listen()
		c.Contact = r.address("PORTAL_CONTACT")
		c.TrustedProxies = r.prefixes("PORTAL_TRUSTED_PROXIES")
	}
	if parts&(Accounts|Links) != 0 {
		c.Secret = r.portalSecret()
	}
	if parts&Accounts != 0 {
		c.SignInsPerIP = r.number("SIGN_INS_PER_IP", 20, 1, 1_000_000)
		c.SignInsPerAddress = r.number("SIGN_INS_PER_ADDRESS", 5, 1, 1_000_000)
	}
	if parts&Signer != 0 {
		c.SignerSocket, c.SignerTLS = r.signer()
	}
	if parts&Stripe != 0 {
		c.StripeAPIKey, c.StripeAPIURL = r.stripe()
		c.StripeBillingOrigin = r.origin("STRIPE_BILLING_ORIGIN", "https://billing.stripe.com")
		c.StripeCheckoutOrigin = r.origin("STRIPE_CHECKOUT_ORIGIN", "https://checkout.stripe.com")
	}
	if parts&Mail != 0 {
		c.SMTPURL = r.smtpURL()
		c.MailFrom = r.mailbox("MAIL_FROM")
	}
	if parts&Jobs != 0 {
		c.JobPollInterval = r.duration("JOB_POLL_INTERVAL", 100*time.Millisecond, time.Millisecond, time.Minute)
		c.JobConcurrency = r.number("JOB_CONCURRENCY", 8, 1, 100)
		c.ReconcileInterval = r.duration("RECONCILE_INTERVAL", 3*time.Minute, time.Second, time.Hour)
		c.ShutdownTimeout = r.duration("SHUTDOWN_TIMEOUT", 20*time.Second, time.Second, 5*time.Minute)
	}
	if len(r.problems) > 0 {
		return Config{}, fmt.Errorf("configuration:\n%w", errors.Join(r.problems...))
	}
	return c, nil
}

// Mode is Stripe's: test or live.
type Mode string

// The modes.
const (
	ModeTest Mode = "test"
	ModeLive Mode = "live"
)

// Mode is the mode of the Stripe key.
func (c Config) Mode() Mode {
	if m := stripeKey.FindStringSubmatch(c.StripeAPIKey.Reveal()); m != nil {
		return Mode(m[2])
	}
	return ""
}

// CheckMode errors unless the Stripe key has the mode that the trust bundle pins.
func (c Config) CheckMode(livemode bool) error {
	pinned := ModeTest
	if livemode {
		pinned = ModeLive
	}
	if mode := c.Mode(); mode != pinned {
		return fmt.Errorf("STRIPE_API_KEY_FILE holds a %s key, but the trust bundle is for %s mode", mode, pinned)
	}
	return nil
}
