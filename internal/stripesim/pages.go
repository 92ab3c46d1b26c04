package stripesim

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"
)

//go:embed assets
var assets embed.FS

// defaultEmail is in the page's field where the session names no customer.
const defaultEmail = "buyer@example.test"

// pages are the templates, parsed once.
type pages struct{ t *template.Template }

func newPages() (*pages, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"money":    formatMoney,
		"time":     func(unix int64) string { return time.Unix(unix, 0).UTC().Format("2 Jan 2006, 15:04:05 UTC") },
		"duration": plainDuration,
		"rfc":      func(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) },
	}).ParseFS(assets, "assets/*.html")
	if err != nil {
		return nil, err
	}
	return &pages{t}, nil
}

func (s *Server) pageHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.frontPage)
	mux.HandleFunc("GET /c/pay/{id}", s.checkoutPage)
	mux.HandleFunc("POST /c/pay/{id}", s.checkoutPost)
	mux.HandleFunc("GET /i/{id}/pdf", s.pdfPage(kindInvoice, func(_ *tx, r *record) document { return invoiceDocument(r) }))
	mux.HandleFunc("GET /credit_notes/{id}/pdf", s.pdfPage(kindCreditNote, (*tx).creditNoteDocument))
	mux.HandleFunc("GET /assets/stripesim.css", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeFileFS(w, r, assets, "assets/stripesim.css")
	})
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		s.render(w, http.StatusNotFound, "message.html", "", messagePage{
			Title: "Nothing here", Text: "The Stripe stand-in has no such page. Checkout pages live at /c/pay/ and a session's ID.",
		})
	})
	return mux
}

// render writes a page from a buffer, so that an error in it is a clean 500.
// formTo is an address that a form on the page may be redirected to.
func (s *Server) render(w http.ResponseWriter, status int, name, formTo string, data any) {
	var buf bytes.Buffer
	if err := s.pages.t.ExecuteTemplate(&buf, name, data); err != nil {
		s.cfg.Logger.Error("render page", "page", name, "error", err)
		http.Error(w, "The Stripe stand-in could not show this page.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", strings.TrimSpace("default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' "+formTo))
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes()) // the browser is gone when this fails
}

type messagePage struct {
	Title, Text, Link, LinkText string
}

// checkout is what the Checkout page shows.
type checkout struct {
	ID, Currency string
	Total        int64
	Items        []checkoutItem
	Email        string
	EmailFixed   bool
	Error        string
	CancelURL    string
	ExpiresAt    int64
	Card, Bank   bool
	SettleAfter  time.Duration
}

type checkoutItem struct {
	Name     string
	Quantity int64
	Amount   int64
}

// view makes the page of a session.
func (s *Server) checkoutView(x *tx, r *record) checkout {
	b := r.Body
	methods := offered(b)
	email, fixed := x.knownEmail(b), true
	if email == "" {
		email, fixed = defaultEmail, false
		if typed := b.sub("customer_details").str("email"); typed != "" {
			email = typed
		}
	}
	v := checkout{
		ID: b.str("id"), Currency: b.str("currency"), Total: b.int("amount_total"),
		Email: email, EmailFixed: fixed, Error: r.Private.str("last_error"), CancelURL: b.str("cancel_url"),
		ExpiresAt: b.int("expires_at"), SettleAfter: s.cfg.SettleAfter,
		Card: contains(methods, methodCardOK), Bank: contains(methods, methodBankOK),
	}
	for _, it := range r.Private.list("line_items") {
		item, _ := it.(object)
		v.Items = append(v.Items, checkoutItem{item.str("description"), item.int("quantity"), item.int("amount_total")})
	}
	return v
}

// checkoutPage is GET /c/pay/{id}: it changes nothing.
func (s *Server) checkoutPage(w http.ResponseWriter, r *http.Request) {
	s.showCheckout(w, r, http.StatusOK, "")
}

// showCheckout shows the session's page, or where it stands when it is over.
// problem takes the place of the last decline.
func (s *Server) showCheckout(w http.ResponseWriter, r *http.Request, status int, problem string) {
	var session *record
	var view checkout
	err := s.update(cause{}, func(x *tx) error {
		if session = x.find(kindSession, r.PathValue("id")); session != nil {
			view = s.checkoutView(x, session)
		}
		return nil
	})
	switch {
	case err != nil:
		s.pageError(w, r, err)
	case session == nil:
		s.render(w, http.StatusNotFound, "message.html", "", messagePage{Title: "No such Checkout", Text: "This address names no Checkout Session of this stand-in. Go back to the shop and start again."})
	case session.Body.str("status") == "complete":
		s.render(w, status, "message.html", "", messagePage{
			Title: "You're all done here", Text: "This Checkout is complete. It cannot be paid a second time.",
			Link: returnURL(session.Body), LinkText: "Return to the shop",
		})
	case session.Body.str("status") == "expired":
		s.render(w, status, "message.html", "", messagePage{
			Title: "This Checkout has expired", Text: "Nothing was charged. Go back to the shop and start again.",
			Link: session.Body.str("cancel_url"), LinkText: "Return to the shop",
		})
	default:
		if problem != "" {
			view.Error = problem
		}
		s.render(w, status, "checkout.html", origin(returnURL(session.Body)), view)
	}
}

// checkoutPost is POST /c/pay/{id}: a button of the page. What is over stays
// as it is, so a second click does no harm.
func (s *Server) checkoutPost(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		s.render(w, http.StatusBadRequest, "message.html", "", messagePage{Title: "The form did not arrive", Text: "Go back and try again. Nothing was charged."})
		return
	}
	id := r.PathValue("id")
	target := "/c/pay/" + url.PathEscape(id)
	err := s.update(cause{}, func(x *tx) error {
		session := x.find(kindSession, id)
		if session == nil || session.Body.str("status") == "expired" {
			return nil
		}
		if session.Body.str("status") == "open" {
			c := choice{r.PostForm.Get("method"), strings.TrimSpace(r.PostForm.Get("email")), r.PostForm.Get("country")}
			if err := x.pay(session, c); err != nil {
				return err
			}
		}
		if session.Body.str("status") == "complete" {
			target = returnURL(session.Body)
		}
		return nil
	})
	if err != nil {
		if e := asAPIError(err); e.status < 500 {
			s.showCheckout(w, r, http.StatusUnprocessableEntity, e.message)
			return
		}
		s.pageError(w, r, err)
		return
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
}

// noSuchPage answers for a page about something that is not there.
func (s *Server) noSuchPage(w http.ResponseWriter, r *http.Request, err error) {
	if asAPIError(err).status >= 500 {
		s.pageError(w, r, err)
		return
	}
	s.render(w, http.StatusNotFound, "message.html", "", messagePage{Title: "Nothing here", Text: "This address names nothing that the stand-in knows. Go back to where you came from."})
}

func (s *Server) pageError(w http.ResponseWriter, r *http.Request, err error) {
	s.cfg.Logger.Error("page failed", "path", r.URL.Path, "error", err)
	s.render(w, http.StatusInternalServerError, "message.html", "", messagePage{Title: "The stand-in could not do that", Text: "Nothing was changed. Try again; the stand-in's log says what went wrong."})
}

// returnURL is a session's success_url with its ID filled in.
func returnURL(session object) string {
	return strings.ReplaceAll(session.str("success_url"), "{CHECKOUT_SESSION_ID}", session.str("id"))
}

func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil || !isWebURL(u) {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// plainDuration writes a duration as the portal's pages do: 14 min 22 s.
func plainDuration(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}} {
		if n := d / unit.size; n > 0 {
			parts = append(parts, fmt.Sprintf("%d\u00a0%s", n, unit.name))
			d -= n * unit.size
		}
	}
	if len(parts) == 0 {
		return "a moment"
	}
	return strings.Join(parts, " ")
}

// front is the front page.
type front struct {
	Now       int64
	Delivery  deliverySettings
	Sessions  []frontSession
	Events    []eventSummary
	Endpoints []frontEndpoint
}

type frontSession struct {
	ID, Status, Payment, Email, Reference, Currency, URL string
	Total, Created, SettleAt                             int64
}

type frontEndpoint struct{ URL, Status string }

const frontRows = 25

// frontPage is GET /: what happened lately, for the curious.
func (s *Server) frontPage(w http.ResponseWriter, r *http.Request) {
	var f front
	err := s.update(cause{}, func(x *tx) error {
		f = front{Now: x.now.Unix(), Delivery: x.settings().Delivery, Events: x.recentEvents(frontRows, "", "")}
		for _, v := range x.recentSessions(frontRows) {
			b := v.Session
			f.Sessions = append(f.Sessions, frontSession{
				ID: b.str("id"), Status: b.str("status"), Payment: b.str("payment_status"), Currency: b.str("currency"), URL: b.str("url"),
				Email: b.sub("customer_details").str("email"), Reference: b.str("client_reference_id"),
				Total: b.int("amount_total"), Created: b.int("created"), SettleAt: v.SettleAt,
			})
		}
		for _, id := range x.st.objects[kindEndpoint].ids {
			b := x.st.objects[kindEndpoint].get(id).Body
			f.Endpoints = append(f.Endpoints, frontEndpoint{b.str("url"), b.str("status")})
		}
		return nil
	})
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	s.render(w, http.StatusOK, "front.html", "", f)
}
