package stripesim

func radarRoutes() []route {
	warnings := with(pageParams(), schema{"charge": text(255), "payment_intent": text(255), "created": createdRange()})
	reviews := with(pageParams(), schema{"created": createdRange()})
	return []route{
		{"GET", "/v1/radar/early_fraud_warnings", warnings, listBy(kindWarning, "/v1/radar/early_fraud_warnings", "charge", "payment_intent")},
		{"GET", "/v1/radar/early_fraud_warnings/{id}", nil, retrieve(kindWarning, "early fraud warning", "early_fraud_warning")},
		{"GET", "/v1/reviews", reviews, listBy(kindReview, "/v1/reviews")},
		{"GET", "/v1/reviews/{id}", nil, retrieve(kindReview, "review", "review")},
		{"POST", "/v1/reviews/{id}/approve", nil, func(x *tx, c *call) (object, error) {
			r, err := x.mustFind(kindReview, "review", c.path("id"), "review")
			if err != nil {
				return nil, err
			}
			if err := x.closeReview(r, "approved"); err != nil {
				return nil, err
			}
			return r.shown(), nil
		}},
	}
}

// warn is a card issuer's word that a charge looks like fraud.
func (x *tx) warn(charge *record, fraudType string) (*record, error) {
	id, err := x.objectID(kindWarning, "issfr_1", 23)
	if err != nil {
		return nil, err
	}
	b := charge.Body
	r := &record{Body: object{
		"id": id, "object": kindWarning, "actionable": !b.flag("refunded") && !b.flag("disputed"), "charge": b["id"], "created": x.now.Unix(),
		"fraud_type": fraudType, "livemode": false, "payment_intent": b["payment_intent"],
	}}
	return r, x.emitSaved("radar.early_fraud_warning.created", r)
}

// openReview holds a charge for a person to look at; the money is here.
func (x *tx) openReview(charge *record) (*record, error) {
	if id := charge.Body.str("review"); id != "" && x.find(kindReview, id).Body.flag("open") {
		return nil, invalid("review_open", "", "A review of this charge is open already.")
	}
	id, err := x.objectID(kindReview, "prv_1", 23)
	if err != nil {
		return nil, err
	}
	b := charge.Body
	r := &record{Body: object{
		"id": id, "object": kindReview, "billing_zip": nil, "charge": b["id"], "closed_reason": nil, "created": x.now.Unix(), "ip_address": nil,
		"ip_address_location": nil, "livemode": false, "open": true, "opened_reason": "rule", "payment_intent": b["payment_intent"],
		"reason": "rule", "session": nil,
	}}
	x.save(r)
	if err := x.change(charge, "charge.updated", func(b object) { b["review"] = id }); err != nil {
		return nil, err
	}
	return r, x.emit("review.opened", r, nil)
}

// closeReview ends a review; reason is approved, refunded, refunded_as_fraud,
// disputed or redacted.
func (x *tx) closeReview(r *record, reason string) error {
	if !r.Body.flag("open") {
		return invalid("review_closed", "", "This review is closed already.")
	}
	r.Body["open"], r.Body["closed_reason"], r.Body["reason"] = false, reason, reason
	return x.emitSaved("review.closed", r)
}
