package stripesim

import (
	"encoding/json"
	"time"
)

// eventLife is how long Stripe shows events and delivers them again.
const eventLife = 30 * 24 * time.Hour

func eventRoutes() []route {
	list := with(pageParams(), schema{
		"type": text(100), "types": listOf(20, text(100)), "created": createdRange(), "delivery_success": boolean(),
	})
	return []route{
		{"GET", "/v1/events", list, listEvents},
		{"GET", "/v1/events/{id}", nil, func(x *tx, c *call) (object, error) {
			r, err := x.youngEvent(c.path("id"))
			if err != nil {
				return nil, err
			}
			return x.envelope(r, nil), nil
		}},
		// What Stripe's own command line calls to send an event again.
		{"POST", "/v1/events/{id}/retry", schema{
			"webhook_endpoint": text(255), "account": text(255), "for_stripecli": boolean(),
		}, retryEvent},
	}
}

// emit makes an event about r as it is now, and its deliveries. changed are the
// previous attributes of an update, or nil.
func (x *tx) emit(eventType string, r *record, changed object) error {
	id, err := x.objectID(kindEvent, "evt_1", 23)
	if err != nil {
		return err
	}
	told := r.told()
	data := object{"object": told}
	if changed != nil {
		data["previous_attributes"] = changed
	}
	event := &record{Body: object{
		"id": id, "object": kindEvent, "api_version": APIVersion, "created": x.now.Unix(), "data": data,
		"livemode": told.flag("livemode"), "type": eventType,
		"request": object{"id": nullable(x.cause.requestID), "idempotency_key": nullable(x.cause.idempotencyKey)},
	}}
	x.save(event)
	return x.deliverNew(event)
}

// envelope is an event as the API and an endpoint see it. The endpoint, when
// given, has a say in the API version.
func (x *tx) envelope(event *record, endpoint object) object {
	out := event.Body.clone()
	if v := endpoint.str("api_version"); v != "" && !event.Private.flag("version_patched") {
		out["api_version"] = v
	}
	out["pending_webhooks"] = x.pendingWebhooks(out.str("id"))
	return out
}

// pendingWebhooks counts the endpoints that have not yet taken an event.
func (x *tx) pendingWebhooks(eventID string) int64 {
	waiting := map[string]bool{}
	for _, d := range x.deliveriesOf(eventID) {
		if d.isOpen() {
			waiting[d.Endpoint] = true
		}
	}
	return int64(len(waiting))
}

// deliveriesOf lists an event's deliveries, oldest first.
func (x *tx) deliveriesOf(eventID string) []*delivery {
	var out []*delivery
	event := x.st.objects[kindEvent].get(eventID)
	if event == nil {
		return nil
	}
	for _, id := range event.Private.strings("deliveries") {
		if d := x.st.deliveries.get(id); d != nil {
			out = append(out, d)
		}
	}
	return out
}

func (x *tx) youngEvent(id string) (*record, error) {
	r, err := x.mustFind(kindEvent, "event", id, "id")
	if err == nil && x.isOld(r) {
		_, err = x.mustFind(kindEvent, "event", "", "id")
	}
	return r, err
}

func (x *tx) isOld(event *record) bool {
	return x.now.Sub(time.Unix(event.Body.int("created"), 0)) > eventLife
}

func listEvents(x *tx, c *call) (object, error) {
	p := c.params
	if p.has("type") && p.has("types") {
		return nil, invalid("", "types", "You may only specify one of these parameters: type, types.")
	}
	types := setOf(p.strings("types"))
	items, more, err := x.page(kindEvent, p, func(r *record) bool {
		return !x.isOld(r) && matches(r.Body, p, "type") &&
			(!p.has("types") || types[r.Body.str("type")]) &&
			(!p.has("delivery_success") || p.flag("delivery_success") == x.wasDelivered(r.Body.str("id")))
	})
	if err != nil {
		return nil, err
	}
	shown := make([]object, len(items))
	for i, r := range items {
		shown[i] = x.envelope(r, nil)
	}
	return listObject(shown, more, "/v1/events"), nil
}

// wasDelivered says whether every delivery of an event was taken.
func (x *tx) wasDelivered(eventID string) bool {
	for _, d := range x.deliveriesOf(eventID) {
		if d.State != stateDelivered {
			return false
		}
	}
	return true
}

func retryEvent(x *tx, c *call) (object, error) {
	event, err := x.youngEvent(c.path("id"))
	if err != nil {
		return nil, err
	}
	if a := c.params.str("account"); a != "" && a != x.s.cfg.AccountID {
		return nil, invalid("account_invalid", "account", "No such account: '%s'", a)
	}
	if _, err := x.deliverNow(event, c.params.str("webhook_endpoint"), 1); err != nil {
		return nil, err
	}
	return x.envelope(x.find(kindEvent, c.path("id")), nil), nil
}

// encodeEvent writes an event as Stripe does: indented, a line an attribute.
func encodeEvent(o object) ([]byte, error) { return json.MarshalIndent(o, "", "  ") }
