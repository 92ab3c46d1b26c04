package stripesim

import (
	"fmt"
	"net/http"
)

// document is what the PDF of an invoice, a quote or a credit note says.
type document struct {
	title, number string
	facts         [][2]string // what is beside the number: dates, the status
	to            []string    // the customer, a line each
	lines         []documentLine
	sums          [][2]string
	notes         []string
}

type documentLine struct {
	text     string
	quantity int64
	amount   string
}

// linesPerPage is how many lines a page of a document has room for.
const linesPerPage = 24

// pdf sets a document.
func (d document) pdf() []byte {
	p := &pdf{}
	p.newPage()
	const left, right = float64(pageMargin), float64(pageWidth - pageMargin)
	p.text(left, 60, 9, false, "Made by the Stripe stand-in of a demo. This is no real document; nothing is owed.")
	p.text(left, 100, 22, true, d.title)
	y := 126.0
	for _, f := range append([][2]string{{"Number", d.number}}, d.facts...) {
		p.text(left, y, 10, false, f[0])
		p.text(left+90, y, 10, true, f[1])
		y += 16
	}
	y += 12
	for i, line := range d.to {
		p.text(left, y, 10, i == 0, line)
		y += 14
	}
	y += 20
	head := func() {
		p.text(left, y, 9, true, "Description")
		p.right(right-110, y, 9, true, "Qty")
		p.right(right, y, 9, true, "Amount")
		p.rule(y + 6)
		y += 22
	}
	head()
	for i, l := range d.lines {
		if i > 0 && i%linesPerPage == 0 {
			p.newPage()
			y = 60
			head()
		}
		p.text(left, y, 10, false, shorten(l.text, 62))
		p.right(right-110, y, 10, false, fmt.Sprint(l.quantity))
		p.right(right, y, 10, false, l.amount)
		y += 18
	}
	p.rule(y)
	y += 20
	for i, s := range d.sums {
		p.right(right-110, y, 10, i == len(d.sums)-1, s[0])
		p.right(right, y, 10, i == len(d.sums)-1, s[1])
		y += 16
	}
	for _, n := range d.notes {
		y += 16
		p.text(left, y, 9, false, shorten(n, 100))
	}
	return p.bytes()
}

func shorten(s string, limit int) string {
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit-1]) + "..."
	}
	return s
}

// addressee is the customer as a document names them.
func addressee(name, email any) []string {
	out := []string{"To"}
	for _, v := range []any{name, email} {
		if s, ok := v.(string); ok && s != "" {
			out = append(out, s)
		}
	}
	return out
}

func invoiceDocument(inv *record) document {
	b := inv.Body
	money := func(member string) string { return formatMoney(b.int(member), b.str("currency")) }
	d := document{
		title: "Invoice", number: b.str("number"), to: addressee(b["customer_name"], b["customer_email"]),
		facts: [][2]string{{"Date", day(b.int("created"))}, {"Status", b.str("status")}},
		sums:  [][2]string{{"Subtotal", money("subtotal")}},
	}
	if at := b.int("due_date"); at != 0 {
		d.facts = append(d.facts, [2]string{"Due", day(at)})
	}
	for _, v := range b.list("custom_fields") {
		field := v.(object)
		d.facts = append(d.facts, [2]string{field.str("name"), field.str("value")})
	}
	for _, v := range inv.Private.list("lines") {
		line := v.(object)
		d.lines = append(d.lines, documentLine{line.str("description"), line.int("quantity"), formatMoney(line.int("amount"), b.str("currency"))})
	}
	if b["tax"] != nil {
		d.sums = append(d.sums, [2]string{"Tax", money("tax")})
	}
	d.sums = append(d.sums, [2]string{"Total", money("total")}, [2]string{"Paid", money("amount_paid")}, [2]string{"Amount due", money("amount_remaining")})
	for _, member := range []string{"description", "footer"} {
		if s := b.str(member); s != "" {
			d.notes = append(d.notes, s)
		}
	}
	return d
}

func (x *tx) quoteDocument(q *record) document {
	b := q.Body
	customer := x.find(kindCustomer, b.str("customer")).Body
	d := document{
		title: "Quote", number: b.str("number"), to: addressee(customer["name"], customer["email"]),
		facts: [][2]string{{"Date", day(b.int("created"))}, {"Valid until", day(b.int("expires_at"))}, {"Status", b.str("status")}},
	}
	for _, v := range q.Private.list("line_items") {
		it := v.(object)
		text := it.str("description")
		if r := it.sub("price").sub("recurring"); r != nil {
			text += ", each " + every(r)
		}
		d.lines = append(d.lines, documentLine{text, it.int("quantity"), formatMoney(it.int("amount_subtotal"), b.str("currency"))})
	}
	d.sums = [][2]string{{"Subtotal", formatMoney(b.int("amount_subtotal"), b.str("currency"))}}
	if tax := b.sub("total_details").int("amount_tax"); tax != 0 {
		d.sums = append(d.sums, [2]string{"Tax", formatMoney(tax, b.str("currency"))})
	}
	d.sums = append(d.sums, [2]string{"Total", formatMoney(b.int("amount_total"), b.str("currency"))})
	for _, member := range []string{"header", "description", "footer"} {
		if s := b.str(member); s != "" {
			d.notes = append(d.notes, s)
		}
	}
	return d
}

func (x *tx) creditNoteDocument(n *record) document {
	b := n.Body
	inv := x.find(kindInvoice, b.str("invoice")).Body
	d := document{
		title: "Credit note", number: b.str("number"), to: addressee(inv["customer_name"], inv["customer_email"]),
		facts: [][2]string{{"Date", day(b.int("created"))}, {"Invoice", inv.str("number")}, {"Status", b.str("status")}},
		sums:  [][2]string{{"Subtotal", formatMoney(b.int("subtotal"), b.str("currency"))}, {"Total", formatMoney(b.int("total"), b.str("currency"))}},
	}
	for _, v := range n.Private.list("lines") {
		line := v.(object)
		d.lines = append(d.lines, documentLine{line.str("description"), line.int("quantity"), formatMoney(line.int("amount"), b.str("currency"))})
	}
	if memo := b.str("memo"); memo != "" {
		d.notes = append(d.notes, memo)
	}
	return d
}

// quotePDF is GET /v1/quotes/{id}/pdf, which Stripe serves at files.stripe.com.
func (s *Server) quotePDF(w http.ResponseWriter, r *http.Request) {
	s.serveAPI(w, r, func(string, string) (*answer, error) {
		var a *answer
		err := s.update(cause{}, func(x *tx) error {
			q, err := x.mustFind(kindQuote, "quote", r.PathValue("id"), "quote")
			if err != nil {
				return err
			}
			if q.Body["number"] == nil {
				return invalid("", "", "You can only download the PDF of a finalized quote.")
			}
			a = &answer{status: http.StatusOK, contentType: "application/pdf", body: x.quoteDocument(q).pdf()}
			return nil
		})
		return a, err
	})
}

// pdfPage serves a document's file to a browser.
func (s *Server) pdfPage(kind string, make func(*tx, *record) document) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var file []byte
		name := ""
		err := s.update(cause{}, func(x *tx) error {
			found := x.find(kind, r.PathValue("id"))
			if found == nil || found.Body["number"] == nil {
				return missing(http.StatusNotFound, kind, r.PathValue("id"), "id")
			}
			file, name = make(x, found).pdf(), found.Body.str("number")
			return nil
		})
		if err != nil {
			s.noSuchPage(w, r, err)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/pdf")
		h.Set("Content-Disposition", fmt.Sprintf("inline; filename=%q", name+".pdf"))
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(file) // the browser is gone when this fails
	}
}
