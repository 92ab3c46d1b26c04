package stripesim

import (
	"net/http"
	"strings"
)

// front is the front page: what happened lately, for the curious.
type front struct {
	Now       int64
	Delivery  deliverySettings
	Sessions  []frontSession
	Tables    []frontTable
	Events    []eventSummary
	Endpoints []frontEndpoint
}

type frontSession struct {
	ID, Status, Payment, Reference, Currency string
	Total, Created, SettleAt                 int64
}

// frontTable lists the newest objects of a kind.
type frontTable struct {
	Title string
	Rows  []frontRow
}

type frontRow struct {
	ID, Status, About, Money string
	Until, Created           int64
}

type frontEndpoint struct{ ID, URL, Status string }

const frontRows = 25

// frontPage is GET /: it changes nothing.
func (s *Server) frontPage(w http.ResponseWriter, r *http.Request) {
	var f front
	err := s.update(cause{}, func(x *tx) error {
		f = front{Now: x.now.Unix(), Delivery: x.settings().Delivery, Events: x.recentEvents(frontRows, "", "")}
		for _, v := range x.recentSessions(frontRows) {
			b := v.Session
			f.Sessions = append(f.Sessions, frontSession{
				ID: b.str("id"), Status: b.str("status"), Payment: b.str("payment_status"), Currency: b.str("currency"),
				Reference: b.str("client_reference_id"), Total: b.int("amount_total"), Created: b.int("created"), SettleAt: v.SettleAt,
			})
		}
		for _, kind := range []string{kindSubscription, kindInvoice, kindQuote, kindCharge, kindRefund, kindDispute} {
			if t := x.frontTable(kind); len(t.Rows) > 0 {
				f.Tables = append(f.Tables, t)
			}
		}
		for _, id := range x.st.objects[kindEndpoint].ids {
			b := x.st.objects[kindEndpoint].get(id).Body
			f.Endpoints = append(f.Endpoints, frontEndpoint{id, b.str("url"), b.str("status")})
		}
		return nil
	})
	if err != nil {
		s.pageError(w, r, err)
		return
	}
	s.render(w, http.StatusOK, "front.html", "", f)
}

func (x *tx) frontTable(kind string) frontTable {
	table := frontTable{Title: plainKind(kind) + "s"}
	if kind == kindCharge {
		table.Title = "Payments"
	}
	t := x.st.objects[kind]
	for i := len(t.ids) - 1; i >= 0 && len(table.Rows) < frontRows; i-- {
		b := t.get(t.ids[i]).shown()
		row := frontRow{ID: b.str("id"), Status: b.str("status"), Created: b.int("created")}
		switch {
		case kind == kindSubscription:
			sum := int64(0)
			for _, it := range items(&record{Body: b}) {
				sum += it.sub("price").int("unit_amount") * it.int("quantity")
			}
			row.Money = formatMoney(sum, b.str("currency"))
			row.About, row.Until = "each "+every(rhythm(&record{Body: b})), b.int("current_period_end")
		case kind == kindInvoice:
			row.Money = formatMoney(b.int("total"), b.str("currency"))
			row.About = strings.TrimSpace(b.str("number") + " " + b.str("billing_reason"))
		case kind == kindQuote:
			row.Money, row.About = formatMoney(b.int("amount_total"), b.str("currency")), b.str("number")
		default:
			row.Money, row.About = formatMoney(b.int("amount"), b.str("currency")), b.str("reason")
			if kind == kindCharge && b.int("amount_refunded") > 0 {
				row.About = "refunded " + formatMoney(b.int("amount_refunded"), b.str("currency"))
			}
			if kind == kindCharge && b.flag("disputed") {
				row.About = "disputed"
			}
		}
		table.Rows = append(table.Rows, row)
	}
	return table
}

// plainKind is a kind or a member of that name in words: Payment intent.
func plainKind(name string) string {
	words := strings.NewReplacer("_", " ", ".", " ").Replace(name)
	return strings.ToUpper(words[:1]) + words[1:]
}

// tone is the color in which a status is shown.
func tone(status string) string {
	switch status {
	case "succeeded", "paid", "complete", "active", "delivered", "accepted", "won", "enabled", "issued":
		return "ok"
	case "failed", "canceled", "void", "lost", "uncollectible", "unpaid", "incomplete_expired", "disabled":
		return "bad"
	case "past_due", "expired", "needs_response", "warning_needs_response", "paused", "dropped", "incomplete", "requires_action":
		return "warn"
	}
	return "info"
}

// receiptPage is GET /receipts/{id}, where a charge's receipt_url leads.
func (s *Server) receiptPage(w http.ResponseWriter, r *http.Request) {
	var page messagePage
	err := s.update(cause{}, func(x *tx) error {
		charge := x.find(kindCharge, r.PathValue("id"))
		if charge == nil {
			return missing(http.StatusNotFound, "charge", r.PathValue("id"), "id")
		}
		b := charge.Body
		page = messagePage{
			Title: "Receipt", Text: formatMoney(b.int("amount"), b.str("currency")) + " with " + methodName(x.find(kindMethod, b.str("payment_method"))) +
				": " + b.str("status") + ".",
		}
		if n := b.int("amount_refunded"); n > 0 {
			page.Text += " Refunded: " + formatMoney(n, b.str("currency")) + "."
		}
		return nil
	})
	if err != nil {
		s.noSuchPage(w, r, err)
		return
	}
	s.render(w, http.StatusOK, "message.html", "", page)
}
