package evidence

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/strictjson"
)

// member says where a value goes and whether the event is refused when it is of another type. Strict are those that every
// event or object has; kinds of object that are no evidence give the other names to other types of value.
type member struct {
	to     any // *string, *int64, *bool or *time.Time
	strict bool
}

// member finds what the signer reads by a path; to is nil for everything else.
func (e *Event) member(path string) member {
	d, i := &e.Data, &e.Data.Invoice
	switch path {
	case "id":
		return member{&e.ID, true}
	case "object":
		return member{&e.Object, true}
	case "api_version":
		return member{&e.APIVersion, true}
	case "type":
		return member{&e.Type, true}
	case "account":
		return member{&e.Account, true}
	case "created":
		return member{&e.Created, true}
	case "livemode":
		return member{&e.Livemode, true}
	}
	name, ok := strings.CutPrefix(path, "data.object.")
	if !ok {
		return member{}
	}
	switch name {
	case "id":
		return member{&d.ID, true}
	case "object":
		return member{&d.Object, true}
	case "status":
		return member{to: &d.Status}
	case "currency":
		return member{to: &d.Currency}
	case "payment_intent":
		return member{to: &d.PaymentIntent}
	case "created":
		return member{to: &d.Created}
	case "livemode":
		return member{to: &d.Livemode}
	case "mode":
		return member{to: &d.Checkout.Mode}
	case "payment_status":
		return member{to: &d.Checkout.PaymentStatus}
	case "amount_subtotal":
		return member{to: &d.Checkout.AmountSubtotal}
	case "amount_total":
		return member{to: &d.Checkout.AmountTotal}
	case "total_details.amount_discount":
		return member{to: &d.Checkout.AmountDiscount}
	case "billing_reason":
		return member{to: &i.BillingReason}
	case "amount_paid":
		return member{to: &i.AmountPaid}
	case "tax":
		return member{to: &i.Tax}
	case "paid":
		return member{to: &i.Paid}
	case "paid_out_of_band":
		return member{to: &i.PaidOutOfBand}
	case "lines.has_more":
		return member{to: &i.HasMore}
	case "lines.data.[].id":
		return member{to: &i.Line.ID}
	case "lines.data.[].quantity":
		return member{to: &i.Line.Quantity}
	case "lines.data.[].amount":
		return member{to: &i.Line.Amount}
	case "lines.data.[].proration":
		return member{to: &i.Line.Proration}
	case "lines.data.[].price.lookup_key":
		return member{to: &i.Line.LookupKey}
	case "lines.data.[].period.start":
		return member{to: &i.Line.Start}
	case "lines.data.[].period.end":
		return member{to: &i.Line.End}
	case "amount":
		return member{to: &d.Charge.Amount}
	case "amount_refunded":
		return member{to: &d.Charge.AmountRefunded}
	case "refunded":
		return member{to: &d.Charge.Refunded}
	case "charge":
		return member{to: &d.Dispute.Charge}
	}
	return member{}
}

// take stores a value where it belongs. Null leaves text absent.
func (e *Event) take(path string, raw []byte) error {
	m := e.member(path)
	var err error
	switch to := m.to.(type) {
	case nil:
		return nil
	case *string:
		if string(raw) == "null" {
			return nil
		}
		text, ok := strictjson.Unquote(raw)
		if ok {
			*to = text
		} else {
			err = fmt.Errorf("%w: %s is not text", ErrMalformed, path)
		}
	case *bool:
		if string(raw) == "true" || string(raw) == "false" {
			*to = string(raw) == "true"
		} else {
			err = fmt.Errorf("%w: %s is neither true nor false", ErrMalformed, path)
		}
	case *int64:
		*to, err = number(path, raw)
	case *time.Time:
		*to, err = calendar(path, raw)
	}
	if err == nil {
		e.seen[path] = true
		return nil
	}
	if m.strict {
		return err
	}
	return nil
}

func (e *Event) meta(to map[string]string, name string, raw []byte) error {
	value, ok := strictjson.Unquote(raw)
	if !ok {
		return fmt.Errorf("%w: metadata holds more than text", ErrMalformed)
	}
	to[name] = value
	return nil
}

// number takes a plain integer: no fraction, no exponent.
func number(path string, raw []byte) (int64, error) {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || string(raw) == "-0" {
		return 0, fmt.Errorf("%w: %s is not a plain integer", ErrMalformed, path)
	}
	return n, nil
}

// latest bounds times to what a license can hold: the year 9999.
const latest = 253402300799

func calendar(path string, raw []byte) (time.Time, error) {
	unix, err := number(path, raw)
	if err != nil {
		return time.Time{}, err
	}
	if unix <= 0 || unix > latest {
		return time.Time{}, fmt.Errorf("%w: %s is outside the calendar", ErrMalformed, path)
	}
	return time.Unix(unix, 0).UTC(), nil
}
