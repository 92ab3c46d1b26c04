package server

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metrum-ai/licensing-portal/internal/approval"
	"github.com/metrum-ai/licensing-portal/internal/catalog"
	"github.com/metrum-ai/licensing-portal/internal/signer"
	"github.com/metrum-ai/licensing-portal/license"
)

// A run of "make test" sends a million; see scripts/test.
var mutatedRequests = flag.Int("requests", 2000, "mutated requests for each verb")

// call is a request in the making.
type call struct {
	method, path, query string
	header              http.Header
	body                []byte
}

// answer is a response writer that keeps what is written.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

// send lets the handler answer, without a network between.
func (a *answer) send(h http.Handler, c call) {
	a.header, a.status = http.Header{}, http.StatusOK
	a.body.Reset()
	r := &http.Request{
		Method: c.method, URL: &url.URL{Path: c.path, RawQuery: c.query}, Header: c.header, Body: io.NopCloser(bytes.NewReader(c.body)),
		ContentLength: int64(len(c.body)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "signer", RequestURI: c.path,
	}
	h.ServeHTTP(a, r.WithContext(context.Background()))
}

// TestNoMutatedRequestIsSigned sends each verb real signed requests that were changed: bits, lengths, names, numbers,
// signatures, members, headers. All evidence in them is in the log already. So nothing new may be logged, and whatever is
// not refused must be what the unchanged requests are answered.
func TestNoMutatedRequestIsSigned(t *testing.T) {
	t.Parallel()
	verbs, o := realRequests(t)
	handler, size := o.issuer.Handler(), o.store.Size()
	for _, verb := range slices.Sorted(maps.Keys(verbs)) {
		t.Run(strings.TrimPrefix(verb, "/v1/"), func(t *testing.T) {
			began, calls, known := time.Now(), verbs[verb], map[string]bool{}
			var first answer
			for _, c := range calls {
				if first.send(handler, c); first.status == http.StatusOK {
					known[first.body.String()] = true
				}
			}
			if len(known) == 0 || o.store.Size() != size {
				t.Fatalf("%d good answers, %d records", len(known), o.store.Size())
			}
			good := hammer(t, handler, verb, calls, known)
			if o.store.Size() != size {
				t.Fatalf("%d records more after changed requests", o.store.Size()-size)
			}
			t.Logf("%d requests in %s, %d of them answered as unchanged", *mutatedRequests, time.Since(began).Round(time.Millisecond), good)
		})
	}
	if err := o.store.VerifyAll(t.Context()); err != nil {
		t.Error(err)
	}
}

// hammer sends the changed requests of one verb, and answers how many were not refused.
func hammer(t *testing.T, h http.Handler, verb string, calls []call, known map[string]bool) (good int) {
	t.Helper()
	workers := runtime.GOMAXPROCS(0)
	goods := make([]int, workers)
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			m := newMutator(uint64(worker), calls)
			var a answer
			for n := worker; n < *mutatedRequests; n += workers {
				c := m.next()
				a.send(h, c)
				if a.status == http.StatusOK && known[a.body.String()] {
					goods[worker]++
				} else if problem := refused(&a); problem != "" {
					t.Errorf("%s, request %d of worker %d of %d: %s: %d %.300s\n%s %s?%s\n%.2000q", verb, n, worker, workers, problem, a.status,
						a.body.Bytes(), c.method, c.path, c.query, c.body)
					return
				}
			}
		})
	}
	all.Wait()
	for _, n := range goods {
		good += n
	}
	return good
}

// refused says what is wrong with an answer that should be a refusal.
func refused(a *answer) string {
	if a.status == http.StatusTemporaryRedirect && a.header.Get("Location") != "" {
		return "" // net/http's own, for a path with two slashes; the client follows none
	}
	if a.status == http.StatusOK {
		return "an answer that no unchanged request gets"
	}
	if a.status < 300 || a.status >= 500 {
		return "neither answered nor refused"
	}
	var refusal signer.Error
	if err := json.Unmarshal(a.body.Bytes(), &refusal); err != nil || refusal.Code == "" || refusal.Code == signer.CodeInternal {
		return "a refusal without a code"
	}
	return ""
}

// realRequests is a signer with a few licenses and revocations in its log, and what was asked for them, by verb.
func realRequests(t *testing.T) (map[string][]call, *office) {
	t.Helper()
	o := newOffice(t)
	o.serve()
	sale := func(order string) *session {
		s := paid(pack(order), 25000)
		s.paymentIntent = "pi_" + order
		return s
	}
	verbs := map[string][]call{}
	post := func(path string, body any) {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		verbs[path] = append(verbs[path], call{method: http.MethodPost, path: path, header: http.Header{"Content-Type": {"application/json"}}, body: text})
	}
	issue := func(r signer.IssueRequest) []byte {
		envelope, err := o.client.Issue(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		post("/v1/issue", r)
		return envelope
	}
	base := issue(signer.IssueRequest{Event: sale("ord_1").event()})
	post("/v1/check", sale("ord_1").event())
	refunded := issue(signer.IssueRequest{Event: sale("ord_2").event()})
	issue(signer.IssueRequest{Event: free(eval("ord_3", "cust_3")).event()})
	topUp := paid(based("ord_4", catalog.IssueTopUp, "credit-pack-5m@1", base), 25000)
	issue(signer.IssueRequest{Event: topUp.event(), BaseEnvelope: string(base)})
	post("/v1/check", topUp.event())
	issue(signer.IssueRequest{Approval: o.signed(o.replace(base, newName(o.payload(base), "Example GmbH")), "Bob"), BaseEnvelope: string(base)})
	revocation := signer.RevokeRequest{Event: refund("pi_ord_2", start)}
	if _, err := o.client.Revoke(t.Context(), revocation); err != nil {
		t.Fatal(err)
	}
	post("/v1/revoke", revocation)
	post("/v1/check", revocation.Event)
	request := o.request(approval.ActionRevoke, approval.ReasonIssuedInError)
	request.Revoke = []approval.Revocation{{LicenseID: o.payload(refunded).LicenseID, Status: license.StatusRevoked, EffectiveAt: request.CreatedAt}}
	post("/v1/revoke", signer.RevokeRequest{Approval: o.signed(request, "Bob", "Cleo")}) // it is revoked already
	post("/v1/revoke", signer.RevokeRequest{})
	// Signed by Stripe, and good for nothing.
	cheap := sale("ord_8")
	cheap.subtotal, cheap.total = 24999, 24999
	post("/v1/issue", signer.IssueRequest{Event: cheap.event()})
	post("/v1/revoke", signer.RevokeRequest{Event: cheap.event()})
	addReads(t, o, verbs)
	return verbs, o
}

// addReads adds everything that can be read of the log, and the other verbs that only read.
func addReads(t *testing.T, o *office, verbs map[string][]call) {
	t.Helper()
	get := func(path, format string, numbers ...any) {
		verbs[path] = append(verbs[path], call{method: http.MethodGet, path: path, query: fmt.Sprintf(format, numbers...), header: http.Header{}})
	}
	for _, path := range []string{"/v1/trust", "/v1/status", "/v1/log/checkpoint"} {
		get(path, "")
	}
	size := o.store.Size()
	for range 20 {
		get("/v1/log/entries", "from=%d", size) // more often than the others, since a page of entries takes long to write
	}
	for to := range size + 1 {
		get("/v1/log/entries", "from=%d", to)
		for from := range to {
			get("/v1/log/proof/inclusion", "index=%d&size=%d", from, to)
			get("/v1/log/proof/consistency", "from=%d&to=%d", from+1, to)
		}
	}
	page, err := o.client.Entries(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Entries {
		get("/v1/log/license", "id=%s", e.LicenseID) // refused for a revocation bundle
	}
}

// mutator changes real requests.
type mutator struct {
	*rand.Rand
	calls []call
	read  []map[string]any // their bodies; only read
}

func newMutator(seed uint64, calls []call) mutator {
	m := mutator{rand.New(rand.NewPCG(seed, seed)), calls, make([]map[string]any, len(calls))}
	for i, c := range calls {
		_ = json.Unmarshal(c.body, &m.read[i]) // a request without a body has no members
	}
	return m
}

// next is a real request with one to three changes; one in fifty has none.
func (m mutator) next() call {
	c := m.calls[m.IntN(len(m.calls))]
	c.header = c.header.Clone()
	if m.IntN(50) == 0 {
		return c
	}
	for range 1 + m.IntN(3) {
		switch n := m.IntN(10); {
		case len(c.body) == 0:
			m.changeGet(&c)
		case n < 4:
			m.changeEvidence(&c)
		case n < 8:
			c.body = m.changeText(c.body)
		default:
			m.changeHTTP(&c)
		}
	}
	return c
}

// changeEvidence changes what stands inside the request: an event and its signature, an approval, a base.
func (m mutator) changeEvidence(c *call) {
	var request map[string]any
	if json.Unmarshal(c.body, &request) != nil || request == nil {
		return // it was changed before, so that it does not read any more
	}
	other := m.read[m.IntN(len(m.read))]
	event, _ := request["event"].(map[string]any)
	foreign, _ := other["event"].(map[string]any)
	if _, bare := request["body_base64"]; bare {
		event, foreign = request, other
	}
	switch text, hasBody := event["body_base64"].(string); m.IntN(4) {
	case 0: // what belongs to another request
		for _, name := range []string{"event", "approval", "base_envelope", "signature_header", "body_base64"} {
			if value, ok := other[name]; ok && m.IntN(2) == 0 {
				request[name] = value
			}
		}
		if event != nil && foreign != nil {
			name := []string{"signature_header", "body_base64"}[m.IntN(2)]
			event[name] = foreign[name]
		}
	case 1: // the signature
		if header, ok := event["signature_header"].(string); ok {
			event["signature_header"] = m.changeHeader(header)
		}
	case 2: // another order, signed with another secret
		if hasBody {
			body := m.otherOrder(decoded(text))
			event["body_base64"] = base64.StdEncoding.EncodeToString(body)
			event["signature_header"] = signed(body, start, fmt.Sprint("whsec_", m.Uint64(), m.Uint64())).SignatureHeader
		}
	default: // the event's own bytes, or the base's
		if hasBody && m.IntN(2) == 0 {
			event["body_base64"] = base64.StdEncoding.EncodeToString(m.otherOrder(decoded(text)))
		} else if hasBody {
			event["body_base64"] = base64.StdEncoding.EncodeToString(m.changeText(decoded(text)))
		} else if text, ok := request["base_envelope"].(string); ok {
			request["base_envelope"] = string(m.changeText([]byte(text)))
		}
	}
	if text, err := json.Marshal(request); err == nil {
		c.body = text
	}
}

func decoded(text string) []byte {
	body, _ := base64.StdEncoding.DecodeString(text) // what was changed before decodes as far as it goes
	return body
}

// otherOrder is the same event about another order and payment: well formed, and worth a license if it were signed.
func (m mutator) otherOrder(body []byte) []byte {
	return bytes.ReplaceAll(body, []byte("ord_"), fmt.Appendf(nil, "ord_%d", m.Uint32()))
}

// changeHeader changes a Stripe-Signature header.
func (m mutator) changeHeader(header string) string {
	parts := strings.Split(header, ",")
	switch m.IntN(7) {
	case 0:
		return strings.ToUpper(header)
	case 1:
		return strings.Join(parts[m.IntN(len(parts)):], ",")
	case 2:
		return header + "," + parts[m.IntN(len(parts))]
	case 3:
		slices.Reverse(parts)
		return strings.Join(parts, ",")
	case 4:
		return strings.Replace(header, "v1=", []string{"v0=", "v1 =", "v1==", "v2=", "V1="}[m.IntN(5)], 1)
	case 5:
		return fmt.Sprintf("t=%d,%s", start.Unix()+int64(m.IntN(2000))-1000, parts[len(parts)-1])
	}
	return string(m.changeText([]byte(header)))
}

// changeText changes JSON or other text somewhere.
func (m mutator) changeText(text []byte) []byte {
	text = slices.Clone(text)
	if len(text) == 0 {
		return []byte{byte(m.IntN(256))}
	}
	at := m.IntN(len(text))
	switch m.IntN(9) {
	case 0:
		text[at] ^= 1 << m.IntN(8)
	case 1:
		return text[:at]
	case 2:
		return slices.Delete(text, at, min(len(text), at+1+m.IntN(8)))
	case 3:
		return slices.Insert(text, at, []byte([]string{" ", "\x00", "{}", "\"", "\\", ",", "null", "\xff", "1e9"}[m.IntN(9)])...)
	case 4:
		return append(text, text[at:]...)
	case 5:
		return m.changeNumber(text, at)
	case 6, 7:
		return m.changeMember(text)
	case 8:
		text[at] = byte(m.IntN(256))
	}
	return text
}

// changeNumber changes the number that comes next.
func (m mutator) changeNumber(text []byte, at int) []byte {
	digit := bytes.IndexAny(text[at:], "0123456789")
	if digit < 0 {
		return text
	}
	at += digit
	switch m.IntN(4) {
	case 0:
		text[at] = '0' + byte(m.IntN(10))
	case 1:
		return slices.Insert(text, at, '0'+byte(m.IntN(10)))
	case 2:
		return slices.Insert(text, at, '-')
	case 3:
		return slices.Insert(text, at+1, []byte(".0e0")...)
	}
	return text
}

// changeMember writes a name of an object twice, in other cases or with escapes, or a name that is not there.
func (m mutator) changeMember(text []byte) []byte {
	names := []string{
		`"event"`, `"approval"`, `"base_envelope"`, `"body_base64"`, `"signature_header"`, `"request"`, `"proposal"`, `"approvals"`,
		`"metadata"`, `"amount_total"`, `"currency"`, `"template"`, `"livemode"`,
	}
	name := names[m.IntN(len(names))]
	at := bytes.Index(text, []byte(name+":"))
	if at < 0 {
		return slices.Insert(text, bytes.IndexByte(text, '{')+1, []byte(name+":null,")...)
	}
	switch m.IntN(4) {
	case 0:
		return slices.Insert(text, at, []byte(name+":{},")...)
	case 1:
		return slices.Insert(text, at, []byte(strings.ToUpper(name)+`:"x",`)...)
	case 2:
		text[at+1] ^= 0x20 // the first letter's case
	case 3:
		return slices.Replace(text, at+1, at+2, fmt.Appendf(nil, `\u%04x`, text[at+1])...)
	}
	return text
}

// changeHTTP changes what stands around the body.
func (m mutator) changeHTTP(c *call) {
	switch m.IntN(4) {
	case 0:
		c.method = []string{"GET", "POST", "PUT", "DELETE", "HEAD", "post", "OPTIONS"}[m.IntN(7)]
	case 1:
		c.path = []string{"/v1/issue/", "/v1//issue", "/V1/issue", "/v1/sign", "/", "/v1/issue%00", "/v1/keys"}[m.IntN(7)]
	case 2:
		c.query = fmt.Sprintf("%s&from=%d", c.query, m.IntN(9))
	case 3:
		names := []string{"Content-Type", "Content-Encoding", "X-Forwarded-For", "Stripe-Signature", "Authorization", "X-Http-Method-Override"}
		c.header.Set(names[m.IntN(len(names))], []string{"", "gzip", "text/plain", "127.0.0.1", "t=1,v1=00", "PUT"}[m.IntN(6)])
	}
}

// changeGet changes a request without a body.
func (m mutator) changeGet(c *call) {
	switch m.IntN(4) {
	case 0:
		m.changeHTTP(c)
	case 1:
		c.body = m.changeText(nil)
	case 2:
		c.query = strings.ReplaceAll(c.query, "=", []string{"==", "=0", "=-", "=%30", "[]=", "=1e"}[m.IntN(6)])
	case 3:
		c.query = string(m.changeText([]byte(c.query)))
	}
}
