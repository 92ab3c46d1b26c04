package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/internal/fake"
)

func TestAQuoteIsReadAndAcceptedOnAPageOfItsOwn(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	path := "/orders/" + fake.OrderQuoted
	home, list := b.get("/"), b.get("/orders")
	home.has("main", "A quote waits for you: Enterprise, annual")
	home.has("main", "An invoice is to be paid: Enterprise, annual")
	list.has("main", "Awaiting your answer")
	list.has("main", "Quote accepted")
	page := b.get(path)
	page.has("h1", "Your quote is ready")
	page.has("#state", "QT-HALDEN-0001-1")
	page.has("#state", "Nothing is owed until you accept")
	page.has("#state", "What the license will contain")
	if page.doc().Find(`form[action$="/pay"], form[action$="/cancel"]`).Length() != 0 || page.doc().Find(".btn.pri").Length() != 1 {
		t.Error("the page offers a checkout, or more than one primary button")
	}
	if file := b.get(path + "/quote.pdf"); file.status != http.StatusOK || file.header.Get("Content-Type") != "application/pdf" || !strings.HasPrefix(file.body, "%PDF") {
		t.Errorf("PDF: %d %v", file.status, file.header)
	}
	before := s.services.Changes()
	ask := b.get(path + "/accept")
	ask.has("h1", "Accept this quote?")
	ask.has("p.lead", "The invoice is due 30 days from now")
	if s.services.Changes() != before {
		t.Error("asking changed something")
	}
	b.post(path+"/accept", url.Values{}).goes(http.StatusSeeOther, path)
	b.get(path).has("h1", "Quote accepted")
	b.post(path+"/accept", url.Values{}).goes(http.StatusSeeOther, path) // a second click
	b.get(path+"/accept").goes(http.StatusSeeOther, path)
	b.post(path+"/decline", url.Values{}).goes(http.StatusSeeOther, path)
	b.get(path).has("h1", "Quote accepted")
}

func TestAQuoteIsDeclined(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	path := "/orders/" + fake.OrderQuoted
	b.get(path+"/decline").has("h1", "Decline this quote?")
	b.post(path+"/decline", url.Values{}).goes(http.StatusSeeOther, path)
	if s.services.QuoteSeen[fake.OrderQuoted].Quote.Status != "canceled" {
		t.Error("the quote stands")
	}
}

func TestOnlyWhoMayBuyAnswersAQuote(t *testing.T) {
	t.Parallel()
	s := open(t)
	path := "/orders/" + fake.OrderQuoted
	reader := s.as(fake.ReaderID)
	page := reader.get(path)
	page.has("#state", "An owner or a billing member")
	if page.doc().Find(`a[href$="/accept"], a[href$="/decline"]`).Length() != 0 {
		t.Error("a reader is offered to answer")
	}
	stranger := s.as(fake.StrangerID)
	for _, end := range []string{"/accept", "/decline"} {
		if r := reader.get(path + end); r.status != http.StatusForbidden {
			t.Errorf("reader's %s: %d", end, r.status)
		}
		if r := reader.post(path+end, url.Values{}); r.status != http.StatusForbidden {
			t.Errorf("reader posts %s: %d", end, r.status)
		}
		if r := stranger.post(path+end, url.Values{}); r.status != http.StatusNotFound {
			t.Errorf("stranger posts %s: %d", end, r.status)
		}
	}
	if r := stranger.get(path + "/quote.pdf"); r.status != http.StatusNotFound {
		t.Errorf("stranger's PDF: %d", r.status)
	}
	if s.services.QuoteSeen[fake.OrderQuoted].Quote.Status != "open" {
		t.Error("the quote was answered")
	}
}

func TestAnInvoiceIsPaidAtStripesPage(t *testing.T) {
	t.Parallel()
	b := open(t).as(fake.OwnerID)
	b.get("/orders/"+fake.OrderAccepted).has("h1", "Quote accepted")
	page := b.get("/orders/" + fake.OrderInvoiced)
	page.has("h1", "Your invoice is ready")
	page.has("#state", "HALDEN-0001")
	page.has("#state", "15,000.00")
	if n := page.doc().Find(`a[href$="/invoice.pdf"]`).Length(); n != 1 {
		t.Errorf("the page leads to the PDF %d times", n)
	}
	b.get(page.doc().Find("#state a.btn.pri").AttrOr("href", "")).goes(http.StatusSeeOther, "https://invoice.stripe.example/i/1")
	b.get(page.doc().Find("#state a.btn.big:not(.pri)").AttrOr("href", "")).goes(http.StatusSeeOther, "https://invoice.stripe.example/i/1/pdf")
	if r := b.get("/orders/" + fake.OrderAccepted + "/invoice"); r.status != http.StatusNotFound {
		t.Errorf("without an invoice: %d", r.status)
	}
}

func TestStripeIsAskedAgainForWhoComesBackFromAnInvoice(t *testing.T) {
	t.Parallel()
	s := open(t)
	b := s.as(fake.OwnerID)
	for _, order := range []string{fake.OrderQuoted, fake.OrderReady, fake.OrderInvoiced, fake.OrderAwaiting} {
		b.get("/orders/" + order)
	}
	b.get("/orders")
	if looks := s.services.Looks; len(looks) != 1 || looks[0] != fake.OrderInvoiced {
		t.Errorf("looks at %v", looks)
	}
}

func TestAReaderReadsAnInvoiceAndIsNotLedToPayIt(t *testing.T) {
	t.Parallel()
	b := open(t).as(fake.ReaderID)
	path := "/orders/" + fake.OrderInvoiced
	page := b.get(path)
	page.has("#state", "HALDEN-0001")
	page.has("#state", "An owner or a billing member of your organization can pay it")
	if n := page.doc().Find(`a[href$="/invoice"]`).Length(); n != 0 {
		t.Error("the page leads to where the invoice is paid")
	}
	if r := b.get(path + "/invoice"); r.status != http.StatusForbidden || r.header.Get("Location") != "" {
		t.Errorf("where it is paid: %d %s", r.status, r.header.Get("Location"))
	}
	b.get(page.doc().Find(`#state a[href$="/invoice.pdf"]`).AttrOr("href", "")).goes(http.StatusSeeOther, "https://invoice.stripe.example/i/1/pdf")
}

func TestAQuoteThatEndedSaysSo(t *testing.T) {
	t.Parallel()
	s := open(t)
	for i := range s.services.OrderList {
		if o := &s.services.OrderList[i]; o.ID == fake.OrderQuoted {
			o.State, o.Failure = fulfillment.StateFailed, "The quote was withdrawn or has expired. Nothing is owed for it."
		}
	}
	page := s.as(fake.OwnerID).get("/orders/" + fake.OrderQuoted)
	page.has("h1", "This quote has ended")
	page.has("#state", "Nothing is owed for it.")
	if page.doc().Find("form[action$='/pay']").Length() != 0 {
		t.Error("a quote that ended can be paid by checkout")
	}
}
