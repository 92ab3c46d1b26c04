package stripesim

import (
	"net/http"
	"net/url"
	"strings"
)

// checkout is what the Checkout page shows.
type checkout struct {
	ID, Mode, Currency string
	Total, Subtotal    int64
	Every              string // the billing interval of a subscription
	Items              []checkoutItem
	Taxed              bool
	Tax                int64
	Country            string // where the customer says they are
	CountryFixed       bool
	Countries          []country
	Email              string
	EmailFixed         bool
	Error              string
	CancelURL          string
	ExpiresAt          int64
	Groups             []methodGroup
}

type checkoutItem struct {
	Name     string
	Quantity int64
	Amount   int64
	Every    string
}

// checkoutView makes the page of a session. country is what the customer chose
// in the page's address.
func (s *Server) checkoutView(x *tx, r *record, chosen string) (checkout, error) {
	b := r.Body
	v := checkout{
		ID: b.str("id"), Mode: b.str("mode"), Currency: b.str("currency"), Error: r.Private.str("last_error"),
		CancelURL: b.str("cancel_url"), ExpiresAt: b.int("expires_at"), Taxed: b.sub("automatic_tax").flag("enabled"),
	}
	v.Email, v.EmailFixed = x.knownEmail(b), true
	if v.Email == "" {
		v.Email, v.EmailFixed = defaultEmail, false
		if typed := b.sub("customer_details").str("email"); typed != "" {
			v.Email = typed
		}
	}
	if v.Taxed {
		v.Countries = countries()
		if v.Country = x.knownCountry(b); v.Country != "" {
			v.CountryFixed = true
		} else if len(chosen) == 2 {
			v.Country = strings.ToUpper(chosen)
		}
		if err := x.reckonSession(r, v.Country); err != nil { // of a copy, to be shown
			return v, err
		}
	}
	v.Total, v.Subtotal, v.Tax = b.int("amount_total"), b.int("amount_subtotal"), b.sub("total_details").int("amount_tax")
	for _, it := range r.Private.list("line_items") {
		item := it.(object)
		line := checkoutItem{Name: item.str("description"), Quantity: item.int("quantity"), Amount: item.int("amount_subtotal")}
		if recurring := item.sub("price").sub("recurring"); recurring != nil {
			line.Every = every(recurring)
			v.Every = line.Every
		}
		v.Items = append(v.Items, line)
	}
	v.Groups = methodGroups(offered(b), v.verb(), s.cfg.SettleAfter)
	return v, nil
}

// verb is what the page's first button does.
func (v checkout) verb() string {
	switch v.Mode {
	case "setup":
		return verbSave
	case "subscription":
		return "Subscribe"
	}
	return "Pay " + formatMoney(v.Total, v.Currency)
}

// checkoutPage is GET /c/pay/{id}: it changes nothing.
func (s *Server) checkoutPage(w http.ResponseWriter, r *http.Request) {
	s.showCheckout(w, r, http.StatusOK, "", r.URL.Query().Get("country"))
}

// showCheckout shows the session's page, or where it stands when it is over.
// problem takes the place of the last decline.
func (s *Server) showCheckout(w http.ResponseWriter, r *http.Request, status int, problem, country string) {
	var session *record
	var view checkout
	err := s.update(cause{}, func(x *tx) error {
		var err error
		if session = x.find(kindSession, r.PathValue("id")); session != nil {
			view, err = s.checkoutView(x, session, country)
		}
		return err
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
	if !s.parseForm(w, r) {
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
			s.showCheckout(w, r, http.StatusUnprocessableEntity, e.message, r.PostForm.Get("country"))
			return
		}
		s.pageError(w, r, err)
		return
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
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
