package stripesim_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/stripe/stripe-go/v76"
)

// page is one answer to a browser that does not follow redirects.
type page struct {
	status   int
	location string
	header   http.Header
	*goquery.Document
}

func (h *harness) browse(method, path string, form url.Values) page {
	h.t.Helper()
	req, err := http.NewRequest(method, h.url+path, strings.NewReader(form.Encode()))
	h.must(err)
	if method == "POST" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	h.must(err)
	defer resp.Body.Close()
	doc, err := goquery.NewDocumentFromReader(resp.Body)
	h.must(err)
	p := page{resp.StatusCode, resp.Header.Get("Location"), resp.Header, doc}
	if p.status != 303 && !strings.Contains(p.Find(".banner").Text(), "Stripe stand-in: no real money moves") {
		h.t.Errorf("%s %s: the page does not say that it is a stand-in", method, path)
	}
	return p
}

func TestCheckoutPageOffersWhatTheSessionTakes(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	cases := []struct {
		name   string
		change func(*stripe.CheckoutSessionParams)
		amount int64
		values string
	}{
		{"card and bank", nil, 25000, "card_ok card_declined bank_ok bank_fails"},
		{"card only", func(p *stripe.CheckoutSessionParams) { p.PaymentMethodTypes = stripe.StringSlice([]string{"card"}) }, 25000, "card_ok card_declined"},
		{"nothing to pay", nil, 0, "confirm"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := h.sessionParams(h.price(c.amount, "").ID)
			if c.change != nil {
				c.change(p)
			}
			s, err := h.sdk.CheckoutSessions.New(p)
			h.must(err)
			doc := h.browse("GET", "/c/pay/"+s.ID, nil)
			values := doc.Find("button[name=method]").Map(func(_ int, b *goquery.Selection) string { return b.AttrOr("value", "") })
			if got := strings.Join(values, " "); got != c.values {
				t.Errorf("buttons %q, want %q", got, c.values)
			}
			if doc.Find("input[name=email]").AttrOr("value", "") != "buyer@shop.test" || !strings.Contains(doc.Find(".items").Text(), "Credit pack, 5M tokens") {
				t.Error("e-mail or product is missing")
			}
			if got := doc.Find(".total").Text(); c.amount > 0 && got != "US$\u00a0250.00" {
				t.Errorf("total %q", got)
			}
			if c.name == "card and bank" && !strings.Contains(doc.Find("form").Text(), "the money arrives after 1\u00a0h.") {
				t.Errorf("the page does not say when a debit settles: %q", doc.Find("form").Text())
			}
			if doc.Find("a#cancel").AttrOr("href", "") != "http://shop.test/orders/o1/cancel" {
				t.Error("no way back")
			}
			if doc.Find("script,[style],style,[onclick]").Length() != 0 || !strings.Contains(doc.header.Get("Content-Security-Policy"), "form-action 'self' http://shop.test") {
				t.Error("the page is not plain, or its policy does not let the form lead back")
			}
		})
	}
}

func TestButtonsLeadBackToTheShop(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	for _, method := range []string{"card_ok", "bank_ok", "bank_fails"} {
		s := h.session(25000)
		form := url.Values{"method": {method}, "email": {"buyer@shop.test"}}
		want := "http://shop.test/orders/o1?session=" + s.ID
		for range 2 { // a second click leads to the same place and pays no more
			if p := h.browse("POST", "/c/pay/"+s.ID, form); p.status != 303 || p.location != want {
				t.Errorf("%s: %d %s", method, p.status, p.location)
			}
		}
		if p := h.browse("GET", "/c/pay/"+s.ID, nil); p.status != 200 || p.Find("main a.btn").AttrOr("href", "") != want || p.Find("button").Length() != 0 {
			t.Errorf("%s: the page of a complete session", method)
		}
	}
	if n := len(h.sink.wait(3, "checkout.session.completed")); n != 3 {
		t.Errorf("%d sessions completed, want 3", n)
	}
}

func TestDeclinedCardComesBackToThePage(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	s := h.session(25000)
	p := h.browse("POST", "/c/pay/"+s.ID, url.Values{"method": {"card_declined"}, "email": {"buyer@shop.test"}})
	if p.status != 303 || p.location != "/c/pay/"+s.ID {
		t.Fatalf("got %d %s", p.status, p.location)
	}
	for range 2 { // a reload shows the same
		p = h.browse("GET", "/c/pay/"+s.ID, nil)
		if got := p.Find("[role=alert]").Text(); !strings.Contains(got, "Your card was declined.") {
			t.Errorf("alert %q", got)
		}
	}
	if n := len(h.sink.wait(1, "payment_intent.payment_failed")); n != 1 {
		t.Errorf("%d declines, want 1: looking at the page must change nothing", n)
	}
	h.browse("POST", "/c/pay/"+s.ID, url.Values{"method": {"card_ok"}, "email": {"x@y.test"}})
	if got := h.fetch(s.ID); got.PaymentStatus != "paid" || got.CustomerDetails.Email != "buyer@shop.test" {
		t.Errorf("got %s, %s: a fixed address must stay", got.PaymentStatus, got.CustomerDetails.Email)
	}
}

func TestPageRefusesWithoutLosingTheSession(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	p := h.sessionParams(h.price(900, "").ID)
	p.CustomerEmail = nil
	s, err := h.sdk.CheckoutSessions.New(p)
	h.must(err)
	if got := h.browse("GET", "/c/pay/"+s.ID, nil).Find("input[name=email]").AttrOr("value", ""); got != "buyer@example.test" {
		t.Errorf("e-mail %q", got)
	}
	for name, form := range map[string]url.Values{
		"no e-mail":      {"method": {"card_ok"}, "email": {" "}},
		"unknown method": {"method": {"cash"}, "email": {"a@b.test"}},
		"no method":      {"email": {"a@b.test"}},
	} {
		got := h.browse("POST", "/c/pay/"+s.ID, form)
		if got.status != 422 || got.Find("[role=alert]").Length() != 1 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	h.browse("POST", "/c/pay/"+s.ID, url.Values{"method": {"card_ok"}, "email": {"typed@b.test"}})
	if got := h.fetch(s.ID); got.PaymentStatus != "paid" || got.CustomerDetails.Email != "typed@b.test" {
		t.Errorf("got %s %s", got.PaymentStatus, got.CustomerDetails.Email)
	}
	if got := h.browse("GET", "/c/pay/cs_test_none", nil); got.status != 404 {
		t.Errorf("unknown session: %d", got.status)
	}
	if got := h.browse("GET", "/nowhere", nil); got.status != 404 {
		t.Errorf("unknown page: %d", got.status)
	}
	gone := h.session(900)
	_, err = h.sdk.CheckoutSessions.Expire(gone.ID, nil)
	h.must(err)
	if got := h.browse("POST", "/c/pay/"+gone.ID, url.Values{"method": {"card_ok"}, "email": {"a@b.test"}}); got.status != 303 {
		t.Errorf("expired session: %d", got.status)
	}
	if got := h.browse("GET", "/c/pay/"+gone.ID, nil); !strings.Contains(got.Find("h1").Text(), "expired") {
		t.Errorf("expired session: %q", got.Find("h1").Text())
	}
}

func TestFrontPageShowsSessionsAndDeliveries(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	if got := h.browse("GET", "/", nil); !strings.Contains(got.Find("main").Text(), "None yet") {
		t.Error("the empty page says nothing")
	}
	s := h.session(25000)
	h.pay(s.ID, "card_ok")
	h.waitDelivered(h.sink.wait(1, "checkout.session.completed")[0].event.ID)
	p := h.browse("GET", "/", nil)
	text := p.Find("main").Text()
	for _, want := range []string{s.ID, "checkout.session.completed", "delivered", "order_1", "US$\u00a0250.00", h.sink.srv.URL} {
		if !strings.Contains(text, want) {
			t.Errorf("the front page does not show %s", want)
		}
	}
	resp, err := http.Get(h.url + "/assets/stripesim.css")
	h.must(err)
	resp.Body.Close()
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/css") {
		t.Errorf("style sheet: %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
}

func TestHandlerNeedsNoRun(t *testing.T) {
	t.Parallel()
	h := start(t, nil)
	rec := httptest.NewRecorder()
	h.stop()
	h.sim.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	if rec.Code != 200 {
		t.Errorf("got %d", rec.Code)
	}
}
