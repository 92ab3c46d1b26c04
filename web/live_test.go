package web_test

import (
	"context"
	"os"
	"strings"
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
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.Flag("disable-quic", true), chromedp.Flag("disable-gpu", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	limited, cancel := context.WithTimeout(t.Context(), time.Minute)
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

// TestOrderPageTurnsReadyInABrowser shows that the live page works under the content policy: the words change without a
// reload, the node that screen readers watch stays, and the stream is closed at the end.
func TestOrderPageTurnsReadyInABrowser(t *testing.T) {
	t.Parallel()
	s := open(t)
	owner := s.as(fake.OwnerID)
	ctx := headless(t)
	if err := chromedp.Do(ctx, chromedp.Navigate(s.url+"/healthz")); err != nil {
		t.Fatal(err)
	}
	cookie := network.SetCookieParams{Name: "session", Value: owner.cookie("session"), URL: s.url}
	if _, err := chromedp.Call(ctx, network.SetCookie, cookie); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(s.url+"/orders/"+fake.OrderPaid)); err != nil {
		t.Fatal(err)
	}
	evaluate[bool](t, ctx, `window.kept = document.getElementById("state-words"); window.broken = [];
		document.addEventListener("securitypolicyviolation", (e) => window.broken.push(e.violatedDirective + " " + e.blockedURI)); true`)
	o, err := s.services.Order(ctx, fake.OrganizationID, fake.OrderPaid)
	if err != nil {
		t.Fatal(err)
	}
	o.State, o.LicenseID, o.IssuedAt, o.Revision = fulfillment.StateIssued, s.newest(), fake.Now(), 4
	s.services.SetOrder(o)
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
	if !evaluate[bool](t, ctx, `window.kept === document.getElementById("state-words") && window.kept.isConnected`) {
		t.Error("the watched node was replaced, so that screen readers say nothing")
	}
	if link := evaluate[string](t, ctx, `document.querySelector("#progress a.pri").getAttribute("href")`); !strings.HasSuffix(link, "/license.json") {
		t.Errorf("the button leads to %q", link)
	}
	if broken := evaluate[string](t, ctx, `window.broken.join(", ")`); broken != "" {
		t.Errorf("the content policy was violated: %s", broken)
	}
}
