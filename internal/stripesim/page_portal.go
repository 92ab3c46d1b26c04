package stripesim

import (
	"net/http"
	"net/url"
	"strings"
)

// portalLife is how long a billing portal session can be used, in seconds.
const portalLife = 24 * 3600

// portalView is what a billing portal page shows.
type portalView struct {
	ID, Name, Email, Headline, ReturnURL string
	Subscriptions                        []portalSubscription
	Ended                                []portalSubscription
	Invoices                             []portalInvoice
	Cards                                []methodGroup // ways to pay that can be chosen
	ShowInvoices                         bool
	Done, Error                          string
}

type portalSubscription struct {
	ID, Name, Status, Currency, Every, Method string
	Amount                                    int64
	RenewsAt, EndsAt                          int64 // Unix seconds; 0 where it does not
	CanCancel, CanKeep                        bool
	AtOnce                                    bool // canceling ends it now
	Plans                                     []portalPlan
}

type portalPlan struct {
	Price, Name, Currency, Every string
	Amount                       int64
}

type portalInvoice struct {
	URL, Number, Status, Currency string
	Total, Date                   int64
}

// portal finds the customer and the features of a session that is still good.
func (x *tx) portal(id string) (session, customer *record, features object, err error) {
	session = x.find(kindPortal, id)
	if session == nil || x.now.Unix() > session.Body.int("created")+portalLife {
		return nil, nil, nil, missing(http.StatusNotFound, "billing portal session", id, "session")
	}
	if customer, err = x.customer(session.Body.str("customer"), "customer"); err != nil {
		return nil, nil, nil, err
	}
	return session, customer, x.find(kindPortalConfig, session.Body.str("configuration")).Body, nil
}

func (s *Server) portalView(x *tx, id string) (portalView, error) {
	session, customer, config, err := x.portal(id)
	if err != nil {
		return portalView{}, err
	}
	features := config.sub("features")
	v := portalView{
		ID: id, Name: customer.Body.str("name"), Email: customer.Body.str("email"), Headline: config.sub("business_profile").str("headline"),
		ReturnURL: session.Body.str("return_url"), ShowInvoices: features.sub("invoice_history").flag("enabled"),
	}
	for _, subID := range x.st.objects[kindSubscription].ids {
		sub := x.find(kindSubscription, subID)
		if sub.Body["customer"] != customer.Body["id"] {
			continue
		}
		if shown := x.portalSubscription(sub, features); sub.Body["ended_at"] != nil {
			v.Ended = append(v.Ended, shown)
		} else {
			v.Subscriptions = append(v.Subscriptions, shown)
		}
	}
	if features.sub("payment_method_update").flag("enabled") {
		v.Cards = methodGroups([]string{methodCardOK, methodCardLater, methodCardConfirm}, "Pay", s.cfg.SettleAfter)
	}
	t := x.st.objects[kindInvoice]
	for i := len(t.ids) - 1; i >= 0 && v.ShowInvoices; i-- {
		b := t.get(t.ids[i]).Body
		if b["customer"] == customer.Body["id"] && b["hosted_invoice_url"] != nil {
			v.Invoices = append(v.Invoices, portalInvoice{b.str("hosted_invoice_url"), b.str("number"), b.str("status"), b.str("currency"), b.int("total"), b.int("created")})
		}
	}
	return v, nil
}

func (x *tx) portalSubscription(sub *record, features object) portalSubscription {
	b := sub.Body
	p := portalSubscription{
		ID: b.str("id"), Status: b.str("status"), Currency: b.str("currency"), Every: every(rhythm(sub)),
		Method: methodName(x.find(kindMethod, b.str("default_payment_method"))), RenewsAt: b.int("current_period_end"), EndsAt: b.int("cancel_at"),
	}
	var names []string
	for _, it := range items(sub) {
		p.Amount += it.sub("price").int("unit_amount") * it.int("quantity")
		names = append(names, x.productName(it.sub("price")))
	}
	p.Name = strings.Join(names, ", ")
	if b["ended_at"] != nil {
		p.EndsAt, p.RenewsAt = b.int("ended_at"), 0
		return p
	}
	cancel := features.sub("subscription_cancel")
	p.AtOnce = cancel.str("mode") == "immediately"
	p.CanCancel, p.CanKeep = cancel.flag("enabled") && p.EndsAt == 0, p.EndsAt != 0
	if features.sub("subscription_update").flag("enabled") {
		p.Plans = x.portalPlans(sub, features.sub("subscription_update"))
	}
	return p
}

// portalPlans are the prices that a customer may change to.
func (x *tx) portalPlans(sub *record, update object) []portalPlan {
	var out []portalPlan
	for _, v := range update.list("products") {
		for _, id := range v.(object).strings("prices") {
			price := x.find(kindPrice, id)
			if price == nil || hasPrice(sub, id) || price.Body["recurring"] == nil || price.Body["currency"] != sub.Body["currency"] {
				continue
			}
			out = append(out, portalPlan{id, x.productName(price.Body), price.Body.str("currency"), every(price.Body.sub("recurring")), price.Body.int("unit_amount")})
		}
	}
	return out
}

func (x *tx) productName(price object) string {
	if product := x.find(kindProduct, price.str("product")); product != nil {
		return product.Body.str("name")
	}
	return price.str("id")
}

// portalPage is GET /p/session/{id}: it changes nothing.
func (s *Server) portalPage(w http.ResponseWriter, r *http.Request) {
	s.showPortal(w, r, http.StatusOK, "")
}

func (s *Server) showPortal(w http.ResponseWriter, r *http.Request, status int, problem string) {
	var view portalView
	err := s.update(cause{}, func(x *tx) error {
		var err error
		view, err = s.portalView(x, r.PathValue("id"))
		return err
	})
	if err != nil {
		s.noSuchPage(w, r, err)
		return
	}
	view.Error, view.Done = problem, portalDone[r.URL.Query().Get("done")]
	s.render(w, status, "portal.html", "", view)
}

// portalDone says what a button of the portal did.
var portalDone = map[string]string{
	"cancel": "The subscription was canceled.",
	"keep":   "The subscription goes on.",
	"plan":   "The plan was changed.",
	"method": "The payment method was changed.",
}

// portalPost is POST /p/session/{id}: a button of the page.
func (s *Server) portalPost(w http.ResponseWriter, r *http.Request) {
	if !s.parseForm(w, r) {
		return
	}
	do := r.PostForm.Get("do")
	if r.PostForm.Has("method") {
		do = "method"
	}
	err := s.update(cause{}, func(x *tx) error { return x.portalDo(r.PathValue("id"), do, r.PostForm) })
	if err != nil {
		if e := asAPIError(err); e.status < 500 && e.status != http.StatusNotFound {
			s.showPortal(w, r, http.StatusUnprocessableEntity, e.message)
			return
		}
		s.noSuchPage(w, r, err)
		return
	}
	http.Redirect(w, r, "/p/session/"+url.PathEscape(r.PathValue("id"))+"?done="+url.QueryEscape(do), http.StatusSeeOther)
}

// portalDo does what a customer asks for, as far as the configuration lets them.
func (x *tx) portalDo(id, do string, form url.Values) error {
	_, customer, config, err := x.portal(id)
	if err != nil {
		return err
	}
	features := config.sub("features")
	sub := x.find(kindSubscription, form.Get("subscription"))
	if sub == nil || sub.Body["customer"] != customer.Body["id"] || sub.Body["ended_at"] != nil {
		return invalid("", "subscription", "This subscription has ended, or is another customer's.")
	}
	switch feature := features.sub("subscription_cancel"); {
	case do == "method" && features.sub("payment_method_update").flag("enabled"):
		return x.payWith(sub, form.Get("method"))
	case do == "cancel" && feature.flag("enabled") && feature.str("mode") == "immediately":
		return x.endSubscription(sub, "cancellation_requested")
	case do == "cancel" && feature.flag("enabled"):
		return x.planned(sub, true)
	case do == "keep":
		return x.planned(sub, false)
	case do == "plan":
		return x.portalPlan(sub, features.sub("subscription_update"), form.Get("price"))
	}
	return invalid("", "do", "The billing portal does not offer that.")
}

// planned sets or takes back the end of a subscription at its period's end.
func (x *tx) planned(sub *record, end bool) error {
	before := sub.Body.clone()
	if err := x.planCancellation(sub, object{"cancel_at_period_end": end}); err != nil {
		return err
	}
	return x.tellSubscription(sub, before)
}

// payWith replaces a subscription's payment method and pays what is open.
func (x *tx) payWith(sub *record, name string) error {
	if err := x.replaceMethod(sub, name); err != nil {
		return err
	}
	inv := x.find(kindInvoice, sub.Body.str("latest_invoice"))
	if inv == nil || inv.Body.str("status") != "open" || x.isProcessing(inv) {
		return nil
	}
	_, err := x.collect(inv, x.methodOf(inv), true)
	return err
}

// portalPlan changes a subscription to one of the plans that are offered.
func (x *tx) portalPlan(sub *record, update object, price string) error {
	for _, p := range x.portalPlans(sub, update) {
		if update.flag("enabled") && p.Price == price {
			change := object{"id": items(sub)[0]["id"], "price": price}
			return x.changePlan(sub, []any{change}, update.str("proration_behavior"))
		}
	}
	return invalid("", "price", "Choose one of the plans that the page shows.")
}
