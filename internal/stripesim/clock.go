package stripesim

import (
	"fmt"
	"time"
)

// dueAt says when the clock changes an object by itself: Unix seconds, 0 for
// never.
func dueAt(r *record) int64 {
	switch r.Body.str("object") {
	case kindSession:
		if r.Body.str("status") == "open" {
			return r.Body.int("expires_at")
		}
	case kindIntent, kindRefund, kindInvoice:
		return r.Private.int("due_at")
	case kindSubscription:
		return subscriptionDue(r.Body)
	case kindQuote:
		if s := r.Body.str("status"); s == "draft" || s == "open" {
			return r.Body.int("expires_at")
		}
	}
	return 0
}

// happen is what the clock does to an object that is due.
func (x *tx) happen(r *record) error {
	switch r.Body.str("object") {
	case kindSession:
		return x.expire(r)
	case kindIntent:
		return x.settle(r, r.Private.flag("settle_ok"))
	case kindRefund:
		return x.endRefund(r, "succeeded", "")
	case kindInvoice:
		return x.advanceInvoice(r)
	case kindSubscription:
		return x.advanceSubscription(r)
	case kindQuote:
		return x.cancelQuote(r)
	}
	return fmt.Errorf("the clock can do nothing to a %s", r.Body.str("object"))
}

// catchUp does what the clock has made due, one thing after another in the
// order of time, each at its own time: a year that passed at once leaves twelve
// monthly invoices a month apart.
func (x *tx) catchUp() error {
	defer func() { x.now = x.clock }()
	for {
		r := x.nextDue()
		if r == nil {
			return nil
		}
		before := dueAt(r)
		x.now = time.Unix(before, 0)
		if err := x.happen(r); err != nil {
			return err
		}
		kind, id := r.Body.str("object"), r.Body.str("id")
		if after := x.st.objects[kind].get(id); after != nil && dueAt(after) == before {
			return fmt.Errorf("%s %s is due for ever", kind, id) // or this would never end
		}
	}
}

// nextDue finds the object that is due first, or nil.
func (x *tx) nextDue() *record {
	var first *record
	for _, kind := range objectKinds() {
		t := x.st.objects[kind]
		for _, id := range t.liveIDs(func(r *record) bool { return dueAt(r) <= x.clock.Unix() }) {
			if r := t.get(id); first == nil || dueAt(r) < dueAt(first) {
				first = r
			}
		}
	}
	if first == nil {
		return nil
	}
	return first.clone()
}

// soon is the time a bank or card network takes, as Unix seconds, rounded up.
func (x *tx) soon() int64 {
	return x.now.Add(x.s.cfg.SettleAfter + time.Second - 1).Unix()
}

// addMonths is the same day and time n calendar months later, or the month's
// last day where that is earlier.
func addMonths(t time.Time, n int) time.Time {
	t = t.UTC()
	first := time.Date(t.Year(), t.Month(), 1, t.Hour(), t.Minute(), t.Second(), 0, time.UTC).AddDate(0, n, 0)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}

// addIntervals is n billing intervals after t, counted from t so that a month's
// end comes back after a short month.
func addIntervals(t time.Time, recurring object, n int) time.Time {
	n *= int(recurring.int("interval_count"))
	switch recurring.str("interval") {
	case "day":
		return t.UTC().AddDate(0, 0, n)
	case "week":
		return t.UTC().AddDate(0, 0, 7*n)
	case "year":
		return addMonths(t, 12*n)
	}
	return addMonths(t, n)
}

// periodEnd is the end of the billing period that begins at start, on the
// rhythm that began at anchor. All are Unix seconds.
func periodEnd(anchor, start int64, recurring object) int64 {
	at := time.Unix(anchor, 0)
	for n := 1; ; n++ {
		if end := addIntervals(at, recurring, n).Unix(); end > start {
			return end
		}
	}
}
