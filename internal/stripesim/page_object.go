package stripesim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// objectPageView is the page of one stored object: what it says, what happened
// to it, and what can be done to it.
type objectPageView struct {
	ID, Kind, Status string
	Facts            []fact
	Actions          []actionButton
	Events           []eventSummary
	JSON             string
	Error            string
}

// fact is one row about an object; a link leads to another one.
type fact struct {
	Label, Text, Link string
	At                int64 // Unix seconds, instead of a text
}

type actionButton struct{ Name, Label, Hint, Input string }

func (x *tx) objectPageView(r *record) (objectPageView, error) {
	b := r.shown()
	v := objectPageView{ID: b.str("id"), Kind: plainKind(b.str("object")), Status: b.str("status"), Facts: x.facts(b)}
	for _, a := range actions() {
		if a.kind == r.Body.str("object") && a.when(r.Body) {
			v.Actions = append(v.Actions, actionButton{a.name, a.label, a.hint, a.input})
		}
	}
	v.Events = x.recentEvents(frontRows, "", v.ID)
	text, err := json.MarshalIndent(b, "", "  ")
	v.JSON = string(text)
	return v, err
}

// facts picks what people want to know of an object.
func (x *tx) facts(b object) []fact {
	var out []fact
	for _, m := range []struct{ member, label string }{
		{"amount_total", "Total"}, {"total", "Total"}, {"amount_due", "Due"}, {"amount", "Amount"}, {"amount_paid", "Paid"}, {"amount_refunded", "Refunded"},
	} {
		if n, ok := b[m.member].(int64); ok {
			out = append(out, fact{Label: m.label, Text: formatMoney(n, b.str("currency"))})
		}
	}
	for _, m := range []struct{ member, label string }{
		{"number", "Number"}, {"reason", "Reason"}, {"billing_reason", "Billing reason"}, {"failure_reason", "Failure"}, {"client_reference_id", "Reference"}, {"url", "Address"},
	} {
		if s := b.str(m.member); s != "" {
			out = append(out, fact{Label: m.label, Text: s})
		}
	}
	for _, m := range []struct{ member, label string }{
		{"created", "Created"}, {"current_period_end", "Period ends"}, {"cancel_at", "Ends"}, {"due_date", "Due by"}, {"expires_at", "Expires"},
	} {
		if at := b.int(m.member); at != 0 {
			out = append(out, fact{Label: m.label, At: at})
		}
	}
	for _, m := range []string{"hosted_invoice_url", "invoice_pdf", "pdf"} {
		if s := b.str(m); s != "" {
			out = append(out, fact{Label: "Page", Text: s, Link: s})
		}
	}
	for _, m := range []string{"customer", "subscription", "latest_invoice", "invoice", "quote", "payment_intent", "latest_charge", "charge", "setup_intent", "refund", "review"} {
		if id := b.str(m); id != "" && x.kindOf(id) != "" {
			out = append(out, fact{Label: plainKind(m), Text: id, Link: "/o/" + id})
		}
	}
	return append(out, x.children(b.str("id"))...)
}

// children are the refunds, disputes and warnings of a charge.
func (x *tx) children(charge string) []fact {
	var out []fact
	for _, kind := range []string{kindRefund, kindDispute, kindWarning} {
		for _, id := range x.st.objects[kind].ids {
			if b := x.st.objects[kind].get(id).Body; b.str("charge") == charge {
				out = append(out, fact{Label: plainKind(kind), Text: id + " " + b.str("status"), Link: "/o/" + id})
			}
		}
	}
	return out
}

// objectPage is GET /o/{id}: it changes nothing.
func (s *Server) objectPage(w http.ResponseWriter, r *http.Request) {
	s.showObject(w, r, http.StatusOK, "")
}

func (s *Server) showObject(w http.ResponseWriter, r *http.Request, status int, problem string) {
	var view objectPageView
	err := s.update(cause{}, func(x *tx) error {
		id := r.PathValue("id")
		kind := x.kindOf(id)
		if kind == "" {
			return missing(http.StatusNotFound, "object", id, "id")
		}
		var err error
		view, err = x.objectPageView(x.find(kind, id))
		return err
	})
	if err != nil {
		s.noSuchPage(w, r, err)
		return
	}
	view.Error = problem
	s.render(w, status, "object.html", "", view)
}

// objectPost is POST /o/{id}: an action, whose outcome is shown.
func (s *Server) objectPost(w http.ResponseWriter, r *http.Request) {
	if !s.parseForm(w, r) {
		return
	}
	target := r.PathValue("id")
	err := s.update(cause{}, func(x *tx) error {
		in, err := pageAction(r.PostForm)
		if err != nil {
			return err
		}
		made, err := x.act(target, r.PostForm.Get("action"), in)
		if err == nil && made != nil {
			target = made.Body.str("id")
		}
		return err
	})
	if err != nil {
		if e := asAPIError(err); e.status < 500 && e.status != http.StatusNotFound {
			s.showObject(w, r, http.StatusUnprocessableEntity, e.message)
			return
		}
		s.noSuchPage(w, r, err)
		return
	}
	http.Redirect(w, r, "/o/"+url.PathEscape(target), http.StatusSeeOther)
}

func pageAction(form url.Values) (actionIn, error) {
	in := actionIn{}
	for name, set := range map[string]func(int64){"amount": func(n int64) { in.Amount = n }, "cycles": func(n int64) { in.Cycles = int(n) }} {
		text := form.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return in, invalid("parameter_invalid_integer", name, "Type %s as a whole number.", name)
		}
		set(n)
	}
	return in, nil
}

// clockPost is POST /clock: the front page's buttons that move the clock.
func (s *Server) clockPost(w http.ResponseWriter, r *http.Request) {
	if !s.parseForm(w, r) {
		return
	}
	err := s.update(cause{}, func(x *tx) error {
		n, err := strconv.ParseInt(r.PostForm.Get("advance_seconds"), 10, 64)
		if err != nil {
			return invalid("parameter_invalid_integer", "advance_seconds", "The clock moves by whole seconds.")
		}
		_, err = advanceClock(x, r, clockIn{AdvanceSeconds: n})
		return err
	})
	if err != nil {
		if e := asAPIError(err); e.status < 500 {
			s.render(w, http.StatusUnprocessableEntity, "message.html", "", messagePage{Title: "The clock stays", Text: e.message, Link: "/", LinkText: "Back"})
			return
		}
		s.pageError(w, r, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// pageTime writes a time for people, to the second.
func pageTime(unix int64) string {
	return time.Unix(unix, 0).UTC().Format("2 Jan 2006, 15:04:05 UTC")
}
