package web

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/view"
)

// quoted adds to an order's page what the quote of it says, and the invoice; other orders have none.
func (s *server) quoted(r *http.Request, p *view.OrderPage) error {
	if p.Order.Snapshot.Channel != fulfillment.ByQuote {
		return nil
	}
	record, err := s.Quotes.Quote(r.Context(), p.Order.OrganizationID, p.Order.ID)
	if errors.Is(err, fulfillment.ErrNotFound) { // being made
		return nil
	}
	if err != nil {
		return err
	}
	p.Quote, p.Invoice = record.Seen.Quote, record.Seen.Invoice()
	p.Order.Quoted = record.Seen.QuoteStep()
	p.Phase = view.PhaseOf(p.Order, s.now())
	if p.Phase != view.PhaseQuote {
		return nil
	}
	preview, err := s.Previewer.Preview(r.Context(), record.Order)
	if err == nil {
		p.Preview = &preview.Payload
	}
	return nil // the quote can be read without
}

// openQuote finds the page of a quote that can be answered, for one of the two confirmations. Nil where it cannot any more.
func (s *server) openQuote(r *http.Request) (*view.OrderPage, error) {
	o, err := s.Orders.Order(r.Context(), member(r).organization.ID, chi.URLParam(r, "order"))
	if err != nil {
		return nil, err
	}
	p := view.OrderPage{Chrome: s.chrome(r, "", "orders"), Order: o, Phase: view.PhaseOf(o, s.now())}
	if err := s.quoted(r, &p); err != nil || p.Phase != view.PhaseQuote {
		return nil, err
	}
	return &p, nil
}

// answerQuote shows the page that asks once more before a quote is accepted or declined.
func (s *server) answerQuote(accept bool) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		p, err := s.openQuote(r)
		if err != nil {
			return err
		}
		if p == nil {
			return see(w, r, "/orders/"+chi.URLParam(r, "order"))
		}
		if p.Chrome.Title = "Decline this quote?"; accept {
			p.Chrome.Title = "Accept this quote?"
		}
		return s.render(w, r, http.StatusOK, view.AnswerQuote(*p, accept))
	}
}

func (s *server) acceptQuote(w http.ResponseWriter, r *http.Request) error {
	return s.answered(w, r, func(id string) error {
		return s.Quotes.Accept(r.Context(), member(r).organization.ID, id, member(r).user.ID)
	})
}

func (s *server) declineQuote(w http.ResponseWriter, r *http.Request) error {
	return s.answered(w, r, func(id string) error {
		return s.Quotes.Decline(r.Context(), member(r).organization.ID, id)
	})
}

// answered leads to the order's page, which says what became of the quote, also where it was answered before.
func (s *server) answered(w http.ResponseWriter, r *http.Request, answer func(id string) error) error {
	if err := form(r); err != nil {
		return formError(err)
	}
	id := chi.URLParam(r, "order")
	if err := answer(id); err != nil && !errors.Is(err, fulfillment.ErrQuoteClosed) {
		return err
	}
	return see(w, r, "/orders/"+id)
}

// toInvoice leads to where Stripe shows the invoice of an order; once there, nothing of it is the portal's. Every member may
// read the PDF; the page, where it can be paid, is a buyer's.
func (s *server) toInvoice(address func(fulfillment.Invoice) string) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		record, err := s.Quotes.Quote(r.Context(), member(r).organization.ID, chi.URLParam(r, "order"))
		if err != nil {
			return err
		}
		invoice := record.Seen.Invoice()
		if invoice == nil {
			return fulfillment.ErrNotFound
		}
		u, err := url.Parse(address(*invoice))
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return fulfillment.ErrNotFound
		}
		return see(w, r, u.String())
	}
}

func (s *server) quotePDF(w http.ResponseWriter, r *http.Request) error {
	file, err := s.Quotes.PDF(r.Context(), member(r).organization.ID, chi.URLParam(r, "order"))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/pdf")
	h.Set("Content-Disposition", `attachment; filename="quote.pdf"`)
	h.Set("Cache-Control", "private, no-store")
	_, err = w.Write(file)
	return err
}
