package stripesim

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const secretPrefix = "whsec_"

func endpointRoutes() []route {
	fields := schema{
		"url": text(2048), "enabled_events": listOf(250, text(100)),
		"description": unsettable(5000), "metadata": metadata(),
	}
	create := with(fields, schema{
		"url": text(2048).must(), "enabled_events": listOf(250, text(100)).must(),
		"api_version": text(40), "connect": boolean(),
	})
	return []route{
		{"POST", "/v1/webhook_endpoints", create, createEndpoint},
		{"GET", "/v1/webhook_endpoints", pageParams(), func(x *tx, c *call) (object, error) {
			return x.listObjects(kindEndpoint, "/v1/webhook_endpoints", c.params, nil)
		}},
		{"GET", "/v1/webhook_endpoints/{id}", nil, retrieve(kindEndpoint, "webhook endpoint", "id")},
		{"POST", "/v1/webhook_endpoints/{id}", with(fields, schema{"disabled": boolean()}), updateEndpoint},
		{"DELETE", "/v1/webhook_endpoints/{id}", nil, deleteEndpoint},
	}
}

func checkEndpoint(p object) error {
	if p.has("url") {
		if u, err := url.Parse(p.str("url")); err != nil || !isWebURL(u) {
			return invalid("url_invalid", "url", "Invalid URL: an explicit scheme (such as https) must be provided.")
		}
	}
	eventType := regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)+$`)
	names := p.strings("enabled_events")
	if p.has("enabled_events") && len(names) == 0 {
		return invalid("parameter_invalid_empty", "enabled_events", "You must enable at least one event type, or *.")
	}
	for _, name := range names {
		if name != "*" && !eventType.MatchString(name) {
			return invalid("", "enabled_events", "Invalid enabled_events: %s is not an event type.", name)
		}
	}
	if v := p.str("api_version"); v != "" && !regexp.MustCompile(`^20[0-9]{2}-[01][0-9]-[0-3][0-9]$`).MatchString(v) {
		return invalid("", "api_version", "Invalid Stripe API version: %s", v)
	}
	return nil
}

func createEndpoint(x *tx, c *call) (object, error) {
	if err := checkEndpoint(c.params); err != nil {
		return nil, err
	}
	if c.params.flag("connect") {
		return nil, unsupported("connect", "Connect endpoints")
	}
	id, err := x.objectID(kindEndpoint, "we_", 24)
	if err != nil {
		return nil, err
	}
	secret, err := x.newID(secretPrefix, 32, nil)
	if err != nil {
		return nil, err
	}
	r := newEndpoint(id, secret, x.now.Unix())
	setFields(r.Body, c.params)
	x.save(r)
	shown := r.shown()
	shown["secret"] = secret // this once only
	return shown, nil
}

func newEndpoint(id, secret string, created int64) *record {
	return &record{
		Body: object{
			"id": id, "object": kindEndpoint, "api_version": nil, "application": nil, "created": created, "description": nil,
			"enabled_events": []any{}, "livemode": false, "metadata": object{}, "status": "enabled", "url": "",
		},
		Private: object{"secret": secret},
	}
}

func updateEndpoint(x *tx, c *call) (object, error) {
	if err := checkEndpoint(c.params); err != nil {
		return nil, err
	}
	r, err := x.mustFind(kindEndpoint, "webhook endpoint", c.path("id"), "id")
	if err != nil {
		return nil, err
	}
	setFields(r.Body, c.params)
	x.save(r)
	if c.params.has("disabled") {
		status := map[bool]string{true: "disabled", false: "enabled"}[c.params.flag("disabled")]
		if err := x.switchEndpoint(r, status); err != nil {
			return nil, err
		}
	}
	return r.shown(), nil
}

func deleteEndpoint(x *tx, c *call) (object, error) {
	id := c.path("id")
	if _, err := x.mustFind(kindEndpoint, "webhook endpoint", id, "id"); err != nil {
		return nil, err
	}
	put(x, x.st.objects[kindEndpoint], id, nil)
	return object{"id": id, "object": kindEndpoint, "deleted": true}, nil
}

// registerEndpoints brings the endpoints of the configuration into the store.
func (x *tx) registerEndpoints(configured []EndpointConfig) error {
	for _, e := range configured {
		var r *record
		for _, id := range x.st.objects[kindEndpoint].ids {
			if old := x.find(kindEndpoint, id); old.Body.str("url") == e.URL {
				r = old
			}
		}
		if r == nil {
			id, err := x.objectID(kindEndpoint, "we_", 24)
			if err != nil {
				return err
			}
			r = newEndpoint(id, e.Secret, x.now.Unix())
		}
		version := e.APIVersion
		if version == "" {
			version = APIVersion
		}
		params := object{"url": e.URL, "enabled_events": stringList(e.EnabledEvents), "api_version": version, "status": "enabled"}
		if err := checkEndpoint(params); err != nil {
			return err
		}
		setFields(r.Body, params)
		r.Private["secret"] = e.Secret
		x.save(r)
	}
	return nil
}

// subscribes says whether an endpoint wants events of a type.
func subscribes(endpoint object, eventType string) bool {
	if endpoint.str("status") != "enabled" {
		return false
	}
	return slices.ContainsFunc(endpoint.strings("enabled_events"), func(name string) bool {
		return name == "*" || strings.EqualFold(name, eventType)
	})
}
