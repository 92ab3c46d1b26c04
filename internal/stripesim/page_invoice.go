package stripesim

import (
	"net/http"
	"net/url"
)

// invoiceView is what a hosted invoice page shows.
type invoiceView struct {
	ID, Number, Status, Currency string
	To, Email                    string
	Fields                       []invoiceField
	Lines                        []invoiceLine
	Sums                         []invoiceSum
	Due                          int64 // what is still to be paid
	DueDate, PaidAt, Date        int64
	Elsewhere                    bool
	Processing                   bool
	Note, Footer                 string
	Error                        string
	Groups                       []methodGroup
}

// invoiceField is one of the fields that the shop put on an invoice.
type invoiceField struct{ Name, Value string }

type invoiceLine struct {
	Text       string
	Quantity   int64
	Amount     int64
	Start, End int64 // the period of a subscription's line
}

// invoiceSum is one row under the lines.
type invoiceSum struct {
	Label  string
	Amount int64
	Strong bool
}

func (s *Server) invoiceView(x *tx, inv *record) invoiceView {
	b := inv.Body
	v := invoiceView{
		ID: b.str("id"), Number: b.str("number"), Status: b.str("status"), Currency: b.str("currency"), To: b.str("customer_name"),
		Email: b.str("customer_email"), Due: b.int("amount_remaining"), DueDate: b.int("due_date"), Date: b.int("created"),
		PaidAt: b.sub("status_transitions").int("paid_at"), Elsewhere: b.flag("paid_out_of_band"), Note: b.str("description"), Footer: b.str("footer"),
		Processing: x.isProcessing(inv),
	}
	for _, part := range b.list("custom_fields") {
		field := part.(object)
		v.Fields = append(v.Fields, invoiceField{field.str("name"), field.str("value")})
	}
	for _, part := range inv.Private.list("lines") {
		l := part.(object)
		line := invoiceLine{Text: l.str("description"), Quantity: l.int("quantity"), Amount: l.int("amount")}
		if p := l.sub("period"); p.int("end") > p.int("start") {
			line.Start, line.End = p.int("start"), p.int("end")
		}
		v.Lines = append(v.Lines, line)
	}
	v.Sums = invoiceSums(b)
	if (v.Status == "open" || v.Status == "uncollectible") && !v.Processing {
		v.Error = inv.Private.str("last_error")
		methods := []string{methodCardOK, methodCardDeclined, methodBankOK, methodBankFails, methodTransfer, methodTransferPart}
		v.Groups = methodGroups(methods, "Pay "+formatMoney(v.Due, v.Currency), s.cfg.SettleAfter)
	}
	return v
}

// invoiceSums lists what leads from the lines to what is due, without the rows
// that say nothing.
func invoiceSums(b object) []invoiceSum {
	out := []invoiceSum{{Label: "Subtotal", Amount: b.int("subtotal")}}
	add := func(label string, amount int64) {
		if amount != 0 {
			out = append(out, invoiceSum{Label: label, Amount: amount})
		}
	}
	if b["tax"] != nil {
		out = append(out, invoiceSum{Label: "Tax", Amount: b.int("tax")})
	}
	out = append(out, invoiceSum{Label: "Total", Amount: b.int("total"), Strong: true})
	if b["ending_balance"] != nil {
		add("Balance applied", b.int("starting_balance")-b.int("ending_balance"))
	}
	add("Credit notes", -b.int("pre_payment_credit_notes_amount"))
	add("Paid", -b.int("amount_paid"))
	return append(out, invoiceSum{Label: "Amount due", Amount: b.int("amount_remaining"), Strong: true})
}

// invoicePage is GET /i/{id}: it changes nothing.
func (s *Server) invoicePage(w http.ResponseWriter, r *http.Request) {
	s.showInvoice(w, r, http.StatusOK, "")
}

func (s *Server) showInvoice(w http.ResponseWriter, r *http.Request, status int, problem string) {
	var view invoiceView
	err := s.update(cause{}, func(x *tx) error {
		inv := x.find(kindInvoice, r.PathValue("id"))
		if inv == nil || inv.Body["hosted_invoice_url"] == nil {
			return missing(http.StatusNotFound, "invoice", r.PathValue("id"), "invoice")
		}
		view = s.invoiceView(x, inv)
		return nil
	})
	if err != nil {
		s.noSuchPage(w, r, err)
		return
	}
	if problem != "" {
		view.Error = problem
	}
	s.render(w, status, "invoice.html", "", view)
}

// invoicePost is POST /i/{id}: a button of the page. The page is shown again,
// and says what came of it.
func (s *Server) invoicePost(w http.ResponseWriter, r *http.Request) {
	if !s.parseForm(w, r) {
		return
	}
	id := r.PathValue("id")
	err := s.update(cause{}, func(x *tx) error {
		inv := x.find(kindInvoice, id)
		if inv == nil || inv.Body.flag("paid") {
			return nil // a second click does no harm
		}
		due := inv.Body.int("amount_remaining")
		switch method := r.PostForm.Get("method"); method {
		case methodTransfer:
			return x.transfer(inv, due)
		case methodTransferPart:
			return x.transfer(inv, max(1, due/2))
		default:
			return x.payAtPage(inv, method)
		}
	})
	if err != nil {
		if e := asAPIError(err); e.status < 500 {
			s.showInvoice(w, r, http.StatusUnprocessableEntity, e.message)
			return
		}
		s.pageError(w, r, err)
		return
	}
	http.Redirect(w, r, "/i/"+url.PathEscape(id), http.StatusSeeOther)
}
