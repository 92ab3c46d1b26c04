package stripesim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"

	"github.com/metrum-ai/licensing-portal/internal/stripesim"
)

// recorded is a call that the SDK made, and what the stand-in answered.
type recorded struct {
	method, path, query string
	header              http.Header
	body                []byte
	status              int
	contentType         string
	answer              []byte
}

func (r recorded) String() string { return r.method + " " + r.path }

// recorder keeps the calls that go through it.
type recorder struct {
	mu    sync.Mutex
	calls []recorded
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, recorded{
		req.Method, req.URL.Path, req.URL.RawQuery, req.Header, body, resp.StatusCode, resp.Header.Get("Content-Type"), answer,
	})
	return resp, err
}

// record points the harness's SDK at the stand-in through a recorder.
func (h *harness) record() *recorder {
	r := &recorder{}
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: &h.url, MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}, HTTPClient: &http.Client{Transport: r},
	})
	h.sdk = client.New(testKey, &stripe.Backends{API: backend, Connect: backend, Uploads: backend})
	return r
}

// TestStandInKeepsStripesContract makes every call with the real SDK. The same
// bytes go to stripe-mock, which must take them and answer in the same shape;
// and the stand-in's answers and events must fit Stripe's specification to the
// last member.
func TestStandInKeepsStripesContract(t *testing.T) {
	t.Parallel()
	m, err := startMock()
	if err != nil {
		t.Fatalf("stripe-mock: %v", err)
	}
	var mu sync.Mutex
	made := map[string]bool{}
	t.Run("flows", func(t *testing.T) {
		for name, flow := range contractFlows {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				h := start(t, nil)
				rec := h.record()
				flow(h)
				for _, call := range rec.calls {
					mu.Lock()
					made[callPattern(call)] = true
					mu.Unlock()
					compare(t, m, call)
				}
				checkEvents(t, m, h)
			})
		}
	})
	for _, pattern := range stripesim.Calls() {
		if !made[pattern] && !outsideContract[pattern] {
			t.Errorf("no contract covers %s", pattern)
		}
	}
}

// outsideContract are calls that Stripe's specification does not have, or the
// SDK has no method for.
var outsideContract = map[string]bool{
	"POST /v1/events/{}/retry": true, // what Stripe's command line calls
}

var idPart = regexp.MustCompile(`/(cs|in|ii|sub|si|cus|pi|ch|re|du|qt|cn|pm|seti|price|prod|we|evt|txr|issfr|prv|bpc|bps|cbtxn)_[0-9A-Za-z_]+`)

// callPattern is a call without its IDs.
func callPattern(c recorded) string { return c.method + " " + idPart.ReplaceAllString(c.path, "/{}") }

// compare replays a call on stripe-mock and compares the answers.
func compare(t *testing.T, m *mock, call recorded) {
	t.Helper()
	status, contentType, answer := m.replay(t, call)
	if call.status >= 400 { // stripe-mock knows no state, so it cannot refuse for it
		checkError(t, m, call)
		return
	}
	if status != http.StatusOK {
		t.Errorf("stripe-mock does not take %s %s: %s", call, call.body, answer)
		return
	}
	if call.contentType != contentType {
		t.Errorf("%s: %s, stripe-mock has %s", call, call.contentType, contentType)
	}
	if contentType != "application/json" {
		return
	}
	ours, theirs := decode(t, call.answer), decode(t, answer)
	sh := m.spec.answerOf(call.method, call.path)
	if sh == nil {
		t.Fatalf("the specification has no %s", call)
	}
	faults := append(m.spec.check(call.String(), sh, ours), sameShape(call.String(), ours, theirs)...)
	for _, fault := range faults {
		if !allowed(fault) {
			t.Error(fault)
		}
	}
}

func (m *mock) replay(t *testing.T, call recorded) (int, string, []byte) {
	t.Helper()
	url := m.url + call.path
	if call.query != "" {
		url += "?" + call.query
	}
	req, err := http.NewRequest(call.method, url, bytes.NewReader(call.body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = call.header.Clone()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Content-Type"), answer
}

// checkError wants a refusal in Stripe's shape.
func checkError(t *testing.T, m *mock, call recorded) {
	t.Helper()
	e, ok := decode(t, call.answer).(map[string]any)["error"]
	if !ok {
		t.Errorf("%s: a refusal without error: %s", call, call.answer)
		return
	}
	for _, fault := range m.spec.check(".error", m.spec.Components.Schemas["api_errors"], e) {
		t.Errorf("%s%s", call, fault)
	}
}

func decode(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return v
}

// freeForm are members whose own members are the caller's, or differ by the
// method of payment.
var freeForm = []string{"metadata", "payment_method_options", "payment_method_details", "destination_details", "evidence", "last_payment_error"}

// sameShape lists the members of which one side has none, or another type.
// A member that is null on one side says nothing about its type.
func sameShape(at string, ours, theirs any) []string {
	switch theirs := theirs.(type) {
	case map[string]any:
		mine, ok := ours.(map[string]any)
		if !ok {
			return typeFault(at, ours, theirs)
		}
		if _, isEvent := theirs["object"].(map[string]any); isEvent {
			return nil // an event's data: stripe-mock tells of another object
		}
		if mine["deleted"] == true {
			return nil // stripe-mock forgets what was deleted
		}
		if mine["object"] != theirs["object"] {
			return []string{fmt.Sprintf("%s: object is %v, stripe-mock has %v", at, mine["object"], theirs["object"])}
		}
		var faults []string
		names := slices.Collect(maps.Keys(theirs))
		for _, name := range slices.Sorted(slices.Values(append(names, slices.Collect(maps.Keys(mine))...))) {
			a, inMine := mine[name]
			b, inTheirs := theirs[name]
			switch {
			case inMine && !inTheirs:
				faults = append(faults, at+"."+name+": stripe-mock has no such member")
			case !inMine:
				faults = append(faults, at+"."+name+": the stand-in has no such member")
			case !slices.Contains(freeForm, name):
				faults = append(faults, sameShape(at+"."+name, a, b)...)
			}
		}
		return slices.Compact(faults)
	case []any:
		mine, ok := ours.([]any)
		if !ok {
			return typeFault(at, ours, theirs)
		}
		if len(mine) == 0 || len(theirs) == 0 {
			return nil
		}
		return sameShape(at+"[0]", mine[0], theirs[0])
	case nil:
		return nil
	}
	if fmt.Sprintf("%T", ours) != fmt.Sprintf("%T", theirs) {
		return typeFault(at, ours, theirs)
	}
	return nil
}

func typeFault(at string, ours, theirs any) []string {
	if ours == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s: is %T, stripe-mock has %T", at, ours, theirs)}
}

// checkEvents wants every event, and the object that it tells of, in Stripe's
// shapes.
func checkEvents(t *testing.T, m *mock, h *harness) {
	t.Helper()
	for _, e := range h.events() {
		event := h.control("GET", "/_sim/events/"+e.id, nil)["event"].(map[string]any)
		told := event["data"].(map[string]any)["object"].(map[string]any)
		faults := m.spec.check("."+e.kind, m.spec.Components.Schemas["event"], event)
		kind := m.spec.Components.Schemas[told["object"].(string)]
		if kind == nil {
			t.Fatalf("%s tells of a %v, which the specification does not know", e.kind, told["object"])
		}
		for _, fault := range append(faults, m.spec.check(e.kind, kind, told)...) {
			if !allowed(fault) {
				t.Error(fault)
			}
		}
	}
}

// differences are where the stand-in knowingly differs from stripe-mock's one
// example of an object, with the reason.
var differences = map[string]string{
	"lines.data[0].subscription_item: stripe-mock has no":  "a line of a subscription has it",
	"lines.data[0].invoice_item: the stand-in has no":      "a line of a subscription does not",
	".payment_intent: stripe-mock has no":                  "warnings and reviews have it where there is an intent",
	"lines.data[0].invoice_line_item: the stand-in has no": "a credit note's line of its own names none",
	"subscription_update.products: stripe-mock has no":     "a configuration has it where plans can be changed",
	"GET /v1/account.":              "of the account, only its ID and country are kept",
	".secret: stripe-mock has no":   "an endpoint's secret is told at its creation",
	".refunds: the stand-in has no": "a charge's refunds are shown where they are expanded",
}

// allowed says whether a fault is a known difference.
func allowed(fault string) bool {
	for part := range differences {
		if strings.Contains(fault, part) {
			return true
		}
	}
	return false
}

// The contract is only worth something if a fault is found.
func TestContractFindsFaults(t *testing.T) {
	t.Parallel()
	m, err := startMock()
	if err != nil {
		t.Fatalf("stripe-mock: %v", err)
	}
	h := start(t, nil)
	c := h.customer()
	good := func() map[string]any { return h.raw("/v1/customers/" + c.ID) }
	sh := m.spec.answerOf("GET", "/v1/customers/"+c.ID)
	if faults := m.spec.check("", sh, good()); len(faults) > 0 {
		t.Fatal(faults)
	}
	for fault, spoil := range map[string]func(map[string]any){
		"has no created":           func(o map[string]any) { delete(o, "created") },
		"a member nick":            func(o map[string]any) { o["nick"] = "x" },
		"is a string, not integer": func(o map[string]any) { o["balance"] = "0" },
		"is the number 1.5":        func(o map[string]any) { o["balance"] = 1.5 },
		"is null":                  func(o map[string]any) { o["livemode"] = nil },
		"is none of":               func(o map[string]any) { o["tax_exempt"] = "sometimes" },
		"not a string":             func(o map[string]any) { o["metadata"] = map[string]any{"k": 1.0} },
		"is an array":              func(o map[string]any) { o["address"] = []any{} },
		"fits none":                func(o map[string]any) { o["object"] = "order" },
	} {
		o := good()
		spoil(o)
		if found := strings.Join(m.spec.check("", sh, o), "\n"); !strings.Contains(found, fault) {
			t.Errorf("the specification does not find that a customer %s: %s", fault, found)
		}
	}
	for fault, spoil := range map[string]func(map[string]any){
		".footer: the stand-in has no":  func(o map[string]any) { delete(o["invoice_settings"].(map[string]any), "footer") },
		".nick: stripe-mock has no":     func(o map[string]any) { o["nick"] = "x" },
		".balance: is string":           func(o map[string]any) { o["balance"] = "0" },
		"object is order":               func(o map[string]any) { o["object"] = "order" },
		".preferred_locales: is string": func(o map[string]any) { o["preferred_locales"] = "de" },
	} {
		o := good()
		spoil(o)
		if found := strings.Join(sameShape("", o, good()), "\n"); !strings.Contains(found, fault) {
			t.Errorf("comparing does not find %s: %s", fault, found)
		}
	}
}
