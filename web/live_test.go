package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/metrum-ai/licensing-portal/internal/fulfillment"
	"github.com/metrum-ai/licensing-portal/web/internal/fake"
)

// headless starts a browser under the test's context.
func headless(t *testing.T) context.Context {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.Flag("disable-quic", true), chromedp.Flag("disable-gpu", true),
		chromedp.WSURLReadTimeout(2*time.Minute))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	limited, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	allocator, stop := chromedp.NewExecAllocator(limited, options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	return ctx
}

func evaluate[T any](t *testing.T, ctx context.Context, script string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// openOrder opens the paid order's page as its owner, in a browser on address.
func (s *site) openOrder(ctx context.Context, address string) {
	s.t.Helper()
	owner := s.as(fake.OwnerID)
	if err := chromedp.Do(ctx, chromedp.Navigate(address+"/healthz")); err != nil {
		s.t.Fatal(err)
	}
	cookie := network.SetCookieParams{Name: "session", Value: owner.cookie("session"), URL: address}
	if _, err := chromedp.Call(ctx, network.SetCookie, cookie); err != nil {
		s.t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(address+"/orders/"+fake.OrderPaid)); err != nil {
		s.t.Fatal(err)
	}
	evaluate[bool](s.t, ctx, `window.kept = document.getElementById("state-words"); window.broken = [];
		document.addEventListener("securitypolicyviolation", (e) => window.broken.push(e.violatedDirective + " " + e.blockedURI)); true`)
}

// issueOrder issues the paid order's license.
func (s *site) issueOrder() {
	s.t.Helper()
	o, err := s.services.Order(s.t.Context(), fake.OrganizationID, fake.OrderPaid)
	if err != nil {
		s.t.Fatal(err)
	}
	o.State, o.LicenseID, o.IssuedAt, o.Revision = fulfillment.StateIssued, s.newest(), fake.Now(), 4
	s.services.SetOrder(o)
}

// turnsReady waits until the page says that the license is ready, in the same document.
func turnsReady(t *testing.T, ctx context.Context) {
	t.Helper()
	heading := ""
	for range 400 { // a busy machine takes its time
		if heading = evaluate[string](t, ctx, `document.querySelector("h1").textContent`); heading == "Your license is ready" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if heading != "Your license is ready" {
		t.Fatalf("after the change the page says %q", heading)
	}
	if !evaluate[bool](t, ctx, `window.kept !== undefined && window.kept === document.getElementById("state-words") && window.kept.isConnected`) {
		t.Error("the page was loaded again, or the watched node replaced, so that screen readers say nothing")
	}
}

// TestOrderPageTurnsReadyInABrowser shows that the live page works under the content policy: the words change without a
// reload, the node that screen readers watch stays, and so does the title that a background tab shows.
func TestOrderPageTurnsReadyInABrowser(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := headless(t)
	s.openOrder(ctx, s.url)
	s.issueOrder()
	turnsReady(t, ctx)
	if link := evaluate[string](t, ctx, `document.querySelector("#progress a.pri").getAttribute("href")`); !strings.HasSuffix(link, "/license.json") {
		t.Errorf("the button leads to %q", link)
	}
	if left := evaluate[string](t, ctx, `Array.from(document.querySelectorAll("main a, main h2"), e => e.textContent.trim()).filter(w => w === "Check again" || w === "Your order").join(", ")`); left != "" {
		t.Errorf("what is over is still on the page: %s", left)
	}
	if title := evaluate[string](t, ctx, `document.title`); !strings.HasPrefix(title, "Your license is ready") {
		t.Errorf("the tab says %q", title)
	}
	if broken := evaluate[string](t, ctx, `window.broken.join(", ")`); broken != "" {
		t.Errorf("the content policy was violated: %s", broken)
	}
}

// TestOrderPageFollowsThroughTroubles shows that the page follows in the end, whatever goes wrong on the way.
func TestOrderPageFollowsThroughTroubles(t *testing.T) {
	t.Parallel()
	cases := map[string]func(next http.Handler, w http.ResponseWriter, r *http.Request, stream int32){
		// htmx starts by itself; it must not do so before its extension is there.
		"the extension arrives late": func(next http.Handler, w http.ResponseWriter, r *http.Request, _ int32) {
			if strings.HasPrefix(r.URL.Path, "/static/hx-sse") {
				time.Sleep(700 * time.Millisecond)
			}
			next.ServeHTTP(w, r)
		},
		"the first connection is refused": func(next http.Handler, w http.ResponseWriter, r *http.Request, stream int32) {
			if stream == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, r)
		},
		"the first connection breaks": func(next http.Handler, w http.ResponseWriter, r *http.Request, stream int32) {
			if stream == 1 {
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		},
		"the stream breaks later and the next one is refused": func(next http.Handler, w http.ResponseWriter, r *http.Request, stream int32) {
			switch stream {
			case 1:
				ctx, cancel := context.WithTimeout(r.Context(), 300*time.Millisecond)
				defer cancel()
				next.ServeHTTP(w, r.WithContext(ctx))
			case 2:
				w.WriteHeader(http.StatusBadGateway)
			default:
				next.ServeHTTP(w, r)
			}
		},
	}
	for name, trouble := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			var streams atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				stream := int32(0)
				if strings.HasSuffix(r.URL.Path, "/events") {
					stream = streams.Add(1)
				}
				trouble(s.handler, w, r, stream)
			}))
			t.Cleanup(server.Close)
			ctx := headless(t)
			s.openOrder(ctx, server.URL)
			time.Sleep(400 * time.Millisecond) // so that the trouble comes first
			s.issueOrder()
			turnsReady(t, ctx)
		})
	}
}

// TestOrderPageOfAnEndedSessionLeadsToTheSignIn shows that a page does not go on to show an old state to who is signed out.
func TestOrderPageOfAnEndedSessionLeadsToTheSignIn(t *testing.T) {
	t.Parallel()
	s := open(t)
	var ended atomic.Bool
	marked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			select {
			case <-marked:
			case <-r.Context().Done(): // the test has failed
			}
			ended.Store(true)
		}
		if ended.Load() {
			r.Header.Del("Cookie")
		}
		s.handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	ctx := headless(t)
	s.openOrder(ctx, server.URL)
	close(marked)
	at := ""
	for range 2400 {
		at, _ = chromedp.Run(ctx, chromedp.Evaluate[string](`location.pathname`)) // an error while the page changes
		if at == "/sign-in" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the page is %s", at)
}
