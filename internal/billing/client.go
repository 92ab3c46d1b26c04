// Package billing speaks to Stripe, and is the only package that does. It answers in the words of package fulfillment,
// whose Stripe interface Client implements, and pushes the catalog's products and prices.
//
// The API version is 2023-10-16, the one that stripe-go v76 pins. Telemetry is off, every request has a timeout and a
// bounded number of retries, and every POST an idempotency key. Nothing here decides: enumerations come back as Stripe
// wrote them, also unknown ones. Errors and logs hold codes and request IDs, never what was sent or answered.
package billing

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"
	portalconfiguration "github.com/stripe/stripe-go/v76/billingportal/configuration"
	portalsession "github.com/stripe/stripe-go/v76/billingportal/session"
	"github.com/stripe/stripe-go/v76/charge"
	"github.com/stripe/stripe-go/v76/checkout/session"
	"github.com/stripe/stripe-go/v76/customer"
	"github.com/stripe/stripe-go/v76/dispute"
	"github.com/stripe/stripe-go/v76/event"
	"github.com/stripe/stripe-go/v76/invoice"
	"github.com/stripe/stripe-go/v76/price"
	"github.com/stripe/stripe-go/v76/product"
	"github.com/stripe/stripe-go/v76/quote"
	"github.com/stripe/stripe-go/v76/subscription"
	"github.com/stripe/stripe-go/v76/webhookendpoint"
)

const (
	defaultURL     = "https://api.stripe.com"
	defaultTimeout = 10 * time.Second
	// maxRetries are the SDK's own, each up to 5 s apart, within one call. They reuse the idempotency key.
	maxRetries = 2
)

// Config is what a Client needs.
type Config struct {
	Key       string            // required: sk_… or rk_…
	URL       string            // https://api.stripe.com by default
	Timeout   time.Duration     // of one request, 10 s by default; a call makes at most three, for each page of a list
	Logger    *slog.Logger      // nil: nothing is logged
	Transport http.RoundTripper // nil: one of its own
}

// Client speaks to one Stripe account. It is safe for concurrent use.
type Client struct {
	backend   stripe.Backend
	key       string
	sessions  session.Client
	prices    price.Client
	products  product.Client
	events    event.Client
	endpoints webhookendpoint.Client
	charges   charge.Client
	disputes  dispute.Client
	invoices  invoice.Client
	quotes    quote.Client
	customers customer.Client

	subscriptions        subscription.Client
	portalConfigurations portalconfiguration.Client
	portalSessions       portalsession.Client

	taken
	log *slog.Logger
}

// New makes a Client. It errors with everything that is wrong at once and connects to nothing yet.
func New(c Config) (*Client, error) {
	if c.URL == "" {
		c.URL = defaultURL
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16,
			IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: c.Timeout, ResponseHeaderTimeout: c.Timeout,
		}
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	settings := stripe.BackendConfig{
		URL:               stripe.String(c.URL), // for API, Connect and Uploads alike
		EnableTelemetry:   stripe.Bool(false),
		MaxNetworkRetries: stripe.Int64(maxRetries),
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull}, // its messages quote what was sent
		HTTPClient: &http.Client{
			Timeout: c.Timeout, Transport: bounded{c.Transport},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	backends := stripe.NewBackendsWithConfig(&settings)
	files := backends.Uploads
	if c.URL == defaultURL { // whose files have a host of their own
		settings.URL = nil
		files = stripe.GetBackendWithConfig(stripe.UploadsBackend, &settings)
	}
	return &Client{
		backend: backends.API, key: c.Key, log: c.Logger, taken: newTaken(backends.API, c.Key),
		sessions:  session.Client{B: backends.API, Key: c.Key},
		prices:    price.Client{B: backends.API, Key: c.Key},
		products:  product.Client{B: backends.API, Key: c.Key},
		events:    event.Client{B: backends.API, Key: c.Key},
		endpoints: webhookendpoint.Client{B: backends.API, Key: c.Key},
		charges:   charge.Client{B: backends.API, Key: c.Key},
		disputes:  dispute.Client{B: backends.API, Key: c.Key},
		invoices:  invoice.Client{B: backends.API, Key: c.Key},
		quotes:    quote.Client{B: backends.API, BUploads: files, Key: c.Key},
		customers: customer.Client{B: backends.API, Key: c.Key},

		subscriptions:        subscription.Client{B: backends.API, Key: c.Key},
		portalConfigurations: portalconfiguration.Client{B: backends.API, Key: c.Key},
		portalSessions:       portalsession.Client{B: backends.API, Key: c.Key},
	}, nil
}

func (c Config) validate() error {
	var problems []error
	if !strings.HasPrefix(c.Key, "sk_") && !strings.HasPrefix(c.Key, "rk_") {
		problems = append(problems, errors.New("config: Key must begin with sk_ or rk_"))
	}
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		problems = append(problems, errors.New("config: URL must be http(s)://host"))
	}
	if c.Timeout < 0 {
		problems = append(problems, errors.New("config: Timeout is negative"))
	}
	if len(problems) > 0 {
		return fmt.Errorf("billing: %w", errors.Join(problems...))
	}
	return nil
}
