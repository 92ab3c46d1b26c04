package web

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/alexedwards/scs/v2"
)

// Config is everything that the pages need. All services are required.
type Config struct {
	PublicURL *url.URL // scheme and host of every absolute link; "https" turns on Secure cookies and HSTS

	Accounts  Accounts
	Catalog   Catalog
	Orders    Orders
	Quotes    Quotes
	Previewer Previewer

	Subscriptions Subscriptions
	Licenses      Licenses
	Links         Links
	Inbox         Inbox
	Revocations   Revocations
	Health        Health

	Enrollment Enrollment
	Requests   Requests

	SessionStore   scs.Store        // where sessions are kept; it is handed token hashes where the store hashes
	BillingOrigin  string           // origin of the hosted billing portal, e.g. "https://billing.stripe.com", likewise
	CheckoutOrigin string           // origin of the hosted checkout, e.g. "https://checkout.stripe.com", for the policy's form-action
	Contact        string           // e-mail address that pages tell customers to write to
	Clock          func() time.Time // nil: time.Now
	Rand           io.Reader        // nil: crypto/rand
	Logger         *slog.Logger     // nil: discarded
	TestMode       bool             // pages say that no real money moves

	// ClientIP tells the address of the client for rate limits; nil takes the connection's. Set it only behind a proxy
	// that overwrites what it reads.
	ClientIP func(*http.Request) string
}

// validate tells everything that is missing at once.
func (c Config) validate() error {
	var problems []error
	missing := func(name string, absent bool) {
		if absent {
			problems = append(problems, errors.New("web: "+name+" is missing"))
		}
	}
	missing("Accounts", c.Accounts == nil)
	missing("Catalog", c.Catalog == nil)
	missing("Orders", c.Orders == nil)
	missing("Quotes", c.Quotes == nil)
	missing("Previewer", c.Previewer == nil)
	missing("Subscriptions", c.Subscriptions == nil)
	missing("Licenses", c.Licenses == nil)
	missing("Links", c.Links == nil)
	missing("Inbox", c.Inbox == nil)
	missing("Revocations", c.Revocations == nil)
	missing("Health", c.Health == nil)
	missing("Enrollment", c.Enrollment == nil)
	missing("Requests", c.Requests == nil)
	missing("SessionStore", c.SessionStore == nil)
	missing("BillingOrigin", c.BillingOrigin == "")
	missing("CheckoutOrigin", c.CheckoutOrigin == "")
	missing("Contact", c.Contact == "")
	if c.PublicURL == nil || c.PublicURL.Host == "" || (c.PublicURL.Scheme != "http" && c.PublicURL.Scheme != "https") {
		problems = append(problems, errors.New("web: PublicURL is not an http or https URL with a host"))
	}
	for name, origin := range map[string]string{"BillingOrigin": c.BillingOrigin, "CheckoutOrigin": c.CheckoutOrigin} {
		if u, err := url.Parse(origin); err != nil || (origin != "" && u.Scheme+"://"+u.Host != origin) {
			problems = append(problems, errors.New("web: "+name+" is not an origin (scheme://host[:port])"))
		}
	}
	return errors.Join(problems...)
}

// New makes the portal's handler: every page, the webhook, and the static files.
func New(c Config) (http.Handler, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.ClientIP == nil {
		c.ClientIP = connectionIP
	}
	files, err := newStatic()
	if err != nil {
		return nil, err
	}
	s := &server{Config: c, static: files, streams: slots{of: map[string]int{}}}
	s.sessions = newSessions(c.SessionStore, s.secure(), s.sessionTrouble)
	if s.crossOrigin, err = newCrossOrigin(c.PublicURL, s.crossOriginRefused); err != nil {
		return nil, err
	}
	return s.routes(), nil
}

// server is the handler's parts. It keeps no state but the number of open streams.
type server struct {
	Config
	static      *static
	sessions    *scs.SessionManager
	crossOrigin *http.CrossOriginProtection
	streams     slots
}

// secure reports whether browsers reach the portal by https.
func (s *server) secure() bool { return s.PublicURL.Scheme == "https" }

// now is the time in UTC.
func (s *server) now() time.Time { return s.Clock().UTC() }

// absolute makes a link for outside the page from the configured address, never from the Host header.
func (s *server) absolute(path string) string {
	return s.PublicURL.Scheme + "://" + s.PublicURL.Host + path
}
