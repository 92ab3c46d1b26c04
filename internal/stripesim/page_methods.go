package stripesim

import (
	"fmt"
	"time"
)

// methodGroup is one part of a page's ways to pay.
type methodGroup struct {
	Legend  string
	Buttons []methodButton
}

type methodButton struct {
	Method  string // the button's value
	Label   string
	Last4   string // of the test card, empty for others
	Hint    string
	Primary bool
}

// verbSave is what a page does that keeps a payment method for later.
const verbSave = "Save"

// methodGroups are the buttons for some methods. verb is what the first one
// does, such as "Pay US$ 250.00"; settle is how long a bank takes.
func methodGroups(methods []string, verb string, settle time.Duration) []methodGroup {
	soon := plainDuration(settle)
	known := map[string]methodButton{
		methodCardOK:       {Label: verb + " with card", Last4: "4242", Hint: "A good test card, 4242 4242 4242 4242: it works at once.", Primary: true},
		methodCardDeclined: {Label: "Try card", Last4: "0002", Hint: "Test card 4000 0000 0000 0002: the bank declines it, and you come back here."},
		methodCardLater:    {Label: "Use card", Last4: "0341", Hint: "Works today and fails at every renewal."},
		methodCardConfirm:  {Label: "Use card", Last4: "3155", Hint: "Works today; each renewal waits until you confirm it."},
		methodBankOK:       {Label: "Pay from a bank account that settles", Hint: fmt.Sprintf("The order waits; the money arrives after %s.", soon)},
		methodBankFails:    {Label: "Pay from a bank account that fails", Hint: fmt.Sprintf("The order waits; the bank refuses after %s.", soon)},
		methodTransfer:     {Label: "Send all that is due", Hint: "A bank transfer; it arrives at once here."},
		methodTransferPart: {Label: "Send half of it", Hint: "A transfer of too little: the invoice stays open with the rest."},
	}
	if verb == verbSave {
		known[methodCardOK] = methodButton{Label: "Save card", Last4: "4242", Hint: "A good test card, 4242 4242 4242 4242.", Primary: true}
		known[methodBankOK] = methodButton{Label: "Save a bank account", Hint: "Debits from it settle."}
		known[methodBankFails] = methodButton{Label: "Save a bank account that fails", Hint: "Debits from it are refused."}
	}
	groups := []methodGroup{{Legend: "Card"}, {Legend: "Bank debit"}, {Legend: "Bank transfer"}}
	for _, m := range methods {
		b, ok := known[m]
		if !ok {
			continue
		}
		b.Method = m
		at := 0
		switch {
		case m == methodTransfer || m == methodTransferPart:
			at = 2
		case testMethods[m].bank:
			at = 1
		}
		groups[at].Buttons = append(groups[at].Buttons, b)
	}
	var out []methodGroup
	for _, g := range groups {
		if len(g.Buttons) > 0 {
			out = append(out, g)
		}
	}
	return out
}

// country is a choice of a billing address.
type country struct{ Code, Name string }

// countries are those whose tax the stand-in knows, and some without.
func countries() []country {
	return []country{
		{"AT", "Austria, 20% VAT"}, {"CH", "Switzerland, no tax here"}, {"DE", "Germany, 19% VAT"}, {"FR", "France, 20% VAT"},
		{"GB", "United Kingdom, 20% VAT"}, {"IE", "Ireland, 23% VAT"}, {"JP", "Japan, 10%"}, {"NL", "Netherlands, 21% VAT"}, {"US", "United States, no tax here"},
	}
}

// methodName names a stored payment method for people: Visa ending in 4242.
func methodName(m *record) string {
	if m == nil {
		return "none"
	}
	switch kind := m.Body.str("type"); kind {
	case "card":
		return "Visa ending in " + m.Body.sub(kind).str("last4")
	case "customer_balance":
		return "Bank transfer"
	default:
		return "Bank account ending in " + m.Body.sub(kind).str("last4")
	}
}
