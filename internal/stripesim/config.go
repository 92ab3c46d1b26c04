package stripesim

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// APIVersion is the one version of Stripe's API that the stand-in speaks.
const APIVersion = "2023-10-16"

// Config says how a stand-in runs. PublicURL and APIKey are required.
type Config struct {
	// PublicURL is where browsers reach the stand-in: scheme and host, no path.
	PublicURL string
	// APIKey is the one key the API accepts: a test key (sk_test_ or rk_test_).
	APIKey string
	// AccountID is the account the key belongs to; acct_stripesim by default.
	AccountID string
	// Endpoints are webhook endpoints registered at start, with their secrets.
	Endpoints []EndpointConfig
	// Dir is the directory that keeps the state; empty keeps it in memory only.
	Dir string
	// SettleAfter is how long a bank debit, or a refund to a bank, takes on the
	// stand-in's clock; 60 s by default.
	SettleAfter time.Duration
	// DeliveryTimeout bounds one webhook request; 10 s by default.
	DeliveryTimeout time.Duration
	// Clock is the time; time.Now by default.
	Clock func() time.Time
	// Rand is where IDs and secrets come from; crypto/rand by default.
	Rand io.Reader
	// Transport carries webhooks; a transport of its own by default.
	Transport http.RoundTripper
	// Logger takes what goes wrong; nothing is logged by default.
	Logger *slog.Logger
}

// EndpointConfig registers a webhook endpoint with a secret known beforehand.
// An endpoint with the same URL is brought in line with it.
type EndpointConfig struct {
	URL           string
	Secret        string   // begins with whsec_
	EnabledEvents []string // event types, or "*"
	APIVersion    string   // 2023-10-16 when empty
}

func (c *Config) setDefaults() {
	if c.AccountID == "" {
		c.AccountID = "acct_stripesim"
	}
	if c.SettleAfter == 0 {
		c.SettleAfter = time.Minute
	}
	if c.DeliveryTimeout == 0 {
		c.DeliveryTimeout = 10 * time.Second
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{
			MaxIdleConnsPerHost:   16,
			IdleConnTimeout:       30 * time.Second,
			ResponseHeaderTimeout: c.DeliveryTimeout,
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
}

// validate returns every problem at once.
func (c *Config) validate() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	if u, err := url.Parse(c.PublicURL); err != nil || !isWebURL(u) || u.Path != "" || u.RawQuery != "" {
		bad("PublicURL must be http(s)://host[:port]")
	}
	if !strings.HasPrefix(c.APIKey, "sk_test_") && !strings.HasPrefix(c.APIKey, "rk_test_") {
		bad("APIKey must be a test key that begins with sk_test_ or rk_test_")
	}
	if !strings.HasPrefix(c.AccountID, "acct_") {
		bad("AccountID must begin with acct_")
	}
	if c.SettleAfter < 0 || c.DeliveryTimeout < 0 {
		bad("SettleAfter and DeliveryTimeout must not be negative")
	}
	for i, e := range c.Endpoints {
		if u, err := url.Parse(e.URL); err != nil || !isWebURL(u) {
			bad("Endpoints[%d].URL must be an http(s) address", i)
		}
		if len(e.Secret) < len(secretPrefix)+16 || !strings.HasPrefix(e.Secret, secretPrefix) {
			bad("Endpoints[%d].Secret must begin with %s and go on for 16 characters at least", i, secretPrefix)
		}
		if len(e.EnabledEvents) == 0 {
			bad("Endpoints[%d].EnabledEvents must name an event type or *", i)
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("stripesim: %w", errors.Join(problems...))
	}
	return nil
}

func isWebURL(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
