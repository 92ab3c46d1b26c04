package stripesim

import "net/http"

// The targets of a patch.
const (
	targetObject = "object"
	targetEvent  = "event"
	targetBoth   = "both"
)

type patchIn struct {
	Patch  object `json:"patch"`
	Target string `json:"target"`
}

// patchObject is POST /_sim/sessions/{id} and /_sim/objects/{id}: it lays a
// patch over the object as the API shows it (object), over what events tell of
// it, those made before as well (event), or both (the default). Objects merge,
// arrays and null replace. What the stand-in itself reckons with stays.
func patchObject(x *tx, r *http.Request, in patchIn) (any, error) {
	id := r.PathValue("id")
	kind := x.kindOf(id)
	if kind == "" || kind == kindEvent {
		return nil, missing(http.StatusNotFound, "object", id, "id")
	}
	if len(in.Patch) == 0 {
		return nil, invalid("bad_body", "patch", "patch must be an object with at least one field.")
	}
	if in.Patch.has("id") || in.Patch.has("object") {
		return nil, invalid("bad_body", "patch", "id and object cannot be patched.")
	}
	row := x.find(kind, id)
	switch in.Target {
	case targetObject:
		row.ObjectPatch = merge(row.ObjectPatch, in.Patch)
	case targetEvent:
		row.EventPatch = merge(row.EventPatch, in.Patch)
	case targetBoth, "":
		row.ObjectPatch = merge(row.ObjectPatch, in.Patch)
		row.EventPatch = merge(row.EventPatch, in.Patch)
	default:
		return nil, invalid("unknown_target", "target", "target must be object, event or both.")
	}
	x.save(row)
	if in.Target != targetObject {
		x.patchTold(id, in.Patch)
	}
	return object{"object": row.shown(), "event_object": row.told()}, nil
}

// patchTold changes the events already made about an object.
func (x *tx) patchTold(id string, patch object) {
	for _, eventID := range x.st.objects[kindEvent].ids {
		event := x.find(kindEvent, eventID)
		told := event.Body.sub("data").sub("object")
		if told.str("id") != id {
			continue
		}
		told = merge(told, patch)
		event.Body.sub("data")["object"] = told
		if patch.has("livemode") {
			event.Body["livemode"] = told.flag("livemode")
		}
		x.save(event)
	}
}

type eventPatchIn struct {
	Patch object `json:"patch"`
}

// patchEvent is POST /_sim/events/{id}: it changes an event's envelope.
func patchEvent(x *tx, r *http.Request, in eventPatchIn) (any, error) {
	event, err := x.mustFind(kindEvent, "event", r.PathValue("id"), "id")
	if err != nil {
		return nil, err
	}
	for key := range in.Patch {
		if !contains([]string{"livemode", "api_version", "account", "created", "type", "request", "data"}, key) {
			return nil, invalid("bad_body", "patch", "An event's %s cannot be patched.", key)
		}
	}
	event.Body = merge(event.Body, in.Patch)
	if in.Patch.has("api_version") {
		event.Private["version_patched"] = true
	}
	x.save(event)
	return x.eventView(event), nil
}

type deliverIn struct {
	Copies   int    `json:"copies"`
	Endpoint string `json:"endpoint"`
}

// deliverAgain is POST /_sim/events/{id}/deliver. Without an endpoint the
// event goes to every one that subscribed.
func deliverAgain(x *tx, r *http.Request, in deliverIn) (any, error) {
	event, err := x.mustFind(kindEvent, "event", r.PathValue("id"), "id")
	if err != nil {
		return nil, err
	}
	if in.Copies == 0 {
		in.Copies = 1
	}
	if in.Copies < 1 || in.Copies > 100 {
		return nil, invalid("out_of_range", "copies", "copies must be between 1 and 100.")
	}
	sent, err := x.deliverNow(event, in.Endpoint, in.Copies)
	if err != nil {
		return nil, err
	}
	return object{"deliveries": sent}, nil
}

// maxShown bounds the lists of the control API and the front page.
const maxShown = 500

// eventSummary is an event in a list.
type eventSummary struct {
	ID              string      `json:"id"`
	Type            string      `json:"type"`
	Created         int64       `json:"created"`
	Object          string      `json:"object"`
	PendingWebhooks int64       `json:"pending_webhooks"`
	Deliveries      []*delivery `json:"deliveries"`
}

// controlEvents is GET /_sim/events, narrowed by ?type= and ?object= (an
// object's ID); 500 at most.
func controlEvents(x *tx, r *http.Request, _ nothing) (any, error) {
	q := r.URL.Query()
	return object{"events": x.recentEvents(maxShown, q.Get("type"), q.Get("object"))}, nil
}

func (x *tx) recentEvents(limit int, eventType, objectID string) []eventSummary {
	t := x.st.objects[kindEvent]
	out := []eventSummary{}
	for i := len(t.ids) - 1; i >= 0 && len(out) < limit; i-- {
		body := t.get(t.ids[i]).Body
		about := body.sub("data").sub("object").str("id")
		if eventType != "" && body.str("type") != eventType || objectID != "" && about != objectID {
			continue
		}
		id := body.str("id")
		out = append(out, eventSummary{id, body.str("type"), body.int("created"), about, x.pendingWebhooks(id), x.deliveriesOf(id)})
	}
	return out
}

// eventView is one event in full.
type eventView struct {
	Event      object      `json:"event"`
	Deliveries []*delivery `json:"deliveries"`
}

func (x *tx) eventView(event *record) eventView {
	return eventView{x.envelope(event, nil), x.deliveriesOf(event.Body.str("id"))}
}

// controlEvent is GET /_sim/events/{id}.
func controlEvent(x *tx, r *http.Request, _ nothing) (any, error) {
	event, err := x.mustFind(kindEvent, "event", r.PathValue("id"), "id")
	if err != nil {
		return nil, err
	}
	return x.eventView(event), nil
}

// sessionView is a session as the API shows it, with what the stand-in knows.
type sessionView struct {
	Session   object   `json:"session"`
	LastError string   `json:"last_error,omitempty"`
	SettleAt  int64    `json:"settle_at,omitempty"` // Unix seconds; 0 when no debit is under way
	Methods   []string `json:"methods"`             // what can be paid with now
}

func (x *tx) sessionView(id string) sessionView {
	row := x.find(kindSession, id)
	v := sessionView{Session: row.shown(), LastError: row.Private.str("last_error"), Methods: []string{}}
	if intent := x.sessionIntent(row); intent != nil {
		v.SettleAt = intent.Private.int("due_at")
	}
	v.Session["line_items"] = x.lineItems(id)
	if row.Body.str("status") == "open" {
		v.Methods = offered(row.Body)
	}
	return v
}

// controlSessions is GET /_sim/sessions; 500 at most.
func controlSessions(x *tx, _ *http.Request, _ nothing) (any, error) {
	return object{"sessions": x.recentSessions(maxShown)}, nil
}

func (x *tx) recentSessions(limit int) []sessionView {
	t := x.st.objects[kindSession]
	out := []sessionView{}
	for i := len(t.ids) - 1; i >= 0 && len(out) < limit; i-- {
		out = append(out, x.sessionView(t.ids[i]))
	}
	return out
}

// controlSession is GET /_sim/sessions/{id}.
func controlSession(x *tx, r *http.Request, _ nothing) (any, error) {
	if _, err := x.session(r); err != nil {
		return nil, err
	}
	return x.sessionView(r.PathValue("id")), nil
}
