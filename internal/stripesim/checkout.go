package stripesim

import (
	"strings"
	"time"
)

// How a customer may pay: the page's buttons and the control API's methods.
const (
	methodCardOK       = "card_ok"
	methodCardDeclined = "card_declined"
	methodBankOK       = "bank_ok"
	methodBankFails    = "bank_fails"
	methodConfirm      = "confirm"
)

// sessionWaits says whether the clock may still change a session: it can
// expire, or its bank debit can settle.
func sessionWaits(r *record) bool {
	return r.Body.str("status") == "open" || r.Private.int("settle_at") != 0
}

// catchUp does what the clock has made due.
func (x *tx) catchUp() error {
	now := x.now.Unix()
	isExpired := func(r *record) bool { return r.Body.str("status") == "open" && r.Body.int("expires_at") <= now }
	isSettled := func(r *record) bool { at := r.Private.int("settle_at"); return at != 0 && at <= now }

	t := x.st.objects[kindSession]
	for _, id := range t.liveIDs(func(r *record) bool { return isExpired(r) || isSettled(r) }) {
		r := t.get(id).clone()
		do := x.expire
		if isSettled(r) {
			do = func(r *record) error { return x.settle(r, r.Private.flag("settle_ok")) }
		}
		if err := do(r); err != nil {
			return err
		}
	}
	return nil
}

func (x *tx) expire(r *record) error {
	r.Body["status"], r.Body["url"] = "expired", nil
	x.save(r)
	if intent := x.find(kindIntent, r.Body.str("payment_intent")); intent != nil {
		intent.Body["status"], intent.Body["canceled_at"], intent.Body["cancellation_reason"] = "canceled", x.now.Unix(), "automatic"
		x.save(intent)
		if err := x.emit("payment_intent.canceled", intent, nil); err != nil {
			return err
		}
	}
	return x.emit("checkout.session.expired", r, nil)
}

// pay is a customer's choice on the page. A session that is not open, and a
// method that it does not offer, are errors; a declined card is not: the
// session stays open and keeps the reason for the page.
func (x *tx) pay(r *record, method, email string) error {
	if s := r.Body.str("status"); s != "open" {
		return invalid("session_not_open", "", "This Checkout Session has a status of `%s`; only an open one can be paid.", s)
	}
	if !contains(offered(r.Body), method) {
		return invalid("method_not_offered", "method", "This Checkout Session does not offer %s; it offers %s.", method, strings.Join(offered(r.Body), ", "))
	}
	if known := x.knownEmail(r.Body); known != "" {
		email = known
	}
	if !plausibleEmail(email) {
		return invalid("email_invalid", "email", "Your email is incomplete.")
	}
	r.Body["customer_details"] = customerDetails(email)
	delete(r.Private, "last_error")

	if method == methodConfirm {
		return x.complete(r)
	}
	intent, err := x.intentOf(r)
	if err != nil {
		return err
	}
	switch method {
	case methodCardDeclined:
		return x.decline(r, intent)
	case methodCardOK:
		charge, err := x.newCharge(r, intent, cardDetails("4242"), "succeeded")
		if err != nil {
			return err
		}
		if err := x.succeed(intent, charge); err != nil {
			return err
		}
		r.Body["payment_status"] = "paid"
		return x.complete(r)
	}
	return x.debit(r, intent, method == methodBankOK)
}

// offered lists the methods that a session's page has buttons for.
func offered(session object) []string {
	if session.str("payment_status") == "no_payment_required" {
		return []string{methodConfirm}
	}
	var out []string
	if contains(session.strings("payment_method_types"), "card") {
		out = append(out, methodCardOK, methodCardDeclined)
	}
	if bankType(session) != "" {
		out = append(out, methodBankOK, methodBankFails)
	}
	return out
}

// bankType is the bank debit that a session offers, or nothing.
func bankType(session object) string {
	for _, t := range session.strings("payment_method_types") {
		if t == "us_bank_account" || t == "sepa_debit" {
			return t
		}
	}
	return ""
}

// complete ends the customer's part of a session.
func (x *tx) complete(r *record) error {
	r.Body["status"], r.Body["url"] = "complete", nil
	x.save(r)
	return x.emit("checkout.session.completed", r, nil)
}

// debit starts a bank debit: the session is complete and unpaid until the
// bank has answered.
func (x *tx) debit(r, intent *record, ok bool) error {
	charge, err := x.newCharge(r, intent, bankDetails(bankType(r.Body)), "pending")
	if err != nil {
		return err
	}
	intent.Body["status"], intent.Body["latest_charge"] = "processing", charge.Body.str("id")
	intent.Body["payment_method"] = charge.Body.str("payment_method")
	x.save(intent)
	if err := x.emit("charge.pending", charge, nil); err != nil {
		return err
	}
	if err := x.emit("payment_intent.processing", intent, nil); err != nil {
		return err
	}
	r.Private["settle_at"] = x.now.Add(x.s.cfg.SettleAfter + time.Second - 1).Unix() // rounded up
	r.Private["settle_ok"] = ok
	return x.complete(r)
}

// settle is the bank's answer to a debit.
func (x *tx) settle(r *record, ok bool) error {
	if r.Private.int("settle_at") == 0 {
		return invalid("nothing_to_settle", "", "This Checkout Session has no bank debit under way.")
	}
	delete(r.Private, "settle_at")
	intent := x.find(kindIntent, r.Body.str("payment_intent"))
	charge := x.find(kindCharge, intent.Body.str("latest_charge"))
	if !ok {
		if err := x.fail(intent, charge, "debit_not_authorized", "", "The customer's bank refused the debit: insufficient funds."); err != nil {
			return err
		}
		x.save(r)
		return x.emit("checkout.session.async_payment_failed", r, nil)
	}
	charge.Body["status"], charge.Body["paid"] = "succeeded", true
	if err := x.succeed(intent, charge); err != nil {
		return err
	}
	r.Body["payment_status"] = "paid"
	x.save(r)
	return x.emit("checkout.session.async_payment_succeeded", r, nil)
}

// decline is a card that the bank refuses; the customer may try again.
func (x *tx) decline(r, intent *record) error {
	charge, err := x.newCharge(r, intent, cardDetails("0002"), "failed")
	if err != nil {
		return err
	}
	const message = "Your card was declined."
	r.Private["last_error"] = message
	x.save(r)
	return x.fail(intent, charge, "card_declined", "generic_decline", message)
}

func contains(list []string, want string) bool {
	for _, s := range list {
		if s == want {
			return true
		}
	}
	return false
}
