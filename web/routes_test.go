package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/metrum-ai/licensing-portal/web/internal/fake"
)

// expectation is what each kind of person gets from a route. "in" is a redirect to the sign-in page.
type expectation struct {
	path                               string // with the owner's data
	anonymous, owner, stranger, reader int
}

const signIn = -1

// expectations has a row for every route; a route without one fails the test.
func expectations(s *site) map[string]expectation {
	lic, ord := s.newest(), fake.OrderReady
	return map[string]expectation{
		"GET /":                                        {"/", 200, 200, 200, 200},
		"GET /static/{file}":                           {"/static/none.css", 404, 404, 404, 404},
		"GET /healthz":                                 {"/healthz", 200, 200, 200, 200},
		"POST /webhooks/stripe":                        {"/webhooks/stripe", 415, 415, 415, 415},
		"GET /packages":                                {"/packages", 200, 200, 200, 200},
		"GET /packages/{sku}":                          {"/packages/pilot-30d", 200, 200, 200, 200},
		"GET /keys":                                    {"/keys", 200, 200, 200, 200},
		"GET /keys/keyring.json":                       {"/keys/keyring.json", 200, 200, 200, 200},
		"GET /revocations.json":                        {"/revocations.json", 200, 200, 200, 200},
		"GET /help":                                    {"/help", 200, 200, 200, 200},
		"GET /preferences":                             {"/preferences", 200, 200, 200, 200},
		"POST /preferences/theme":                      {"/preferences/theme", 303, 303, 303, 303},
		"GET /sign-in":                                 {"/sign-in", 200, 303, 303, 303},
		"POST /sign-in":                                {"/sign-in", 400, 400, 400, 400},
		"GET /sign-in/sent":                            {"/sign-in/sent", 303, 303, 303, 303},
		"POST /sign-in/resend":                         {"/sign-in/resend", 303, 303, 303, 303},
		"POST /sign-in/code":                           {"/sign-in/code", 303, 303, 303, 303},
		"GET /sign-in/confirm":                         {"/sign-in/confirm?t=none", 404, 404, 404, 404},
		"POST /sign-in/confirm":                        {"/sign-in/confirm", 404, 404, 404, 404},
		"GET /sign-in/choose":                          {"/sign-in/choose", signIn, 200, 200, 200},
		"POST /sign-in/choose":                         {"/sign-in/choose", signIn, 400, 400, 400},
		"GET /welcome":                                 {"/welcome", signIn, 303, 303, 303},
		"POST /welcome":                                {"/welcome", signIn, 303, 303, 303},
		"POST /sign-out":                               {"/sign-out", 303, 303, 303, 303},
		"GET /d/{token}":                               {"/d/" + fake.LiveToken, 200, 200, 200, 200},
		"POST /d/{token}":                              {"/d/" + fake.LiveToken, 200, 200, 200, 200},
		"GET /staff/enroll/{token}":                    {"/staff/enroll/" + fake.EnrollToken, 200, 200, 200, 200},
		"POST /staff/enroll/{token}":                   {"/staff/enroll/" + fake.EnrollToken, 400, 400, 400, 400},
		"GET /staff/requests/{token}":                  {"/staff/requests/" + fake.RequestToken, 200, 200, 200, 200},
		"POST /staff/requests/{token}":                 {"/staff/requests/" + fake.RequestToken, 400, 400, 400, 400},
		"GET /checkout/{sku}":                          {"/checkout/pilot-30d", signIn, 200, 200, 200},
		"POST /checkout/{sku}":                         {"/checkout/pilot-30d", signIn, 422, 422, 403},
		"GET /checkout/review":                         {"/checkout/review?order=" + fake.OrderDraft, signIn, 200, 404, 200},
		"GET /orders":                                  {"/orders", signIn, 200, 200, 200},
		"GET /orders/{order}":                          {"/orders/" + ord, signIn, 200, 404, 200},
		"GET /orders/{order}/events":                   {"/orders/" + ord + "/events", 401, 200, 404, 200},
		"POST /orders/{order}/pay":                     {"/orders/" + fake.OrderAwaiting + "/pay", signIn, 303, 404, 403},
		"POST /orders/{order}/cancel":                  {"/orders/" + fake.OrderAwaiting + "/cancel", signIn, 303, 404, 403},
		"POST /orders/{order}/billing":                 {"/orders/" + fake.OrderCycle + "/billing", signIn, 303, 404, 403},
		"GET /orders/{order}/quote.pdf":                {"/orders/" + fake.OrderQuoted + "/quote.pdf", signIn, 200, 404, 200},
		"GET /orders/{order}/accept":                   {"/orders/" + fake.OrderQuoted + "/accept", signIn, 200, 404, 403},
		"POST /orders/{order}/accept":                  {"/orders/" + fake.OrderInvoiced + "/accept", signIn, 303, 404, 403},
		"GET /orders/{order}/decline":                  {"/orders/" + fake.OrderQuoted + "/decline", signIn, 200, 404, 403},
		"POST /orders/{order}/decline":                 {"/orders/" + fake.OrderInvoiced + "/decline", signIn, 303, 404, 403},
		"GET /orders/{order}/invoice":                  {"/orders/" + fake.OrderInvoiced + "/invoice", signIn, 303, 404, 403},
		"GET /orders/{order}/invoice.pdf":              {"/orders/" + fake.OrderInvoiced + "/invoice.pdf", signIn, 303, 404, 303},
		"GET /licenses":                                {"/licenses", signIn, 200, 200, 200},
		"GET /licenses/{license}":                      {"/licenses/" + lic, signIn, 200, 404, 200},
		"GET /licenses/{license}/license.json":         {"/licenses/" + lic + "/license.json", signIn, 200, 404, 200},
		"GET /licenses/{license}/license.json.sha256":  {"/licenses/" + lic + "/license.json.sha256", signIn, 200, 404, 200},
		"POST /licenses/{license}/installed":           {"/licenses/" + lic + "/installed", signIn, 303, 404, 403},
		"POST /licenses/{license}/links":               {"/licenses/" + lic + "/links", signIn, 201, 404, 403},
		"POST /licenses/{license}/links/{link}/revoke": {"/licenses/" + lic + "/links/" + fake.LinkID + "/revoke", signIn, 303, 404, 403},
		"GET /renew/{license}":                         {"/renew/" + lic, signIn, 200, 404, 200},
		"GET /top-up/{license}":                        {"/top-up/" + lic, signIn, 200, 404, 200},
	}
}

// walk visits every route of the handler's tree.
func walk(t *testing.T, s *site, visit func(method, pattern string)) {
	t.Helper()
	err := chi.Walk(s.handler.(chi.Routes), func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		visit(method, pattern)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryRouteForEveryActor(t *testing.T) {
	t.Parallel()
	s := open(t)
	table := expectations(s)
	actors := map[string]*browser{"anonymous": s.browser(), "owner": s.as(fake.OwnerID), "stranger": s.as(fake.StrangerID), "reader": s.as(fake.ReaderID)}
	seen := map[string]bool{}
	walk(t, s, func(method, pattern string) {
		key := method + " " + pattern
		if method == http.MethodHead {
			key = "GET " + pattern
		}
		row, ok := table[key]
		if !ok {
			t.Errorf("route %s has no row in the table of expectations", key)
			return
		}
		seen[key] = true
		if key == "POST /sign-out" { // ends the sessions, so browsers of their own go there
			for _, b := range []*browser{s.browser(), s.as(fake.OwnerID)} {
				b.post(row.path, nil).goes(row.owner, "/")
			}
			return
		}
		for name, want := range map[string]int{"anonymous": row.anonymous, "stranger": row.stranger, "reader": row.reader, "owner": row.owner} {
			r := actors[name].do(method, row.path, nil)
			if want == signIn {
				if r.status != 303 || !strings.HasPrefix(r.header.Get("Location"), "/sign-in") {
					t.Errorf("%s as %s: %d to %q, want the sign-in page", key, name, r.status, r.header.Get("Location"))
				}
				continue
			}
			if r.status != want {
				t.Errorf("%s %s as %s: %d, want %d", method, row.path, name, r.status, want)
			}
			checkHeaders(t, key, r)
		}
	})
	for key := range table {
		if !seen[key] {
			t.Errorf("the table has a row for %s, which is no route", key)
		}
	}
}

func checkHeaders(t *testing.T, key string, r reply) {
	t.Helper()
	policy := r.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self'") || strings.Contains(policy, "unsafe") ||
		!strings.Contains(policy, "form-action 'self' https://checkout.stripe.example https://billing.stripe.example;") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("%s: policy %q", key, policy)
	}
	if r.header.Get("Referrer-Policy") != "no-referrer" || r.header.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.HasPrefix(r.header.Get("X-Request-Id"), "req_") || r.header.Get("Permissions-Policy") == "" {
		t.Errorf("%s: headers %v", key, r.header)
	}
	if strings.Contains(r.body, " style=") || strings.Contains(r.body, "<style") || strings.Contains(r.body, " onclick=") {
		t.Errorf("%s: the page has inline style or script", key)
	}
	for _, script := range r.doc().Find("script").EachIter() {
		if _, ok := script.Attr("src"); !ok {
			t.Errorf("%s: inline script", key)
		}
	}
}

func TestGetChangesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	owner := s.as(fake.OwnerID)
	table := expectations(s)
	before := s.services.Changes()
	walk(t, s, func(method, pattern string) {
		if method == http.MethodGet || method == http.MethodHead {
			for range 2 {
				owner.do(method, table["GET "+pattern].path, nil)
			}
		}
	})
	if after := s.services.Changes(); after != before {
		t.Errorf("reading every page changed something %d times", after-before)
	}
}

// TestEveryLinkLeadsSomewhere follows each link and loads each file that the owner's pages name.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	s := open(t)
	owner := s.as(fake.OwnerID)
	queue, seen := []string{"/"}, map[string]bool{"/": true}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		r := owner.get(path)
		if r.status != 200 && r.status != 303 {
			t.Errorf("%s answers %d", path, r.status)
		}
		if !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
			continue
		}
		for _, n := range r.doc().Find("a[href], link[href], script[src]").EachIter() {
			target := n.AttrOr("href", n.AttrOr("src", ""))
			u, err := url.Parse(target)
			if err != nil {
				t.Errorf("%s links to %q: %v", path, target, err)
				continue
			}
			if u.Scheme != "" {
				invoice := n.Is("a") && strings.HasPrefix(target, "https://invoice.stripe.example/i/") || // at Stripe, on purpose
					u.Host == "invoice.stripe.example" && strings.HasPrefix(path, "/orders/"+fake.OrderInvoiced+"/invoice")
				receipt := n.Is("a") && strings.HasPrefix(target, "https://pay.stripe.example/receipts/") && path == "/orders/"+fake.OrderReady // too
				if u.Scheme != "mailto" && !invoice && !receipt {
					t.Errorf("%s leads out of the portal, to %s", path, target)
				}
				continue
			}
			if u.Path == "" && r.doc().Find("#"+u.Fragment).Length() == 0 {
				t.Errorf("%s links to #%s, which it does not have", path, u.Fragment)
			}
			u.Fragment = ""
			if next := u.String(); next != "" && !seen[next] {
				seen[next] = true
				queue = append(queue, next)
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d addresses were reached", len(seen))
	}
}
