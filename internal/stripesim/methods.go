package stripesim

import "net/http"

// What comes of an attempt to take money.
type outcome int

const (
	outcomePaid     outcome = iota
	outcomeDeclined         // the bank says no, at once
	outcomeAction           // the customer must confirm with their bank
	outcomeSettles          // the bank says yes, later
	outcomeBounces          // the bank says no, later
)

// How a customer may pay: the pages' buttons and the control API's methods.
const (
	methodCardOK       = "card_ok"
	methodCardDeclined = "card_declined"
	methodCardLater    = "card_fails_later"
	methodCardConfirm  = "card_needs_confirmation"
	methodBankOK       = "bank_ok"
	methodBankFails    = "bank_fails"
	methodTransfer     = "transfer"      // of all that is due
	methodTransferPart = "transfer_part" // of half of it
	methodConfirm      = "confirm"       // nothing is to be paid
)

// testMethod is a card or an account that behaves in one known way, as Stripe's
// test cards do.
type testMethod struct {
	token   string // as Stripe's tests name it
	bank    bool
	last4   string
	present outcome // with the customer at a page
	absent  outcome // at a renewal, or by an API call
}

var testMethods = map[string]testMethod{
	methodCardOK:       {"pm_card_visa", false, "4242", outcomePaid, outcomePaid},
	methodCardDeclined: {"pm_card_chargeDeclined", false, "0002", outcomeDeclined, outcomeDeclined},
	methodCardLater:    {"pm_card_chargeCustomerFail", false, "0341", outcomePaid, outcomeDeclined},
	methodCardConfirm:  {"pm_card_authenticationRequired", false, "3155", outcomePaid, outcomeAction},
	methodBankOK:       {"pm_usBankAccount", true, "6789", outcomeSettles, outcomeSettles},
	methodBankFails:    {"pm_usBankAccount_insufficientFunds", true, "1116", outcomeBounces, outcomeBounces},
}

func methodRoutes() []route {
	list := with(pageParams(), schema{"customer": text(255), "type": oneOf("card", "us_bank_account", "sepa_debit")})
	attach := schema{"customer": text(255).must()}
	return []route{
		{"GET", "/v1/payment_methods/{id}", nil, retrieve(kindMethod, "PaymentMethod", "payment_method")},
		{"GET", "/v1/payment_methods", list, func(x *tx, c *call) (object, error) {
			return x.listObjects(kindMethod, "/v1/payment_methods", c.params, func(r *record) bool {
				return r.Body["customer"] != nil && matches(r.Body, c.params, "customer", "type")
			})
		}},
		{"GET", "/v1/customers/{id}/payment_methods", list, func(x *tx, c *call) (object, error) {
			if _, err := x.mustFind(kindCustomer, "customer", c.path("id"), "customer"); err != nil {
				return nil, err
			}
			return x.listObjects(kindMethod, "/v1/customers/"+c.path("id")+"/payment_methods", c.params, func(r *record) bool {
				return r.Body.str("customer") == c.path("id") && matches(r.Body, c.params, "type")
			})
		}},
		{"POST", "/v1/payment_methods/{id}/attach", attach, attachMethod},
		{"POST", "/v1/payment_methods/{id}/detach", nil, detachMethod},
	}
}

// newMethod makes the payment method that a customer types in. bankType is the
// kind of bank debit where it is one.
func (x *tx) newMethod(name, bankType, email string) (*record, error) {
	known := testMethods[name]
	id, err := x.objectID(kindMethod, "pm_1", 23)
	if err != nil {
		return nil, err
	}
	r := &record{
		Body: object{
			"id": id, "object": kindMethod, "billing_details": billingDetails(email), "created": x.now.Unix(),
			"customer": nil, "livemode": false, "metadata": object{},
		},
		Private: object{"behavior": name},
	}
	kind := "card"
	if known.bank {
		kind = bankType
	}
	r.Body["type"] = kind
	r.Body[kind] = methodDetails(kind, known.last4)
	x.save(r)
	return r, nil
}

func billingDetails(email string) object {
	return object{
		"address": object{"city": nil, "country": nil, "line1": nil, "line2": nil, "postal_code": nil, "state": nil},
		"email":   nullable(email), "name": nil, "phone": nil,
	}
}

// methodDetails is the member of a payment method that bears its type's name.
func methodDetails(kind, last4 string) object {
	switch kind {
	case "sepa_debit":
		return object{
			"bank_code": "37040044", "branch_code": nil, "country": "DE", "fingerprint": "stripesim" + last4,
			"generated_from": object{"charge": nil, "setup_attempt": nil}, "last4": last4,
		}
	case "us_bank_account":
		return object{
			"account_holder_type": "individual", "account_type": "checking", "bank_name": "STAND-IN TEST BANK",
			"financial_connections_account": nil, "fingerprint": "stripesim" + last4, "last4": last4,
			"networks": object{"preferred": "ach", "supported": []any{"ach"}}, "routing_number": "110000000", "status_details": nil,
		}
	}
	return object{
		"brand": "visa", "checks": object{"address_line1_check": nil, "address_postal_code_check": nil, "cvc_check": "pass"},
		"country": "US", "display_brand": "visa", "exp_month": int64(12), "exp_year": int64(2034), "fingerprint": "stripesim" + last4,
		"funding": "credit", "generated_from": nil, "last4": last4,
		"networks": object{"available": []any{"visa"}, "preferred": nil}, "three_d_secure_usage": object{"supported": true}, "wallet": nil,
	}
}

// usedDetails is what a charge says about the method that it was tried with.
func usedDetails(method *record) object {
	kind := method.Body.str("type")
	from := method.Body.sub(kind)
	switch kind {
	case "customer_balance":
		return object{"type": kind, kind: object{}}
	case "sepa_debit":
		return object{"type": kind, kind: object{
			"bank_code": from["bank_code"], "branch_code": nil, "country": from["country"],
			"fingerprint": from["fingerprint"], "last4": from["last4"], "mandate": nil,
		}}
	case "us_bank_account":
		return object{"type": kind, kind: object{
			"account_holder_type": "individual", "account_type": "checking", "bank_name": from["bank_name"],
			"fingerprint": from["fingerprint"], "last4": from["last4"], "routing_number": from["routing_number"],
		}}
	}
	return object{"type": kind, kind: object{
		"amount_authorized": nil, "brand": from["brand"], "checks": from.sub("checks").clone(), "country": from["country"],
		"exp_month": from["exp_month"], "exp_year": from["exp_year"], "fingerprint": from["fingerprint"], "funding": from["funding"],
		"installments": nil, "last4": from["last4"], "mandate": nil, "network": "visa", "network_token": object{"used": false},
		"three_d_secure": nil, "wallet": nil,
	}}
}

// behavior is how a payment method takes an attempt.
func behavior(method *record, present bool) outcome {
	known := testMethods[method.Private.str("behavior")]
	if present {
		return known.present
	}
	return known.absent
}

// attach ties a payment method to a customer.
func (x *tx) attach(method *record, customer string) error {
	if method.Body.str("customer") == customer {
		return nil
	}
	method.Body["customer"] = customer
	x.save(method)
	return x.emit("payment_method.attached", method, nil)
}

// methodByName finds a stored payment method, or makes the one that a test
// token stands for.
func (x *tx) methodByName(id, param string, status int) (*record, error) {
	if r := x.find(kindMethod, id); r != nil {
		return r, nil
	}
	for name, known := range testMethods {
		if known.token == id {
			return x.newMethod(name, "us_bank_account", "")
		}
	}
	return nil, missing(status, "PaymentMethod", id, param)
}

func attachMethod(x *tx, c *call) (object, error) {
	customer, err := x.customer(c.params.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	method, err := x.methodByName(c.path("id"), "payment_method", http.StatusNotFound)
	if err != nil {
		return nil, err
	}
	if owner := method.Body.str("customer"); owner != "" && owner != customer.Body.str("id") {
		return nil, invalid("", "", "The payment method you provided has already been attached to a customer.")
	}
	if err := x.attach(method, customer.Body.str("id")); err != nil {
		return nil, err
	}
	return method.shown(), nil
}

func detachMethod(x *tx, c *call) (object, error) {
	method, err := x.mustFind(kindMethod, "PaymentMethod", c.path("id"), "payment_method")
	if err != nil {
		return nil, err
	}
	owner := x.find(kindCustomer, method.Body.str("customer"))
	if owner == nil {
		return nil, invalid("", "", "The payment method you provided is not attached to a customer so detachment is impossible.")
	}
	method.Body["customer"] = nil
	x.save(method)
	if err := x.emit("payment_method.detached", method, object{"customer": owner.Body["id"]}); err != nil {
		return nil, err
	}
	settings := owner.Body.sub("invoice_settings")
	if settings.str("default_payment_method") == method.Body.str("id") {
		if err := x.useByDefault(owner, nil); err != nil {
			return nil, err
		}
	}
	return method.shown(), nil
}

// useByDefault makes a payment method the one that a customer's invoices take;
// nil takes it away.
func (x *tx) useByDefault(customer *record, method any) error {
	return x.change(customer, "customer.updated", func(b object) {
		b["invoice_settings"] = merge(b.sub("invoice_settings"), object{"default_payment_method": method})
	})
}
